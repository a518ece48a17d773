//! What the daemon waits for: changes of the network, of settings, of the declarations, answers of uplinks, and signals.

use super::settings::Settings;
use crate::error::{Context, Error, Result};
use crate::kernel::event_log::Reader;
use crate::kernel::{Change, Events, Prober, Scope, interrupt};
use crate::model::{Answers, Checkup, Event, Name};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What was heard during a wait.
#[derive(Debug, Default)]
pub struct Woken {
    /// Changes of the network.
    pub changes: Vec<Change>,
    /// More changed than could be heard.
    pub lost: bool,
    /// A declaration changed.
    pub declared: bool,
    /// Uplinks that were asked, and whether each of their families answers.
    pub answers: Vec<(Name, Answers)>,
    /// What was recorded to have happened to namespaces, whoever did it.
    pub happened: Vec<Event>,
    /// Signals.
    pub signals: Vec<Signal>,
}

impl Woken {
    /// Whether nothing else belongs to what was heard. A file is written in several steps, and what was lost is several events.
    pub(super) fn is_alone(&self) -> bool {
        !self.declared && !self.lost && self.changes.iter().all(Change::comes_alone)
    }
}

/// Everything that is listened to.
pub struct Sources {
    events: Events,
    settings: Settings,
    declarations: Inotify,
    directories: Vec<PathBuf>,
    prober: Prober,
    record: Reader,
    signals: SignalFd,
}

impl Sources {
    /// Listens from now on. `directories`: where declarations are, or would be. The signals have no other effect from now
    /// on.
    pub fn open(directories: Vec<PathBuf>, signals: &[Signal]) -> Result<Self> {
        let set: SigSet = signals.iter().copied().collect();
        set.thread_block().what(|| "signals")?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let sources = Self {
            events: Events::listen()?,
            settings: Settings::open()?,
            declarations: Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).what(|| "inotify")?,
            directories,
            prober: Prober::new()?,
            record: Reader::from_now()?,
            signals: SignalFd::with_flags(&set, flags).what(|| "signals")?,
        };
        sources.watch_directories();
        Ok(sources)
    }

    /// Hears of changes of these settings from now on, besides those that were named before: by path below `/proc/sys`, with
    /// where each matters. Says whether there were new ones: what was written to these before now is not heard.
    pub fn watch_settings(&mut self, settings: impl Iterator<Item = (String, Scope)>) -> bool {
        self.settings.watch(settings)
    }

    /// Makes ready for a look: what is heard from now on is told to be where it is.
    pub fn relearn(&mut self) -> Result<()> {
        self.events.relearn()
    }

    /// Passes by routes from now on that are of no use to anybody but routers; `next_hops`: those of uplinks.
    pub fn pass_by_routes(&mut self, next_hops: Vec<IpAddr>) {
        self.events.pass_by_routes(next_hops);
    }

    /// Asks these uplinks from now on, and no others, whether they live.
    pub fn ask(&mut self, uplinks: BTreeMap<Name, Checkup>) -> Result<()> {
        self.prober.ask(uplinks)
    }

    /// Waits until something happens, at most until then.
    pub fn wait(&mut self, until: Option<Instant>) -> Result<Woken> {
        let [routing, nftables] = self.events.descriptors();
        let (settings, answers) = (self.settings.descriptor(), self.prober.descriptor());
        let (declarations, record) = (self.declarations.as_fd(), self.record.descriptor());
        let files = [routing, nftables, settings, answers, declarations, record, self.signals.as_fd()];
        let mut files = files.map(|file| PollFd::new(file, PollFlags::POLLIN));
        match ppoll(&mut files, until.map(time_left), None) {
            Ok(_) | Err(Errno::EINTR) => self.take(),
            Err(errno) => Err(Error::new("wait", errno)),
        }
    }

    fn take(&mut self) -> Result<Woken> {
        let mut heard = self.events.take()?;
        heard.changes.extend(self.settings.take()?);
        let mut signals = Vec::new();
        while let Some(info) = self.signals.read_signal().what(|| "signals")? {
            signals.extend(i32::try_from(info.ssi_signo).ok().and_then(known));
        }
        // While nsnat waits for its turn, signals are noted instead.
        signals.extend(interrupt::caught_signal().and_then(known));
        interrupt::forget();
        let (declared, answers, happened) = (self.declared()?, self.prober.take(), self.record.take()?);
        Ok(Woken { changes: heard.changes, lost: heard.lost, declared, answers, happened, signals })
    }

    /// Whether a declaration changed since this was asked last. A directory that is new is watched from now on.
    fn declared(&self) -> Result<bool> {
        let mut changed = false;
        loop {
            match self.declarations.read_events() {
                Ok(events) => {
                    let mut names = events.iter().map(|event| event.name.as_deref());
                    changed |= names.any(|name| name.is_none_or(|name| self.is_declaration(Path::new(name))));
                }
                Err(Errno::EAGAIN) => break,
                Err(errno) => return Err(Error::new("inotify", errno)),
            }
        }
        if changed {
            self.watch_directories();
        }
        Ok(changed)
    }

    /// Other files stand beside declarations: files of other programs in /etc, nsnat's own in /run/nsnat.
    fn is_declaration(&self, name: &Path) -> bool {
        let is_directory = |directory: &PathBuf| directory.file_name() == Some(name.as_os_str());
        name.extension().is_some_and(|end| end == "toml") || self.directories.iter().any(is_directory)
    }

    /// A directory that is not there is noticed by the one above it.
    fn watch_directories(&self) {
        let changes = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF;
        for directory in &self.directories {
            let _ = self.declarations.add_watch(directory, changes);
        }
    }
}

fn known(number: i32) -> Option<Signal> {
    Signal::try_from(number).ok()
}

fn time_left(until: Instant) -> TimeSpec {
    TimeSpec::from_duration(until.saturating_duration_since(Instant::now()))
}
