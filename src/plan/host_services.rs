//! Services of the host that a namespace reaches, where they were chosen: which elements say so.
//!
//! Inside, the host has the same address everywhere ([`numbers::HOST_INSIDE`]). The table leads what is sent there to the host's
//! loopback, where a service is met whether it listens there only or everywhere.

use super::action::{Action, Flows};
use super::addresses::inside_addresses;
use crate::model::{ActiveNamespace, Datum, Element, HostService, Observed, Set, State, changes, numbers};
use std::net::IpAddr;

/// The elements of one namespace.
pub(super) fn elements(namespace: &ActiveNamespace) -> Vec<Element> {
    let Some(services) = &namespace.host else { return Vec::new() };
    let link = || Datum::Device(namespace.link.clone());
    let element = |set, key| Element { set, key, value: Vec::new() };
    let port = |one: &HostService| {
        let key = vec![link(), Datum::Protocol(one.protocol), Datum::Port(one.port)];
        element(Set::HostPorts, key)
    };
    [element(Set::HostOnly, vec![link()])].into_iter().chain(services.iter().map(port)).collect()
}

/// Whether anything on the host's loopback is reached.
pub(super) fn are_on_loopback(namespace: &ActiveNamespace) -> bool {
    namespace.host.as_ref().is_some_and(|services| !services.is_empty())
}

/// Flows to services that are not chosen any more.
pub(super) fn stale_flows(state: &State, observed: &Observed) -> Vec<Action> {
    let services = |namespace: Option<&ActiveNamespace>| {
        namespace.and_then(|namespace| namespace.host.clone()).unwrap_or_default()
    };
    let mut out = Vec::new();
    for change in changes(&observed.state, state) {
        let kept = services(change.after);
        let Some(before) =
            change.before.filter(|_| !services(change.before).iter().all(|one| kept.contains(one)))
        else {
            continue;
        };
        let which = Flows::ToAddress(numbers::HOST_INSIDE.into());
        let sources = inside_addresses(&observed.state, before, observed.features);
        let of_family = sources.into_iter().filter(IpAddr::is_ipv4);
        out.extend(of_family.map(|source| Action::ForgetFlows { source, which }));
    }
    out
}
