//! Contracts with the kernel: what was performed is observed, and its inverse takes it away.
//!
//! The test runs itself again inside of the lab and uses the library there: one action at a time.

use crate::lab::{self, Lab};
use ipnetwork::IpNetwork;
use nsnat::kernel::Kernel;
use nsnat::model::ipsec::{Direction, Effect};
use nsnat::model::nft::TableForm;
use nsnat::model::{
    Address, Datum, Element, Family, Link, Look, Name, Netns, Observed, Policy, Port, Route, RouteKind, Rule,
    RuleAction, Set, Stack, State, numbers,
};
use nsnat::plan::{Action, LinkChange, Side};
use nsnat::reconcile::{Host, Step};
use std::net::IpAddr;

const MASK: u32 = numbers::FWMARK_MASK;
const LINK: &str = "nsn-slow";

#[test]
fn what_was_performed_is_observed_and_its_inverse_takes_it_away() {
    if !lab::inside() {
        return Lab::new()
            .again("e2e::contracts::what_was_performed_is_observed_and_its_inverse_takes_it_away");
    }
    let mut kernel = Contract { kernel: Kernel::open().unwrap(), name: "slow".parse().unwrap() };
    let name = kernel.name.clone();
    kernel.holds(
        Action::MakeNetns { name: name.clone(), stale: false },
        |o| o.namespaces.len() == 1,
        Action::RemoveNetns { name: name.clone() },
    );
    kernel.perform(&Action::MakeNetns { name: name.clone(), stale: false });
    let veth = Action::AddVeth { name: name.clone(), link: LINK.into(), mtu: 1400, ifname: "eth0".into() };
    let paired = |o: &Observed| {
        let ours = |link: Option<&Link>| {
            link.is_some_and(|l| {
                l.group == numbers::LINK_GROUP && l.mtu == 1400 && l.kind.as_deref() == Some("veth")
            })
        };
        ours(o.host.link(LINK)) && ours(inside(o).link("eth0"))
    };
    kernel.holds(veth.clone(), paired, Action::RemoveLink { link: LINK.into() });
    kernel.perform(&veth);
    for place in [Side::Host, Side::Inside(name)] {
        links(&mut kernel, &place);
        addresses(&mut kernel, &place);
        routes(&mut kernel, &place);
        rules(&mut kernel, &place);
        sysctls(&mut kernel, &place);
    }
    nft(&mut kernel);
    policies(&mut kernel);
}

struct Contract {
    kernel: Kernel,
    name: Name,
}

impl Contract {
    fn observe(&mut self) -> Observed {
        let look = Look::Everything(&[&self.name]);
        let mut observed = self.kernel.observe(&State::default(), look).unwrap();
        // What a run remembers of its first look is what a first look sees.
        let fresh = Kernel::open().unwrap().observe(&State::default(), look).unwrap();
        assert_eq!(observed.table, fresh.table);
        quiet(&mut observed.host);
        for netns in observed.namespaces.values_mut() {
            if let Netns::Alive { stack, .. } = netns {
                quiet(stack);
            }
        }
        observed
    }

    #[track_caller]
    fn perform(&mut self, action: &Action) {
        let mut failed = None;
        self.kernel.perform(std::slice::from_ref(action), &mut |step| {
            if let Step::Failed(_, error) = step {
                failed = Some(error.to_string());
            }
            true
        });
        assert_eq!(failed, None, "{action}");
    }

    /// `seen` is false, true after `action`, and after `inverse` everything observed is as it was.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "each is made for this one call")]
    fn holds(&mut self, action: Action, seen: impl Fn(&Observed) -> bool, inverse: Action) {
        let before = self.observe();
        assert!(!seen(&before), "before `{action}` already: {before:#?}");
        self.perform(&action);
        let after = self.observe();
        assert!(seen(&after), "after `{action}` it is not observed: {after:#?}");
        self.perform(&inverse);
        assert_eq!(self.observe(), before, "after `{inverse}`");
        // What is gone already is taken away without an error.
        if !matches!(inverse, Action::SetLink { .. } | Action::Sysctl { .. } | Action::Elements { .. }) {
            self.perform(&inverse);
        }
    }
}

/// What changes by itself: counters, and what the kernel does some time after a device came up.
fn quiet(stack: &mut Stack) {
    stack.links =
        stack.links.iter().map(|link| Link { bytes: None, carrier: false, ..link.clone() }).collect();
    let by_itself = |net: &IpNetwork| matches!(net.ip(), IpAddr::V6(ip) if ip.is_unicast_link_local());
    stack.addresses.retain(|address| !by_itself(&address.net));
    stack.routes.retain(|route| !by_itself(&route.to));
}

fn inside(observed: &Observed) -> &Stack {
    observed.stack(&"slow".parse().unwrap()).unwrap()
}

fn stack<'a>(observed: &'a Observed, place: &Side) -> &'a Stack {
    if *place == Side::Host { &observed.host } else { inside(observed) }
}

fn dev(place: &Side) -> String {
    if *place == Side::Host { LINK.into() } else { "eth0".into() }
}

fn net(text: &str) -> IpNetwork {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn links(kernel: &mut Contract, place: &Side) {
    let set = |change| Action::SetLink { place: place.clone(), dev: dev(place), change };
    let link = |o: &Observed| stack(o, place).link(&dev(place)).unwrap().clone();
    kernel.holds(set(LinkChange::Mtu(1300)), |o| link(o).mtu == 1300, set(LinkChange::Mtu(1400)));
    let group = LinkChange::Group(numbers::DOOMED_GROUP);
    let back = set(LinkChange::Group(numbers::LINK_GROUP));
    kernel.holds(set(group), |o| link(o).group == numbers::DOOMED_GROUP, back);
    kernel.perform(&set(LinkChange::Alias("nsnat:it's \"quoted\"".into())));
    assert_eq!(link(&kernel.observe()).alias.as_deref(), Some("nsnat:it's \"quoted\""));
    assert!(!link(&kernel.observe()).up);
    kernel.perform(&set(LinkChange::Up));
    assert!(link(&kernel.observe()).up);
}

fn addresses(kernel: &mut Contract, place: &Side) {
    for text in ["10.213.0.1/30", "10.5.0.1/32", "fd6e:736e:6174::1/126"] {
        let address = Address { dev: dev(place), net: net(text) };
        let add = Action::AddAddress { place: place.clone(), address: address.clone() };
        let remove = Action::RemoveAddress { place: place.clone(), address: address.clone() };
        kernel.holds(add, |o| stack(o, place).addresses.contains(&address), remove);
    }
    for text in ["10.213.0.1/30", "fd6e:736e:6174::1/126"] {
        let address = Address { dev: dev(place), net: net(text) };
        kernel.perform(&Action::AddAddress { place: place.clone(), address });
    }
}

fn routes(kernel: &mut Contract, place: &Side) {
    let protocol = if *place == Side::Host { numbers::HOST_PROTOCOL } else { numbers::INSIDE_PROTOCOL };
    let new =
        |to: &str| Route { dev: Some(dev(place)), ..Route::new(numbers::TABLE_BASE + 7, net(to), protocol) };
    let fallback = |to: &str| Route {
        kind: RouteKind::Unreachable,
        metric: numbers::FLOOR_METRIC,
        dev: None,
        ..new(to)
    };
    let six = |route: Route| Route { metric: 1024, ..route };
    for route in [
        Route { via: Some(ip("10.213.0.2")), ..new("0.0.0.0/0") },
        Route { via: Some(ip("10.213.0.2")), src: Some(ip("10.213.0.1")), ..new("0.0.0.0/0") },
        Route { via: Some(ip("10.9.9.9")), onlink: true, metric: 5, ..new("0.0.0.0/0") },
        Route { metric: 7, ..new("192.0.2.0/24") },
        fallback("0.0.0.0/0"),
        six(Route { via: Some(ip("fd6e:736e:6174::2")), ..new("::/0") }),
        six(new("2001:db8:77::/64")),
        fallback("::/0"),
    ] {
        let add = Action::AddRoute { place: place.clone(), route: route.clone(), replace: false };
        let remove = Action::RemoveRoute { place: place.clone(), route: route.clone() };
        kernel.holds(add, |o| stack(o, place).routes.contains(&route), remove);
    }
    replace_a_route(kernel, place, &new("192.0.2.0/24"));
}

/// A route replaces the one with its key; there is never none.
fn replace_a_route(kernel: &mut Contract, place: &Side, old: &Route) {
    let new = Route { via: Some(ip("10.213.0.2")), ..old.clone() };
    kernel.perform(&Action::AddRoute { place: place.clone(), route: old.clone(), replace: false });
    kernel.perform(&Action::AddRoute { place: place.clone(), route: new.clone(), replace: true });
    let routes = stack(&kernel.observe(), place).routes.clone();
    assert!(routes.contains(&new) && !routes.contains(old), "{routes:#?}");
    kernel.perform(&Action::RemoveRoute { place: place.clone(), route: new });
}

fn rules(kernel: &mut Contract, place: &Side) {
    let protocol = if *place == Side::Host { numbers::HOST_PROTOCOL } else { numbers::INSIDE_PROTOCOL };
    for (family, some) in [(Family::V4, "10.213.0.0/24"), (Family::V6, "fd6e:736e:6174::/64")] {
        let lookup = |preference| Rule::new(family, preference, RuleAction::Lookup(213_007), protocol);
        let port = |protocol| Some(Port { protocol, port: 53 });
        for rule in [
            lookup(4210),
            Rule { mark: Some((0x0700_0000, MASK)), ..lookup(4210) },
            Rule { from: Some(net(some)), ..lookup(4211) },
            Rule { to: Some(net(some)), action: RuleAction::Blackhole, ..lookup(4208) },
            Rule { mark: Some((0x0700_0000, MASK)), action: RuleAction::Unreachable, ..lookup(4212) },
            Rule { from: Some(net(some)), action: RuleAction::Unreachable, ..lookup(4213) },
            Rule { to: Some(net(some)), port: port(6), ..lookup(10) },
            Rule { to: Some(net(some)), port: port(17), ..lookup(10) },
        ] {
            let add = Action::AddRule { place: place.clone(), rule: rule.clone() };
            let remove = Action::RemoveRule { place: place.clone(), rule: rule.clone() };
            kernel.holds(add, |o| stack(o, place).rules.contains(&rule), remove);
        }
    }
}

fn sysctls(kernel: &mut Contract, place: &Side) {
    let key = match place {
        Side::Host => format!("net/ipv4/conf/{LINK}/forwarding"),
        Side::Inside(_) => "net/ipv4/conf/eth0/route_localnet".into(),
    };
    let set = |value: &str| Action::Sysctl { place: place.clone(), key: key.clone(), value: value.into() };
    kernel.holds(set("1"), |o| stack(o, place).sysctls.get(&key).is_some_and(|v| v == "1"), set("0"));
}

fn nft(kernel: &mut Contract) {
    let load = |replace, elements| Action::LoadSkeleton {
        form: TableForm { mask: MASK, without_ipsec: false },
        replace,
        elements,
    };
    kernel.holds(load(false, Vec::new()), |o| o.table.exists && o.table.text.is_some(), Action::RemoveTable);
    kernel.perform(&load(false, Vec::new()));
    for element in elements() {
        let add = Action::Elements { remove: Vec::new(), add: vec![element.clone()] };
        let remove = Action::Elements { remove: vec![element.clone()], add: Vec::new() };
        kernel.holds(add, |o| o.table.elements.contains(&element), remove);
    }
    // All at once, and kept by a new skeleton that is loaded with them in one transaction.
    kernel.perform(&Action::Elements { remove: Vec::new(), add: elements() });
    let with = kernel.observe().table;
    assert_eq!(with.elements, elements().into_iter().collect());
    kernel.perform(&load(true, elements()));
    assert_eq!(kernel.observe().table, with);
    kernel.perform(&Action::RemoveTable);
    assert!(!kernel.observe().table.exists);
}

fn policies(kernel: &mut Contract) {
    for (place, direction) in Direction::ALL.into_iter().enumerate() {
        for (slot, from, to, mark) in [
            (0, "0.0.0.0/0", "0.0.0.0/0", Some((0x0700_0000, MASK))),
            (1, "::/0", "::/0", Some((0x0700_0000, MASK))),
            (2, "0.0.0.0/0", "10.213.0.0/24", None),
            (3, "::/0", "fd6e:736e:6174::/64", None),
        ] {
            let index = numbers::POLICY_INDEX | 7 << 16 | slot << 3 | u32::try_from(place).unwrap();
            let (from, to, priority) = (net(from), net(to), numbers::POLICY_PRIORITY);
            let effect = Effect::Allow;
            let policy = Policy { direction, from, to, mark, priority, index, effect, sub: false };
            let (add, remove) = (
                Action::AddPolicy { policy: policy.clone() },
                Action::RemovePolicy { policy: policy.clone() },
            );
            kernel.holds(add, |o| o.policies.contains(&policy), remove);
        }
    }
}

/// One of each set; a device name that nft has to quote.
fn elements() -> Vec<Element> {
    use nsnat::model::nft::Kind;
    let datum = |kind: Kind, six: bool| match kind {
        Kind::Mark => Datum::Mark(0x0700_0000),
        Kind::Device => Datum::Device("nsn-a.b_c-0".into()),
        Kind::Address => Datum::Address(ip(if six { "2001:db8::7" } else { "192.0.2.7" })),
        Kind::Network => Datum::Network(net(if six { "2001:db8:7::/64" } else { "192.0.2.0/24" })),
        Kind::Port => Datum::Port(5353),
        Kind::Protocol => Datum::Protocol(17),
    };
    let one = |set: &Set| {
        let data =
            |kinds: &[Kind]| kinds.iter().map(|kind| datum(*kind, set.name().ends_with('6'))).collect();
        Element { set: *set, key: data(set.key()), value: data(set.value()) }
    };
    Set::ALL.iter().map(one).collect()
}
