//! What the kernel should hold for a journal.

use super::addresses::{Addresses, Ends, sources};
use super::{dns, hold, source};
use crate::model::{
    Address, Datum, Egress, Element, Family, Journal, Link, Member, Name, Port, Route, RouteKind, Rule,
    RuleAction, Set, Stack, dnsaddr, numbers,
    observed::Features,
    ownership,
    stack::{TCP, UDP, loopback},
};
use ipnetwork::{IpNetwork, Ipv4Network};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// Metric that the kernel gives IPv6 routes which name none (`IP6_RT_PRIO_USER`, include/uapi/linux/ipv6_route.h);
/// spelled out because it reads back.
const METRIC6: u32 = 1024;

/// What a veth takes (ETH_MIN_MTU, ETH_MAX_MTU in include/uapi/linux/if_ether.h); a tunnel's device may have more.
const MTU_LEAST: u32 = 68;
const MTU_MOST: u32 = 65_535;

/// Everything of ours that should be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// On the host: our links, addresses, routes, rules, and the sysctls that we hold.
    pub host: Stack,
    /// In each namespace.
    pub inside: BTreeMap<Name, Stack>,
    /// Elements of the nft sets; none of them and no namespace: no table.
    pub elements: BTreeSet<Element>,
}

/// What the kernel should hold for `journal`.
pub fn desired(journal: &Journal, features: Features) -> Desired {
    desired_of(journal, features, |_| true)
}

/// The same without what belongs to no other namespace than one that nobody looks into.
pub(super) fn desired_of(journal: &Journal, features: Features, is_seen: impl Fn(&Name) -> bool) -> Desired {
    let mut out = Desired::default();
    out.host.sysctls.extend(journal.sysctls.iter().map(|(key, held)| (key.clone(), held.now.clone())));
    for egress in journal.egresses.values() {
        egress_routing(&mut out, journal, egress, features);
        guard(&mut out.elements, egress, journal.mark_of(egress));
        out.elements.extend(source::elements(egress, journal.mark_of(egress)));
    }
    for (family, dev) in hold::opened(journal) {
        out.elements.insert(hold::opening(family, dev));
    }
    out.elements.extend(journal.bridges.iter().map(|bridge| hold::bridged(bridge)));
    let mut modes = Vec::new();
    for (name, member) in &journal.members {
        let Some(egress) = journal.egresses.get(&member.egress) else { continue };
        modes.push(&member.dns);
        if !is_seen(name) && member.dns.host.is_none() {
            continue;
        }
        let net = Addresses::new(egress, member, features);
        let mark = (journal.mark_of(egress), journal.mask);
        let nets = net.ends.iter().map(|ends| ends.net);
        out.host.rules.extend(dns::rules(&member.dns, journal.first, mark, nets));
        if !is_seen(name) {
            continue;
        }
        host_end(&mut out, (name, member), egress, &net, features);
        out.inside.insert(name.clone(), inside(member, egress, &net, features));
        out.elements.extend(marks(&member.link, journal.mark_of(egress), &net));
        out.elements.extend(dns::elements(&member.link, &member.dns));
        out.elements.extend(split_mark(journal, member, egress));
    }
    out.elements.extend(dns::shared_elements(&modes));
    out
}

/// What gives a namespace's packets their mark, and keeps others from taking it: by the host end on the way out, by the
/// namespace's address (before masquerade) on the way back.
fn marks(link: &str, mark: u32, net: &Addresses) -> Vec<Element> {
    let (dev, mark) = (Datum::Device(link.into()), Datum::Mark(mark));
    let mut out = vec![
        Element { set: Set::MarkOf, key: vec![dev.clone()], value: vec![mark.clone()] },
        Element { set: Set::Marked, key: vec![mark.clone(), dev], value: Vec::new() },
    ];
    for ends in &net.ends {
        let (answers, inside) = match ends.family {
            Family::V4 => (Set::AnswerMark4, Set::Inside4),
            Family::V6 => (Set::AnswerMark6, Set::Inside6),
        };
        let key = vec![Datum::Address(ends.inside.ip())];
        out.push(Element { set: answers, key: key.clone(), value: vec![mark.clone()] });
        out.push(Element { set: inside, key, value: Vec::new() });
    }
    out
}

/// A kill switch drops flows of its mark in its own tunnel.
fn split_mark(journal: &Journal, member: &Member, egress: &Egress) -> Option<Element> {
    let split = journal.split.as_ref().filter(|split| !egress.is_in_tunnel_of(split))?;
    let key = vec![Datum::Device(member.link.clone())];
    Some(Element { set: Set::SplitMark, key, value: vec![Datum::Mark(split.mark)] })
}

/// MTU of a namespace's link: its own, or the uplink's.
fn mtu(member: &Member, egress: &Egress) -> u32 {
    let uplink = egress.way.as_ref().map(|way| way.mtu.clamp(MTU_LEAST, MTU_MOST));
    member.mtu.or(uplink).unwrap_or(1500)
}

/// Rules and the table of an egress.
fn egress_routing(out: &mut Desired, journal: &Journal, egress: &Egress, features: Features) {
    let table = egress.table();
    let mark = (journal.mark_of(egress), journal.mask);
    for family in Family::BOTH {
        let sources = sources(journal, egress, family, features);
        if sources.is_empty() {
            continue;
        }
        out.host.rules.extend(rules(journal.first, mark, table, family, &sources));
        out.host.routes.extend(table_routes(egress, table, family));
    }
}

/// By mark, and closed to what has the source and no mark: while somebody flushed nft and our marks with it, there is
/// neither masquerade nor rewriting. And by destination, for the way back.
fn rules(first: u32, mark: (u32, u32), table: u32, family: Family, sources: &[IpNetwork]) -> Vec<Rule> {
    use numbers::preference as pref;
    let rule = |place, action| Rule::new(family, first + place, action, numbers::HOST_PROTOCOL);
    let by_mark = |r: Rule| Rule { mark: Some(mark), ..r };
    let mut out = vec![
        by_mark(rule(pref::MARK, RuleAction::Lookup(table))),
        by_mark(rule(pref::MARK_FLOOR, RuleAction::Unreachable)),
    ];
    for source in sources {
        let here = Some(*source);
        let main = RuleAction::Lookup(u32::from(libc::RT_TABLE_MAIN));
        // Only a route to a part of the slice is a way back: neither a default route nor the halves of one.
        let suppress = source.prefix().checked_sub(1);
        out.push(Rule { to: here, suppress, ..rule(pref::BACK, main) });
        out.push(Rule { to: here, ..rule(pref::BACK_FLOOR, RuleAction::Blackhole) });
        out.push(Rule { from: here, ..rule(pref::SOURCE_FLOOR, RuleAction::Unreachable) });
    }
    out
}

/// The default route by the way, its on-link subnets, and the floor under them.
fn table_routes(egress: &Egress, table: u32, family: Family) -> Vec<Route> {
    let route = |to| Route { metric: numbers::WAY_METRIC, ..Route::new(table, to, numbers::HOST_PROTOCOL) };
    let mut out = vec![Route {
        kind: RouteKind::Unreachable,
        metric: numbers::FLOOR_METRIC,
        ..route(family.everything())
    }];
    // A device that is down takes no routes; the floor holds meanwhile.
    let Some(way) = egress.way.as_ref().filter(|way| way.up) else { return out };
    let dev = Some(way.dev.clone());
    if way.serves(family) {
        let via = way.gateway(family);
        let onlink = via.is_some_and(|via| !way.is_near(via));
        out.push(Route { via, onlink, dev: dev.clone(), ..route(family.everything()) });
    }
    if egress.lan {
        let subnets = way.subnets.iter().filter(|net| Family::of_net(**net) == family);
        out.extend(subnets.map(|net| Route { dev: dev.clone(), ..route(*net) }));
    }
    out
}

fn metric(family: Family) -> u32 {
    match family {
        Family::V4 => 0,
        Family::V6 => METRIC6,
    }
}

/// The guard's elements: which way the packets of a mark may leave.
fn guard(elements: &mut BTreeSet<Element>, egress: &Egress, mark: u32) {
    let Some(way) = &egress.way else { return };
    let key = || vec![Datum::Mark(mark), Datum::Device(way.dev.clone())];
    let mut put = |set, last: Option<Datum>| {
        let key = key().into_iter().chain(last).collect();
        elements.insert(Element { set, key, value: Vec::new() });
    };
    for gateway in &way.gateways {
        let set = if gateway.is_ipv4() { Set::Ways4 } else { Set::Ways6 };
        put(set, Some(Datum::Address(*gateway)));
    }
    if !way.direct.is_empty() {
        put(Set::WaysP2p, None);
    }
    for net in widest(&way.subnets).filter(|_| egress.lan) {
        let set = if net.is_ipv4() { Set::Lan4 } else { Set::Lan6 };
        put(set, Some(Datum::Network(*net)));
    }
}

/// Networks that lie in no other one of these: a set of intervals takes no overlaps.
fn widest(nets: &[IpNetwork]) -> impl Iterator<Item = &IpNetwork> {
    let around = |net: &IpNetwork, other: &IpNetwork| {
        other.is_ipv4() == net.is_ipv4() && other.prefix() < net.prefix() && other.contains(net.ip())
    };
    nets.iter().filter(move |net| !nets.iter().any(|other| around(net, other)))
}

/// The host end of a namespace's veth, and the routes to it in its egress's table.
fn host_end(
    out: &mut Desired,
    (name, member): (&Name, &Member),
    egress: &Egress,
    net: &Addresses,
    features: Features,
) {
    let dev = &member.link;
    let alias = Some(ownership::alias(name));
    out.host.links.insert(our_link(dev, mtu(member, egress), alias));
    for ends in &net.ends {
        out.host.addresses.insert(Address { dev: dev.clone(), net: ends.host });
        let back = Route {
            dev: Some(dev.clone()),
            metric: metric(ends.family),
            ..Route::new(egress.table(), ends.net, numbers::HOST_PROTOCOL)
        };
        out.host.routes.insert(back);
        // The switch for all devices is the journal's to hold.
        let key = hold::forwarding(ends.family, dev, features);
        if key != hold::ALL6 {
            out.host.sysctls.insert(key, "1".into());
        }
    }
    out.host.sysctls.extend(sysctls6(dev, member, egress, net, features));
    if member.dns.stubs().next().is_some() {
        // The guard lets only port 53 of the host's loopback through.
        out.host.sysctls.insert(format!("net/ipv4/conf/{dev}/route_localnet"), "1".into());
    }
}

/// Without IPv6 there is not even a link-local address, by which services of the host could be reached. A device whose
/// MTU is too small for it has no such settings.
fn sysctls6(
    dev: &str,
    member: &Member,
    egress: &Egress,
    net: &Addresses,
    features: Features,
) -> Vec<(String, String)> {
    if net.has(Family::V6) {
        return quiet6(dev).into();
    }
    let has_settings = features.ipv6 && mtu(member, egress) >= numbers::LEAST_MTU6;
    has_settings.then(|| (format!("net/ipv6/conf/{dev}/disable_ipv6"), "1".into())).into_iter().collect()
}

/// IPv6 on a veth: on, even where new devices have it off; no duplicate address detection (there are two of us, and
/// we chose both), no advertisements.
fn quiet6(dev: &str) -> [(String, String); 3] {
    ["disable_ipv6", "accept_dad", "accept_ra"].map(|key| (format!("net/ipv6/conf/{dev}/{key}"), "0".into()))
}

fn our_link(name: &str, mtu: u32, alias: Option<String>) -> Link {
    let (name, kind) = (name.into(), Some("veth".into()));
    Link { name, kind, mtu, alias, group: numbers::LINK_GROUP, up: true, ..Link::default() }
}

/// What a namespace's own stack holds.
fn inside(member: &Member, egress: &Egress, net: &Addresses, features: Features) -> Stack {
    let mut out = Stack::default();
    out.links.insert(our_link("eth0", mtu(member, egress), None));
    out.links.insert(loopback());
    let served6 = net.has(Family::V6) && egress.way.as_ref().is_some_and(|way| way.serves(Family::V6));
    for ends in &net.ends {
        out.addresses.insert(Address { dev: "eth0".into(), net: ends.inside });
        if ends.family == Family::V6 && !served6 {
            continue;
        }
        let via = Some(ends.host.ip());
        let default =
            Route::new(u32::from(libc::RT_TABLE_MAIN), ends.family.everything(), numbers::INSIDE_PROTOCOL);
        out.routes.insert(Route { via, dev: Some("eth0".into()), metric: metric(ends.family), ..default });
    }
    out.sysctls.extend(sysctls6("eth0", member, egress, net, features));
    if features.ipv6 && !served6 {
        out.routes.insert(unreachable6());
    }
    let divert = member.dns.diverts_loopback();
    out.rules.insert(local_rule(divert));
    if let Some(ends) = net.ends.iter().find(|ends| ends.family == Family::V4).filter(|_| divert) {
        divert_loopback(&mut out, ends);
    }
    out
}

/// Programs fall back to IPv4 at once where the uplink has no IPv6.
fn unreachable6() -> Route {
    let main = u32::from(libc::RT_TABLE_MAIN);
    Route {
        kind: RouteKind::Unreachable,
        metric: numbers::FLOOR_METRIC,
        ..Route::new(main, Family::V6.everything(), numbers::INSIDE_PROTOCOL)
    }
}

/// The local table is asked first (the kernel's own rule), or after the diversion of DNS.
fn local_rule(divert: bool) -> Rule {
    let local = RuleAction::Lookup(u32::from(libc::RT_TABLE_LOCAL));
    if divert {
        Rule::new(Family::V4, numbers::preference::INSIDE_LOCAL, local, numbers::INSIDE_PROTOCOL)
    } else {
        Rule::new(Family::V4, 0, local, libc::RTPROT_KERNEL)
    }
}

/// Packets to and from 127.0.0.0/8 may travel on eth0. The last two are for large answers: a fragment that is not the
/// first has no port, so the rules by which the reverse-path check finds the way back do not match it.
const LOOPBACK_ON_ETH0: [(&str, &str); 3] =
    [("route_localnet", "1"), ("accept_local", "1"), ("rp_filter", "2")];

/// Sends DNS for 127.0.0.0/8 out to the host, which rewrites it. Such packets never leave a stack by themselves:
/// the local table comes first, and eth0 takes no loopback addresses. Every other port stays local.
fn divert_loopback(out: &mut Stack, ends: &Ends) {
    out.sysctls
        .extend(LOOPBACK_ON_ETH0.map(|(key, value)| (format!("net/ipv4/conf/eth0/{key}"), value.into())));
    let loopback = Ipv4Network::new(Ipv4Addr::new(127, 0, 0, 0), 8).ok().map(IpNetwork::V4);
    for protocol in [TCP, UDP] {
        let action = RuleAction::Lookup(numbers::INSIDE_DNS_TABLE);
        let rule = Rule::new(Family::V4, numbers::preference::INSIDE_DNS, action, numbers::INSIDE_PROTOCOL);
        out.rules.insert(Rule { to: loopback, port: Some(Port { protocol, port: dnsaddr::PORT }), ..rule });
    }
    let to_host = Route::new(numbers::INSIDE_DNS_TABLE, Family::V4.everything(), numbers::INSIDE_PROTOCOL);
    let (via, src): (IpAddr, IpAddr) = (ends.host.ip(), ends.inside.ip());
    out.routes.insert(Route { via: Some(via), src: Some(src), dev: Some("eth0".into()), ..to_host });
}
