//! All uplinks that are checked.

use super::Score;
use crate::model::{Asked, Check, Checkup, Condition, Health, Name};
use std::collections::BTreeMap;
use std::time::Instant;

/// Now: for what takes a time, and for people.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the monotonic clock.
    pub instant: Instant,
    /// In seconds after 1970.
    pub seconds: u64,
}

/// The uplinks that are checked, and the score of each.
#[derive(Debug, Default)]
pub struct Monitor(BTreeMap<Name, Monitored>);

#[derive(Debug)]
struct Monitored {
    check: Check,
    score: Score,
    /// Since when it is as it is.
    since: u64,
}

impl Monitor {
    /// A monitor that goes on with what an earlier daemon recorded.
    pub fn new(known: &BTreeMap<Name, Health>) -> Self {
        let one = |health: &Health| Monitored {
            check: Check::default(),
            score: Score::new(health.condition),
            since: health.since,
        };
        Self(known.iter().map(|(name, health)| (name.clone(), one(health))).collect())
    }

    /// Looks after these from now on, and after no others.
    pub fn follow(&mut self, uplinks: &BTreeMap<Name, Checkup>, now: Moment) {
        self.0.retain(|name, _| uplinks.contains_key(name));
        for (name, checkup) in uplinks {
            let check = || checkup.check.clone();
            let new = || Monitored { check: check(), score: Score::new(Condition::Well), since: now.seconds };
            let one = self.0.entry(name.clone()).or_insert_with(new);
            one.check = check();
            if checkup.asked == Asked::Nothing && one.score.cut(now.instant).is_some() {
                one.since = now.seconds;
            }
        }
    }

    /// An uplink was asked, and answers or not. Says what it has become, where that is something else.
    pub fn observe(&mut self, uplink: &Name, answers: bool, now: Moment) -> Option<Condition> {
        let Monitored { check, score, since } = self.0.get_mut(uplink)?;
        let change = score.observe(check, now.instant, answers)?;
        *since = now.seconds;
        Some(change)
    }

    /// The uplinks that are not well.
    pub fn unhealthy(&self) -> BTreeMap<Name, Health> {
        let health = |one: &Monitored| Health { condition: one.score.condition(), since: one.since };
        let all = self.0.iter().map(|(name, one)| (name.clone(), health(one)));
        all.filter(|(_, health)| health.condition != Condition::Well).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Neighbour;

    fn uplinks(reachable: &[(&str, bool)]) -> BTreeMap<Name, Checkup> {
        let gateway = Neighbour { dev: "eth0".into(), index: 2, address: [192, 0, 2, 1].into() };
        let one = |(name, is_up): &(&str, bool)| {
            let asked = if *is_up { Asked::NextHops(vec![gateway.clone()]) } else { Asked::Nothing };
            (name.parse().unwrap(), Checkup { check: Check { fail: 1, ..Check::default() }, asked })
        };
        reachable.iter().map(one).collect()
    }

    #[test]
    fn a_later_one_goes_on_where_an_earlier_one_ended() {
        let (a, b): (Name, Name) = ("a".parse().unwrap(), "b".parse().unwrap());
        let at = |seconds| Moment { instant: Instant::now(), seconds };
        let mut monitor = Monitor::default();
        monitor.follow(&uplinks(&[("a", true), ("b", true)]), at(7));
        assert_eq!(monitor.unhealthy(), BTreeMap::new());
        assert_eq!(monitor.observe(&a, false, at(8)), Some(Condition::Dead));
        assert_eq!(monitor.observe(&b, true, at(8)), None);
        monitor.follow(&uplinks(&[("a", true), ("b", false)]), at(9));
        let known = monitor.unhealthy();
        let health = |condition, since| Health { condition, since };
        let expected = [(a, health(Condition::Dead, 8)), (b.clone(), health(Condition::Unsteady, 9))];
        assert_eq!(known, BTreeMap::from(expected));
        let mut later = Monitor::new(&known);
        assert_eq!(later.unhealthy(), known);
        // An uplink that no namespace uses any more is forgotten.
        later.follow(&uplinks(&[("b", true)]), at(20));
        assert_eq!(later.unhealthy().into_keys().collect::<Vec<_>>(), [b]);
    }
}
