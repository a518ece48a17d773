//! The address that packets of a namespace leave with: the one that the host itself would leave with.
//!
//! Masquerade takes the device's primary address. Where the host's own route by the way has a preferred source, a
//! provider may let nothing else out. A device with a single address needs none of this, and masquerade goes on to
//! follow that address when it changes; what is named here does not, so flows of an address that went are forgotten.

use super::action::{Action, Flows};
use super::addresses::inside_addresses;
use super::ipsec;
use super::reach::is_usable_source;
use crate::model::{
    ActiveNamespace, Datum, Egress, Element, Family, Observed, Route, RouteKind, Set, State, UplinkPath,
};
use std::net::IpAddr;

/// The preferred source of each family that the way serves, where there is one and masquerade might take another.
pub(super) fn preferred(path: &UplinkPath, observed: &Observed) -> Vec<IpAddr> {
    let served = Family::BOTH.into_iter().filter(|family| path.serves(*family));
    let found = served.filter_map(|family| by_route(path, family, observed));
    found
        .filter(|source| is_the_hosts(*source, observed) && !is_the_only_one(path, *source, observed))
        .collect()
}

/// The source that the host's route by the way names: first one by that very next hop, then the device's default; of
/// equals main's, for other tables hold what somebody selects by rules of their own. An address that is for a tunnel is
/// nobody's outside of it: strongSwan's table 220 has such routes, by any router that it found in any table.
fn by_route(path: &UplinkPath, family: Family, observed: &Observed) -> Option<IpAddr> {
    let main = |route: &Route| route.table == u32::from(libc::RT_TABLE_MAIN);
    let same_hop = |route: &Route| route.via == path.gateway(family);
    let default = |route: &Route| route.to == family.everything();
    let leads = |route: &&Route| {
        let of_device = route.dev.as_deref() == Some(path.dev.as_str()) && route.family() == family;
        let by_way = if main(route) {
            default(route) || route.via.is_some() && same_hop(route)
        } else {
            default(route) && same_hop(route)
        };
        let inside_a_tunnel = route.src.is_some_and(|source| ipsec::is_of_a_tunnel(source, observed));
        of_device && by_way && route.kind == RouteKind::Unicast && !route.is_ours() && !inside_a_tunnel
    };
    let routes = observed.host.routes.iter().filter(leads);
    routes.min_by_key(|route| (!same_hop(route), !main(route), !default(route), route.metric))?.src
}

pub(super) fn is_the_hosts(source: IpAddr, observed: &Observed) -> bool {
    observed.host.addresses.iter().any(|address| address.net.ip() == source)
}

/// Whether the device has no other address that masquerade could take.
fn is_the_only_one(path: &UplinkPath, source: IpAddr, observed: &Observed) -> bool {
    let on_device = observed.host.addresses.iter().filter(|address| address.dev == path.dev);
    let mut usable = on_device.map(|address| address.net.ip()).filter(|ip| is_usable_source(*ip, source));
    usable.next() == Some(source) && usable.next().is_none()
}

/// The elements that say so.
pub(super) fn elements(egress: &Egress, mark: u32) -> Vec<Element> {
    let element = |(dev, source): (&String, &IpAddr)| Element {
        set: if source.is_ipv4() { Set::Source4 } else { Set::Source6 },
        key: vec![Datum::Mark(mark), Datum::Device(dev.clone())],
        value: vec![Datum::Address(*source)],
    };
    let sources = egress.parts().flat_map(|part| part.sources.iter().map(move |source| (&part.dev, source)));
    sources.map(element).collect()
}

/// Flows that leave with an address that is not the host's any more, or is another device's than they leave by. A flow
/// keeps an address that is only preferred no longer, as connections of the host itself do.
pub(super) fn stale_flows(state: &State, observed: &Observed) -> Vec<Action> {
    let outdated = |(name, before): (_, &ActiveNamespace)| {
        let old = observed.state.path_of(before)?;
        if old.parts().all(|part| part.sources.is_empty()) {
            return None;
        }
        let after = state.namespaces.get(name)?;
        let new = state.path_of(after);
        let leaves_by =
            move |family| new.and_then(|new| new.part_of(family).or(Some(new))).map(|part| &part.dev);
        let gone = old.parts().flat_map(move |part| {
            part.sources.iter().filter(move |source| {
                leaves_by(Family::of(**source)) != Some(&part.dev) || !is_the_hosts(**source, observed)
            })
        });
        Some((inside_addresses(state, after, observed.features), gone))
    };
    let pairs = observed.state.namespaces.iter().filter_map(outdated).flat_map(|(inside, gone)| {
        gone.flat_map(move |outside| {
            let mut of_family = inside.clone();
            of_family.retain(|ip| ip.is_ipv4() == outside.is_ipv4());
            of_family.into_iter().map(|ip| (ip, *outside))
        })
    });
    pairs
        .map(|(source, outside)| Action::ForgetFlows { source, which: Flows::LeavingWith(outside) })
        .collect()
}
