//! Processes: which of them are in which network namespace, and whether one still lives.

use crate::error::{Context, Result};
use crate::model::Owner;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Process number.
    pub pid: i32,
    /// The user that it runs as (effective).
    pub uid: u32,
    /// Name of its program, as the kernel keeps it; control characters are escaped, here and below.
    pub comm: String,
    /// Command line, words separated by spaces; the name in brackets where there is none.
    pub command: String,
}

/// Device and inode number of a process's network namespace; the calling process's when none is named.
pub fn netns_of(pid: Option<i32>) -> Result<(u64, u64)> {
    let process = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    let what = || pid.map_or_else(|| "this process".to_owned(), |pid| format!("process {pid}"));
    identity(&process).what(what)
}

/// The processes in a network namespace, by number, without processes that the caller may not look at.
pub fn processes_in(netns: (u64, u64)) -> Vec<Process> {
    let inside = |pid: &i32| inode_of(*pid) == Some(netns.1);
    let mut found: Vec<Process> = pids().filter(inside).filter_map(describe).collect();
    found.sort_by_key(|process| process.pid);
    found
}

/// How many processes are in each network namespace, by its inode number, in one walk. Those that the caller may not
/// look at are not counted.
pub fn crowds() -> BTreeMap<u64, usize> {
    let mut out = BTreeMap::new();
    for inode in pids().filter_map(inode_of) {
        *out.entry(inode).or_default() += 1;
    }
    out
}

/// A process, as one that somebody else may have to do with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Process number.
    pub pid: i32,
    /// The user that it runs as (effective).
    pub uid: u32,
    /// Name of its program.
    pub comm: String,
    /// Device and inode number of its network namespace.
    pub netns: (u64, u64),
}

/// The processes whose names are wanted, by number. Processes that the caller may not look at are left out.
pub fn running(wanted: impl Fn(&str) -> bool) -> Vec<Running> {
    let named =
        |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| wanted(comm.trim_end()));
    let look = |pid: i32| {
        let Process { pid, uid, comm, .. } = describe(pid)?;
        Some(Running { pid, uid, comm, netns: identity(&pid.to_string()).ok()? })
    };
    let mut found: Vec<Running> = pids().filter(named).filter_map(look).collect();
    found.sort_by_key(|process| process.pid);
    found
}

/// A process in the network namespace that has this inode number now.
pub(super) fn first_in(inode: u64) -> Option<i32> {
    pids().find(|pid| inode_of(*pid) == Some(inode))
}

/// All processes.
fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Following the link gives the namespace itself; equal device and inode mean the same namespace.
fn identity(process: &str) -> std::io::Result<(u64, u64)> {
    fs::metadata(format!("/proc/{process}/ns/net")).map(|found| (found.dev(), found.ino()))
}

/// Inode number of a process's network namespace, out of the text of the link alone (`net:[4026531840]`): there are many
/// processes, and to follow the link takes twice the time. All namespaces are in one file system, so the number tells.
fn inode_of(pid: i32) -> Option<u64> {
    let text = fs::read_link(format!("/proc/{pid}/ns/net")).ok()?;
    text.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

/// Nothing when it ended meanwhile.
fn describe(pid: i32) -> Option<Process> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |key: &str| status.lines().find_map(|line| line.strip_prefix(key));
    let comm = printable(field("Name:")?.trim());
    // Real, effective, saved, file system. (The owner of /proc/PID is root for what cannot be dumped.)
    let uid = field("Uid:")?.split_whitespace().nth(1)?.parse().ok()?;
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = printable(&String::from_utf8_lossy(&words).trim_end_matches('\0').replace('\0', " "));
    let command = if words.is_empty() { format!("[{comm}]") } else { words };
    Some(Process { pid, uid, comm, command })
}

/// Anybody may call a process anything; what is shown of it moves no cursor and begins no line.
fn printable(text: &str) -> String {
    let one =
        |letter: char| if letter.is_control() { letter.escape_default().to_string() } else { letter.into() };
    text.chars().map(one).collect()
}

/// Sends a signal to a process; one that ended meanwhile needs none.
pub fn send_signal(pid: i32, signal: Signal) {
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
}

/// This process as an owner; nothing where `/proc` is not mounted.
pub fn this_process() -> Option<Owner> {
    let pid = nix::unistd::getpid().as_raw();
    Some(Owner { pid, start: start_time(pid)?, space: space()? })
}

/// Whether the process still lives: the same number may belong to a later one. One that is counted in another space (a
/// container's, which has the host's network) cannot be seen from here, and is left alone.
pub fn is_alive(owner: Owner) -> bool {
    space().is_some_and(|space| space != owner.space) || start_time(owner.pid) == Some(owner.start)
}

/// The space that process numbers are of here.
fn space() -> Option<u64> {
    fs::metadata("/proc/self/ns/pid").map(|space| space.ino()).ok()
}

/// When a process that lives was started, in clock ticks after boot: field 22 of `/proc/PID/stat` (proc(5)).
fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name, in parentheses, may hold anything; fields are counted behind it.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    // A zombie has only its number left, for as long as nobody asks how it ended.
    fields.next().filter(|state| !["Z", "X"].contains(state))?;
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_in_its_own_namespace() {
        let here = netns_of(None).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(here, netns_of(Some(own)).unwrap());
        let found = processes_in(here).into_iter().find(|process| process.pid == own).unwrap();
        assert_eq!(found.uid, nix::unistd::geteuid().as_raw());
        assert!(found.command.contains("nsnat"), "{found:?}");
        assert!(netns_of(Some(-1)).is_err());
    }
}
