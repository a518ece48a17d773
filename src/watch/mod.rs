//! `nsnat watch`: what is declared stays true while nobody types a command.
//!
//! # Theory of operation
//!
//! ```text
//! kernel (links, addresses, routes, rules, nftables) ─┐
//! files (declarations, settings below /proc/sys) ─────┼→ Schedule → look → nothing to do, or repair
//! signals ────────────────────────────────────────────┤
//! uplinks (answers to questions) → health ────────────┘
//! ```
//!
//! There is no second truth: a look is the same circle that `nsnat up` goes through ([`crate::reconcile`]), and what
//! changed only says that it is time for one, and which namespaces it takes ([`Causes::namespaces`]): one event costs no more
//! than what it concerns. Where that is not certain, everything is looked at. Nothing is polled, but for uplinks that have to
//! be asked whether they live, where there are others to take instead ([`crate::health`]). What the daemon itself
//! changes is heard as well, so one more look follows each repair, and finds nothing to do.
//!
//! The daemon holds nothing that a later one does not find again: it can be killed at any moment, and the next one
//! finishes what it began.

mod flap_count;
mod schedule;
mod settings;
mod sources;

pub use flap_count::Flaps;
pub use schedule::{Done, Schedule};
pub use sources::{Sources, Woken};

use crate::error::{Error, Result};
use crate::kernel::{Change, Scope, Signal};
use crate::model::{Answers, Checkup, Event, Name};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Why the host is looked at.
#[derive(Debug, Default)]
pub struct Causes {
    /// What changed in the network.
    pub changes: BTreeSet<Change>,
    /// A declaration changed, or SIGHUP came.
    pub declared: bool,
    /// An uplink died, or lives again.
    pub health: bool,
    /// What changed is not known: this is the first look, the last look failed, or more changed than could be heard.
    pub unknown: bool,
}

impl Causes {
    /// The namespaces that the changes concern, besides what namespaces share; none: all.
    pub fn namespaces(&self) -> Option<BTreeSet<&Name>> {
        if self.declared || self.health || self.unknown {
            return None;
        }
        let mut names = BTreeSet::new();
        for change in &self.changes {
            match &change.scope {
                Scope::Everything => return None,
                Scope::Namespace(name) => names.extend([name]),
                Scope::Host => {}
            }
        }
        Some(names)
    }
}

/// What looks at the host, and repairs.
pub trait Keeper {
    /// Makes what is declared true. Says whether there was anything to do, and what.
    fn keep(&mut self, causes: &Causes) -> Result<Done>;

    /// The next hops of uplinks, as they were found last.
    fn next_hops(&self) -> Vec<IpAddr>;

    /// The settings that what is kept depends on, as they were found last: by path below `/proc/sys`, with where each matters.
    fn settings(&self) -> Vec<(String, Scope)>;

    /// Tells the service manager that the daemon is alive.
    fn heartbeat(&mut self);

    /// A reload begins.
    fn reloading(&mut self);

    /// The uplinks that have to be asked whether they live, as they were found last.
    fn checkups(&self) -> BTreeMap<Name, Checkup>;

    /// An uplink was asked, and its families answer or not. Says whether it has become better or worse by that.
    fn heard(&mut self, uplink: &Name, answers: &Answers) -> bool;

    /// Whether the last look has made an uplink better or worse, by asking about other things from now on: too late for
    /// that look to go by it.
    fn has_news(&self) -> bool;

    /// Something happened to a namespace, by the daemon or by a command.
    fn happened(&mut self, event: Event);

    /// The last look failed. It is tried again later.
    fn failed(&mut self, error: Error);

    /// Repairs are put off, because another program undoes them; or not any more.
    fn fighting(&mut self, fights: bool);
}

/// Keeps until SIGTERM or SIGINT. `beat`: how often the service manager has to be told that the daemon is alive, the one
/// thing that it wakes up for by itself.
pub fn run(sources: &mut Sources, keeper: &mut dyn Keeper, beat: Option<Duration>) -> Result<()> {
    let causes = Causes { unknown: true, ..Causes::default() };
    let mut daemon = Daemon { sources, keeper, schedule: Schedule::default(), causes, fights: false };
    daemon.schedule.note(Instant::now(), true);
    let mut next_beat = beat.map(|beat| Instant::now() + beat);
    loop {
        let next = [daemon.schedule.next(), next_beat].into_iter().flatten().min();
        let woken = daemon.sources.wait(next)?;
        if next_beat.is_some_and(|at| at <= Instant::now()) {
            daemon.keeper.heartbeat();
            next_beat = beat.map(|beat| Instant::now() + beat);
        }
        if woken.signals.iter().any(|signal| matches!(signal, Signal::SIGTERM | Signal::SIGINT)) {
            return Ok(());
        }
        daemon.hear(woken);
        if daemon.schedule.take(Instant::now()) {
            daemon.look();
        }
        daemon.tell_fight();
    }
}

struct Daemon<'a> {
    sources: &'a mut Sources,
    keeper: &'a mut dyn Keeper,
    schedule: Schedule,
    /// Why the next look is taken.
    causes: Causes,
    /// The keeper was told that another program undoes repairs.
    fights: bool,
}

impl Daemon<'_> {
    fn hear(&mut self, mut woken: Woken) {
        if woken.signals.contains(&Signal::SIGHUP) {
            self.keeper.reloading();
        }
        for event in woken.happened.drain(..) {
            self.keeper.happened(event);
        }
        let mut is_cause = false;
        for (uplink, answers) in &woken.answers {
            is_cause |= self.keeper.heard(uplink, answers);
        }
        self.causes.health |= is_cause;
        let alone = woken.is_alone();
        is_cause |= self.causes.add(woken);
        if is_cause {
            self.schedule.note(Instant::now(), alone);
        }
    }

    fn look(&mut self) {
        let causes = std::mem::take(&mut self.causes);
        match self.sources.relearn().and_then(|()| self.keeper.keep(&causes)) {
            Ok(done) => {
                self.schedule.done(Instant::now(), done);
                self.follow();
            }
            Err(error) => {
                self.causes.unknown = true;
                self.fail(error);
            }
        }
    }

    /// Asks the uplinks and watches the settings that the last look found to matter.
    fn follow(&mut self) {
        self.sources.pass_by_routes(self.keeper.next_hops());
        if let Err(error) = self.sources.ask(self.keeper.checkups()) {
            self.fail(error);
        }
        if self.keeper.has_news() {
            self.causes.health = true;
            self.schedule.note(Instant::now(), true);
        }
        if self.sources.watch_settings(self.keeper.settings().into_iter()) {
            self.causes.unknown = true;
            self.schedule.note(Instant::now(), false);
        }
    }

    fn fail(&mut self, error: Error) {
        self.keeper.failed(error);
        self.schedule.failed(Instant::now());
    }

    fn tell_fight(&mut self) {
        let fights = self.schedule.is_fighting(Instant::now());
        if std::mem::replace(&mut self.fights, fights) != fights {
            self.keeper.fighting(fights);
        }
    }
}

impl Causes {
    /// Adds what was heard. Says whether there was anything.
    fn add(&mut self, woken: Woken) -> bool {
        let declared = woken.declared || woken.signals.contains(&Signal::SIGHUP);
        let is_cause = declared || woken.lost || !woken.changes.is_empty();
        self.declared |= declared;
        self.unknown |= woken.lost;
        self.changes.extend(woken.changes);
        is_cause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn causes(scopes: &[Scope]) -> Causes {
        let change = |scope: &Scope| Change { what: "a link", scope: scope.clone(), by: None };
        Causes { changes: scopes.iter().map(change).collect(), ..Causes::default() }
    }

    #[test]
    fn a_change_is_looked_at_where_it_is_and_what_is_not_known_everywhere() {
        let name = |name: &str| name.parse::<Name>().unwrap();
        let (a, b) = (name("a"), name("b"));
        let changes = causes(&[Scope::Namespace(a.clone()), Scope::Host, Scope::Namespace(b.clone())]);
        assert_eq!(changes.namespaces(), Some(BTreeSet::from([&a, &b])));
        assert_eq!(causes(&[Scope::Host]).namespaces(), Some(BTreeSet::new()));
        assert_eq!(causes(&[Scope::Host, Scope::Everything]).namespaces(), None);
        for woken in [
            Woken { lost: true, ..Woken::default() },
            Woken { declared: true, ..Woken::default() },
            Woken { signals: vec![Signal::SIGHUP], ..Woken::default() },
        ] {
            let mut causes = causes(&[Scope::Host]);
            assert!(causes.add(woken) && causes.namespaces().is_none());
        }
        assert!(!Causes::default().add(Woken::default()));
    }
}
