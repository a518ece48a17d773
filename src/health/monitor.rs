//! All uplinks that are checked.

use super::Score;
use crate::model::{Answers, Asked, Check, Checkup, Condition, Family, FamilyHealth, Health, Name};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Now: for what takes a time, and for people.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the monotonic clock.
    pub instant: Instant,
    /// In seconds after 1970.
    pub seconds: u64,
}

/// The uplinks that are checked, and the score of each family.
#[derive(Debug, Default)]
pub struct Monitor(BTreeMap<Name, Monitored>);

#[derive(Debug)]
struct Monitored {
    check: Check,
    families: BTreeMap<Family, FamilyScore>,
}

#[derive(Debug)]
struct FamilyScore {
    score: Score,
    /// Since when it is as it is.
    since: u64,
}

impl FamilyScore {
    fn new(condition: Condition, since: u64) -> Self {
        Self { score: Score::new(condition), since }
    }

    /// Notes the time of a change.
    fn noted(&mut self, change: Option<Condition>, now: Moment) -> Option<Condition> {
        self.since = change.map_or(self.since, |_| now.seconds);
        change
    }
}

/// What an uplink has become, in one family, or in all that are asked about.
pub type Change = (Option<Family>, Condition);

impl Monitor {
    /// A monitor that goes on with what an earlier daemon recorded.
    pub fn new(known: &BTreeMap<Name, Health>) -> Self {
        let family = |(family, health): (&Family, &FamilyHealth)| {
            (*family, FamilyScore::new(health.condition, health.since))
        };
        let one = |health: &Health| Monitored {
            check: Check::default(),
            families: health.0.iter().map(family).collect(),
        };
        Self(known.iter().map(|(name, health)| (name.clone(), one(health))).collect())
    }

    /// Looks after these from now on, and after no others.
    pub fn follow(&mut self, uplinks: &BTreeMap<Name, Checkup>, now: Moment) {
        self.0.retain(|name, _| uplinks.contains_key(name));
        for (name, checkup) in uplinks {
            let new = || Monitored { check: Check::default(), families: BTreeMap::new() };
            let one = self.0.entry(name.clone()).or_insert_with(new);
            one.check = checkup.check.clone();
            if checkup.asked == Asked::Nothing {
                one.cut(now);
            } else {
                one.follow(&checkup.families(), now);
            }
        }
    }

    /// An uplink was asked, and these families answer or not. Says what has become something else.
    pub fn observe(&mut self, uplink: &Name, answers: &Answers, now: Moment) -> Vec<Change> {
        self.0.get_mut(uplink).map(|one| one.observe(answers, now)).unwrap_or_default()
    }

    /// The uplinks that are not well in each family that is asked about.
    pub fn unhealthy(&self) -> BTreeMap<Name, Health> {
        let all = self.0.iter().map(|(name, one)| (name.clone(), one.health()));
        let is_well = |health: &Health| health.0.values().all(|health| health.condition == Condition::Well);
        all.filter(|(_, health)| !is_well(health)).collect()
    }
}

impl Monitored {
    /// Its link is down. Where nothing is known of it yet, the link counts for all families.
    fn cut(&mut self, now: Moment) {
        if self.families.is_empty() {
            self.families.insert(Family::V4, FamilyScore::new(Condition::Well, now.seconds));
        }
        for one in self.families.values_mut() {
            let change = one.score.cut(now.instant);
            one.noted(change, now);
        }
    }

    /// These families are asked about. Another one is gone, and is as if it had never been, unless it was dead before: a router
    /// that is silent is no longer advertised after a while. One that is new is not better than the other was.
    fn follow(&mut self, asked: &BTreeSet<Family>, now: Moment) {
        let worst = self.families.values().map(|one| one.score.condition()).max();
        let first = worst.unwrap_or(Condition::Well).min(Condition::Unsteady);
        self.families
            .retain(|family, one| asked.contains(family) || one.score.condition() == Condition::Dead);
        for family in asked {
            self.families.entry(*family).or_insert_with(|| FamilyScore::new(first, now.seconds));
        }
    }

    fn observe(&mut self, answers: &Answers, now: Moment) -> Vec<Change> {
        let mut changes = Vec::new();
        for (family, answers) in answers {
            let Some(one) = self.families.get_mut(family) else { continue };
            let change = one.score.observe(&self.check, now.instant, *answers);
            changes.extend(one.noted(change, now).map(|condition| (Some(*family), condition)));
        }
        match changes.as_slice() {
            [(_, first), rest @ ..]
                if changes.len() == self.families.len() && rest.iter().all(|(_, other)| other == first) =>
            {
                vec![(None, *first)]
            }
            _ => changes,
        }
    }

    fn health(&self) -> Health {
        let health = |one: &FamilyScore| FamilyHealth { condition: one.score.condition(), since: one.since };
        Health(self.families.iter().map(|(family, one)| (*family, health(one))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Neighbour;

    const GATEWAYS: [&str; 2] = ["192.0.2.1", "2001:db8::1"];

    /// Next hops of an uplink that are asked, without any: its link is down.
    fn uplinks(asked: &[(&str, &[&str])]) -> BTreeMap<Name, Checkup> {
        let hop = |ip: &&str| Neighbour { dev: "eth0".into(), index: 2, address: ip.parse().unwrap() };
        let one = |(name, hops): &(&str, &[&str])| {
            let hops: Vec<_> = hops.iter().map(hop).collect();
            let asked = if hops.is_empty() { Asked::Nothing } else { Asked::NextHops(hops) };
            let check = Check { fail: 1, recover: 1, ..Check::default() };
            (name.parse().unwrap(), Checkup { check, asked })
        };
        asked.iter().map(one).collect()
    }

    fn at(seconds: u64) -> Moment {
        Moment { instant: Instant::now(), seconds }
    }

    fn health(families: &[(Family, Condition, u64)]) -> Health {
        let one = |(family, condition, since): &(Family, Condition, u64)| {
            (*family, FamilyHealth { condition: *condition, since: *since })
        };
        Health(families.iter().map(one).collect())
    }

    #[test]
    fn a_later_one_goes_on_where_an_earlier_one_ended() {
        let (a, b): (Name, Name) = ("a".parse().unwrap(), "b".parse().unwrap());
        let four = &GATEWAYS[..1];
        let mut monitor = Monitor::default();
        monitor.follow(&uplinks(&[("a", four), ("b", four)]), at(7));
        assert_eq!(monitor.unhealthy(), BTreeMap::new());
        let answers = |answers| Answers::from([(Family::V4, answers)]);
        assert_eq!(monitor.observe(&a, &answers(false), at(8)), [(None, Condition::Dead)]);
        assert_eq!(monitor.observe(&b, &answers(true), at(8)), []);
        monitor.follow(&uplinks(&[("a", four), ("b", &[])]), at(9));
        let known = monitor.unhealthy();
        let one = |condition, since| health(&[(Family::V4, condition, since)]);
        let expected = [(a, one(Condition::Dead, 8)), (b.clone(), one(Condition::Unsteady, 9))];
        assert_eq!(known, BTreeMap::from(expected));
        let mut later = Monitor::new(&known);
        assert_eq!(later.unhealthy(), known);
        // An uplink that no namespace uses any more is forgotten.
        later.follow(&uplinks(&[("b", four)]), at(20));
        assert_eq!(later.unhealthy().into_keys().collect::<Vec<_>>(), [b]);
    }

    #[test]
    fn each_family_has_a_life_of_its_own() {
        use Condition::{Dead, Unsteady, Well};
        use Family::{V4, V6};
        let a: Name = "a".parse().unwrap();
        let answers = |four, six| Answers::from([(V4, four), (V6, six)]);
        let mut monitor = Monitor::default();
        monitor.follow(&uplinks(&[("a", &GATEWAYS)]), at(1));
        assert_eq!(monitor.observe(&a, &answers(true, false), at(2)), [(Some(V6), Dead)]);
        assert_eq!(monitor.unhealthy()[&a], health(&[(V4, Well, 1), (V6, Dead, 2)]));
        assert_eq!(monitor.unhealthy()[&a].best().condition, Well);
        // Its advertisements end: it was dead, and is not as if it had never been.
        monitor.follow(&uplinks(&[("a", &GATEWAYS[..1])]), at(3));
        assert_eq!(monitor.unhealthy()[&a], health(&[(V4, Well, 1), (V6, Dead, 2)]));
        monitor.follow(&uplinks(&[("a", &GATEWAYS)]), at(4));
        assert_eq!(
            monitor.observe(&a, &answers(false, true), at(5)),
            [(Some(V4), Dead), (Some(V6), Unsteady)]
        );
        // What changes alike is told once, and that of one that is asked about alone is the uplink's.
        assert_eq!(monitor.observe(&a, &answers(false, false), at(6)), [(Some(V6), Dead)]);
        assert_eq!(monitor.observe(&a, &answers(true, true), at(7)), [(None, Unsteady)]);
        // A link that was down brings nothing back that is trusted at once.
        monitor.follow(&uplinks(&[("a", &[])]), at(8));
        monitor.follow(&uplinks(&[("a", &GATEWAYS)]), at(9));
        assert_eq!(monitor.unhealthy()[&a], health(&[(V4, Unsteady, 7), (V6, Unsteady, 7)]));
    }

    #[test]
    fn a_family_that_comes_later_is_not_better_than_the_other() {
        use Condition::Unsteady;
        let a: Name = "a".parse().unwrap();
        let mut monitor = Monitor::default();
        monitor.follow(&uplinks(&[("a", &[])]), at(1));
        monitor.follow(&uplinks(&[("a", &GATEWAYS)]), at(2));
        let both = [(Family::V4, Unsteady, 1), (Family::V6, Unsteady, 2)];
        assert_eq!(monitor.unhealthy()[&a], health(&both));
        // One that is well and goes is as if it had never been.
        let mut monitor = Monitor::default();
        monitor.follow(&uplinks(&[("a", &GATEWAYS)]), at(1));
        monitor.follow(&uplinks(&[("a", &GATEWAYS[..1])]), at(2));
        assert_eq!(monitor.unhealthy(), BTreeMap::new());
        monitor.observe(&a, &Answers::from([(Family::V4, false)]), at(3));
        assert_eq!(monitor.unhealthy()[&a].of(Family::V6), Condition::Dead);
    }
}
