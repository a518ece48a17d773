//! The record of what happened to namespaces: `/run/nsnat/events.jsonl`, an event a line.
//!
//! # Theory of operation
//!
//! Whoever holds the lock appends, so there is one writer at a time. A file that has become long gets another name, and
//! replaces the one that had that name: the record never takes more than twice as much, and the latest events are always
//! there. A reader keeps its file open. When the name leads to another file, no more will be written to the one that it has;
//! it reads that to its end, and goes on with the other one from its beginning. So nothing is read twice, and nothing is
//! missed by a reader that is not late by a whole file.

#![expect(clippy::disallowed_methods, reason = "files are written here")]

use super::events::wait_for;
use super::files::{EARLIER_EVENTS, EVENTS, Lock, RUN, same_file};
use crate::error::{Context, Error, Result};
use crate::model::Event;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// A file of this many bytes is long: some thousand events.
const LONG: u64 = 512 << 10;

/// Records what happened. Where all was cleared, because nothing is up any more, nothing is recorded.
pub(super) fn append(held: &Lock, events: &[Event]) -> Result<()> {
    if events.is_empty() || !held.is_in_place() {
        return Ok(());
    }
    let what = || format!("write {EVENTS}");
    let mut lines = Vec::new();
    for event in events {
        serde_json::to_writer(&mut lines, event).what(what)?;
        lines.push(b'\n');
    }
    write(&lines).what(what)
}

fn write(lines: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(EVENTS)?;
    // Whatever the umask of the caller says: everybody may read what happened.
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(lines)?;
    if file.metadata()?.len() > LONG {
        std::fs::rename(EVENTS, EARLIER_EVENTS)?;
    }
    Ok(())
}

/// What was recorded in the last seconds. Where nothing was, which is mostly so, the record is not read.
pub fn latest(seconds: u64) -> Vec<Event> {
    let is_recent = |age: Duration| age.as_secs() <= seconds;
    let written = std::fs::metadata(EVENTS).and_then(|file| file.modified());
    // A clock that was set back makes it look as if it were of the future: then it is read.
    let quiet = written.map_or(true, |then| then.elapsed().is_ok_and(|age| !is_recent(age)));
    if quiet { Vec::new() } else { all().unwrap_or_default() }
}

/// All that is recorded.
pub fn all() -> Result<Vec<Event>> {
    Record::whole().take()
}

/// The record, as far as it was read.
struct Record {
    file: Option<File>,
    /// The beginning of a line whose end is not written yet.
    begun: Vec<u8>,
}

impl Record {
    /// None of it was read.
    fn whole() -> Self {
        Self { file: File::open(EARLIER_EVENTS).ok(), begun: Vec::new() }
    }

    /// What was recorded since the last call. A line that is not an event of this release is passed over.
    fn take(&mut self) -> Result<Vec<Event>> {
        // Before the rest of the present file is read: once there is another one, that rest is all.
        let next = self.next_file();
        let mut events = self.rest()?;
        if next.is_some() {
            self.file = next;
            self.begun.clear();
            events.extend(self.rest()?);
        }
        Ok(events)
    }

    fn next_file(&self) -> Option<File> {
        let is_present = self.file.as_ref().is_some_and(|file| same_file(file, EVENTS));
        if is_present { None } else { File::open(EVENTS).ok() }
    }

    fn rest(&mut self) -> Result<Vec<Event>> {
        let Some(file) = &mut self.file else { return Ok(Vec::new()) };
        file.read_to_end(&mut self.begun).what(|| format!("read {EVENTS}"))?;
        let end = self.begun.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let lines: Vec<u8> = self.begun.drain(..end).collect();
        Ok(lines.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }
}

/// A reader that follows the record. The kernel takes some milliseconds to end one, because of its inotify: what reads the record
/// once, asks for [`all`] of it.
pub struct Reader {
    inotify: Inotify,
    record: Record,
}

impl Reader {
    /// A reader of all that is recorded, and of what is recorded from now on.
    pub fn from_beginning() -> Result<Self> {
        Self::new(Record::whole())
    }

    /// A reader of what is recorded from now on.
    pub fn from_now() -> Result<Self> {
        let mut file = File::open(EVENTS).ok();
        if let Some(file) = &mut file {
            file.seek(std::io::SeekFrom::End(0)).what(|| EVENTS)?;
        }
        Self::new(Record { file, begun: Vec::new() })
    }

    fn new(record: Record) -> Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).what(|| "inotify")?;
        let reader = Self { inotify, record };
        reader.watch();
        Ok(reader)
    }

    /// A descriptor that becomes readable when something may have been recorded.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// Waits until something may have been recorded.
    pub fn wait(&self) -> Result<()> {
        wait_for(&[self.descriptor()], Duration::MAX).map(drop)
    }

    /// What was recorded since the last call. A line that is not an event of this release is passed over.
    pub fn take(&mut self) -> Result<Vec<Event>> {
        self.forget_changes()?;
        self.watch();
        self.record.take()
    }

    fn forget_changes(&self) -> Result<()> {
        loop {
            match self.inotify.read_events() {
                Ok(_) => {}
                Err(Errno::EAGAIN) => return Ok(()),
                Err(errno) => return Err(Error::new("inotify", errno)),
            }
        }
    }

    /// A directory that is not there is noticed by the one above it.
    fn watch(&self) {
        let comes = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        let _ = self.inotify.add_watch("/run", comes);
        let _ = self.inotify.add_watch(RUN, comes | AddWatchFlags::IN_MODIFY);
    }
}
