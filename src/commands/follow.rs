//! Probes that are followed through the host: for `trace`, and for `status --check`.

use crate::error::{Error, Result};
use crate::kernel::{self, netns};
use crate::model::trace::{ProbeTarget, Protocol};
use crate::model::{ActiveNamespace, Egress, Family, Finding, Name, Observed, State, dnsaddr};
use crate::plan::{self, TraceReport};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses that nobody has (RFC 5737, RFC 3849).
pub(super) const NOBODY: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

/// What others catch most often: the web, DNS; and what hardly anybody does.
const USUAL: [Protocol; 4] =
    [Protocol::Tcp(80), Protocol::Tcp(443), Protocol::Udp(dnsaddr::PORT), Protocol::Icmp];

/// The goal that is named, or the usual ones in each family of the namespace.
pub(super) fn probe_targets(namespace: &ActiveNamespace, goal: Option<ProbeTarget>) -> Vec<ProbeTarget> {
    if let Some(goal) = goal {
        return vec![goal];
    }
    let served = |address: &&IpAddr| address.is_ipv4() || namespace.ipv6;
    let usual = |address: &IpAddr| USUAL.map(|protocol| ProbeTarget { address: *address, protocol });
    // A namespace that asks its own servers only is refused DNS of a family that has none: that is as it should be.
    let dns = &namespace.dns;
    let is_refused = |goal: &ProbeTarget| {
        let has_servers = dns.servers_of(Family::of(goal.address)).next().is_some();
        goal.protocol == Protocol::Udp(dnsaddr::PORT) && dns.only && !has_servers
    };
    NOBODY.iter().filter(served).flat_map(usual).filter(|goal| !is_refused(goal)).collect()
}

/// Whether the engine has not taken the interface of an attachment yet, so that nothing can be sent by it.
pub(super) fn is_waiting(name: &Name, namespace: &ActiveNamespace) -> Result<bool> {
    Ok(namespace.is_handed() && netns::identity(name)?.is_none())
}

/// Sends a probe to each goal, up to the first that does not go where it should; the first one's way stands for all
/// that do.
pub(super) fn follow(
    name: &Name,
    namespace: &ActiveNamespace,
    goals: &[ProbeTarget],
    (state, observed): (&State, &Observed),
    known: &[Finding],
) -> Result<TraceReport> {
    let egress = state.egresses.get(&namespace.egress).ok_or_else(|| {
        Error::new(format!("namespace {name}"), "it has no way out at the moment").hint("nsnat status")
    })?;
    let mut first = None;
    for goal in goals {
        let told = follow_one(name, namespace, *goal, egress, (state, observed), known)?;
        if told.walk.fault.is_some() {
            return Ok(told);
        }
        first = first.or(Some(told));
    }
    first.ok_or_else(|| Error::new("trace", "nothing to send"))
}

/// Sends probes to the usual goals, in each family up to the first that does not go where it should: what is wrong with that
/// one is most often wrong with the others. None where the kernel cannot tell of packets; all else is examined there.
pub(super) fn follow_each_family(
    name: &Name,
    namespace: &ActiveNamespace,
    (state, observed): (&State, &Observed),
) -> Result<Vec<TraceReport>> {
    let Some(egress) = state.egresses.get(&namespace.egress) else { return Ok(Vec::new()) };
    if !kernel::can_trace() {
        return Ok(Vec::new());
    }
    let mut out: Vec<TraceReport> = Vec::new();
    let path = egress.path.as_ref().filter(|path| Family::BOTH.iter().any(|family| path.carries(*family)));
    // A family that has no way out is refused inside, as it should be, while the other one has.
    let is_carried = |goal: &ProbeTarget| path.is_none_or(|path| path.carries(Family::of(goal.address)));
    for goal in probe_targets(namespace, None).into_iter().filter(is_carried) {
        let is_same = |told: &TraceReport| Family::of(told.trace.goal.address) == Family::of(goal.address);
        if !out.iter().any(|told| is_same(told) && told.walk.fault.is_some()) {
            out.push(follow_one(name, namespace, goal, egress, (state, observed), &[])?);
        }
    }
    Ok(out)
}

fn follow_one(
    name: &Name,
    namespace: &ActiveNamespace,
    goal: ProbeTarget,
    egress: &Egress,
    (state, observed): (&State, &Observed),
    known: &[Finding],
) -> Result<TraceReport> {
    let trace = kernel::trace(name, &namespace.link, state.mark_of(egress), goal)?;
    let host = plan::Host { state, egress, observed, known };
    let walk = plan::follow_probe(&trace, host);
    let culprit = walk.fault.as_ref().and_then(|fault| fault.culprit.clone());
    let rule = culprit.and_then(|suspect| kernel::rule_text(&suspect.spot, suspect.rule?));
    let fault = walk.fault.as_ref();
    let remedy = fault.and_then(|fault| plan::remedy(name, &trace, fault, rule.as_deref(), host));
    Ok(TraceReport { name: name.clone(), trace, walk, rule, remedy })
}
