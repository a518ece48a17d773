//! What became of test packets, and what is beside their way.

use super::patient::{DeviceNetwork, Patient};
use super::probes::LargeProbe;
use crate::model::trace::ProbeAnswer;
use crate::model::{Code, Cure, Finding, stack::overlap};
use crate::plan::TraceReport;
use ipnetwork::IpNetwork;
use std::collections::BTreeSet;

/// Packets that did not get to the next hop, or whose answers did not come back; each kind of fault once.
pub(super) fn followed(patient: &Patient<'_>) -> Vec<Finding> {
    let mut told = BTreeSet::new();
    let probes = patient.probes.into_iter().flat_map(|probes| &probes.followed);
    let mut found: Vec<Finding> = probes.filter_map(TraceReport::finding).collect();
    found.retain(|finding| told.insert(finding.code));
    found
}

/// Nothing behind the next hop answers.
pub(super) fn beyond(patient: &Patient<'_>) -> Vec<Finding> {
    let Some(probes) = patient.probes.filter(|probes| !probes.beyond.is_empty()) else { return Vec::new() };
    if probes.beyond.iter().any(|(_, heard)| *heard != ProbeAnswer::Nothing) {
        return Vec::new();
    }
    let shown = probes.beyond.iter().map(|(target, _)| format!("{target}: no answer, and no error"));
    let what = "the next hop answers, and nothing behind it does";
    let cure =
        patient.person("see whether that router has a connection itself, and restart it where it has none");
    vec![Finding::new(Code::NothingBehind, what, cure).shown_by(shown)]
}

/// Small packets get answers, and large ones do not.
pub(super) fn large(patient: &Patient<'_>) -> Vec<Finding> {
    let probes = patient.probes.into_iter().flat_map(|probes| &probes.large);
    let is_hole =
        |probe: &&LargeProbe| probe.small == ProbeAnswer::Answer && probe.large == ProbeAnswer::Nothing;
    let told = |probe: &LargeProbe| {
        let LargeProbe { to, size, passes, .. } = probe;
        let largest = passes.map(|passes| format!(", and the largest that it answers has {passes}"));
        let what = format!(
            "{to} answers a small packet, and not one of {size} bytes{}; no router says why",
            largest.unwrap_or_default()
        );
        let cure = match passes {
            Some(passes) => {
                format!("declare a smaller MTU: mtu = {passes} in the namespace; then: nsnat up")
            }
            None => "see whether that router divides or drops packets, and have it repaired".into(),
        };
        let headers = if to.is_ipv4() { 28 } else { 48 };
        let ping =
            |size: u32, how: &str| format!("ping -M do -s {} {to}: {how}", size.saturating_sub(headers));
        let shown =
            passes.map(|passes| ping(passes, "answered")).into_iter().chain([ping(*size, "no answer")]);
        Finding::new(Code::MtuHole, what, patient.person(cure)).shown_by(shown)
    };
    probes.filter(is_hole).map(told).take(1).collect()
}

/// Another device has a part of the namespace's block.
pub(super) fn subnet_taken(patient: &Patient<'_>) -> Vec<Finding> {
    let block = IpNetwork::V4(patient.namespace.subnet);
    // A route that is wider than the block leads answers nowhere: the rules for the block come before it.
    let is_in_block =
        |of: &&DeviceNetwork| overlap(of.net, block) && !(of.is_route && of.net.prefix() < block.prefix());
    let taken: BTreeSet<&DeviceNetwork> = patient.shared.networks.iter().filter(is_in_block).collect();
    let Some(DeviceNetwork { dev, .. }) = taken.first() else { return Vec::new() };
    let what = format!("{dev} has addresses of the namespace's block {block}, too: answers may go there");
    let name = patient.name;
    let cure = Cure::Commands(vec![format!("nsnat down {name}"), format!("nsnat up {name}")]);
    vec![Finding::new(Code::SubnetTaken, what, cure).shown_by(taken.iter().map(|of| of.shown.clone()))]
}
