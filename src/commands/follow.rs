//! Probes that are followed through the host: for `trace`, and for `status --check`.

use crate::error::{Error, Result};
use crate::kernel;
use crate::model::trace::{ProbeTarget, Protocol};
use crate::model::{ActiveNamespace, Name, Observed, State, dnsaddr};
use crate::plan;
use crate::report::trace::TraceReport;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses that nobody has (RFC 5737, RFC 3849).
const NOBODY: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

/// What others catch most often: the web, DNS; and what hardly anybody does.
const USUAL: [Protocol; 4] =
    [Protocol::Tcp(80), Protocol::Tcp(443), Protocol::Udp(dnsaddr::PORT), Protocol::Icmp];

/// The goal that is named, or the usual ones in each family of the namespace.
pub(super) fn probe_targets(namespace: &ActiveNamespace, goal: Option<ProbeTarget>) -> Vec<ProbeTarget> {
    let served = |address: &&IpAddr| address.is_ipv4() || namespace.ipv6;
    let usual = |address: &IpAddr| USUAL.map(|protocol| ProbeTarget { address: *address, protocol });
    goal.map_or_else(|| NOBODY.iter().filter(served).flat_map(usual).collect(), |goal| vec![goal])
}

/// Sends a probe to each goal, up to the first that does not go where it should; the first one's way stands for all
/// that do.
pub(super) fn follow(
    name: &Name,
    namespace: &ActiveNamespace,
    goals: &[ProbeTarget],
    (state, observed): (&State, &Observed),
    known: &[String],
) -> Result<TraceReport> {
    let egress = state.egresses.get(&namespace.egress).ok_or_else(|| {
        Error::new(format!("namespace {name}"), "it has no way out at the moment").hint("nsnat status")
    })?;
    let mut first = None;
    for goal in goals {
        let trace = kernel::trace(name, &namespace.link, state.mark_of(egress), *goal)?;
        let walk = plan::follow_probe(&trace, plan::Host { state, egress, observed, known });
        let culprit = walk.fault.as_ref().and_then(|fault| fault.culprit.clone());
        let rule = culprit.and_then(|suspect| kernel::rule_text(&suspect.spot, suspect.rule?));
        let told = TraceReport { name: name.clone(), trace, walk, rule };
        if told.walk.fault.is_some() {
            return Ok(told);
        }
        first = first.or(Some(told));
    }
    first.ok_or_else(|| Error::new("trace", "nothing to send"))
}
