//! Commands against what a test packet met: with the very chain, rule or route.
//!
//! A packet that a chain of others drops, catches or rewrites is let by at the head of the base chain that leads there, which
//! leaves everything else to it. What cannot be told from other packets there (answers, before connection tracking knows them) is no business of an
//! exception: then the rule itself has to go. A route that leads packets astray is deleted.

use super::line::quote;
use super::traced_path::{CONNTRACK, Fault, Host, Suspect, UNROUTED};
use crate::model::gate::Hook;
use crate::model::trace::{Trace, TracedChain};
use crate::model::{Code, Family, Name, Route, RouteKind, Stack, numbers};
use std::net::IpAddr;

/// The commands; none where nsnat knows of none. `rule`: the culprit's text, as nft lists it.
pub fn remedy(
    name: &Name,
    trace: &Trace,
    fault: &Fault,
    rule: Option<&str>,
    host: Host<'_>,
) -> Option<String> {
    match (fault.code, &fault.culprit) {
        (Code::AnswerUntracked, Some(culprit)) => deletion(culprit, rule?),
        (_, Some(Suspect { base, .. })) => Some(exception(base, &selector(fault, base, host)?)),
        (Code::PacketRefused, None) => strange_route(trace, host),
        (Code::PacketUnsent, None) => route_inside(name, trace, host),
        (_, None) => None,
    }
}

/// What tells packets of namespaces, or answers to them, from others: as nft writes it, and as iptables does.
struct Selector {
    nft: String,
    iptables: String,
}

impl Selector {
    fn new(nft: impl Into<String>, iptables: impl Into<String>) -> Self {
        Self { nft: nft.into(), iptables: iptables.into() }
    }

    /// What comes from namespaces.
    fn from_namespaces() -> Self {
        let group = numbers::LINK_GROUP;
        Self::new(format!("iifgroup {group}"), format!("-m devgroup --src-group {group}"))
    }

    /// The same where the device that a packet came by is not known to every kernel any more.
    fn marked(host: Host<'_>) -> Self {
        let (value, mask) = (host.state.mark_of(host.egress), host.state.mask);
        Self::new(
            format!("meta mark and {mask:#x} == {value:#x}"),
            format!("-m mark --mark {value:#x}/{mask:#x}"),
        )
    }

    fn to_namespaces() -> Self {
        let group = numbers::LINK_GROUP;
        Self::new(format!("oifgroup {group}"), format!("-m devgroup --dst-group {group}"))
    }

    /// Where it is not known yet for whom an answer is.
    fn answers() -> Self {
        Self::new("ct state established,related", "-m conntrack --ctstate ESTABLISHED,RELATED")
    }
}

fn selector(fault: &Fault, spot: &TracedChain, host: Host<'_>) -> Option<Selector> {
    use Code::{AnswerDropped, PacketCaught, PacketDropped, PacketLost, SourceRewritten};
    let is_tracked = spot.priority.is_some_and(|priority| priority > CONNTRACK);
    match (fault.code, spot.hook) {
        (PacketDropped | PacketCaught | SourceRewritten, Some(Hook::Postrouting)) => {
            Some(Selector::marked(host))
        }
        (PacketDropped | PacketCaught, _) => Some(Selector::from_namespaces()),
        // Where nothing else is known, what others changed there is why it was not routed.
        (PacketLost, _) if fault.cure == UNROUTED => Some(Selector::from_namespaces()),
        (AnswerDropped, Some(Hook::Forward | Hook::Postrouting)) => Some(Selector::to_namespaces()),
        (AnswerDropped, Some(Hook::Prerouting | Hook::Input)) if is_tracked => Some(Selector::answers()),
        _ => None,
    }
}

fn exception(
    TracedChain { kind, table, chain, .. }: &TracedChain,
    Selector { nft, iptables }: &Selector,
) -> String {
    let is_iptables = ["ip", "ip6"].contains(kind) && chain.chars().all(|c| c.is_ascii_uppercase());
    if is_iptables {
        let program = if *kind == "ip" { "iptables" } else { "ip6tables" };
        return format!("{program} -w -t {table} -I {chain} {iptables} -j ACCEPT");
    }
    format!("nft insert rule {kind} {table} {chain} {nft} accept")
}

/// Takes a rule away that keeps connection tracking from knowing answers, if it is that rule.
fn deletion(Suspect { spot, rule, .. }: &Suspect, text: &str) -> Option<String> {
    let TracedChain { kind, table, chain, .. } = spot;
    let handle = rule.filter(|_| text.contains("notrack"))?;
    Some(format!("nft delete rule {kind} {table} {chain} handle {handle}"))
}

/// A route of others in a table of nsnat's, by which the packet would have left.
fn strange_route(trace: &Trace, host: Host<'_>) -> Option<String> {
    let table = trace.route.as_ref()?.table;
    let route = best_route(&host.observed.host, table, trace.goal.address)?;
    (!route.is_ours()).then(|| format!("ip{}", delete(route)))
}

/// A route of others inside, which refuses the packet.
fn route_inside(name: &Name, trace: &Trace, host: Host<'_>) -> Option<String> {
    host.state.namespaces.get(name).filter(|namespace| namespace.attached.is_none())?;
    let route = best_route(host.observed.stack(name)?, u32::from(libc::RT_TABLE_MAIN), trace.goal.address)?;
    let refuses = !route.is_ours_inside() && route.kind != RouteKind::Unicast;
    refuses.then(|| format!("ip -n {name}{}", delete(route)))
}

/// The route of a table that an address is sent by.
fn best_route(stack: &Stack, table: u32, to: IpAddr) -> Option<&Route> {
    let leads = |route: &&Route| route.table == table && route.to.contains(to);
    stack.routes.iter().filter(leads).max_by_key(|route| (route.to.prefix(), u32::MAX - route.metric))
}

/// As ip(8) takes it; a route of any kind.
fn delete(Route { table, to, via, dev, .. }: &Route) -> String {
    let six = if Family::of(to.ip()) == Family::V6 { " -6" } else { "" };
    let via = via.map(|via| format!(" via {via}")).unwrap_or_default();
    let dev = dev.as_ref().map(|dev| format!(" dev {}", quote(dev))).unwrap_or_default();
    format!("{six} route del {to}{via}{dev} table {table}")
}
