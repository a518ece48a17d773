//! Connections that cannot go on: those of a namespace that leaves by another device from now on, where its packets have
//! another address. Their peers know the old one, and a program that only waits for more would wait for as long as TCP does.

use super::action::{Action, Connections};
use super::addresses::attachment_addresses;
use crate::model::stack::TCP;
use crate::model::{
    ActiveNamespace, Change, Family, Link, Name, Observed, Published, State, UplinkPath, changes,
};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The connections of namespaces that move to another device end, but for those to the host itself; where one family moves,
/// those of that family.
pub(super) fn lost_connections(state: &State, observed: &Observed) -> Vec<Action> {
    // In the namespace of an attachment there may be connections by other interfaces.
    let own = |name: &Name, after: &ActiveNamespace| {
        let of_attachment =
            after.attached.is_some().then(|| attachment_addresses(state, observed.features, name));
        of_attachment.into_iter().flatten().map(|(own, _)| own).collect()
    };
    let reset = |Change { name, before, after }: Change<'_>| {
        let (before, after) = before.zip(after)?;
        let families = moved_families(observed.state.path_of(before)?, state.path_of(after)?);
        (!families.is_empty()).then(|| Action::ResetConnections {
            name: name.clone(),
            which: Connections {
                families,
                spared: addresses_beside(&after.link, observed),
                served: served_by_another(after),
                from: own(name, after),
            },
        })
    };
    changes(&observed.state, state).into_iter().filter_map(reset).collect()
}

/// The families that leave by another device than before. Where that is not one family alone, both do: a family may have
/// had a way, and connections, before its uplinks died one after the other.
fn moved_families(from: &UplinkPath, to: &UplinkPath) -> Vec<Family> {
    if !from.is_split() && !to.is_split() {
        return if moves(from, to) { Family::BOTH.to_vec() } else { Vec::new() };
    }
    let moved = |family: &Family| {
        to.part_of(*family).is_some_and(|part| moves(from.part_of(*family).unwrap_or(from), part))
    };
    Family::BOTH.into_iter().filter(moved).collect()
}

/// While a namespace is closed, its connections may still go on by the way that it had. An uplink whose device has got
/// another name is the same one.
fn moves(from: &UplinkPath, to: &UplinkPath) -> bool {
    from.uplink != to.uplink && from.dev != to.dev && to.up && !to.dead
}

/// The ports inside of connections that others began by an uplink which stays.
fn served_by_another(namespace: &ActiveNamespace) -> BTreeSet<u16> {
    let moves = |port: &&Published| namespace.published.iter().any(|own| own.inside == port.inside);
    let all = namespace.published_by.iter().flat_map(|by| &by.ports);
    all.filter(|port| port.protocol == TCP && !moves(port)).map(|port| port.inside).collect()
}

/// The host's own addresses, and of those of host veths the one that is the namespace's.
fn addresses_beside(link: &str, observed: &Observed) -> BTreeSet<IpAddr> {
    let is_others = |dev: &str| dev != link && observed.host.link(dev).is_some_and(Link::is_ours);
    let addresses = observed.host.addresses.iter().filter(|address| !is_others(&address.dev));
    addresses.map(|address| address.net.ip()).filter(|address| !address.is_loopback()).collect()
}
