//! Settings below `/proc/sys`, of which netlink tells some only: inotify(7) tells of every write to a file.

use crate::error::{Context, Error, Result};
use crate::kernel::{Change, Scope};
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// The files that are watched.
pub(super) struct Settings {
    inotify: Inotify,
    /// Where each matters.
    scopes: HashMap<WatchDescriptor, Scope>,
}

impl Settings {
    pub(super) fn open() -> Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).what(|| "inotify")?;
        Ok(Self { inotify, scopes: HashMap::new() })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// Watches these, too, by path below `/proc/sys`; one that is watched already stays so. Of a device that went away
    /// nothing is watched any more, and one that is not there is no error. Says whether one was not watched before.
    pub(super) fn watch(&mut self, settings: impl Iterator<Item = (String, Scope)>) -> bool {
        let mut is_new = false;
        for (key, scope) in settings {
            let path = Path::new("/proc/sys").join(key);
            if let Ok(watch) = self.inotify.add_watch(&path, AddWatchFlags::IN_MODIFY) {
                is_new |= self.scopes.insert(watch, scope).is_none();
            }
        }
        is_new
    }

    /// Settings that were written since the last call. A write of the same value counts, too.
    pub(super) fn take(&mut self) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EAGAIN) => return Ok(changes),
                Err(errno) => return Err(Error::new("inotify", errno)),
            };
            for event in events {
                if event.mask.contains(AddWatchFlags::IN_IGNORED) {
                    self.scopes.remove(&event.wd);
                } else if let Some(scope) = self.scopes.get(&event.wd) {
                    changes.push(Change { what: "a setting", scope: scope.clone(), by: None });
                }
            }
        }
    }
}
