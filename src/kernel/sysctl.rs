//! Sysctls. `/proc/sys/net` shows the namespace of the calling *thread*.

#![expect(clippy::disallowed_methods, reason = "sysctls are written here")]

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

fn path(key: &str) -> PathBuf {
    Path::new("/proc/sys").join(key)
}

/// The value, without its newline; none where the kernel or the device has no such key.
pub(super) fn read(key: &str) -> Option<String> {
    let path = path(key);
    // Most are a few digits; a list of ports is not.
    let text = read_at_once(&path, &mut [0; SHORT])?;
    if text.len() < SHORT { Some(text) } else { read_at_once(&path, &mut vec![0; LONGEST]) }
}

const SHORT: usize = 128;
/// Every second one of all ports.
const LONGEST: usize = 1 << 18;

/// By one call: a second one continues a text, and finds no more of a list (`proc_do_large_bitmap` in kernel/sysctl.c).
fn read_at_once(path: &Path, buffer: &mut [u8]) -> Option<String> {
    let length = std::fs::File::open(path).ok()?.read(buffer).ok()?;
    let text = std::str::from_utf8(buffer.get(..length)?).ok()?;
    Some(if length < buffer.len() { text.trim_end() } else { text }.to_owned())
}

/// Those of the keys that exist.
pub(super) fn read_all(keys: &[String]) -> BTreeMap<String, String> {
    keys.iter().filter_map(|key| Some((key.clone(), read(key)?))).collect()
}

/// Writes one. An empty list is a line, too: what is nothing would not be written.
pub(super) fn write(key: &str, value: &str) -> io::Result<()> {
    std::fs::write(path(key), format!("{value}\n"))
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
