//! Single mounts, and the calls for them.

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Makes `from` appear as `to`.
#[expect(clippy::disallowed_methods, reason = "this is the room that makes a command's mounts")]
pub(super) fn bind(from: &Path, to: &Path, flags: MsFlags) -> nix::Result<()> {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND | flags, None::<&str>)
}

/// An empty directory in memory.
#[expect(clippy::disallowed_methods, reason = "this is the room that makes a command's mounts")]
pub(super) fn tmpfs(dir: &Path, flags: MsFlags, options: &str) -> nix::Result<()> {
    let flags = flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("nsnat"), dir, Some("tmpfs"), flags, Some(options))
}

/// Takes away what was mounted there last.
pub(super) fn uncover(dir: &Path) -> nix::Result<()> {
    umount2(dir, MntFlags::MNT_DETACH)
}

/// Moves a mount and everything below it (`move_mount(2)`, which nix does not have).
pub(super) fn move_mount(from: &OwnedFd, to: &str) -> nix::Result<()> {
    let to = CString::new(to).map_err(|_| Errno::EINVAL)?;
    // SAFETY: both strings end in NUL and outlive the call; the descriptor is open.
    let done = unsafe {
        let empty = c"".as_ptr();
        let flags = libc::MOVE_MOUNT_F_EMPTY_PATH;
        libc::syscall(libc::SYS_move_mount, from.as_raw_fd(), empty, libc::AT_FDCWD, to.as_ptr(), flags)
    };
    Errno::result(done).map(drop)
}

/// Read-only with everything that is mounted below (`mount_setattr(2)`; the old remount only does the top).
pub(super) fn make_read_only(dir: &Path) -> nix::Result<()> {
    let path = CString::new(dir.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    let attr =
        libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: the path ends in NUL; the structure is the kernel's and its size is given.
    let done = unsafe {
        let size = size_of::<libc::mount_attr>();
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_RECURSIVE,
            &raw const attr,
            size,
        )
    };
    Errno::result(done).map(drop)
}
