//! What the kernel should hold for a state.

use super::addresses::{Addresses, VethAddresses, sources};
use super::{dns, held_sysctls, host_services, published, second_way, source};
use crate::model::numbers::INSIDE_LINK;
use crate::model::{
    ActiveNamespace, Address, Datum, Egress, Element, Family, Link, Name, Port, Route, RouteKind, Rule,
    RuleAction, Set, Stack, State, UplinkPath, dnsaddr, numbers,
    observed::Features,
    ownership,
    stack::{TCP, UDP, loopback},
};
use ipnetwork::{IpNetwork, Ipv4Network};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr};

/// Metric that the kernel gives IPv6 routes which name none (`IP6_RT_PRIO_USER`, include/uapi/linux/ipv6_route.h);
/// spelled out because it reads back.
const METRIC6: u32 = 1024;

/// Table "main".
const MAIN: u32 = 254;

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
    /// The interfaces that engines take from the host, by attachment: what is inside is theirs, and there is no stack of it here.
    pub handed: BTreeMap<Name, Pair>,
    /// Elements of the nft sets; none of them and no namespace: no table.
    pub elements: BTreeSet<Element>,
}

impl Desired {
    /// Whether there is any namespace or attachment.
    pub(super) fn has_namespaces(&self) -> bool {
        !(self.inside.is_empty() && self.handed.is_empty())
    }
}

/// A veth pair with both ends on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Host veth.
    pub link: String,
    /// What the engine takes.
    pub peer: String,
}

/// What the kernel should hold for `state`.
pub fn desired(state: &State, features: Features) -> Desired {
    desired_of(state, features, |_| true)
}

/// The elements that may be there about the namespaces that are looked into: what the recorded state makes of them, also what
/// was there while the host had IPv6. None, and all elements have to be read: where no namespace is passed by, or a run that did
/// not come to its end may have left others.
pub fn known_elements<S: BuildHasher>(
    state: &State,
    passed_by: &HashSet<Name, S>,
) -> Option<BTreeSet<Element>> {
    let is_known = !state.unfinished && !passed_by.is_empty();
    let features = Features { ipv6: true, ..Features::default() };
    is_known.then(|| desired_of(state, features, |name| !passed_by.contains(name)).elements)
}

/// What the kernel should hold, without what belongs only to namespaces that are not looked into.
pub(super) fn desired_of(state: &State, features: Features, is_seen: impl Fn(&Name) -> bool) -> Desired {
    let mut out = Desired::default();
    out.host.sysctls.extend(state.sysctls.iter().map(|(key, held)| (key.clone(), held.now.clone())));
    for (key, egress) in &state.egresses {
        egress_routing(&mut out, state, (key, egress), features);
        guard(&mut out.elements, egress, state.mark_of(egress));
        out.elements.extend(source::elements(egress, state.mark_of(egress)));
    }
    for (family, dev) in held_sysctls::opened(state) {
        out.elements.insert(held_sysctls::opening(family, dev));
    }
    out.elements.extend(state.bridges.iter().map(|bridge| held_sysctls::bridged(bridge)));
    let mut modes = Vec::new();
    for (name, namespace) in &state.namespaces {
        let Some(egress) = state.egresses.get(&namespace.egress) else { continue };
        modes.push(&namespace.dns);
        let is_looked_into = is_seen(name);
        if !is_looked_into && namespace.dns.host.is_none() {
            continue;
        }
        let net = Addresses::new(egress, namespace, features);
        let mark = (state.mark_of(egress), state.mask);
        let nets = net.ends.iter().map(|ends| ends.net);
        out.host.rules.extend(dns::rules(&namespace.dns, state.first, mark, nets));
        if !is_looked_into {
            continue;
        }
        host_veth(&mut out, (name, namespace), egress, &net, features);
        if namespace.is_handed() {
            let (link, peer) = (namespace.link.clone(), namespace.ifname().to_owned());
            out.handed.insert(name.clone(), Pair { link, peer });
        } else {
            out.inside.insert(name.clone(), stack_inside(namespace, egress, &net, features));
        }
        out.elements.extend(marks(&namespace.link, state.mark_of(egress), &net));
        out.elements.extend(dns::elements(&namespace.link, &namespace.dns));
        out.elements.extend(host_services::elements(namespace));
        out.elements.extend(split_mark(state, namespace, egress));
    }
    out.elements.extend(dns::shared_elements(&modes));
    out.elements.extend(published::elements(state, features, is_seen));
    out
}

/// What gives a namespace's packets their mark, and keeps others from taking it: by the host veth on the way out, by
/// the namespace's address (before masquerade) on the way back.
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
fn split_mark(state: &State, namespace: &ActiveNamespace, egress: &Egress) -> Option<Element> {
    let split = state.split.as_ref().filter(|split| !egress.is_in_tunnel_of(split))?;
    let key = vec![Datum::Device(namespace.link.clone())];
    Some(Element { set: Set::SplitMark, key, value: vec![Datum::Mark(split.mark)] })
}

/// MTU of a namespace's link: its own, or the uplink's.
fn mtu(namespace: &ActiveNamespace, egress: &Egress) -> u32 {
    namespace.mtu.unwrap_or_else(|| mtu_by(egress.path.as_ref()))
}

/// MTU of a link whose packets go by an uplink.
pub(super) fn mtu_by(path: Option<&UplinkPath>) -> u32 {
    path.map_or(1500, |path| path.least_mtu().clamp(MTU_LEAST, MTU_MOST))
}

/// MTU of the link of one that is up.
pub fn mtu_of(state: &State, name: &Name) -> Option<u32> {
    let namespace = state.namespaces.get(name)?;
    Some(mtu(namespace, state.egresses.get(&namespace.egress)?))
}

/// Rules and the table of an egress. One by which answers leave may be nobody's way out, and then nothing begins there.
fn egress_routing(out: &mut Desired, state: &State, (key, egress): (&str, &Egress), features: Features) {
    let answers = state.namespaces.values().any(|one| one.published_by.iter().any(|by| by.egress == key));
    let table = egress.table();
    let mark = (state.mark_of(egress), state.mask);
    for family in Family::BOTH {
        let sources = sources(state, egress, family, features);
        if sources.is_empty() && !(answers && (family == Family::V4 || features.serves_ipv6())) {
            continue;
        }
        out.host.rules.extend(rules(state.first, mark, table, family, &sources));
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

/// The default route by the way, its on-link subnets, and the unreachable fallback under them.
fn table_routes(egress: &Egress, table: u32, family: Family) -> Vec<Route> {
    let route = |to| Route { metric: numbers::WAY_METRIC, ..Route::new(table, to, numbers::HOST_PROTOCOL) };
    let mut out = vec![Route {
        kind: RouteKind::Unreachable,
        metric: numbers::FLOOR_METRIC,
        ..route(family.everything())
    }];
    // A device that is down takes no routes; the unreachable fallback holds meanwhile.
    for path in egress.parts().filter(|path| path.up) {
        let dev = Some(path.dev.clone());
        if path.serves(family) {
            let via = path.gateway(family);
            let onlink = via.is_some_and(|via| !path.is_near(via));
            out.push(Route { via, onlink, dev: dev.clone(), ..route(family.everything()) });
        }
        if egress.lan {
            let subnets = path.subnets.iter().filter(|net| Family::of_net(**net) == family);
            out.extend(subnets.map(|net| Route { dev: dev.clone(), ..route(*net) }));
        }
    }
    out
}

/// Metric of what nsnat adds inside, and of the way back.
pub(super) fn metric(family: Family) -> u32 {
    match family {
        Family::V4 => 0,
        Family::V6 => METRIC6,
    }
}

/// The guard's elements: which way the packets of a mark may leave.
fn guard(elements: &mut BTreeSet<Element>, egress: &Egress, mark: u32) {
    egress.parts().for_each(|path| guard_of_part(elements, path, egress.lan, mark));
}

fn guard_of_part(elements: &mut BTreeSet<Element>, path: &UplinkPath, lan: bool, mark: u32) {
    let key = || vec![Datum::Mark(mark), Datum::Device(path.dev.clone())];
    let mut put = |set, last: Option<Datum>| {
        let key = key().into_iter().chain(last).collect();
        elements.insert(Element { set, key, value: Vec::new() });
    };
    for gateway in &path.gateways {
        let set = if gateway.is_ipv4() { Set::Ways4 } else { Set::Ways6 };
        put(set, Some(Datum::Address(*gateway)));
    }
    for family in &path.direct {
        put(if *family == Family::V4 { Set::WaysP2p4 } else { Set::WaysP2p6 }, None);
    }
    for net in widest_networks(&path.subnets).filter(|_| lan) {
        let set = if net.is_ipv4() { Set::Lan4 } else { Set::Lan6 };
        put(set, Some(Datum::Network(*net)));
    }
}

/// Networks that lie in no other one of these: a set of intervals takes no overlaps.
fn widest_networks(nets: &[IpNetwork]) -> impl Iterator<Item = &IpNetwork> {
    let around = |net: &IpNetwork, other: &IpNetwork| {
        other.is_ipv4() == net.is_ipv4() && other.prefix() < net.prefix() && other.contains(net.ip())
    };
    nets.iter().filter(move |net| !nets.iter().any(|other| around(net, other)))
}

/// The host veth of a namespace's veth, and the routes to it in its egress's table.
fn host_veth(
    out: &mut Desired,
    (name, namespace): (&Name, &ActiveNamespace),
    egress: &Egress,
    net: &Addresses,
    features: Features,
) {
    let dev = &namespace.link;
    let alias = Some(ownership::alias_of(name, namespace));
    out.host.links.insert(our_link(dev, mtu(namespace, egress), alias));
    for ends in &net.ends {
        out.host.addresses.insert(Address { dev: dev.clone(), net: ends.host });
        let back = Route {
            dev: Some(dev.clone()),
            metric: metric(ends.family),
            ..Route::new(egress.table(), ends.net, numbers::HOST_PROTOCOL)
        };
        // The host itself looks in the main table.
        out.host.routes.extend(ends.is_apart.then(|| Route { table: MAIN, ..back.clone() }));
        out.host.routes.insert(back);
        // The switch for all devices is the state's to hold.
        let key = held_sysctls::forwarding(ends.family, dev, features);
        if key != held_sysctls::ALL6 {
            out.host.sysctls.insert(key, "1".into());
        }
    }
    out.host.sysctls.extend(sysctls6(dev, namespace, egress, net, features));
    if namespace.dns.stubs().next().is_some() || host_services::are_on_loopback(namespace) {
        // The table lets nothing of the host's loopback through but port 53 and what was chosen.
        out.host.sysctls.insert(format!("net/ipv4/conf/{dev}/route_localnet"), "1".into());
    }
}

/// Without IPv6 there is not even a link-local address, by which services of the host could be reached. A device whose
/// MTU is too small for it has no such settings.
fn sysctls6(
    dev: &str,
    namespace: &ActiveNamespace,
    egress: &Egress,
    net: &Addresses,
    features: Features,
) -> Vec<(String, String)> {
    if net.has(Family::V6) {
        return quiet_ipv6_sysctls(dev).into();
    }
    let has_settings = features.ipv6 && mtu(namespace, egress) >= numbers::LEAST_MTU6;
    has_settings.then(|| (format!("net/ipv6/conf/{dev}/disable_ipv6"), "1".into())).into_iter().collect()
}

/// IPv6 on a veth: on, even where new devices have it off; no duplicate address detection (there are two of us, and
/// we chose both), no advertisements.
fn quiet_ipv6_sysctls(dev: &str) -> [(String, String); 3] {
    ["disable_ipv6", "accept_dad", "accept_ra"].map(|key| (format!("net/ipv6/conf/{dev}/{key}"), "0".into()))
}

fn our_link(name: &str, mtu: u32, alias: Option<String>) -> Link {
    let (name, kind) = (name.into(), Some("veth".into()));
    Link { name, kind, mtu, alias, group: numbers::LINK_GROUP, up: true, ..Link::default() }
}

/// What a namespace's own stack holds.
fn stack_inside(namespace: &ActiveNamespace, egress: &Egress, net: &Addresses, features: Features) -> Stack {
    let (mut out, served6) = interface_inside(namespace, egress, net, features);
    // All else in the namespace of an attachment is its maker's.
    if let Some(attached) = &namespace.attached {
        if let Some(beside) = &attached.beside {
            let own: Vec<IpNetwork> = net.ends.iter().map(|ends| ends.inside).collect();
            let answers = if namespace.publishes() { own.as_slice() } else { &[] };
            second_way::put_before(&mut out, beside, answers, features);
        }
        return out;
    }
    out.links.insert(loopback());
    if features.ipv6 && !served6 {
        out.routes.insert(unreachable6());
    }
    let divert = namespace.dns.diverts_loopback();
    out.rules.insert(local_rule(divert));
    if let Some(ends) = net.ends.iter().find(|ends| ends.family == Family::V4).filter(|_| divert) {
        divert_loopback(&mut out, ends);
    }
    out
}

/// nsnat's interface inside, and the way out by it; and whether IPv6 has one.
fn interface_inside(
    namespace: &ActiveNamespace,
    egress: &Egress,
    net: &Addresses,
    features: Features,
) -> (Stack, bool) {
    let (mut out, ifname) = (Stack::default(), namespace.ifname());
    out.links.insert(our_link(ifname, mtu(namespace, egress), None));
    let served6 = net.has(Family::V6) && egress.path.as_ref().is_some_and(|path| path.carries(Family::V6));
    for ends in &net.ends {
        out.addresses.insert(Address { dev: ifname.into(), net: ends.inside });
        if ends.family == Family::V6 && !served6 {
            continue;
        }
        let (via, dev, onlink) = (Some(ends.host.ip()), Some(ifname.into()), ends.is_apart);
        let default =
            Route::new(u32::from(libc::RT_TABLE_MAIN), ends.family.everything(), numbers::INSIDE_PROTOCOL);
        out.routes.insert(Route { via, dev, onlink, metric: metric(ends.family), ..default });
    }
    out.sysctls.extend(sysctls6(ifname, namespace, egress, net, features));
    (out, served6)
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
fn divert_loopback(out: &mut Stack, ends: &VethAddresses) {
    out.sysctls.extend(
        LOOPBACK_ON_ETH0.map(|(key, value)| (format!("net/ipv4/conf/{INSIDE_LINK}/{key}"), value.into())),
    );
    let loopback = Ipv4Network::new(Ipv4Addr::new(127, 0, 0, 0), 8).ok().map(IpNetwork::V4);
    for protocol in [TCP, UDP] {
        let action = RuleAction::Lookup(numbers::INSIDE_DNS_TABLE);
        let rule = Rule::new(Family::V4, numbers::preference::INSIDE_DNS, action, numbers::INSIDE_PROTOCOL);
        out.rules.insert(Rule { to: loopback, port: Some(Port { protocol, port: dnsaddr::PORT }), ..rule });
    }
    let to_host = Route::new(numbers::INSIDE_DNS_TABLE, Family::V4.everything(), numbers::INSIDE_PROTOCOL);
    let (via, src): (IpAddr, IpAddr) = (ends.host.ip(), ends.inside.ip());
    out.routes.insert(Route { via: Some(via), src: Some(src), dev: Some(INSIDE_LINK.into()), ..to_host });
}
