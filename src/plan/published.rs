//! Ports that the other side of an uplink reaches: which elements say so.
//!
//! A port is published on the device by which a family of the namespace leaves, so that an answer leaves by the device by which
//! the question came. It moves with the namespace from uplink to uplink.

use super::action::{Action, Flows};
use super::addresses::{Addresses, inside_addresses};
use crate::model::{
    ActiveNamespace, Datum, Element, Family, Name, Observed, Published, Set, State, UplinkPath, changes,
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
        of_ports(state, namespace, features).into_iter().map(move |of_port| (name, of_port))
    });
    let free = all.filter(|(_, of_port)| {
        of_port.first().is_some_and(|publish| taken.insert((publish.set, publish.key.clone())))
    });
    free.filter(|(name, _)| is_seen(name)).flat_map(|(_, of_port)| of_port).collect()
}

/// The device by which the host's own programs reach what is the host's.
const LOOPBACK: &str = "lo";

/// The sets of a family.
struct Sets {
    publish: Set,
    published: Set,
    hairpin: Set,
}

fn sets(family: Family) -> Sets {
    match family {
        Family::V4 => Sets { publish: Set::Publish4, published: Set::Published4, hairpin: Set::Hairpin4 },
        Family::V6 => Sets { publish: Set::Publish6, published: Set::Published6, hairpin: Set::Hairpin6 },
    }
}

/// The elements of each port of a namespace and each family.
fn of_ports(state: &State, namespace: &ActiveNamespace, features: Features) -> Vec<Vec<Element>> {
    let Some(egress) = state.egresses.get(&namespace.egress) else { return Vec::new() };
    let ends = Addresses::new(egress, namespace, features).ends;
    let leaves_by = ends.iter().filter_map(|ends| {
        let part = egress.path.as_ref()?.part_of(ends.family)?;
        Some((part.dev.as_str(), ends.inside.ip()))
    });
    let ports =
        |(dev, inside)| namespace.published.iter().map(move |port| of_port(namespace, dev, inside, *port));
    leaves_by.flat_map(ports).collect()
}

/// Where questions by the device of the uplink go, first of all; that they may; and the same for questions of the host's own
/// programs and of the namespace itself.
fn of_port(namespace: &ActiveNamespace, dev: &str, inside: IpAddr, port: Published) -> Vec<Element> {
    let Sets { publish, published, hairpin } = sets(Family::of(inside));
    let device = |dev: &str| Datum::Device(dev.to_owned());
    let [protocol, outside, target] =
        [Datum::Protocol(port.protocol), Datum::Port(port.outside), Datum::Port(port.inside)];
    let value = vec![Datum::Address(inside), target.clone()];
    let key = vec![device(dev), protocol.clone(), outside.clone()];
    let asked = Element { set: publish, key, value: value.clone() };
    let may_by = |dev: &str| {
        let key = vec![device(dev), Datum::Address(inside), protocol.clone(), target.clone()];
        Element { set: published, key, value: Vec::new() }
    };
    let from_here = |by: &str, at: IpAddr| {
        let key = vec![device(by), Datum::Address(at), protocol.clone(), outside.clone()];
        Element { set: hairpin, key, value: value.clone() }
    };
    let own = namespace.published_at.iter().filter(|at| at.is_ipv4() == inside.is_ipv4());
    let here = own.flat_map(|at| [LOOPBACK, &namespace.link].map(|by| from_here(by, *at)));
    [asked, may_by(dev), may_by(&namespace.link)].into_iter().chain(here).collect()
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
        let old = of_ports(&observed.state, before, observed.features);
        let new = change.after.map_or_else(Vec::new, |after| of_ports(state, after, observed.features));
        let is_kept = |port: &Vec<Element>| new.iter().any(|new| new.first() == port.first());
        if !old.iter().all(is_kept) {
            sources.extend(inside_addresses(&observed.state, before, observed.features));
        }
    }
    sources.into_iter().map(|source| Action::ForgetFlows { source, which: Flows::Published }).collect()
}
