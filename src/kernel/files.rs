//! Our own files below `/run/nsnat`: lock, state; and declarations below `/etc/nsnat`.

#![expect(clippy::disallowed_methods, reason = "files are written here")]

use super::interrupt;
use crate::error::{Context, Error, Result};
use crate::model::{Health, Name, state};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, Flock, FlockArg, fcntl};
use nix::sys::stat::{major, minor};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub use state::RUN;

/// What `exec` reads, a file a namespace ([`record`](super::record)).
pub(super) const TARGETS: &str = "/run/nsnat/ns";

const LOCK: &str = "/run/nsnat/lock";
/// Locked while `nsnat watch` runs.
const WATCH: &str = "/run/nsnat/watch";
/// The state ([`state_file`](super::state_file)).
pub(super) const STATE: &str = "/run/nsnat/state.json";
/// The name that the state had in earlier releases. It is read where there is no other, and goes with the first write.
pub(super) const EARLIER_STATE: &str = "/run/nsnat/journal.json";
/// What `nsnat watch` found out about uplinks.
const HEALTH: &str = "/run/nsnat/health.json";
/// What the rulesets of others say ([`known_rulesets`](super::known_rulesets)).
pub(super) const RULESETS: &str = "/run/nsnat/rulesets.json";
/// What happened, an event a line ([`event_log`](super::event_log)).
pub(super) const EVENTS: &str = "/run/nsnat/events.jsonl";
/// The same of an earlier time.
pub(super) const EARLIER_EVENTS: &str = "/run/nsnat/events-earlier.jsonl";

/// The content of the lock while it is held.
const HELD: &[u8] = b"held\n";
/// What the names of files that are being written begin with.
pub(super) const UNFINISHED: &str = ".nsnat-";

/// Only one nsnat changes anything at a time. Ends with the process, however that ends; where nft is at work then,
/// it ends with nft, which inherits the descriptor: or a killed nsnat's nft could load the table after the next
/// nsnat looked for it.
pub struct Lock(Flock<File>);

impl Lock {
    /// Whether all is as it was when the lock was taken; otherwise its files were cleared.
    pub(super) fn is_in_place(&self) -> bool {
        same_file(&self.0, LOCK)
    }
}

impl Drop for Lock {
    /// See [`is_locked`]. (The lock of declarations is a directory, which has no content.)
    fn drop(&mut self) {
        let _ = self.0.set_len(0);
    }
}

/// Waits for the lock; `waiting` is called once when that takes longer than a second. An interrupt ends the wait.
pub fn lock(waiting: impl FnOnce()) -> Result<Lock> {
    let mut waiting = Some(waiting);
    loop {
        make_dir(RUN, 0o755)?;
        let file = match OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(LOCK) {
            Ok(file) => file,
            // Another nsnat, which took the last namespace down, removed the directory in between.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::new(format!("open {LOCK}"), error)),
        };
        let flock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(flock) => flock,
            Err((file, Errno::EWOULDBLOCK)) => wait_for_lock(file, &mut waiting)?,
            Err((_, errno)) => return Err(Error::new(LOCK, errno)),
        };
        // The file may have been taken away while we waited: then another one is the lock now.
        if same_file(&flock, LOCK) {
            fcntl(&*flock, FcntlArg::F_SETFD(FdFlag::empty())).what(|| LOCK)?;
            // What others learn by that is no more than a note: it is not worth to fail on a full disk.
            let _ = flock.write_all_at(HELD, 0);
            return Ok(Lock(flock));
        }
    }
}

fn wait_for_lock(mut file: File, waiting: &mut Option<impl FnOnce()>) -> Result<Flock<File>> {
    let _wakeful = interrupt::InterruptibleWait::begin()?;
    loop {
        match Flock::lock(file, FlockArg::LockExclusive) {
            Ok(flock) => return Ok(flock),
            Err((again, Errno::EINTR)) => file = again,
            Err((_, errno)) => return Err(Error::new(LOCK, errno)),
        }
        if interrupt::caught_signal().is_some() {
            return Err(Error::new("interrupted", "while waiting for another nsnat to finish"));
        }
        if let Some(waiting) = waiting.take() {
            waiting();
        }
    }
}

/// Whether another nsnat holds the lock at this moment. The lock is an empty file while nobody has it; one that was killed may
/// leave content there.
pub fn is_locked() -> bool {
    std::fs::metadata(LOCK).is_ok_and(|lock| lock.len() > 0) && is_held(LOCK)
}

/// Whether `nsnat watch` runs.
pub fn is_watched() -> bool {
    is_held(WATCH)
}

/// Whether somebody holds a lock on a file, as `/proc/locks` tells everybody (proc(5)). The kernel stops all locking meanwhile, and
/// takes some ten milliseconds to (`locks_start` in fs/locks.c), so it is asked where the answer matters.
fn is_held(path: &str) -> bool {
    let Ok(lock) = std::fs::metadata(path) else { return false };
    let here = format!("{:02x}:{:02x}:{}", major(lock.dev()), minor(lock.dev()), lock.ino());
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    // A line with an arrow is a process that waits.
    locks.lines().any(|line| !line.contains("->") && line.split_whitespace().any(|word| word == here))
}

/// That `nsnat watch` runs, for as long as this lives; only one does. The file says what is wrong with what it keeps, a
/// line each. Its end takes the file away.
pub struct Watch(Flock<File>);

impl Watch {
    /// What `status` tells from now on.
    pub fn say(&mut self, lines: &str) -> Result<()> {
        let what = || format!("write {WATCH}");
        self.0.set_len(0).and_then(|()| self.0.write_all_at(lines.as_bytes(), 0)).what(what)
    }

    /// Which uplinks are not well, from now on, also where the last `down` took the note away. Where all are well, no file is
    /// left.
    pub fn note_health(&mut self, health: &BTreeMap<Name, Health>) -> Result<()> {
        if *health == last_health() {
            return Ok(());
        }
        if health.is_empty() {
            return remove_file(Path::new(HEALTH));
        }
        replace(Path::new(HEALTH), &serde_json::to_string(health).what(|| HEALTH)?, 0o644)
    }
}

/// Uplinks that are not well, as the `nsnat watch` that runs has it; without one nothing is known against any.
pub fn health() -> BTreeMap<Name, Health> {
    let known = last_health();
    if known.is_empty() || is_watched() { known } else { BTreeMap::new() }
}

/// The same as the last `nsnat watch` left it.
pub fn last_health() -> BTreeMap<Name, Health> {
    let text = std::fs::read_to_string(HEALTH).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// What the `nsnat watch` that runs says; nothing where none does.
pub fn watch_says() -> String {
    let says = std::fs::read_to_string(WATCH).unwrap_or_default();
    if !says.is_empty() && is_watched() { says } else { String::new() }
}

/// Says that it runs; none where another one does.
pub fn watch() -> Result<Option<Watch>> {
    loop {
        make_dir(RUN, 0o755)?;
        let file = match OpenOptions::new().write(true).create(true).truncate(false).mode(0o644).open(WATCH) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::new(format!("open {WATCH}"), error)),
        };
        // Everybody may read what it says, whatever the umask.
        file.set_permissions(std::fs::Permissions::from_mode(0o644)).what(|| WATCH)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            // The one before may have taken the file away meanwhile.
            Ok(flock) if same_file(&flock, WATCH) => return Ok(Some(Watch(flock))),
            Ok(_) => {}
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, errno)) => return Err(Error::new(WATCH, errno)),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if same_file(&self.0, WATCH) {
            // What cannot be removed is an empty file that nobody locks.
            let _ = remove_file(Path::new(WATCH)).and_then(|()| remove_dir(RUN));
        }
    }
}

/// Only one nsnat changes declarations at a time: a file is read, changed and replaced. A lock of its own, taken
/// before the other one; on a directory that every host has, so that nothing is left of it.
pub fn lock_declarations() -> Result<Lock> {
    let what = || "lock /run";
    let dir = File::open("/run").what(what)?;
    Flock::lock(dir, FlockArg::LockExclusive).map(Lock).map_err(|(_, errno)| errno).what(what)
}

/// Takes the lock of the declarations, unless another process holds it.
pub(super) fn try_lock_declarations() -> Option<Lock> {
    Flock::lock(File::open("/run").ok()?, FlockArg::LockExclusiveNonblock).map(Lock).ok()
}

pub(super) fn same_file(file: &File, path: &str) -> bool {
    let (Ok(a), Ok(b)) = (file.metadata(), std::fs::metadata(path)) else { return false };
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Takes away all of ours below `/run` that an empty state leaves; the lock last. Temporary declarations stay.
pub fn clear(held: &Lock) -> Result<()> {
    // Once it was cleared, what is there now is another nsnat's.
    if !held.is_in_place() {
        return Ok(());
    }
    sweep_unfinished(held)?;
    // Nothing is up, so whatever is recorded there is out of date.
    sweep_dir(TARGETS, "")?;
    remove_dir(TARGETS)?;
    for path in [EARLIER_STATE, STATE, HEALTH, RULESETS, EARLIER_EVENTS, EVENTS, LOCK] {
        remove_file(Path::new(path))?;
    }
    remove_dir(RUN)
}

/// Takes away files that were being written when their writer was killed. Nobody else writes there now.
pub fn sweep_unfinished(_held: &Lock) -> Result<()> {
    [RUN, TARGETS].into_iter().try_for_each(|dir| sweep_dir(dir, UNFINISHED))
}

fn sweep_dir(dir: impl AsRef<Path>, prefix: &str) -> Result<()> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut unfinished = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    unfinished.try_for_each(|entry| remove_file(&entry.path()))
}

/// Replaces a file in one step: a reader sees the old text or the new one, and a full disk leaves the old one.
pub fn replace(path: &Path, text: &str, mode: u32) -> Result<()> {
    replace_with_mode(path, text, mode, None).what(|| format!("write {}", path.display()))
}

/// Replaces a file that another program made: where a link leads to stays where it is, and whose it is and who may
/// read it stay as they are.
pub fn edit(path: &Path, text: &str) -> Result<()> {
    let edited = || {
        let (path, found) = match path.canonicalize() {
            Ok(path) => (path.clone(), Some(path.metadata()?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (path.to_owned(), None),
            Err(error) => return Err(error),
        };
        let mode = found.as_ref().map_or(0o644, |found| found.mode() & 0o7777);
        replace_with_mode(&path, text, mode, found.map(|found| (found.uid(), found.gid())))
    };
    edited().what(|| format!("write {}", path.display()))
}

pub(super) fn replace_with_mode(
    path: &Path,
    text: &str,
    mode: u32,
    owner: Option<(u32, u32)>,
) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(dir)?;
    file.write_all(text.as_bytes())?;
    if let Some((user, group)) = owner {
        std::os::unix::fs::fchown(file.as_file(), Some(user), Some(group))?;
    }
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Removes a file that may be gone already.
pub fn remove_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::new(format!("remove {}", path.display()), error))
        }
        _ => Ok(()),
    }
}

/// A directory that is gone, holds something of others, is somebody's mount, or is in a file system that cannot be
/// written to is not there by our doing.
const NOT_OURS_TO_REMOVE: [i32; 5] = [libc::ENOENT, libc::ENOTEMPTY, libc::EEXIST, libc::EBUSY, libc::EROFS];

/// Removes a directory, where that is ours to do.
pub fn remove_dir(path: impl Into<PathBuf>) -> Result<()> {
    let path = path.into();
    match std::fs::remove_dir(&path) {
        Err(why) if !is_not_ours(&why) => Err(Error::new(format!("remove {}", path.display()), why)),
        _ => Ok(()),
    }
}

/// Whether something could not be removed because that is not ours to do.
pub(super) fn is_not_ours(why: &io::Error) -> bool {
    why.raw_os_error().is_some_and(|errno| NOT_OURS_TO_REMOVE.contains(&errno))
}

/// Makes a directory and the missing ones above it, whatever the caller's umask says.
pub fn make_dir(path: impl AsRef<Path>, mode: u32) -> Result<()> {
    let path = path.as_ref();
    let missing: Vec<&Path> = path.ancestors().take_while(|dir| !dir.exists()).collect();
    let done = missing.into_iter().rev().try_for_each(|dir| match std::fs::create_dir(dir) {
        Ok(()) => std::fs::set_permissions(dir, std::fs::Permissions::from_mode(mode)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    });
    done.what(|| format!("make {}", path.display()))
}
