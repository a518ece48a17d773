//! Sysctls. `/proc/sys/net` shows the namespace of the calling *thread*.

#![expect(clippy::disallowed_methods, reason = "sysctls are written here")]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

fn path(key: &str) -> PathBuf {
    Path::new("/proc/sys").join(key)
}

/// The value, without its newline; none where the kernel or the device has no such key.
pub(super) fn read(key: &str) -> Option<String> {
    std::fs::read_to_string(path(key)).ok().map(|text| text.trim_end().to_owned())
}

/// Those of the keys that exist.
pub(super) fn read_all(keys: &[String]) -> BTreeMap<String, String> {
    keys.iter().filter_map(|key| Some((key.clone(), read(key)?))).collect()
}

/// Writes one.
pub(super) fn write(key: &str, value: &str) -> io::Result<()> {
    std::fs::write(path(key), value)
}
