//! Routers that lose one family only: each family leaves by the best uplink of the list that has it, and the guard lets it
//! out by no other.

use super::golden::host;
use super::world::World;
use nsnat::config::{Config, Source, load};
use nsnat::model::{Condition, Datum, Family, FamilyHealth, Health, Name, RouteKind, Set};
use nsnat::plan::Selection;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Two routers of both families, and one that has IPv4 alone.
const UPLINKS: [(&str, &[&str]); 3] = [
    ("a", &["192.168.1.254", "2001:db8:1::fe"]),
    ("b", &["192.168.1.253", "2001:db8:1::fd"]),
    ("c", &["10.20.0.1"]),
];

fn config(more: &str) -> Config {
    let uplink = |(name, hops): &(&str, &[&str])| format!("[uplink.{name}]\ngateway = {hops:?}\n");
    let uplinks: String = UPLINKS.iter().map(uplink).collect();
    let text = format!("{uplinks}[namespace.job]\nuplink = [\"a\", \"b\", \"c\"]\n{more}");
    load(vec![Source { path: "nsnat.toml".into(), text }]).unwrap()
}

/// The condition of each family of each uplink; `c` has IPv4 alone.
type Conditions = [[Condition; 2]; 3];

fn conditions() -> impl Strategy<Value = Conditions> {
    let one = prop::sample::select(vec![Condition::Well, Condition::Unsteady, Condition::Dead]);
    prop::array::uniform3(prop::array::uniform2(one))
}

fn health(conditions: Conditions) -> BTreeMap<Name, Health> {
    let family = |(family, condition): (Family, &Condition)| {
        (family, FamilyHealth { condition: *condition, since: 1 })
    };
    let one = |((name, hops), conditions): (&(&str, &[&str]), &[Condition; 2])| {
        let families = Family::BOTH.into_iter().zip(conditions).take(hops.len()).map(family);
        (name.parse().unwrap(), Health(families.collect()))
    };
    UPLINKS.iter().zip(&conditions).map(one).collect()
}

/// The next hops to which the table leads, and those that the guard lets through.
fn next_hops(world: &World, family: Family) -> (Vec<IpAddr>, Vec<IpAddr>) {
    let observed = &world.kernel.observed;
    let egress = world.disk.state.egresses.values().next().unwrap();
    let leads = observed.host.routes.iter().filter(|route| {
        route.table == egress.table() && route.to == family.everything() && route.kind == RouteKind::Unicast
    });
    let set = if family == Family::V4 { Set::Ways4 } else { Set::Ways6 };
    let elements = observed.table.elements.iter();
    let hop = |datum: &Datum| match datum {
        Datum::Address(address) => Some(*address),
        _ => None,
    };
    let let_out =
        elements.filter(|element| element.set == set).filter_map(|element| element.key.iter().find_map(hop));
    (leads.filter_map(|route| route.via).collect(), let_out.collect())
}

/// Whether an uplink is of a family.
fn has(uplink: usize, family: usize) -> bool {
    family < UPLINKS[uplink].1.len()
}

/// The condition of an uplink as a whole.
fn whole(conditions: Conditions, uplink: usize) -> Condition {
    (0..2).filter(|family| has(uplink, *family)).map(|family| conditions[uplink][family]).min().unwrap()
}

/// The first that is well, else the first that is unsteady; of several the one that is taken already.
fn first(is: &dyn Fn(usize) -> Option<Condition>, present: Option<usize>) -> Option<usize> {
    let of = |wanted| present.into_iter().chain(0..3).find(|uplink| is(*uplink) == Some(wanted));
    of(Condition::Well).or_else(|| of(Condition::Unsteady))
}

/// The next hop that a family is to have, in words of its own: the first uplink that is well in it, else the first that is
/// unsteady; and a family that the uplink as a whole never had is closed.
fn expected(conditions: Conditions, family: usize) -> Option<IpAddr> {
    let first = |is: &dyn Fn(usize) -> Option<Condition>| first(is, None);
    let base = first(&|uplink| Some(whole(conditions, uplink)))?;
    if !has(base, family) {
        return None;
    }
    let uplink = first(&|uplink| has(uplink, family).then(|| conditions[uplink][family]))?;
    Some(UPLINKS[uplink].1[family].parse().unwrap())
}

fn walk(more: &str, steps: &[Conditions], mut check: impl FnMut(&World, &Conditions)) {
    let config = config(more);
    let mut world = World::new(host("two-routers").unwrap());
    world.up(&config, Selection::All).unwrap().unwrap();
    for conditions in steps {
        world.kernel.observed.health = health(*conditions);
        world.up(&config, Selection::All).unwrap().unwrap();
        for family in Family::BOTH {
            let (leads, let_out) = next_hops(&world, family);
            assert!(leads.len() <= 1, "{leads:?}");
            let is_dead = world.disk.state.egresses.values().any(|egress| egress.path.as_ref().unwrap().dead);
            assert!(is_dead || leads == let_out, "{family}: {leads:?} and {let_out:?}");
        }
        check(&world, conditions);
    }
}

proptest! {
    #[test]
    fn each_family_leaves_by_the_best_uplink_that_has_it(steps in prop::collection::vec(conditions(), 1..5)) {
        walk("", &steps, |world, conditions| {
            for (index, family) in Family::BOTH.into_iter().enumerate() {
                let (leads, _) = next_hops(world, family);
                assert_eq!(leads.first().copied(), expected(*conditions, index), "{family} at {conditions:?}");
            }
        });
    }

    #[test]
    fn a_family_that_stays_does_not_move_while_its_uplink_is_well(steps in prop::collection::vec(conditions(), 2..6)) {
        walk_sticky(&steps);
    }
}

/// What is lost by all comes back by the first that has it again, while the other family stays where it went.
#[test]
fn a_family_that_all_had_lost_comes_back_beside_one_that_stays() {
    use Condition::{Dead, Well};
    walk_sticky(&[
        [[Dead, Well], [Dead, Dead], [Well, Well]],
        [[Well, Dead], [Dead, Dead], [Well, Well]],
        [[Well, Well], [Dead, Dead], [Well, Well]],
    ]);
}

/// What all had lost comes back by the first of the list that is well, wherever it had gone to before: to stay is to keep what
/// works.
#[test]
fn after_all_are_dead_the_first_that_is_well_is_taken() {
    use Condition::{Dead, Unsteady, Well};
    walk_sticky(&[
        [[Unsteady, Unsteady], [Unsteady, Unsteady], [Well, Well]],
        [[Dead, Dead], [Dead, Dead], [Dead, Dead]],
        [[Well, Well], [Well, Well], [Well, Well]],
    ]);
}

/// A family stays while its uplink is well in it; and it is open while there is one for it, unless the uplink as a whole never
/// had it.
fn walk_sticky(steps: &[Conditions]) {
    let mut last: [Option<IpAddr>; 2] = [None; 2];
    let mut base = Some(0);
    walk("prefer = \"sticky\"", steps, |world, conditions| {
        // Where all are dead, the first of the list is kept, closed.
        base = first(&|uplink| Some(whole(*conditions, uplink)), base).or(Some(0));
        for (index, family) in Family::BOTH.into_iter().enumerate() {
            let of = |uplink: usize| has(uplink, index).then(|| conditions[uplink][index]);
            let hop = next_hops(world, family).0.first().copied();
            let is_last = |uplink: &usize| {
                last[index].is_some_and(|last| {
                    UPLINKS[*uplink].1.get(index).is_some_and(|hop| hop.parse() == Ok(last))
                })
            };
            if (0..3).find(is_last).is_some_and(|uplink| of(uplink) == Some(Condition::Well)) {
                assert_eq!(hop, last[index], "{family} at {conditions:?}");
            }
            let can_leave =
                (0..3).any(|uplink| of(uplink).is_some_and(|condition| condition != Condition::Dead));
            let is_open = can_leave && base.is_some_and(|base| has(base, index));
            assert_eq!(hop.is_some(), is_open, "{family} at {conditions:?}, of {base:?}");
            last[index] = hop;
        }
    });
}
