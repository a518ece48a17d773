//! How much went through a namespace's veth.

use crate::model::{Name, numbers, ownership};
use std::path::{Path, PathBuf};

/// Bytes since the namespace was made, link-layer headers included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Into the namespace.
    pub down: u64,
    /// Out of it.
    pub up: u64,
}

/// What a namespace's host veth has counted; nothing when it is not seen from here. Read from `/sys`, which needs no
/// rights; the host veth is found by its alias.
pub fn traffic(name: &Name) -> Option<Traffic> {
    let dir = host_veth(name)?.join("statistics");
    let count = |file: &str| std::fs::read_to_string(dir.join(file)).ok()?.trim().parse().ok();
    // What the host veth receives is what the namespace sends.
    Some(Traffic { down: count("tx_bytes")?, up: count("rx_bytes")? })
}

fn host_veth(name: &Name) -> Option<PathBuf> {
    let alias = ownership::alias(name);
    let is_it =
        |dir: &Path| std::fs::read_to_string(dir.join("ifalias")).is_ok_and(|text| text.trim() == alias);
    // Only names with our prefix: hundreds of foreign devices are not asked.
    let ours = std::fs::read_dir("/sys/class/net").ok()?.flatten();
    let ours = ours.filter(|dev| dev.file_name().to_string_lossy().starts_with(numbers::LINK_PREFIX));
    ours.map(|dev| dev.path()).find(|dir| is_it(dir))
}
