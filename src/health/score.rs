//! The score of one uplink.

use crate::model::{Check, Condition};
use std::time::{Duration, Instant};

/// An uplink that failed has to answer for this long, at first and at most, before it is preferred again. A line that flaps
/// twenty times in a minute never does.
const STEADY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// A failure counts as a repetition when it comes this soon after the last one, or within so many times the time for which
/// it has to be steady.
const REPETITION: (Duration, u32) = (Duration::from_secs(600), 4);

/// The condition of an uplink, and the recent answers that led to it.
#[derive(Clone, Debug)]
pub struct Score {
    condition: Condition,
    /// The last questions: whether they were answered, how many in a row, and since when.
    row: Option<(bool, u32, Instant)>,
    /// For how long it has to answer before it is well again.
    steady: Duration,
    /// When it failed last.
    failed: Option<Instant>,
}

impl Score {
    /// A score that begins with a known condition.
    pub fn new(condition: Condition) -> Self {
        Self { condition, row: None, steady: STEADY.0, failed: None }
    }

    /// The present condition.
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// Notes whether a question was answered. Returns the condition where it changes.
    pub fn observe(&mut self, check: &Check, now: Instant, answers: bool) -> Option<Condition> {
        let before = self.row.filter(|(answered, ..)| *answered == answers);
        let (_, count, since) = before.unwrap_or((answers, 0, now));
        let stumbles =
            before.is_none() && !answers && self.row.is_some() && self.condition != Condition::Well;
        self.row = Some((answers, count.saturating_add(1), since));
        let next = self.next(check, now);
        if stumbles || (next == Condition::Dead && self.condition == Condition::Well) {
            self.fail(now);
        }
        self.turn(next)
    }

    /// Notes that the link is down: the uplink cannot be asked, and is not used. Returns the condition where it changes.
    pub fn cut(&mut self, now: Instant) -> Option<Condition> {
        if self.row.take().is_some() || self.condition == Condition::Well {
            self.fail(now);
        }
        self.turn(self.condition.max(Condition::Unsteady))
    }

    fn next(&self, check: &Check, now: Instant) -> Condition {
        let Some((answers, count, since)) = self.row else { return self.condition };
        let recovered = answers && count >= check.recover;
        match self.condition {
            Condition::Well | Condition::Unsteady if !answers && count >= check.fail => Condition::Dead,
            Condition::Dead | Condition::Unsteady if recovered => {
                let is_steady = now.saturating_duration_since(since) >= self.steady;
                if is_steady { Condition::Well } else { Condition::Unsteady }
            }
            same => same,
        }
    }

    fn turn(&mut self, next: Condition) -> Option<Condition> {
        (std::mem::replace(&mut self.condition, next) != next).then_some(next)
    }

    fn fail(&mut self, now: Instant) {
        let soon = REPETITION.0.max(self.steady * REPETITION.1);
        let again = self.failed.is_some_and(|last| now.saturating_duration_since(last) < soon);
        self.steady = if again { (self.steady * 2).min(STEADY.1) } else { STEADY.0 };
        self.failed = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WELL: Condition = Condition::Well;
    const UNSTEADY: Condition = Condition::Unsteady;
    const DEAD: Condition = Condition::Dead;

    /// The conditions that follow, each with its second, when a question is asked each second.
    fn becomes(answers: impl IntoIterator<Item = bool>) -> Vec<(u64, Condition)> {
        let (start, mut score) = (Instant::now(), Score::new(WELL));
        let mut at = |(second, answers)| {
            let now = start + Duration::from_secs(second);
            score.observe(&Check::default(), now, answers).map(|condition| (second, condition))
        };
        (0..).zip(answers).filter_map(&mut at).collect()
    }

    fn row(parts: &[(bool, usize)]) -> Vec<bool> {
        parts.iter().flat_map(|(answers, times)| std::iter::repeat_n(*answers, *times)).collect()
    }

    #[test]
    fn silence_in_a_row_kills_and_answers_in_a_row_revive() {
        assert_eq!(becomes(row(&[(true, 9), (false, 2), (true, 1), (false, 2), (true, 9)])), []);
        let outage = row(&[(true, 2), (false, 7), (true, 20)]);
        assert_eq!(becomes(outage), [(4, DEAD), (13, UNSTEADY), (14, WELL)]);
        // An answer now and then is none in a row.
        let lossy = row(&[(false, 3), (true, 4), (false, 1), (true, 4), (false, 1), (true, 4)]);
        assert_eq!(becomes(lossy), [(2, DEAD)]);
    }

    #[test]
    fn the_second_failure_in_a_while_has_to_be_made_up_for_longer() {
        let twice = row(&[(false, 3), (true, 6), (false, 3), (true, 60)]);
        assert_eq!(
            becomes(twice),
            [(2, DEAD), (7, UNSTEADY), (8, WELL), (11, DEAD), (16, UNSTEADY), (22, WELL)]
        );
        // An hour later that is forgotten.
        let later = row(&[(false, 3), (true, 3600), (false, 3), (true, 6)]);
        assert_eq!(becomes(later)[3..], [(3605, DEAD), (3610, UNSTEADY), (3611, WELL)]);
    }

    #[test]
    fn a_link_that_goes_down_is_not_trusted_at_once() {
        let (start, mut score) = (Instant::now(), Score::new(WELL));
        let at = |second| start + Duration::from_secs(second);
        assert_eq!(score.cut(at(0)), Some(UNSTEADY));
        assert_eq!(score.cut(at(1)), None);
        let mut asked = |second| score.observe(&Check::default(), at(second), true);
        assert_eq!((2..8).filter_map(&mut asked).collect::<Vec<_>>(), [WELL]);
        // A dead uplink does not live because its link goes down.
        let mut dead = Score::new(DEAD);
        assert_eq!((dead.cut(at(0)), dead.condition()), (None, DEAD));
    }

    /// How often a namespace moves that leaves an uplink that is not well, and comes back to one that is.
    fn moves(score: &mut Score, asked: impl Iterator<Item = (Duration, bool)>, check: &Check) -> usize {
        let start = Instant::now();
        let (mut is_there, mut moves) = (true, 0);
        for (at, answers) in asked {
            score.observe(check, start + at, answers);
            let stays = score.condition() == WELL;
            moves += usize::from(stays != is_there);
            is_there = stays;
        }
        moves
    }

    proptest! {
        /// The line is down and up for three seconds in all, twenty times in a minute, and each time long enough to be seen.
        #[test]
        fn twenty_flaps_in_a_minute_are_two_moves_at_most(
            interval in 100..1500_u64, fail in 1..5_u32, recover in 1..5_u32, part in 0..=100_u64,
        ) {
            let check = Check { fail, recover, interval: Duration::from_millis(interval), ..Check::default() };
            let down = interval + part * (3000 - 2 * interval) / 100;
            let times = (0..60_000 / interval).map(|n| n * interval);
            let asked = times.map(|at| (Duration::from_millis(at), at % 3000 >= down));
            prop_assert!(moves(&mut Score::new(WELL), asked, &check) <= 2);
        }

        /// Whatever a line does, moves become rare: those of an hour are few.
        #[test]
        fn moves_become_rare(period in 2..400_u64, down in 1..100_u64, fail in 1..4_u32) {
            let check = Check { fail, recover: 2, ..Check::default() };
            let asked = (0..3600).map(|at| (Duration::from_secs(at), at % period >= down % period));
            prop_assert!(moves(&mut Score::new(WELL), asked, &check) <= 26);
        }
    }
}
