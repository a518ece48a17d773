//! Ports that the other side of an uplink reaches: which elements say so.
//!
//! A port is published on the device by which a family of the namespace leaves, so that an answer leaves by the device by which
//! the question came. It moves with the namespace from uplink to uplink.

use super::action::{Action, Flows};
use super::addresses::{Addresses, inside_addresses};
use crate::model::{
    ActiveNamespace, Datum, Element, Name, Observed, Published, Set, State, UplinkPath, changes,
    observed::Features,
};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The elements of the namespaces that are looked into. Where two of them want one port of a device, which a move to another
/// uplink can bring about, the first one by name has it.
pub(super) fn elements(state: &State, features: Features, is_seen: impl Fn(&Name) -> bool) -> Vec<Element> {
    let mut taken = BTreeSet::new();
    let publishing = state.namespaces.iter().filter(|(_, namespace)| !namespace.published.is_empty());
    let all = publishing.flat_map(|(name, namespace)| {
        pairs(state, namespace, features).into_iter().map(move |pair| (name, pair))
    });
    let free = all.filter(|(_, [publish, _])| taken.insert((publish.set, publish.key.clone())));
    free.filter(|(name, _)| is_seen(name)).flat_map(|(_, pair)| pair).collect()
}

/// Of each port of a namespace and each family: where questions go, and that they may.
fn pairs(state: &State, namespace: &ActiveNamespace, features: Features) -> Vec<[Element; 2]> {
    let Some(egress) = state.egresses.get(&namespace.egress) else { return Vec::new() };
    let one = |dev: &str, address: IpAddr, port: &Published| {
        let (publish, published) = match address {
            IpAddr::V4(_) => (Set::Publish4, Set::Published4),
            IpAddr::V6(_) => (Set::Publish6, Set::Published6),
        };
        let (dev, protocol) = (Datum::Device(dev.to_owned()), Datum::Protocol(port.protocol));
        let (address, inside) = (Datum::Address(address), Datum::Port(port.inside));
        let key = vec![dev.clone(), protocol.clone(), Datum::Port(port.outside)];
        let value = vec![address.clone(), inside.clone()];
        let back = Element { set: published, key: vec![dev, address, protocol, inside], value: Vec::new() };
        [Element { set: publish, key, value }, back]
    };
    let ends = Addresses::new(egress, namespace, features).ends;
    let leaves_by = ends.iter().filter_map(|ends| {
        let part = egress.path.as_ref()?.part_of(ends.family)?;
        Some((part.dev.as_str(), ends.inside.ip()))
    });
    let ports = |(dev, address)| namespace.published.iter().map(move |port| one(dev, address, port));
    leaves_by.flat_map(ports).collect()
}

/// What publishes that port of the host on a device of `path`, other than the namespace `own`; and the device.
pub(super) fn holder<'a>(
    port: Published,
    own: &Name,
    path: &'a UplinkPath,
    state: &State,
) -> Option<(String, &'a str)> {
    state.namespaces.iter().filter(|(name, _)| *name != own).find_map(|(name, other)| {
        let has = other.published.iter().any(|published| published.is_same_outside(&port));
        let dev = shared_device(path, state.path_of(other).filter(|_| has)?)?;
        let what = if other.attached.is_some() { "attachment" } else { "namespace" };
        Some((format!("{what} {name}"), dev))
    })
}

/// A device by which both leave.
fn shared_device<'a>(one: &'a UplinkPath, other: &UplinkPath) -> Option<&'a str> {
    let is_others = |dev: &str| other.parts().any(|part| part.dev == dev);
    one.parts().map(|part| part.dev.as_str()).find(|dev| is_others(dev))
}

/// Flows of those that asked a port which is not published any more, or by another device.
pub(super) fn stale_flows(state: &State, observed: &Observed) -> Vec<Action> {
    let mut sources = BTreeSet::new();
    for change in changes(&observed.state, state) {
        let Some(before) = change.before.filter(|before| !before.published.is_empty()) else { continue };
        let old = pairs(&observed.state, before, observed.features);
        let new = change.after.map_or_else(Vec::new, |after| pairs(state, after, observed.features));
        if old.iter().any(|pair| !new.contains(pair)) {
            sources.extend(inside_addresses(&observed.state, before, observed.features));
        }
    }
    sources.into_iter().map(|source| Action::ForgetFlows { source, which: Flows::Published }).collect()
}
