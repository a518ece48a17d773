//! Changing our nf_tables table, and starting nft(8) where rules of others are concerned.

use super::needs;
use super::netlink_socket::{Batch, NetlinkSocket, Refused};
use crate::error::{Context, Error, Result};
use crate::model::Need;
use crate::nft::Change;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Where nft may be when PATH has no sbin (cron, for one).
const SBIN: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// The connection by which our table is changed, and flows are forgotten. It stays open for a run: to close one waits until the
/// kernel has freed what the last transaction took away, which takes some twenty milliseconds.
#[derive(Default)]
pub(super) struct Changes(Option<NetlinkSocket>);

impl Changes {
    /// Opens the connection, where the flows that the table makes could be forgotten afterwards.
    pub(super) fn open() -> Result<Self> {
        // A kernel without any of netfilter has no such sockets.
        let why = |error| needs::reason(Need::OF_NFTABLES).unwrap_or(error);
        let netlink = NetlinkSocket::for_netfilter().map_err(why)?;
        needs::check_flow_list(&netlink)?;
        Ok(Self(Some(netlink)))
    }

    /// Makes all of these changes, or none.
    pub(super) fn make(&mut self, changes: &[Change]) -> Result<()> {
        let answer = self.by(|netlink| netlink.change_all(&Batch::of_table(changes)))?;
        answer.map_err(|refused| error(changes, &refused))
    }

    /// Does something by the connection. One by which that failed may have answers on their way, and is used no longer.
    pub(super) fn by<T>(&mut self, act: impl FnOnce(&NetlinkSocket) -> Result<T>) -> Result<T> {
        let netlink = self.0.take().map_or_else(NetlinkSocket::for_netfilter, Ok)?;
        let out = act(&netlink)?;
        self.0 = Some(netlink);
        Ok(out)
    }
}

/// Names the change that the kernel refused.
fn error(changes: &[Change], refused: &Refused) -> Error {
    let line = refused.place.and_then(|place| changes.get(place)).map(|change| change.line.as_str());
    let words = std::io::Error::from_raw_os_error(refused.errno);
    let what = line.map_or_else(|| "nf_tables".to_owned(), |line| format!("nf_tables: {line}"));
    Error::new(what, words)
}

fn program() -> Result<PathBuf> {
    find("nft").ok_or_else(|| {
        Error::new("nft", "not found on this host")
            .hint("install the package nftables (apt install nftables)")
    })
}

/// A program of the system's.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(SBIN.map(PathBuf::from));
    dirs.filter(|dir| dir.is_absolute()).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The version of an nft that takes no JSON, as before 0.9.0, or where it was built without that; none where it takes it, or
/// does not say of which version it is. Neither question asks the kernel anything.
pub(super) fn version_without_json(nft: &Path) -> Option<String> {
    if run_program("nft", nft, &["-j", "--version"], "").is_ok() {
        return None;
    }
    let said = run_program("nft", nft, &["--version"], "").ok()?;
    said.split_whitespace().nth(1).map(|version| version.trim_start_matches('v').to_owned())
}

/// Runs nft, with its standard error in ours.
pub(super) fn run(arguments: &[&str], input: &str) -> Result<String> {
    run_program("nft", &program()?, arguments, input)
}

/// Runs a program of the system's, with its standard error in ours.
#[expect(
    clippy::disallowed_methods,
    reason = "nft(8) and iptables(8) are the programs that nsnat starts by itself"
)]
pub(super) fn run_program(name: &str, path: &Path, arguments: &[&str], input: &str) -> Result<String> {
    let what = || name;
    let mut command = Command::new(path);
    // A Ctrl-C is for nsnat, which stops or goes back between two transactions.
    command.process_group(0);
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().what(what)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A pipe that breaks means that nft has given up: its own words follow.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().what(what)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::new(name, words(&String::from_utf8_lossy(&output.stderr), output.status)))
}

/// Why a program failed: its errors, each once; else the first that it says, with its status.
fn words(said: &str, status: ExitStatus) -> String {
    let is_error = |line: &&str| ["Error", "rror:", "tables"].iter().any(|word| line.contains(word));
    let errors: std::collections::BTreeSet<&str> = said.lines().filter(is_error).collect();
    match said.lines().find(|line| !line.trim().is_empty()) {
        _ if !errors.is_empty() => Vec::from_iter(errors).join("; "),
        Some(first) => format!("{} ({status})", first.trim()),
        None => status.to_string(),
    }
}
