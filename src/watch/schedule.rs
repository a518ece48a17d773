//! When to look at the host again. Pure: time is given.
//!
//! # Theory of operation
//!
//! One cause of change is many events: a link that comes up brings addresses, routes and rules. So a look waits until
//! nothing more has come for [`QUIET`], yet never longer than [`LATEST`] after the first event. What comes alone, as a rule
//! that somebody deletes, has nothing to wait for: after a time without a look it is looked at once.
//!
//! Another program may undo each repair at once. So that two programs that fight do not burn a processor, repairs are paid
//! for: each costs [`PRICE`] of time or [`TIMES`] its own, and [`CREDIT`] is given. (This is the generic cell rate
//! algorithm, ITU-T I.371: only the moment is kept at which everything would be paid.)
//!
//! What follows a change of the host itself is not paid for: a line that goes and comes undoes nothing, and its namespaces
//! are to follow it each time. So that this does not burn a processor either, it has an account of its own, on which its own
//! duration counts and nobody is told of; and so has a look that takes long, as on a router with a million routes.
//!
//! A repair that failed costs as much: it may have failed because it was undone before it was verified. It is tried again
//! without an event, each time after twice the time.

use std::time::{Duration, Instant};

/// A burst of events counts as over after this time without one.
const QUIET: Duration = Duration::from_millis(2);
/// A look is never put off longer.
const LATEST: Duration = Duration::from_millis(20);
/// The price of a repair. Two repairs in a second can go on for ever.
const PRICE: Duration = Duration::from_millis(500);
/// A repair that takes long costs this many times its own duration: a quarter of a processor can go on for ever.
const TIMES: u32 = 4;
/// Repairs up to this sum are done at once: ten.
const CREDIT: Duration = Duration::from_secs(5);
/// After the first failure, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What a look led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// All was as it should be.
    Nothing,
    /// What should be is something else now, because the host or a declaration changed.
    Followed,
    /// What should be is the same as before, and was not.
    Repaired,
}

/// The next moment at which something has to be done.
#[derive(Debug, Default)]
pub struct Schedule {
    /// The events since the last look.
    pending: Option<Pending>,
    /// When the last look began.
    began: Option<Instant>,
    /// When it ended.
    ended: Option<Instant>,
    /// When everything is paid that is no repair.
    worked: Option<Instant>,
    /// When everything is paid.
    paid: Option<Instant>,
    /// When to try again, and how long that was put off.
    again: Option<(Instant, Duration)>,
    /// There was no credit left, and not everything is paid since.
    fights: bool,
}

/// Events that are waited with.
#[derive(Clone, Copy, Debug)]
struct Pending {
    first: Instant,
    last: Instant,
    /// Nothing else belongs to them.
    alone: bool,
}

impl Pending {
    fn settled(self) -> Instant {
        if self.alone { self.first } else { (self.last + QUIET).min(self.first + LATEST) }
    }
}

impl Schedule {
    /// Something changed. `alone`: it is no part of a burst.
    pub fn note(&mut self, now: Instant, alone: bool) {
        let after_quiet = self.ended.is_none_or(|ended| now >= ended + LATEST);
        let before = self.pending.unwrap_or(Pending { first: now, last: now, alone: after_quiet });
        self.pending = Some(Pending { last: now, alone: before.alone && alone, ..before });
    }

    /// When there is something to do next; none: when something changes.
    pub fn next(&self) -> Option<Instant> {
        let calm = self.paid.filter(|_| self.fights);
        [self.next_look(), calm].into_iter().flatten().min()
    }

    fn next_look(&self) -> Option<Instant> {
        let settled = self.pending.map(Pending::settled);
        let wanted = [settled, self.again.map(|(at, _)| at)].into_iter().flatten().min()?;
        let worked = affordable(self.worked);
        [affordable(self.paid), worked].into_iter().flatten().chain([wanted]).max()
    }

    /// Whether it is time to look. What was waited for counts as looked at then.
    pub fn take(&mut self, now: Instant) -> bool {
        let is_due = self.next_look().is_some_and(|at| at <= now);
        if is_due {
            self.pending = None;
            self.began = Some(now);
        }
        is_due
    }

    /// A look is done.
    pub fn done(&mut self, now: Instant, done: Done) {
        self.again = None;
        self.ended = Some(now);
        let took = self.took(now);
        if done == Done::Repaired {
            self.pay(now);
        } else if done == Done::Followed || took > LATEST {
            self.worked = Some(self.worked.map_or(now, |worked| worked.max(now)) + took * TIMES);
        }
    }

    /// A look or a repair failed.
    pub fn failed(&mut self, now: Instant) {
        let wait = self.again.map_or(AGAIN.0, |(_, before)| (before * 2).min(AGAIN.1));
        self.again = Some((now + wait, wait));
        self.ended = Some(now);
        self.pay(now);
    }

    /// Whether repairs are put off, because another program undoes them: from the first that waits to when all are paid, so
    /// that it is told once.
    pub fn is_fighting(&mut self, now: Instant) -> bool {
        self.fights &= self.paid.is_some_and(|paid| paid > now);
        self.fights
    }

    fn pay(&mut self, now: Instant) {
        let took = self.took(now);
        self.paid = Some(self.paid.map_or(now, |paid| paid.max(now)) + PRICE.max(took * TIMES));
        self.fights |= affordable(self.paid).is_some_and(|from| from > now);
    }

    /// How long the last look took, which ends now.
    fn took(&self, now: Instant) -> Duration {
        self.began.map_or(Duration::ZERO, |began| now.saturating_duration_since(began))
    }
}

/// From when on the credit suffices.
fn affordable(paid: Option<Instant>) -> Option<Instant> {
    paid.and_then(|paid| paid.checked_sub(CREDIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn a_look_waits_for_quiet_and_not_for_ever() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        assert_eq!(schedule.next(), None);
        schedule.note(start, false);
        assert_eq!(schedule.next(), Some(start + QUIET));
        for millis in 1..=30 {
            schedule.note(at(start, millis), false);
        }
        assert_eq!(schedule.next(), Some(start + LATEST));
        assert!(!schedule.take(at(start, 19)));
        assert!(schedule.take(at(start, 20)) && !schedule.take(at(start, 21)));
    }

    #[test]
    fn what_comes_alone_after_a_quiet_time_is_not_waited_with() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        schedule.note(start, true);
        assert!(schedule.take(start));
        schedule.done(at(start, 8), Done::Repaired);
        // What the repair itself changes is heard: a burst.
        schedule.note(at(start, 9), true);
        assert_eq!(schedule.next(), Some(at(start, 9) + QUIET));
        assert!(schedule.take(at(start, 11)));
        schedule.done(at(start, 15), Done::Nothing);
        // Neither is the second event alone, nor the first any more.
        schedule.note(at(start, 50), true);
        assert_eq!(schedule.next(), Some(at(start, 50)));
        schedule.note(at(start, 50), false);
        assert_eq!(schedule.next(), Some(at(start, 50) + QUIET));
    }

    #[test]
    fn a_fight_is_slowed_down_and_ends() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        let mut done = 0;
        // Each repair is undone at once, for ten seconds.
        for millis in 0..10_000 {
            schedule.note(at(start, millis), false);
            if schedule.take(at(start, millis)) {
                schedule.done(at(start, millis), Done::Repaired);
                done += 1;
            }
        }
        // Ten at once, and two in each second.
        assert!((28..=34).contains(&done), "{done}");
        assert!(schedule.is_fighting(at(start, 10_000)));
        // It is over when all is paid, which is a moment to wake up at.
        assert!(schedule.take(at(start, 10_500)));
        let over = schedule.next().unwrap();
        assert!(over > at(start, 13_000) && schedule.is_fighting(at(start, 13_000)));
        assert!(!schedule.take(over) && !schedule.is_fighting(over));
        assert_eq!(schedule.next(), None);
        schedule.note(at(start, 60_000), false);
        assert_eq!(schedule.next(), Some(at(start, 60_000) + QUIET));
    }

    #[test]
    fn a_line_that_goes_and_comes_is_followed_each_time_and_is_no_fight() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        for millis in (0..60_000).step_by(100) {
            schedule.note(at(start, millis), false);
            assert_eq!(schedule.next(), Some(at(start, millis) + QUIET), "at {millis}");
            assert!(schedule.take(at(start, millis + 2)));
            schedule.done(at(start, millis + 12), Done::Followed);
            assert!(!schedule.is_fighting(at(start, millis + 12)));
        }
        // What another program takes away meanwhile is paid for as always.
        schedule.done(at(start, 60_000), Done::Repaired);
        assert!(schedule.paid.is_some());
    }

    /// The part of the time that looks take that lead to this, and take so long, while something changes all the time.
    fn busy(millis: u64, done: Done) -> f64 {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        let (mut now, mut busy) = (start, Duration::ZERO);
        while now < at(start, 100_000) {
            schedule.note(now, false);
            now = schedule.next_look().unwrap();
            assert!(schedule.take(now));
            now += Duration::from_millis(millis);
            busy += Duration::from_millis(millis);
            schedule.done(now, done);
        }
        busy.as_secs_f64() / (now - start).as_secs_f64()
    }

    #[test]
    fn whatever_changes_all_the_time_a_part_of_the_time_is_taken() {
        for (millis, done) in
            [(10, Done::Followed), (800, Done::Followed), (800, Done::Nothing), (400, Done::Repaired)]
        {
            let part = busy(millis, done);
            assert!(part < 0.3, "{millis}, {done:?}: {part}");
        }
        // A look that finds nothing and does not take long is never put off: the next one may find something.
        assert!(busy(10, Done::Nothing) > 0.5);
    }

    #[test]
    fn what_is_undone_before_it_is_verified_is_a_fight_too() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        let mut tried = 0;
        for millis in 0..10_000 {
            schedule.note(at(start, millis), false);
            if schedule.take(at(start, millis)) {
                schedule.failed(at(start, millis));
                tried += 1;
            }
        }
        assert!((28..=34).contains(&tried) && schedule.is_fighting(at(start, 10_000)), "{tried}");
    }

    #[test]
    fn looks_that_find_nothing_cost_nothing() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        for millis in (0..10_000).step_by(3) {
            schedule.note(at(start, millis), false);
            assert!(schedule.take(at(start, millis + 2)));
            schedule.done(at(start, millis + 2), Done::Nothing);
        }
    }

    #[test]
    fn what_failed_is_tried_again_less_and_less_often() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        let mut waits = Vec::new();
        let mut now = start;
        for _ in 0..9 {
            schedule.failed(now);
            let next = schedule.next().unwrap_or(now);
            waits.push((next - now).as_secs());
            now = next;
            assert!(schedule.take(now));
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        schedule.done(now, Done::Repaired);
        assert_eq!(schedule.next(), None);
    }
}
