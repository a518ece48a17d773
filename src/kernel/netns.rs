//! Network namespaces and their files in `/run/netns`, as ip-netns(8) has them.
//!
//! Only threads that do nothing else ever enter a namespace: `setns(2)` and `unshare(2)` change the calling thread alone.
//! No fork: a child of a program with a runtime may do next to nothing before exec.

#![expect(clippy::disallowed_methods, reason = "namespaces are made, entered and mounted here")]

use super::cookie::cookie;
use super::veth_ends::{self, VethEnd};
use super::worker::Worker;
use super::{files, processes, record};
use crate::error::{Context, Error, Result};
use crate::model::ownership::named_by;
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

/// The namespace of the calling thread.
const HERE: &str = "/proc/thread-self/ns/net";

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
    match record::read(name) {
        Some(ExecRecord { attached: Some(path), inode: Some(inode), cookie, .. }) => {
            find_attached(name, &AttachedNetns { path, inode, cookie })
        }
        // It is handed over, and known by the other end of its veth pair alone.
        Some(ExecRecord { attached: Some(path), inode: None, .. }) => find_handed(name, &path),
        target => find_noted(name, target.and_then(|target| target.inode)),
    }
}

/// The network namespace of an attachment: where it was found, and which one it is.
#[derive(Clone, Debug)]
pub struct AttachedNetns {
    /// A file that led to it.
    pub path: PathBuf,
    /// Inode number.
    pub inode: u64,
    /// Cookie, where the kernel has them.
    pub cookie: Option<u64>,
}

impl AttachedNetns {
    /// The network namespace that a path leads to now.
    pub fn at(path: &Path) -> Result<Self> {
        let what = || path.display();
        let file = open_namespace(path).what(what)?;
        let Some(inode) = inode_of(&file).what(what)? else {
            return Err(Error::new(what(), "is no namespace of the network")
                .hint("for example /run/netns/NAME, or /proc/PID/ns/net"));
        };
        let cookie = run_inside(&file, || Ok(cookie(&UnixDatagram::unbound()?)))
            .map_err(|why| Error::new(what(), format!("cannot be entered: {why}")))?;
        Ok(Self { path: path.to_owned(), inode, cookie })
    }
}

/// The network namespace of an attachment, by its path, or by the processes inside when its path leads elsewhere.
pub(super) fn find_attached(name: &Name, place: &AttachedNetns) -> Result<NetnsFile> {
    let inode = place.inode;
    if let Ok(file) = open_namespace(&place.path)
        && inode_of(&file).what(|| place.path.display())? == Some(inode)
    {
        return Ok(NetnsFile::Alive { file, inode, adrift: None });
    }
    let inside = find_by_processes(inode, |file| is_that_of(name, place.cookie, file));
    Ok(inside.map_or(NetnsFile::Nothing, |(_, file)| NetnsFile::Alive { file, inode, adrift: None }))
}

/// The network namespace of an attachment whose interface the engine took from the host.
fn find_handed(name: &Name, path: &Path) -> Result<NetnsFile> {
    let Ok(file) = open_namespace(path) else { return Ok(NetnsFile::Nothing) };
    Ok(match inode_of(&file).what(|| path.display())? {
        Some(inode) if is_that_of(name, None, &file) => NetnsFile::Alive { file, inode, adrift: None },
        _ => NetnsFile::Nothing,
    })
}

/// Inode number of the network namespace that a path leads to.
pub(super) fn inode_at(path: &Path) -> Option<u64> {
    inode_of(&open_namespace(path).ok()?).ok()?
}

/// Whether a path leads to the namespace of this inode number, on the device of namespaces.
pub(super) fn leads_to(path: &Path, inode: u64, device: Option<u64>) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.ino() == inode && Some(found.dev()) == device)
}

/// The device that all namespaces are on.
pub(super) fn device() -> Option<u64> {
    Some(std::fs::metadata(HERE).ok()?.dev())
}

/// Opens what may be a namespace. A FIFO in its place must not make us wait.
fn open_namespace(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// Inode number of a namespace; none: it is another kind of file.
fn inode_of(file: &File) -> io::Result<Option<u64>> {
    let kind = nix::sys::statfs::fstatfs(file)?.filesystem_type().0;
    Ok(if i128::from(kind) == i128::from(NSFS) { Some(file.metadata()?.ino()) } else { None })
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
    let Some(inode) = inode_of(&file).what(what)? else {
        return Ok(find_detached(name, FoundInstead::Stale).unwrap_or(NetnsFile::Stale));
    };
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
/// cookie cannot be, and neither can the veth pair, where there are no cookies.
fn find_detached(name: &Name, instead: FoundInstead) -> Option<NetnsFile> {
    let ExecRecord { inode: Some(inode), cookie: noted, .. } = record::read(name)? else { return None };
    let (pid, file) = find_by_processes(inode, |file| is_that_of(name, noted, file))?;
    let adrift =
        DetachedNetns { pid, stale: instead == FoundInstead::Stale, taken: instead == FoundInstead::Another };
    Some(NetnsFile::Alive { file, inode, adrift: Some(adrift) })
}

/// The namespace of this inode number, by a process inside, where it is the one that is meant.
fn find_by_processes(inode: u64, is_meant: impl FnOnce(&File) -> bool) -> Option<(i32, File)> {
    let pid = processes::first_in(inode)?;
    let file = File::open(format!("/proc/{pid}/ns/net")).ok()?;
    let same = file.metadata().is_ok_and(|found| found.ino() == inode) && is_meant(&file);
    same.then_some((pid, file))
}

/// Whether it is the namespace of a name: by its cookie, or, where the kernel has none, by the veth pair of that name, which
/// joins the host to it.
fn is_that_of(name: &Name, noted: Option<u64>, inside: &File) -> bool {
    if let Some(noted) = noted {
        let found = run_inside(inside, || Ok(cookie(&UnixDatagram::unbound()?)));
        return found.is_ok_and(|found| found == Some(noted));
    }
    let ends_in = |namespace: &File| run_inside(namespace, || veth_ends::ours().map_err(io::Error::other));
    // This thread may be in another namespace by now; the first one of the process never is.
    let here = File::open("/proc/self/ns/net").and_then(|host| ends_in(&host)).unwrap_or_default();
    let there = ends_in(inside).unwrap_or_default();
    let meets = |end: &VethEnd| there.iter().any(|other| end.meets(other));
    let is_of_name = |end: &&VethEnd| end.link.alias.as_deref().and_then(named_by).as_ref() == Some(name);
    here.iter().filter(is_of_name).any(meets)
}

/// Device and inode number of a namespace, by which its processes are found.
pub fn identity(name: &Name) -> Result<Option<(u64, u64)>> {
    let NetnsFile::Alive { file, inode, .. } = find(name)? else { return Ok(None) };
    let device = file.metadata().what(|| format!("namespace {name}"))?.dev();
    Ok(Some((device, inode)))
}

/// Inode number of this thread's namespace.
pub(super) fn own_inode() -> Option<u64> {
    Some(std::fs::metadata(HERE).ok()?.ino())
}

/// Whether `/run/netns` is there.
pub fn dir_exists() -> bool {
    Path::new(DIR).is_dir()
}

/// Makes a namespace. `stale`: a plain file of that name goes first.
pub(super) fn make(worker: &mut Worker, name: &Name, stale: bool) -> Result<()> {
    let path = path(name);
    let made = move || {
        unshare(CloneFlags::CLONE_NEWNET)?;
        // /proc/self is the main thread, which stays where it is.
        mount(Some(HERE), &path, NONE, MsFlags::MS_BIND, NONE)?;
        Ok(())
    };
    // It may inherit settings from the namespace in which its maker is (net.core.devconf_inherit_init_net): the host's.
    let from_here = || work_inside(worker, &File::open(HERE)?, made);
    with_file(name, stale, from_here)
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

/// The same on the one thread that does such things for a run. What may wait for an answer has a thread of its own.
pub(super) fn work_inside<T: Send + 'static>(
    worker: &mut Worker,
    file: &File,
    job: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let file = file.try_clone()?;
    worker.run(move || {
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
