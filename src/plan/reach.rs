//! What a device reaches by itself: its subnets, and which of the host's devices a next hop is beside.

use crate::model::stack::is_link_local;
use crate::model::{Egress, Family, Link, Neighbour, Observed, RouteKind, UplinkPath};
use ipnetwork::IpNetwork;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Whether a device has an address that packets of a family can leave with. A link-local one is none: masquerade would
/// take another device's.
pub(super) fn addressed(link: &Link, gateway: IpAddr, observed: &Observed) -> bool {
    let fits = |ip: IpAddr| is_usable_source(ip, gateway);
    observed.host.addresses.iter().any(|address| address.dev == link.name && fits(address.net.ip()))
}

/// Whether packets to an address could leave with this one.
pub(super) fn is_usable_source(address: IpAddr, to: IpAddr) -> bool {
    address.is_ipv4() == to.is_ipv4() && !is_link_local(address)
}

/// Devices that a gateway is beside, as the routing table has it: in a subnet, or by a route without a next hop (a
/// cloud gives a single address, and a route to its router); of several, those with the longest prefix.
pub(super) fn candidates(gateway: IpAddr, observed: &Observed) -> Vec<&Link> {
    let prefix = |link: &Link| {
        let nets = observed.host.addresses.iter().filter(|a| a.dev == link.name).map(|a| a.net);
        let nets = nets.filter(|net| net.ip() != gateway).chain(networks_on(link, observed));
        nets.filter(|net| net.contains(gateway)).map(|net| net.prefix()).max()
    };
    let fits: Vec<_> = uplink_devices(observed).filter_map(|link| Some((prefix(link)?, link))).collect();
    let longest = fits.iter().map(|(prefix, _)| *prefix).max();
    fits.into_iter().filter(|(prefix, _)| Some(*prefix) == longest).map(|(_, link)| link).collect()
}

/// Whether a next hop is beside this device for certain.
pub(super) fn is_beside(
    gateway: IpAddr,
    link: &Link,
    subnets: &BTreeSet<IpNetwork>,
    observed: &Observed,
) -> bool {
    let holds = |net: &IpNetwork| net.contains(gateway);
    is_link_local(gateway) || subnets.iter().any(holds) || networks_on(link, observed).any(|net| holds(&net))
}

/// What the main table has on the link. On a point-to-point device a wider network is a tunnel's choice of what to
/// take.
fn networks_on<'a>(link: &'a Link, observed: &'a Observed) -> impl Iterator<Item = IpNetwork> + 'a {
    on_link(link, observed).filter(|net| net.prefix() > 0 && (!link.point_to_point || is_single(*net)))
}

/// The name of the device that somebody calls so. While it is away, the ways that lead by it know its other names.
pub(super) fn real_name<'a>(called: &'a str, observed: &'a Observed) -> &'a str {
    let known = |path: &&UplinkPath| path.altnames.contains(called);
    let away = || {
        let mut paths = observed.state.egresses.values().flat_map(Egress::parts);
        paths.find(known).map(|path| path.dev.as_str())
    };
    let here = observed.host.link_called(called).map(|link| link.name.as_str());
    here.or_else(away).unwrap_or(called)
}

/// Devices that can be uplinks at all.
fn uplink_devices(observed: &Observed) -> impl Iterator<Item = &Link> {
    observed.host.links.iter().filter(|link| !link.loopback && !link.is_ours())
}

pub(super) fn devices(observed: &Observed) -> String {
    let one = |link: &Link| {
        let nets: Vec<_> = subnets(link, observed).iter().map(ToString::to_string).collect();
        format!("{} ({})", link.name, if nets.is_empty() { "no address".into() } else { nets.join(", ") })
    };
    let all: Vec<_> = uplink_devices(observed).map(one).collect();
    if all.is_empty() { "none".into() } else { all.join(", ") }
}

/// Subnets directly on a device: those of its addresses, and those that are routed to it without a next hop (a
/// host that got a single address by DHCPv6 knows its subnet from a router advertisement). Link-local ones stay
/// where they are, a single address is no subnet, and what is routed to a point-to-point device is a tunnel's choice of
/// what to take.
pub(super) fn subnets(link: &Link, observed: &Observed) -> BTreeSet<IpNetwork> {
    let net = |net: IpNetwork| IpNetwork::new(net.network(), net.prefix()).ok();
    let addresses = observed.host.addresses.iter().filter(|a| a.dev == link.name).map(|a| a.net);
    let routed = on_link(link, observed).filter(|_| !link.point_to_point);
    let all = addresses.chain(routed).filter(|net| !is_link_local(net.ip()));
    all.filter_map(net).filter(|net| net.prefix() > 0 && !is_single(*net)).collect()
}

/// Networks that the main table has directly on a device.
fn on_link<'a>(link: &'a Link, observed: &'a Observed) -> impl Iterator<Item = IpNetwork> + 'a {
    let routes = observed.host.routes.iter().filter(move |route| {
        route.table == u32::from(libc::RT_TABLE_MAIN)
            && route.kind == RouteKind::Unicast
            && route.via.is_none()
            && route.dev.as_deref() == Some(link.name.as_str())
    });
    routes.map(|route| route.to).filter(|net| !net.ip().is_multicast())
}

/// A `/32` or `/128`.
fn is_single(net: IpNetwork) -> bool {
    net.prefix() == if net.is_ipv4() { 32 } else { 128 }
}

/// The next hops of a way that answer by ARP or neighbour discovery, if they are there at all. What the kernel would
/// not ask is left out: on a device that is down, has no carrier or no neighbours, and by IPv6 where there is no
/// address of the link to ask from.
pub fn neighbours(path: &UplinkPath, observed: &Observed) -> Vec<Neighbour> {
    let Some(link) = observed.host.link(&path.dev).filter(|link| link.up && link.carrier) else {
        return Vec::new();
    };
    let asks6 = || {
        let mut own = observed.host.addresses.iter().filter(|address| address.dev == link.name);
        own.any(|address| is_link_local(address.net.ip()))
    };
    let asked = |gateway: &&IpAddr| {
        let served = path.serves(Family::of(**gateway));
        path.up && served && !link.point_to_point && (gateway.is_ipv4() || asks6())
    };
    let neighbour =
        |address: &IpAddr| Neighbour { dev: path.dev.clone(), index: link.index, address: *address };
    path.gateways.iter().filter(asked).map(neighbour).collect()
}
