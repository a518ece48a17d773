//! File systems of the kernel's, mounted nowhere and seen by nobody else.

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use std::io;
use std::os::fd::OwnedFd;

/// Opens a directory of a new `proc` or `sysfs`, which shows the namespaces of the calling thread. It goes with the last open
/// file of it. An error where there can be none: Linux before 5.2, a user namespace.
pub(super) fn open(kind: &str, directory: &str, flags: OFlag) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    let flags = flags | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(openat(&mount, directory, flags, Mode::empty())?)
}
