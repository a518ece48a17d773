//! Dumps that are interrupted: something changed while the kernel listed it, and the list is inconsistent.

use crate::error::Error;

/// NLM_F_DUMP_INTR (include/uapi/linux/netlink.h), which says so.
pub(super) const INTERRUPTED: u16 = 0x10;

/// Such a dump is tried again this often.
pub(super) const TRIES: usize = 10;

/// What is said when the last try was interrupted, too.
pub(super) fn too_fast(what: &str) -> Error {
    Error::new(what, "the kernel's tables change faster than they can be read")
}
