//! Network namespaces and their files in `/run/netns`, as ip-netns(8) has them.
//!
//! Only throw-away threads ever enter a namespace: `setns(2)` and `unshare(2)` change the calling thread alone.
//! No fork: a child of a program with a runtime may do next to nothing before exec.

#![expect(clippy::disallowed_methods, reason = "namespaces are made, entered and mounted here")]

use super::{files, processes, record};
use crate::error::{Context, Error, Result};
use crate::model::{DetachedNetns, ExecRecord, Name};
use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Where ip-netns(8) keeps its files.
pub const DIR: &str = "/run/netns";

/// `NSFS_MAGIC` (include/uapi/linux/magic.h): the file system of mounted namespaces.
const NSFS: i64 = 0x6e73_6673;

const NONE: Option<&str> = None;

/// The file of a namespace.
pub fn path(name: &Name) -> PathBuf {
    Path::new(DIR).join(name.as_str())
}

/// What is in `/run/netns` under a name: nothing, a plain file, or a namespace.
pub(super) enum NetnsFile {
    Nothing,
    Stale,
    Alive { file: File, inode: u64, adrift: Option<DetachedNetns> },
}

/// Looks a namespace up. One that lost its file is found by the processes inside.
pub(super) fn find(name: &Name) -> Result<NetnsFile> {
    find_noted(name, record::read(name).and_then(|target| target.inode))
}

/// Opens the namespace of a name, where it still is the one of this inode number, which `up` made.
pub(super) fn find_noted(name: &Name, noted: Option<u64>) -> Result<NetnsFile> {
    let what = || format!("namespace {name}");
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path(name)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(find_detached(name, FoundInstead::Nothing).unwrap_or(NetnsFile::Nothing));
        }
        // A file that a crashed creation left has mode 0; root opens it all the same.
        Err(error) => return Err(Error::new(what(), error)),
    };
    let kind = nix::sys::statfs::fstatfs(&file).what(what)?.filesystem_type().0;
    if i128::from(kind) != i128::from(NSFS) {
        return Ok(find_detached(name, FoundInstead::Stale).unwrap_or(NetnsFile::Stale));
    }
    let inode = file.metadata().what(what)?.ino();
    if let Some(ours) =
        noted.filter(|noted| *noted != inode).and_then(|_| find_detached(name, FoundInstead::Another))
    {
        return Ok(ours);
    }
    Ok(NetnsFile::Alive { file, inode, adrift: None })
}

/// What is where the file of a namespace was.
#[derive(Clone, Copy, PartialEq)]
enum FoundInstead {
    Nothing,
    Stale,
    Another,
}

/// The namespace that `up` made, where a process is still inside. Its inode number may be another one's by now; its
/// cookie cannot be.
fn find_detached(name: &Name, instead: FoundInstead) -> Option<NetnsFile> {
    let ExecRecord { inode: Some(inode), cookie: Some(made), .. } = record::read(name)? else {
        return None;
    };
    let pid = processes::first_in(inode)?;
    let file = File::open(format!("/proc/{pid}/ns/net")).ok()?;
    let found = run_inside(&file, || Ok(cookie(&UnixDatagram::unbound()?))).ok()?;
    let same = found == Some(made) && file.metadata().is_ok_and(|found| found.ino() == inode);
    let adrift =
        DetachedNetns { pid, stale: instead == FoundInstead::Stale, taken: instead == FoundInstead::Another };
    same.then_some(NetnsFile::Alive { file, inode, adrift: Some(adrift) })
}

/// Device and inode number of a namespace, by which its processes are found.
pub fn identity(name: &Name) -> Result<Option<(u64, u64)>> {
    let NetnsFile::Alive { file, inode, .. } = find(name)? else { return Ok(None) };
    let device = file.metadata().what(|| format!("namespace {name}"))?.dev();
    Ok(Some((device, inode)))
}

/// The number of the namespace that a socket is in, which no other namespace ever gets (socket(7) does not have it:
/// `SO_NETNS_COOKIE` in include/uapi/asm-generic/socket.h); none before Linux 5.14.
pub fn cookie(socket: &impl AsRawFd) -> Option<u64> {
    let mut cookie = 0_u64;
    let mut length = libc::socklen_t::try_from(size_of::<u64>()).ok()?;
    // SAFETY: the kernel writes at most `length` bytes into `cookie`.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    (done == 0).then_some(cookie)
}

/// Whether `/run/netns` is there.
pub fn dir_exists() -> bool {
    Path::new(DIR).is_dir()
}

/// Makes a namespace. `stale`: a plain file of that name goes first.
pub(super) fn make(name: &Name, stale: bool) -> Result<()> {
    let path = path(name);
    let made = move || {
        unshare(CloneFlags::CLONE_NEWNET)?;
        // /proc/self is the main thread, which stays where it is.
        mount(Some("/proc/thread-self/ns/net"), &path, NONE, MsFlags::MS_BIND, NONE)?;
        Ok(())
    };
    with_file(name, stale, || in_thread(made))
        .map_err(|error| with_hint(Error::new(format!("make namespace {name}"), &error), &error))
}

/// What keeps namespaces from being made, beside kernels that have none.
fn with_hint(error: Error, reason: &io::Error) -> Error {
    match reason.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            error.hint("it takes CAP_SYS_ADMIN, which a container has only when it was started with it")
        }
        Some(libc::ENOSPC) => error.hint("sysctl user.max_net_namespaces is the largest number of them"),
        _ => error,
    }
}

/// Gives a namespace that lost its file another one.
pub(super) fn attach(name: &Name, stale: bool, namespace: &File) -> Result<()> {
    let from = format!("/proc/self/fd/{}", namespace.as_raw_fd());
    let bound = || Ok(mount(Some(from.as_str()), &path(name), NONE, MsFlags::MS_BIND, NONE)?);
    with_file(name, stale, bound).what(|| format!("attach namespace {name}"))
}

/// Makes the file that a namespace is mounted on by `mounted`; there is none when that fails.
fn with_file(name: &Name, stale: bool, mounted: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    prepare_dir()?;
    let path = path(name);
    if stale {
        std::fs::remove_file(&path)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(0o000).open(&path)?;
    mounted().inspect_err(|_| drop(std::fs::remove_file(&path)))
}

/// Takes a namespace's file away. The kernel ends the namespace when nobody is in it.
pub(super) fn remove(name: &Name) -> Result<()> {
    let path = path(name);
    match umount2(&path, MntFlags::MNT_DETACH) {
        // EINVAL: not a mount point; ENOENT: already gone.
        Ok(()) | Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOENT) => {}
        Err(error) => return Err(Error::new(format!("unmount {}", path.display()), error)),
    }
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::new(format!("remove {}", path.display()), error))
        }
        _ => Ok(()),
    }
}

/// Makes `/run/netns` a shared mount of its own, so that namespaces made later are seen in mount namespaces that
/// exist already; under the directory's lock, as ip-netns(8) does it.
fn prepare_dir() -> io::Result<()> {
    files::make_dir(DIR, 0o755).map_err(io::Error::other)?;
    let _lock = Flock::lock(File::open(DIR)?, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
    let shared = MsFlags::MS_SHARED | MsFlags::MS_REC;
    if mount(Some(""), DIR, Some("none"), shared, NONE).is_err() {
        mount(Some(DIR), DIR, Some("none"), MsFlags::MS_BIND | MsFlags::MS_REC, NONE)?;
        mount(Some(""), DIR, Some("none"), shared, NONE)?;
    }
    Ok(())
}

/// Takes `/run/netns` away again, if nothing is in it.
pub fn remove_dir() -> Result<()> {
    let what = || format!("remove {DIR}");
    let Ok(mut entries) = std::fs::read_dir(DIR) else { return Ok(()) };
    if entries.next().is_some() {
        return Ok(());
    }
    drop(entries);
    match umount2(DIR, MntFlags::empty()) {
        // EBUSY: somebody is in it; then it stays theirs. EPERM: the mount failed for the same reason, and there is none.
        Ok(()) | Err(nix::errno::Errno::EINVAL | nix::errno::Errno::EBUSY | nix::errno::Errno::EPERM) => {}
        Err(error) => return Err(error).what(what),
    }
    files::remove_dir(DIR)
}

/// Runs `job` on a thread of its own inside a namespace.
pub(super) fn run_inside<T: Send + 'static>(
    file: &File,
    job: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let file = file.try_clone()?;
    in_thread(move || {
        enter(&file)?;
        job()
    })
}

/// Moves the calling thread into a namespace, for good.
pub(super) fn enter(namespace: &File) -> io::Result<()> {
    Ok(setns(namespace, CloneFlags::CLONE_NEWNET)?)
}

/// Runs `job` on a thread of its own.
pub(super) fn in_thread<T: Send + 'static>(
    job: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let thread = std::thread::Builder::new().spawn(job)?;
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread ended early")))
}
