//! Names that there are on this host, for completion: whatever cannot be read has none.

#![expect(clippy::disallowed_methods, reason = "systemctl is started here")]

use std::fs::{read_dir, read_to_string};
use std::process::{Command, Stdio};

/// The network devices, without nsnat's own.
pub fn devices() -> Vec<String> {
    let entries = read_dir("/sys/class/net").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name != "lo" && !name.starts_with("nsn-")).collect();
    names.sort_unstable();
    names
}

/// The users that the files of this host know.
pub fn users() -> Vec<String> {
    let passwd = read_to_string("/etc/passwd").unwrap_or_default();
    passwd.lines().filter_map(|line| line.split(':').next()).map(str::to_owned).collect()
}

/// The units that can be bound to a namespace.
pub fn units() -> Vec<String> {
    let mut systemctl = Command::new("systemctl");
    let types = "--type=service,socket,mount,swap";
    let output =
        systemctl.args(["list-unit-files", "--no-legend", "--full", types]).stdin(Stdio::null()).output();
    let listed = output.map(|output| output.stdout).unwrap_or_default();
    let listed = String::from_utf8_lossy(&listed).into_owned();
    listed.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}
