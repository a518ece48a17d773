//! What a report of a bug needs to tell of a host: what its tools and files say.

#![expect(clippy::disallowed_methods, reason = "programs and files are asked")]

use crate::error::{Context, Result};
use crate::model::Name;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Longest time for one program, in seconds: the bus of the system may be what is broken.
const PATIENCE: &str = "10";

/// `ip xfrm state` is not among them, because it prints keys.
const COMMANDS: [&[&str]; 16] = [
    &["uname", "-srvm"],
    &["ip", "-d", "link"],
    &["ip", "addr"],
    &["ip", "rule"],
    &["ip", "-6", "rule"],
    &["ip", "route", "show", "table", "all"],
    &["ip", "-6", "route", "show", "table", "all"],
    &["ip", "neigh"],
    &["ip", "xfrm", "policy"],
    &["nft", "--version"],
    &["nft", "list", "ruleset"],
    &[
        "sysctl",
        "-a",
        "--pattern",
        r"^net\.ipv[46]\.(ip_forward|conf\..*\.(forwarding|rp_filter|src_valid_mark|accept_ra))$",
    ],
    &["resolvectl", "status", "--no-pager"],
    &["networkctl", "--no-pager"],
    &["systemctl", "status", "nsnat", "--no-pager"],
    &["journalctl", "-u", "nsnat", "-n", "200", "-o", "short-iso", "--no-pager"],
];

/// In each namespace.
const INSIDE: [&[&str]; 3] =
    [&["addr"], &["route", "show", "table", "all"], &["-6", "route", "show", "table", "all"]];

const FILES: [&str; 4] =
    ["/etc/os-release", "/etc/resolv.conf", "/run/nsnat/state.json", "/run/nsnat/events.jsonl"];

/// What each command and each file says, under the command or the path.
pub fn what_is_said(names: &[Name]) -> Vec<(String, String)> {
    let commands = COMMANDS.iter().map(|words| words.to_vec());
    let commands = commands.chain(names.iter().flat_map(|name| INSIDE.map(|words| inside(name, words))));
    let said = commands.map(|words| (words.join(" "), ask(&words)));
    said.chain(FILES.iter().map(|path| ((*path).to_owned(), read(path)))).collect()
}

fn inside<'a>(name: &'a Name, words: &[&'a str]) -> Vec<&'a str> {
    ["ip", "-n", name.as_str()].iter().chain(words).copied().collect()
}

fn ask(words: &[&str]) -> String {
    let output = Command::new("timeout")
        .arg(PATIENCE)
        .args(words)
        .stdin(Stdio::null())
        .env("LC_ALL", "C.UTF-8")
        .output();
    match output {
        Ok(output) => String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        Err(error) => error.to_string(),
    }
}

fn read(path: &str) -> String {
    std::fs::read(path)
        .map_or_else(|error| error.to_string(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Writes the report into a new file, which only its owner may read: one that is there may be another user's, or a link.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).what(|| format!("write {}", path.display()))
}
