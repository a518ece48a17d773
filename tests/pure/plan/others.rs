//! What others do on the host of the random walks: their policies, chains, rules and routes.

use nsnat::model::gate::{Chain, Gate, Hook, Kind, RuleWriter, Split, Stop};
use nsnat::model::ipsec::{Direction, Effect};
use nsnat::model::{Family, Policy, Route, Rule, RuleAction, Stack, numbers};
use std::collections::BTreeSet;

/// IPsec policies of others.
pub(super) const POLICIES: [(Direction, &str, &str); 5] = [
    (Direction::Out, "192.168.1.10/32", "0.0.0.0/0"),
    (Direction::Out, "0.0.0.0/0", "10.0.0.0/8"),
    (Direction::Fwd, "0.0.0.0/0", "10.20.0.10/32"),
    (Direction::In, "10.0.0.0/8", "0.0.0.0/0"),
    (Direction::Out, "::/0", "::/0"),
];

pub(super) fn policy(which: usize) -> Policy {
    let (direction, from, to) = POLICIES[which];
    let index = u32::try_from(8 * (which + 1)).unwrap() | direction as u32;
    let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
    Policy { direction, from, to, mark: None, priority: 0, index, effect: Effect::Protect, sub: false }
}

/// Chains of others that stop what they do not know.
pub(super) const GATES: [(Kind, RuleWriter, Hook, &str); 8] = [
    (Kind::Inet, RuleWriter::Nft, Hook::Forward, "FORWARD"),
    (Kind::Ip, RuleWriter::IptablesNft, Hook::Forward, "FORWARD"),
    (Kind::Ip, RuleWriter::IptablesLegacy, Hook::Forward, "FORWARD"),
    (Kind::Ip6, RuleWriter::IptablesNft, Hook::Forward, "FORWARD"),
    (Kind::Inet, RuleWriter::Nft, Hook::Prerouting, "before"),
    (Kind::Inet, RuleWriter::Nft, Hook::Input, "in"),
    (Kind::Ip, RuleWriter::IptablesNft, Hook::Output, "OUTPUT"),
    (Kind::Inet, RuleWriter::Nft, Hook::Forward, "mullvad"),
];

pub(super) fn gate(which: usize) -> Gate {
    let (kind, keeper, hook, name) = GATES[which];
    let chain = Chain { keeper, kind, table: "filter".into(), name: name.into() };
    let split = (name == "mullvad").then(|| Split { mark: 0xf41, tunnels: BTreeSet::from(["eth1".into()]) });
    let no_neighbours = hook == Hook::Input;
    Gate { chain, stop: Stop::Policy, place: name.into(), closed: None, hook, no_neighbours, split }
}

/// A rule or a route of somebody else that looks like one of ours.
pub(super) fn foreign(host: &mut Stack, which: usize) {
    let rule = |preference, protocol| Rule {
        mark: Some((0x0200_0000, 0xff00_0000)),
        ..Rule::new(Family::V4, preference, RuleAction::Lookup(213_003), protocol)
    };
    let route = |table, to: &str| Route {
        kind: nsnat::model::RouteKind::Unreachable,
        ..Route::new(table, to.parse().unwrap(), 4)
    };
    match which {
        0 => _ = host.rules.insert(rule(numbers::preference::FIRST + numbers::preference::MARK, 4)),
        1 => _ = host.rules.insert(rule(99, 2)),
        2 => _ = host.routes.insert(route(213_001, "10.0.0.0/8")),
        _ => _ = host.routes.insert(route(254, "10.213.2.0/23")),
    }
}
