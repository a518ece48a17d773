//! Finding a namespace that is up: nsnat's record of it and the kernel's handle.
//!
//! Both are opened, checked by what was opened (never by what a path said earlier), and used by descriptor.

use crate::error::{Context, Error, Result};
use crate::kernel::netns;
use crate::model::{Name, Target};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Where `up` writes a record for each namespace.
const RECORDS: &str = "/run/nsnat/ns";
/// Where iproute2 and nsnat keep namespaces by name.
const NAMESPACES: &str = "/run/netns";
/// A record is a few dozen bytes; anything much larger was not written by nsnat.
const RECORD_MAX: i64 = 4096;

/// Opened and checked.
#[derive(Debug)]
pub(super) struct Inside {
    /// The network namespace.
    pub(super) netns: OwnedFd,
    /// What `up` wrote about it.
    pub(super) target: Target,
}

impl Inside {
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
        if netns::cookie(&socket) == Some(made) { Ok(()) } else { Err(another(name)) }
    }
}

fn another(name: &Name) -> Error {
    Error::new(format!("namespace {name}"), "is not the one that nsnat made; somebody replaced it")
        .hint(format!("remove it (ip netns del {name}), then: nsnat up {name}"))
}

/// Nothing when the namespace is not up, wholly or in part: then `up` can help. An error when it is not safe.
pub(super) fn find(name: &Name) -> Result<Option<Inside>> {
    let Some(target) = record(name)? else { return Ok(None) };
    let Some(netns) = handle(name)? else { return Ok(None) };
    let inode = fstat(&netns).what(|| format!("{NAMESPACES}/{name}"))?.st_ino;
    if target.inode.is_some_and(|made| made != inode) {
        return Err(another(name));
    }
    Ok(Some(Inside { netns, target }))
}

fn record(name: &Name) -> Result<Option<Target>> {
    let what = || format!("{RECORDS}/{name}");
    let directory = open_checked(RECORDS, OFlag::O_PATH | OFlag::O_DIRECTORY, |flags| {
        open(RECORDS, flags, Mode::empty())
    });
    let Some(directory) = directory? else { return Ok(None) };
    owned_by_root(&fstat(&directory).what(what)?).what(|| RECORDS)?;
    let file = open_checked(&what(), OFlag::O_RDONLY | OFlag::O_NONBLOCK, |flags| {
        openat(&directory, name.as_str(), flags, Mode::empty())
    });
    let Some(file) = file? else { return Ok(None) };
    let stat = fstat(&file).what(what)?;
    owned_by_root(&stat).and_then(|()| small_file(&stat)).what(what)?;
    let mut text = String::new();
    File::from(file).take(RECORD_MAX.unsigned_abs()).read_to_string(&mut text).what(what)?;
    serde_json::from_str(&text).map(Some).map_err(|why| {
        Error::new(what(), format!("is damaged: {why}")).hint(format!("nsnat down {name}; nsnat up {name}"))
    })
}

/// Opens without following a symbolic link at the end; nothing when there is no such file.
fn open_checked(
    path: &str,
    flags: OFlag,
    how: impl FnOnce(OFlag) -> nix::Result<OwnedFd>,
) -> Result<Option<OwnedFd>> {
    match how(flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::ENOENT) => Ok(None),
        Err(Errno::ELOOP) => Err(Error::new(path, "is a symbolic link, which nsnat never makes")),
        Err(why) => Err(Error::new(path, why.desc())),
    }
}

/// Only root can have written it.
fn owned_by_root(stat: &FileStat) -> std::result::Result<(), &'static str> {
    if stat.st_uid != 0 {
        return Err("is not owned by root: not written by nsnat");
    }
    if stat.st_mode & 0o022 != 0 {
        return Err("can be written by others than root: not trusted");
    }
    Ok(())
}

fn small_file(stat: &FileStat) -> std::result::Result<(), &'static str> {
    if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
        return Err("is not a plain file: not written by nsnat");
    }
    if stat.st_size > RECORD_MAX {
        return Err("is too large: not written by nsnat");
    }
    Ok(())
}

/// The namespace's file; nothing when it is absent, or a plain file that lost its namespace (`up` heals both).
fn handle(name: &Name) -> Result<Option<OwnedFd>> {
    let path = format!("{NAMESPACES}/{name}");
    // O_NONBLOCK: a FIFO in its place must not make us wait.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
    let Some(file) = open_checked(&path, flags, |flags| open(path.as_str(), flags, Mode::empty()))? else {
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
