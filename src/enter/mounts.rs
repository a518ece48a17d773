//! The command's view of the file system: the host's, but for what belongs to the network namespace.
//!
//! # Why `/sys` is covered and not replaced
//!
//! A sysfs shows the devices of the network namespace in which it was mounted. `ip netns exec` detaches the old
//! one, with everything that is mounted below it: `/sys/fs/cgroup` is empty inside, and detaching waits for the
//! kernel's grace period. Here the new sysfs is mounted over the old one, and the mounts below are *moved* into
//! it: nothing is copied, nothing is lost, and what the host mounts there later still appears.
//!
//! # Where `/` is no mount point
//!
//! Whether mounts are seen elsewhere is a property of mounts, and in a chroot whose `/` is a plain directory the mount
//! that it is in has no path: mount(2) says `EINVAL`. Entering the mount namespace that one is in already leads out of
//! the chroot, to where every mount has a path; then the way back is by the directories that were opened before.

use super::mount::{bind, make_read_only, move_mount, tmpfs};
use super::request::Mount;
use super::resolvers;
use crate::error::{Context, Error, Result};
use crate::model::{ExecRecord, Name};
use crate::ui::tell;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::{Mode, stat};
use nix::sys::statfs::{FsType, PROC_SUPER_MAGIC, SYSFS_MAGIC, statfs};
use nix::sys::statvfs::FsFlags;
use nix::unistd::{chroot, fchdir, getpid, gettid};
use std::ffi::OsStr;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Where other file systems are mounted in `/sys`. Sysfs has no other empty directories to mount on: each of
/// these is made by the kernel for the purpose.
const IN_SYS: [&str; 12] = [
    "/sys/fs/cgroup",
    "/sys/fs/bpf",
    "/sys/fs/pstore",
    "/sys/fs/fuse/connections",
    "/sys/fs/selinux",
    "/sys/fs/smackfs",
    "/sys/fs/resctrl",
    "/sys/kernel/debug",
    "/sys/kernel/tracing",
    "/sys/kernel/security",
    "/sys/kernel/config",
    "/sys/firmware/efi/efivars",
];

/// Mounts `/proc` of the new process-number space.
const IN_PROC: [&str; 1] = ["/proc/sys/fs/binfmt_misc"];

/// Makes a mount namespace for the command, in the network namespace that was entered before. What is returned
/// leads back to the working directory.
#[expect(clippy::disallowed_methods, reason = "this is the room that makes a command's mount namespace")]
pub(super) fn set_up(name: &Name, target: &ExecRecord, extra: &[Mount]) -> Result<WorkingDirectory> {
    let here = WorkingDirectory::now();
    let what = || format!("namespace {name}: mounts");
    unshare(CloneFlags::CLONE_NEWNS).what(what)?;
    match follow_only() {
        Err(Errno::EINVAL) => follow_only_from_outside().what(what)?,
        done => done.what(what)?,
    }
    cover("/sys", "sysfs", SYSFS_MAGIC, &IN_SYS, name.as_str()).what(|| "mount /sys")?;
    let by_hand = files_for_etc(name).join("resolv.conf").exists();
    let own_conf = !by_hand && !target.nameservers.is_empty();
    // Made while the host's can still be read.
    let conf = own_conf.then(|| resolvers::conf(&target.nameservers));
    if target.hide_resolvers {
        resolvers::hide_resolvers(by_hand || own_conf)?;
    }
    bind_etc(name);
    if let Some(conf) = conf {
        resolvers::show(&conf)?;
    }
    extra.iter().try_for_each(add)?;
    Ok(here)
}

/// The host's later mounts appear inside; ours never appear on the host.
#[expect(clippy::disallowed_methods, reason = "this is the room that makes a command's mount namespace")]
fn follow_only() -> nix::Result<()> {
    let slave = MsFlags::MS_SLAVE | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, slave, None::<&str>)
}

/// The same where `/` is no mount point.
#[expect(clippy::disallowed_methods, reason = "this is the room that makes a command's mount namespace")]
fn follow_only_from_outside() -> nix::Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    // In the new namespace: directories that were opened before belong to the old one.
    let (root, here) = (open("/", flags, Mode::empty())?, open(".", flags, Mode::empty())?);
    setns(own_namespaces()?, CloneFlags::CLONE_NEWNS)?;
    let done = follow_only();
    fchdir(&root)?;
    chroot(".")?;
    fchdir(&here)?;
    done
}

/// The namespaces of the calling thread, also where `/proc` is not mounted (`pidfd_open(2)`, which nix does not have).
fn own_namespaces() -> nix::Result<OwnedFd> {
    /// `PIDFD_THREAD` in linux/pidfd.h, from Linux 6.9; the first thread of a process needs no flag.
    const THREAD: libc::c_int = libc::O_EXCL;
    let (pid, thread) = (getpid(), gettid());
    let flags = if thread == pid { 0 } else { THREAD };
    // SAFETY: the call takes two numbers.
    let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, thread.as_raw(), flags) };
    let opened = libc::c_int::try_from(Errno::result(opened)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made it, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(opened) })
}

/// Mounts a `/proc` that shows the calling process's process numbers.
pub(super) fn cover_proc() -> Result<()> {
    cover("/proc", "proc", PROC_SUPER_MAGIC, &IN_PROC, "proc").what(|| "mount /proc")
}

/// Mounts a new instance of a file system over the old one and moves what is mounted in `within` along.
/// Where there was no such file system (a bare chroot), there is none afterwards.
#[expect(clippy::disallowed_methods, reason = "this is the room that makes a command's mounts")]
fn cover(dir: &str, kind: &str, magic: FsType, within: &[&str], source: &str) -> nix::Result<()> {
    let Some(old) = statfs(dir).ok().filter(|old| old.filesystem_type() == magic) else { return Ok(()) };
    let device = stat(dir)?.st_dev;
    let below = |path: &&&str| stat(**path).is_ok_and(|found| found.st_dev != device);
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let below = within.iter().filter(below).map(|path| Ok((open(*path, flags, Mode::empty())?, *path)));
    let below: Vec<(OwnedFd, &str)> = below.collect::<nix::Result<_>>()?;
    match mount(Some(source), dir, Some(kind), same_flags(old.flags()), None::<&str>) {
        // The process is in this very namespace already, because nsnat was called from inside.
        Err(Errno::EBUSY) => return Ok(()),
        done => done?,
    }
    for (from, to) in below {
        if let Err(why) = move_mount(&from, to) {
            tell(format_args!("nsnat: {to}: is not visible inside: {}", why.desc()));
        }
    }
    Ok(())
}

/// A file system that was read-only stays so.
fn same_flags(old: FsFlags) -> MsFlags {
    [
        (FsFlags::ST_RDONLY, MsFlags::MS_RDONLY),
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
    ]
    .into_iter()
    .filter(|(seen, _)| old.contains(*seen))
    .map(|(_, set)| set)
    .collect()
}

fn files_for_etc(name: &Name) -> PathBuf {
    Path::new("/etc/netns").join(name.as_str())
}

/// Files in `/etc/netns/NAME` appear over those in `/etc`, as with `ip netns exec`: what cannot be bound is
/// said and passed over.
fn bind_etc(name: &Name) {
    let Ok(files) = std::fs::read_dir(files_for_etc(name)) else { return };
    for file in files.flatten() {
        let (from, to) = (file.path(), Path::new("/etc").join(file.file_name()));
        if let Err(why) = bind(&from, &to, MsFlags::empty()) {
            let (from, to) = (from.display(), to.display());
            tell(format_args!("nsnat: {from}: cannot appear as {to}: {}", why.desc()));
        }
    }
}

fn add(wanted: &Mount) -> Result<()> {
    let (Mount::Tmpfs(to) | Mount::Bind { to, .. }) = wanted;
    if to.canonicalize().is_ok_and(|to| to == Path::new("/")) {
        let why = "nothing of it would be seen: a process keeps the root directory that it has";
        return Err(Error::new(format!("mount {}", to.display()), why));
    }
    let (done, to) = match wanted {
        Mount::Tmpfs(dir) => (tmpfs(dir, MsFlags::empty(), "mode=1777"), dir),
        Mount::Bind { from, to, read_only: false } => (bind(from, to, MsFlags::MS_REC), to),
        Mount::Bind { from, to, read_only: true } => {
            (bind(from, to, MsFlags::MS_REC).and_then(|()| make_read_only(to)), to)
        }
    };
    done.map_err(|why| {
        let error = Error::new(format!("mount {}", to.display()), why.desc());
        if why == Errno::ENOENT { error.hint("both places of a mount have to exist") } else { error }
    })
}

/// The working directory, where its path leads to it.
#[must_use]
pub(super) struct WorkingDirectory(Option<PathBuf>);

impl WorkingDirectory {
    fn now() -> Self {
        Self(std::env::current_dir().ok().filter(|path| same_file(path.as_os_str())))
    }

    /// When something was mounted over the working directory's path, the path is what is kept. A directory that
    /// does not exist in the new place (a device of the host in `/sys`) stays what it was. The path is the caller's
    /// to change: with rights that are not the caller's, it could lead to where the caller may not be.
    pub(super) fn restore(self) {
        if let Some(path) = self.0.filter(|path| !same_file(path.as_os_str())) {
            // Not an error: the command starts where it would have without nsnat.
            let _ = std::env::set_current_dir(path);
        }
    }
}

/// Whether the path leads to the working directory.
fn same_file(path: &OsStr) -> bool {
    match (stat("."), stat(path)) {
        (Ok(a), Ok(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
        _ => false,
    }
}
