//! Random walks: configurations change, others break things, nsnat is killed half way; what must always hold
//! does. The kernel is the model's.

use super::fault::{Disk, Fault, Kind};
use super::golden::host;
use super::others::{GATES, POLICIES, foreign, gate, policy};
use super::world::{World, difference, inventory};
use nsnat::config::{Config, Source, load};
use nsnat::model::{
    Address, Condition, Family, FamilyHealth, Health, Name, Netns, Observed, Route, Rule, State, Table,
    numbers,
};
use nsnat::plan::{self, Action, Selection, Side};
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

const NAMES: [&str; 5] = ["a", "b", "c", "d-with-a-long-name", "e"];
const DEVICES: [&str; 2] = ["eth0", "eth1"];

/// What a namespace says of itself, each line one of these.
const WAYS: [&str; 10] = [
    "gateway = \"192.168.1.254\"",
    "gateway = \"192.168.1.253\"",
    "gateway = \"10.20.0.1\"",
    "dev = \"eth0\"\ngateway = [\"192.168.1.254\", \"2001:db8:1::fe\"]",
    "dev = \"eth0\"\ngateway = [\"192.168.1.1\", \"fe80::fe\"]",
    "uplink = [\"first\", \"second\"]",
    "uplink = [\"first\", \"second\"]\nprefer = \"sticky\"",
    "uplink = \"first\"",
    "uplink = [\"third\", \"second\"]",
    "uplink = [\"third\", \"first\"]\nlast-resort = \"main\"",
];
const UPLINKS: &str =
    "[uplink.first]\ndev = \"eth1\"\ngateway = \"10.20.0.1\"\n[uplink.second]\ndev = \"eth0\"\n
[uplink.third]\ndev = \"eth0\"\ngateway = [\"192.168.1.254\", \"2001:db8:1::fe\"]\n\n";
/// What is found out about one of them, or not any more.
const CONDITIONS: [Option<Condition>; 3] = [None, Some(Condition::Unsteady), Some(Condition::Dead)];
const EXTRAS: [&str; 8] = [
    "",
    "lan = false",
    "mtu = 1400",
    "mtu = 1000",
    "ipv6 = \"off\"",
    "dns = \"198.51.100.53\"",
    "dns = { rewrite = { \"8.8.8.8\" = \"198.51.100.53\", \"127.0.0.1\" = \"198.51.100.54:5353\" } }",
    "dns = [\"2001:db8:53::53\", \"198.51.100.53\"]",
];
/// Blocks inside of the pool, where the first slices come to lie, and outside of it.
const SUBNETS: [&str; 4] = ["10.213.0.0/30", "10.213.0.64/29", "10.213.1.128/30", "10.5.0.0/30"];

const LEASES: [&str; 4] = ["192.168.1.10/24", "192.168.1.77/16", "10.20.0.10/24", "172.31.9.9/20"];

/// A namespace: its way, an extra, perhaps a subnet.
type Declared = (usize, usize, Option<usize>);

/// Which of [`NAMES`] are declared, and how.
type Text = BTreeMap<usize, Declared>;

fn text() -> impl Strategy<Value = Text> {
    let subnet = prop::option::weighted(0.2, 0..SUBNETS.len());
    prop::collection::btree_map(0..NAMES.len(), (0..WAYS.len(), 0..EXTRAS.len(), subnet), 0..=NAMES.len())
}

fn section((name, (path, extra, subnet)): (&usize, &Declared)) -> String {
    let mut out = format!("[namespace.{}]\n{}\n{}\n", NAMES[*name], WAYS[*path], EXTRAS[*extra]);
    if let Some(subnet) = subnet {
        // Each of them once: two of a configuration would be refused before anything is planned.
        let _ = writeln!(out, "subnet = \"{}\"", SUBNETS[(subnet + name) % SUBNETS.len()]);
    }
    out
}

/// None where the configuration contradicts itself.
fn config(sections: impl Iterator<Item = String>) -> Option<Config> {
    let text = format!("{UPLINKS}{}", sections.collect::<String>());
    load(vec![Source { path: "nsnat.toml".into(), text }]).ok()
}

#[derive(Clone, Debug)]
enum Step {
    Up(Text),
    UpOnly(Text, usize),
    /// The same without a look into any other.
    UpAlone(Text, usize),
    /// Killed after so many of its actions.
    Killed(Text, Index),
    Down(usize),
    DownAll,
    LinkDown(usize),
    LinkUp(usize),
    /// The device loses its IPv4 addresses (none), or has another (a lease ran out, a roaming laptop).
    Lease(usize, Option<usize>),
    /// A family of an uplink is known to be like this from now on.
    Health(&'static str, Family, Option<Condition>),
    RuleGone(Index),
    RouteGone(Index),
    ElementGone(Index),
    TableGone,
    VethGone(Index),
    VethRenamed(Index),
    NamespaceGone(Index),
    NamespaceReplaced(Index),
    /// Somebody else's rule, route or address.
    Foreign(usize),
    /// A chain of others begins to stop what it does not know, or ends with it.
    Gate(usize),
    /// An IPsec policy of others comes or goes, or all policies do.
    Policy(usize),
    PoliciesGone,
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..NAMES.len();
    let dev = || 0..DEVICES.len();
    let any = any::<Index>;
    prop_oneof![
        6 => text().prop_map(Step::Up),
        2 => (text(), name()).prop_map(|(text, name)| Step::UpOnly(text, name)),
        2 => (text(), name()).prop_map(|(text, name)| Step::UpAlone(text, name)),
        3 => (text(), any()).prop_map(|(text, at)| Step::Killed(text, at)),
        2 => name().prop_map(Step::Down),
        1 => Just(Step::DownAll),
        1 => dev().prop_map(Step::LinkDown),
        1 => dev().prop_map(Step::LinkUp),
        1 => (dev(), prop::option::of(0..LEASES.len())).prop_map(|(dev, lease)| Step::Lease(dev, lease)),
        3 => (
            prop::sample::select(vec!["first", "second", "third"]),
            prop::sample::select(Family::BOTH.to_vec()),
            prop::sample::select(CONDITIONS.to_vec()),
        )
            .prop_map(|(uplink, family, condition)| Step::Health(uplink, family, condition)),
        1 => any().prop_map(Step::RuleGone),
        1 => any().prop_map(Step::RouteGone),
        1 => any().prop_map(Step::ElementGone),
        1 => Just(Step::TableGone),
        1 => any().prop_map(Step::VethGone),
        1 => any().prop_map(Step::VethRenamed),
        1 => any().prop_map(Step::NamespaceGone),
        1 => any().prop_map(Step::NamespaceReplaced),
        1 => (0..4usize).prop_map(Step::Foreign),
        2 => (0..GATES.len()).prop_map(Step::Gate),
        2 => (0..POLICIES.len()).prop_map(Step::Policy),
        1 => Just(Step::PoliciesGone),
    ]
}

/// The host with nsnat, and the same host as it would be had nsnat never been there.
struct Walk {
    world: World,
    bare: World,
    /// Namespaces that somebody else made.
    theirs: BTreeSet<Name>,
}

impl Walk {
    fn new() -> Self {
        let world = World::new(host("two-routers").unwrap());
        Self { bare: world.clone(), world, theirs: BTreeSet::new() }
    }

    fn take(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Up(text) => self.up(text, Selection::All),
            Step::UpOnly(text, name) => self.up(text, Selection::These(&[NAMES[*name].parse().unwrap()])),
            Step::UpAlone(text, name) => {
                let names = [NAMES[*name].parse().unwrap()];
                self.world.policy.narrow = true;
                let done = self.up(text, Selection::These(&names));
                self.world.policy.narrow = false;
                done
            }
            Step::Killed(text, at) => self.killed(text, *at),
            Step::Down(name) => self.down(Some(&NAMES[*name].parse().unwrap())),
            Step::DownAll => self.down(None),
            Step::Foreign(which) => {
                foreign(&mut self.world.kernel.observed.host, *which);
                foreign(&mut self.bare.kernel.observed.host, *which);
                Ok(())
            }
            Step::Gate(which) => {
                self.gate(*which);
                Ok(())
            }
            Step::Policy(which) => {
                self.policy(*which);
                Ok(())
            }
            Step::PoliciesGone => {
                self.world.kernel.observed.policies.clear();
                self.bare.kernel.observed.policies.clear();
                Ok(())
            }
            Step::Health(uplink, family, condition) => {
                for host in [&mut self.world.kernel.observed, &mut self.bare.kernel.observed] {
                    let Health(families) = host.health.entry(uplink.parse().unwrap()).or_default();
                    families.remove(family);
                    let health = condition.map(|condition| (*family, FamilyHealth { condition, since: 1 }));
                    families.extend(health);
                }
                Ok(())
            }
            Step::LinkDown(dev) => {
                self.bare.kernel.link_down(&Side::Host, DEVICES[*dev])?;
                self.world.kernel.link_down(&Side::Host, DEVICES[*dev])
            }
            Step::LinkUp(dev) => {
                self.bare.kernel.link_up(&Side::Host, DEVICES[*dev])?;
                self.world.kernel.link_up(&Side::Host, DEVICES[*dev])
            }
            Step::Lease(dev, lease) => {
                let net = lease.map(|lease| LEASES[lease].parse().unwrap());
                let dev = DEVICES[*dev];
                let leased: Vec<Address> =
                    net.map(|net| Address { dev: dev.into(), net }).into_iter().collect();
                self.bare.kernel.readdress(dev, &leased);
                self.world.kernel.readdress(dev, &leased);
                Ok(())
            }
            _ => self.damage(step),
        }
    }

    /// A chain that goes takes our passes with it; a policy that changes does not.
    fn gate(&mut self, which: usize) {
        let gate = gate(which);
        for gates in [&mut self.world.kernel.observed.gates, &mut self.bare.kernel.observed.gates] {
            if !gates.all.remove(&gate) {
                gates.all.insert(gate.clone());
            } else if which.is_multiple_of(2) {
                gates.passes.retain(|found| {
                    !nsnat::model::gate::Direction::ALL.iter().any(|path| gate.pass(*path) == found.pass)
                });
            }
        }
    }

    fn policy(&mut self, which: usize) {
        let policy = policy(which);
        for policies in [&mut self.world.kernel.observed.policies, &mut self.bare.kernel.observed.policies] {
            let before = policies.len();
            policies.retain(|other| *other != policy);
            if policies.len() == before {
                policies.insert(0, policy.clone());
            }
        }
    }

    fn up(&mut self, text: &Text, selection: Selection<'_>) -> Result<(), String> {
        let Some(config) = config(text.iter().map(section)) else { return Ok(()) };
        let before = strangers(&self.world.kernel.observed, &self.theirs);
        // A problem (a foreign namespace, a device without a gateway) is an answer: nothing was changed.
        let Ok(done) = self.world.up(&config, selection) else { return Ok(()) };
        sound(&done?.goal)?;
        let (again, rest) =
            self.world.plan(&config, selection).map_err(|problems| format!("{problems:?}"))?;
        if let Some(rest) = rest.first() {
            return Err(format!("up again would do: {rest}"));
        }
        let state = &self.world.disk.state;
        if again != *state && !again.namespaces.is_empty() {
            return Err(format!("up again would remember\n{again:?}\ninstead of\n{state:?}"));
        }
        self.untouched(&before)
    }

    fn down(&mut self, name: Option<&Name>) -> Result<(), String> {
        let before = strangers(&self.world.kernel.observed, &self.theirs);
        let asked: Vec<&Name> = name.into_iter().collect();
        self.world.down(&asked, |other| name.is_none_or(|name| name == other))?;
        self.untouched(&before)
    }

    /// The guard is there as long as a link of ours is, after every single action.
    fn killed(&mut self, text: &Text, at: Index) -> Result<(), String> {
        let Some(config) = config(text.iter().map(section)) else { return Ok(()) };
        let Ok((_, actions)) = self.world.plan(&config, Selection::All) else { return Ok(()) };
        let before = strangers(&self.world.kernel.observed, &self.theirs);
        self.world.faults = vec![Fault::Action(at.index(actions.len() + 1), Kind::KilledBefore)];
        // That it did not come to its end is no news.
        let _ = self.world.up(&config, Selection::All);
        self.world.leak.found.take().map_or(Ok(()), Err)?;
        self.untouched(&before)
    }

    fn untouched(&self, before: &Strangers) -> Result<(), String> {
        let after = strangers(&self.world.kernel.observed, &self.theirs);
        if after == *before { Ok(()) } else { Err(format!("touched: {}", difference(before, &after))) }
    }

    /// Others take something of ours away.
    fn damage(&mut self, step: &Step) -> Result<(), String> {
        let kernel = &mut self.world.kernel;
        let ours: Vec<String> = kernel.pairs.keys().cloned().collect();
        // A namespace of a run that was killed, of which somebody then takes away the only thing that is tagged, is
        // nobody's any more, and left alone.
        let state = &self.world.disk.state;
        let noted =
            |name: &Name| state.namespaces.get(name).is_some_and(|namespace| namespace.inode.is_some());
        let firm: Vec<String> =
            kernel.pairs.iter().filter(|(_, (name, _))| noted(name)).map(|(link, _)| link.clone()).collect();
        match step {
            Step::RuleGone(at) => {
                pick(&mut kernel.observed.host.rules, *at, |rule: &Rule| is_in_our_block(rule));
            }
            Step::RouteGone(at) => {
                pick(&mut kernel.observed.host.routes, *at, |route| {
                    route.table > numbers::TABLE_BASE && route.protocol == numbers::HOST_PROTOCOL
                });
            }
            Step::ElementGone(at) => pick(&mut kernel.observed.table.elements, *at, |_| true),
            Step::TableGone => kernel.observed.table = Table::default(),
            Step::VethGone(at) if !firm.is_empty() => kernel.remove_link(at.get::<String>(&firm)),
            Step::VethRenamed(at) if !firm.is_empty() => kernel.rename(at.get::<String>(&firm), "renamed0"),
            Step::NamespaceGone(at) | Step::NamespaceReplaced(at) if !ours.is_empty() => {
                let (name, _) = kernel.pairs[at.get::<String>(&ours)].clone();
                kernel.remove_netns(&name)?;
                if matches!(step, Step::NamespaceReplaced(_)) {
                    // In use: its loopback is up.
                    for kernel in [kernel, &mut self.bare.kernel] {
                        kernel.make_netns(&name, false)?;
                        kernel.link_up(&Side::Inside(name.clone()), "lo")?;
                    }
                    self.theirs.insert(name);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Down of everything leaves the host as it would be had nsnat never been there.
    fn finish(mut self) -> Result<(), String> {
        self.down(None)?;
        let (is, should) = (&self.world.kernel.observed, &self.bare.kernel.observed);
        let (is_all, should_all) = (inventory(is), inventory(should));
        if is_all != should_all {
            return Err(format!("after down: {}", difference(&should_all, &is_all)));
        }
        if self.world.disk != Disk::default() {
            return Err(format!("remembered: {:?}", self.world.disk));
        }
        Ok(())
    }
}

/// No rule of others in these worlds makes the block move.
fn is_in_our_block(rule: &Rule) -> bool {
    use numbers::preference::{FIRST, SIZE};
    rule.protocol == numbers::HOST_PROTOCOL && (FIRST..FIRST + SIZE).contains(&rule.preference)
}

/// Removes one of those that `ours` chooses.
fn pick<T: Ord + Clone>(from: &mut BTreeSet<T>, at: Index, ours: impl Fn(&T) -> bool) {
    let all: Vec<T> = from.iter().filter(|one| ours(one)).cloned().collect();
    if !all.is_empty() {
        from.remove(at.get(&all));
    }
}

/// What is others', a line each: it must come out of everything that nsnat does as it went in.
type Strangers = BTreeSet<String>;

fn strangers(observed: &Observed, theirs: &BTreeSet<Name>) -> Strangers {
    let host = &observed.host;
    let ours = |dev: &str| host.link(dev).is_some_and(|link| link.group == numbers::LINK_GROUP);
    let our_rule = is_in_our_block;
    let our_route = |route: &Route| {
        let table = route.table > numbers::TABLE_BASE && route.protocol == numbers::HOST_PROTOCOL;
        table || route.dev.as_deref().is_some_and(ours)
    };
    let links = host.links.iter().filter(|link| !ours(&link.name)).map(|link| format!("{link:?}"));
    let rules = host.rules.iter().filter(|rule| !our_rule(rule)).map(|rule| format!("{rule:?}"));
    let routes = host.routes.iter().filter(|route| !our_route(route)).map(|route| format!("{route:?}"));
    let namespaces = theirs.iter().map(|name| match observed.namespaces.get(name) {
        Some(Netns::Alive { stack, .. }) => format!("{name}: {stack:?}"),
        other => format!("{name}: {other:?}"),
    });
    links.chain(rules).chain(routes).chain(namespaces).collect()
}

/// No two have the same number, and no two rules by source select the same packet.
fn sound(state: &State) -> Result<(), String> {
    let numbers: BTreeSet<u32> = state.egresses.values().map(|egress| egress.number).collect();
    if numbers.len() < state.egresses.len() {
        return Err(format!("two egresses of one number: {state:?}"));
    }
    let slices = state.egresses.iter().flat_map(|(key, e)| e.slices.iter().map(move |slice| (key, *slice)));
    let own = state.namespaces.values().filter(|m| m.own_subnet).map(|m| (&m.egress, m.subnet));
    let sources: Vec<_> = slices.chain(own).collect();
    for (n, (key, net)) in sources.iter().enumerate() {
        if sources.iter().skip(n + 1).any(|(other, theirs)| key != other && net.overlaps(*theirs)) {
            return Err(format!("{net} is in two egresses: {state:?}"));
        }
    }
    let subnets: Vec<_> = state.namespaces.values().map(|namespace| namespace.subnet).collect();
    let twice =
        |(n, net): (usize, &ipnetwork::Ipv4Network)| subnets[n + 1..].iter().any(|o| o.overlaps(*net));
    if subnets.iter().enumerate().any(twice) {
        return Err(format!("two namespaces in one subnet: {state:?}"));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happened: up makes it right and has nothing to do the second time, nothing of others is touched,
    /// and down leaves nothing.
    #[test]
    fn walks(steps in prop::collection::vec(step(), 1..12)) {
        let mut walk = Walk::new();
        for (n, step) in steps.iter().enumerate() {
            walk.take(step).map_err(|why| TestCaseError::fail(format!("step {n}, {step:?}: {why}")))?;
        }
        walk.finish().map_err(TestCaseError::fail)?;
    }

    /// The numbers come out the same after a reboot, in whatever order the configuration is written.
    #[test]
    fn numbers_are_a_function_of_the_configuration(text in text()) {
        let forwards = config(text.iter().map(section));
        let backwards = config(text.iter().rev().map(section));
        prop_assume!(forwards.is_some());
        let world = World::new(host("two-routers").unwrap());
        let plan = |config: Option<Config>| {
            world.plan(&config.unwrap(), Selection::All).map(|(goal, actions)| (goal, lines(&actions))).ok()
        };
        prop_assert_eq!(plan(forwards), plan(backwards));
    }
}

fn lines(actions: &[Action]) -> Vec<String> {
    actions.iter().map(ToString::to_string).collect()
}

/// Rules do not become more with the number of namespaces, but with its logarithm.
#[test]
fn rules_grow_with_the_logarithm() {
    let mut world = World::new(host("two-routers").unwrap());
    let uplink = "[uplink.dsl]\ndev = \"eth0\"\ngateway = \"192.168.1.254\"\n";
    let mut counts = Vec::new();
    for count in [1, 64, 65, 192, 193, 448, 449] {
        let namespaces: String = (0..count).fold(String::new(), |mut out, n| {
            let _ = writeln!(out, "[namespace.n{n:03}]\nuplink = \"dsl\"");
            out
        });
        let config = config([uplink.to_owned(), namespaces].into_iter()).unwrap();
        world.up(&config, Selection::All).unwrap().unwrap();
        let v4 = |rule: &&Rule| rule.family == Family::V4 && rule.preference < 5000 && rule.preference > 0;
        counts.push(world.kernel.observed.host.rules.iter().filter(v4).count());
    }
    assert_eq!(counts, [5, 5, 8, 8, 11, 11, 14]);
    let observed = world.observe(&[]);
    let rest: Vec<_> = plan::actions(&observed.state, &observed).iter().map(ToString::to_string).collect();
    assert!(rest.is_empty(), "{rest:#?}");
}
