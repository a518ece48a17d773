//! Sysctls. `/proc/sys/net` shows the namespace of the calling *thread*.
//!
//! # Theory of operation
//!
//! The entries of all namespaces for one path, such as that of `net/ipv4`, share a chain of the kernel's directory cache, and
//! each look by that path walks it (`proc_sys_compare` in fs/proc/proc_sysctl.c): beside a thousand namespaces a look
//! takes a hundred times as long as beside none, and what was looked up stays in the chain for as long as its namespace
//! lives. So nsnat looks by a file system of its own, which the kernel makes and frees in some 50 microseconds, and in which
//! nobody has looked before. Where something is mounted on `/proc/sys` or below `/proc/sys/net`, so that less can be read or
//! written there, that is meant for nsnat, too. There, and where there can be no such file system (Linux before 5.2, a user
//! namespace), nsnat looks in `/proc/sys`.

use super::{mounts, private_mount};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::LazyLock;

const PROC: &str = "/proc";
const PROC_SYS: &str = "/proc/sys";

/// Sysctls of the namespace in which the calling thread was at the first look into a directory, which stays open.
#[derive(Default)]
pub(super) struct Sysctls {
    root: Option<OwnedFd>,
    directories: BTreeMap<String, OwnedFd>,
}

/// The directory of all sysctls.
fn root() -> io::Result<OwnedFd> {
    match private_mount::open("proc", "sys", OFlag::O_PATH) {
        Ok(root) if !is_covered() => Ok(root),
        _ => Ok(File::open(PROC_SYS)?.into()),
    }
}

/// Whether something is mounted on `/proc/sys` or below `/proc/sys/net`. Asked once.
fn is_covered() -> bool {
    static COVERED: LazyLock<bool> =
        LazyLock::new(|| mounts::below(PROC).iter().any(|mount_point| covers(mount_point)));
    *COVERED
}

fn covers(mount_point: &str) -> bool {
    mount_point.strip_prefix(PROC_SYS).is_some_and(|rest| rest.is_empty() || rest.starts_with("/net"))
}

const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

impl Sysctls {
    /// The value, without its newline; none where the kernel or the device has no such key.
    pub(super) fn read(&mut self, key: &str) -> Option<String> {
        // Most are a few digits; a list of ports is not.
        let text = self.read_at_once(key, &mut [0; SHORT])?;
        if text.len() < SHORT { Some(text) } else { self.read_at_once(key, &mut vec![0; LONGEST]) }
    }

    /// By one call: a second one continues a text, and finds no more of a list (`proc_do_large_bitmap` in
    /// kernel/sysctl.c).
    fn read_at_once(&mut self, key: &str, buffer: &mut [u8]) -> Option<String> {
        let length = self.open(key, OFlag::O_RDONLY).ok()?.read(buffer).ok()?;
        let text = std::str::from_utf8(buffer.get(..length)?).ok()?;
        Some(if length < buffer.len() { text.trim_end() } else { text }.to_owned())
    }

    fn open(&mut self, key: &str, flags: OFlag) -> io::Result<File> {
        // The directory of all that is of one protocol.
        let at = key.match_indices('/').nth(1).map_or(0, |(at, _)| at);
        let (directory, name) = key.split_at(at);
        if !self.directories.contains_key(directory) {
            let root = self.root.take().map_or_else(root, Ok)?;
            let path = if directory.is_empty() { "." } else { directory };
            let opened = openat(&root, path, DIRECTORY, Mode::empty());
            self.root = Some(root);
            self.directories.insert(directory.to_owned(), opened?);
        }
        let directory = self.directories.get(directory).ok_or(io::ErrorKind::NotFound)?;
        Ok(openat(directory, name.trim_start_matches('/'), flags | OFlag::O_CLOEXEC, Mode::empty())?.into())
    }

    /// Writes one. An empty list is a line, too: what is nothing would not be written.
    pub(super) fn write(&mut self, key: &str, value: &str) -> io::Result<()> {
        self.open(key, OFlag::O_WRONLY)?.write_all(format!("{value}\n").as_bytes())
    }

    /// Reads the keys that exist.
    pub(super) fn read_all<'a>(
        &mut self,
        keys: impl IntoIterator<Item = &'a str>,
    ) -> BTreeMap<String, String> {
        keys.into_iter().filter_map(|key| Some((key.to_owned(), self.read(key)?))).collect()
    }
}

const SHORT: usize = 128;
/// Every second one of all ports.
const LONGEST: usize = 1 << 18;

/// Reads one value ([`Sysctls::read`]).
pub(super) fn read(key: &str) -> Option<String> {
    Sysctls::default().read(key)
}

/// Writes one value ([`Sysctls::write`]).
pub(super) fn write(key: &str, value: &str) -> io::Result<()> {
    Sysctls::default().write(key, value)
}

/// Whether a range of groups (`ping_group_range`, icmp(7)) can be written as it is read. In a user namespace a group
/// that has no number there is read as the overflow group, which stands for nobody.
pub(super) fn are_groups_known(range: &str) -> bool {
    let Ok(map) = std::fs::read_to_string("/proc/self/gid_map") else { return true };
    range.split_whitespace().all(|group| group.parse().is_ok_and(|group| is_mapped(&map, group)))
}

/// `first-inside first-outside count`, a line each (user_namespaces(7)).
fn is_mapped(map: &str, group: u64) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(|number| number.parse::<u64>().unwrap_or_default());
        let (first, count) = (numbers.next().unwrap_or_default(), numbers.nth(1).unwrap_or_default());
        (first..first + count).contains(&group)
    })
}

#[cfg(test)]
mod tests {
    use super::{covers, is_mapped};

    #[test]
    fn what_is_mounted_on_settings_of_the_network_counts() {
        assert!(covers("/proc/sys") && covers("/proc/sys/net") && covers("/proc/sys/net/ipv6"));
        assert!(!covers("/proc/sys/fs/binfmt_misc") && !covers("/proc") && !covers("/proc/sysrq-trigger"));
    }

    #[test]
    fn groups_of_a_user_namespace() {
        let all = "         0          0 4294967295\n";
        assert!(is_mapped(all, 0) && is_mapped(all, 2_147_483_647));
        assert!(is_mapped("0 1000 1\n", 0) && !is_mapped("0 1000 1\n", 65534));
        assert!(is_mapped("0 1000 1\n1 100000 65536\n", 65534) && !is_mapped("", 0));
    }
}
