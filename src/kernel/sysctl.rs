//! Sysctls. `/proc/sys/net` shows the namespace of the calling *thread*.

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

fn path(key: &str) -> PathBuf {
    Path::new("/proc/sys").join(key)
}

/// Files below `/proc/sys`, of the namespace of the calling thread, opened by way of directories that stay open. The
/// directories of all namespaces, such as `net/ipv4`, share a chain of the kernel's directory cache, and each look by a
/// whole path walks it (`proc_sys_compare` in fs/proc/proc_sysctl.c); what is in a directory does not.
#[derive(Default)]
pub(super) struct Sysctls(BTreeMap<String, File>);

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
        let (dir, name) = key.split_at(at);
        if !self.0.contains_key(dir) {
            self.0.insert(dir.to_owned(), File::open(path(dir))?);
        }
        let dir = self.0.get(dir).ok_or(io::ErrorKind::NotFound)?;
        Ok(openat(dir, name.trim_start_matches('/'), flags | OFlag::O_CLOEXEC, Mode::empty())?.into())
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
    use super::is_mapped;

    #[test]
    fn groups_of_a_user_namespace() {
        let all = "         0          0 4294967295\n";
        assert!(is_mapped(all, 0) && is_mapped(all, 2_147_483_647));
        assert!(is_mapped("0 1000 1\n", 0) && !is_mapped("0 1000 1\n", 65534));
        assert!(is_mapped("0 1000 1\n1 100000 65536\n", 65534) && !is_mapped("", 0));
    }
}
