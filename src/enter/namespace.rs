//! Finding a namespace that is up: nsnat's record of it and the kernel's handle.
//!
//! Both are opened, checked by what was opened (never by what a path said earlier), and used by descriptor.

use crate::error::{Context, Error, Result};
use crate::kernel::cookie::cookie;
use crate::kernel::{netns, record};
use crate::model::{ExecRecord, Name};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Opened and checked.
#[derive(Debug)]
pub(super) struct CheckedNamespace {
    /// The network namespace.
    pub(super) netns: OwnedFd,
    /// What `up` wrote about it.
    pub(super) target: ExecRecord,
}

impl CheckedNamespace {
    /// Device and inode number, by which processes inside are known.
    pub(super) fn identity(&self) -> Option<(u64, u64)> {
        fstat(&self.netns).map(|found| (found.st_dev, found.st_ino)).ok()
    }

    /// Enters the network namespace, and looks whether it is the one that `up` made.
    #[expect(clippy::disallowed_methods, reason = "this is the room that enters namespaces")]
    pub(super) fn enter(&self, name: &Name) -> Result<()> {
        let what = || format!("namespace {name}");
        setns(&self.netns, CloneFlags::CLONE_NEWNET)
            .map_err(|why| Error::new(what(), format!("cannot be entered: {}", why.desc())))?;
        let Some(made) = self.target.cookie else { return Ok(()) };
        // Any socket will do; this kind costs least.
        let (family, kind) = (AddressFamily::Unix, SockType::Datagram);
        let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, None).what(what)?;
        if cookie(&socket) == Some(made) { Ok(()) } else { Err(another(name)) }
    }
}

fn another(name: &Name) -> Error {
    Error::new(format!("namespace {name}"), "is not the one that nsnat made; somebody replaced it")
        .hint(format!("remove it (ip netns del {name}), then: nsnat up {name}"))
}

/// Nothing when the namespace is not up, wholly or in part: then `up` can help. An error when it is not safe.
pub(super) fn open_checked_namespace(name: &Name) -> Result<Option<CheckedNamespace>> {
    let Some(target) = record::read_checked(name)? else { return Ok(None) };
    if let Some(path) = &target.attached {
        let why = "it is an attachment: its namespace is another program's, which is what enters it";
        return Err(Error::new(format!("namespace {name}"), why).hint(format!(
            "by that program (podman exec, kubectl exec), or: sudo nsenter --net={}",
            path.display()
        )));
    }
    let Some(netns) = handle(name)? else { return Ok(None) };
    let inode = fstat(&netns).what(|| format!("{}/{name}", netns::DIR))?.st_ino;
    if target.inode.is_some_and(|made| made != inode) {
        return Err(another(name));
    }
    Ok(Some(CheckedNamespace { netns, target }))
}

/// The namespace's file; nothing when it is absent, or a plain file that lost its namespace (`up` heals both).
fn handle(name: &Name) -> Result<Option<OwnedFd>> {
    let path = format!("{}/{name}", netns::DIR);
    // O_NONBLOCK: a FIFO in its place must not make us wait.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
    let Some(file) = record::open_checked(&path, flags, |flags| open(path.as_str(), flags, Mode::empty()))?
    else {
        return Ok(None);
    };
    if fstatfs(&file).what(|| &path)?.filesystem_type() != NSFS_MAGIC {
        return Ok(None);
    }
    if kind(file.as_fd()) != Ok(libc::CLONE_NEWNET) {
        return Err(Error::new(path, "is a namespace, but not of the network"));
    }
    Ok(Some(file))
}

/// The kind of namespace, as the flag that would make one (`ioctl_nsfs(2)`).
fn kind(file: std::os::fd::BorrowedFd<'_>) -> nix::Result<libc::c_int> {
    /// `_IO(0xb7, 3)` in linux/nsfs.h; libc does not have it.
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    // SAFETY: this request takes no argument and touches no memory.
    Errno::result(unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE) })
}
