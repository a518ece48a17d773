//! The many routes of a router, of which nsnat needs to know what they have in common.
//!
//! # Theory of operation
//!
//! A router that speaks BGP has a million routes, and a dump has them all. What nsnat takes from routes is: subnets on
//! devices, default routes, networks that the pool must not take, the tables that are in use, the source addresses that a
//! next hop is given, and the way to the host's own DNS servers. A route to a public network by way of a gateway has no part
//! in the first three. Two of them that differ in their destination only say the same for the rest, unless one of them
//! leads to a server.
//!
//! So of such routes one of each kind is kept. A host that has few keeps all of them, and nothing is different there.
//!
//! Most routes of a full table differ from one before in nothing but the bytes of their destination. Whether they do is seen
//! without reading them, which is what takes long of a million.

use crate::attributes::{attributes, find};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// `struct rtattr`: its length and its kind.
const ATTRIBUTE: usize = 4;
/// `struct rtmsg`, and in it the family, the length of the destination and the type (include/uapi/linux/rtnetlink.h).
pub(super) const HEADER: usize = 12;
pub(super) const FAMILY: usize = 0;
pub(super) const PREFIX: usize = 1;
pub(super) const TYPE: usize = 7;
/// RTA_DST, RTA_GATEWAY, RTA_CACHEINFO, RTA_VIA.
pub(super) const DESTINATION: u16 = 1;
pub(super) const GATEWAY: u16 = 5;
const CACHE_INFO: u16 = 12;
pub(super) const VIA: u16 = 18;
/// RTN_UNICAST.
pub(super) const UNICAST: u8 = 1;

/// So many of them are kept one by one.
const FEW: usize = 4096;
/// So many kinds are known by their bytes: the routers that a host has beside it, and some.
const KNOWN: usize = 16;
/// No network of the public table is smaller than this (RFC 7454, 6.1.3), and none of the host's own is that large.
pub(super) const SMALLEST: [u8; 2] = [24, 48];

/// No network of the public table is larger than this. Tunnels halve everything.
pub(super) const SHORTEST: u8 = 2;

/// Networks that are a host's own, or nobody's (RFC 6890).
pub(super) const OWN: [([u8; 4], u8); 11] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 2, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
];
/// From this first byte on, too.
pub(super) const MULTICAST: u8 = 224;
/// Which bits of the first word of an IPv6 address say that it is public, and how; and the first word of examples.
pub(super) const PUBLIC6: (u32, u32) = (0xe000_0000, 0x2000_0000);
pub(super) const DOCUMENTATION6: u32 = 0x2001_0db8;

/// Routes of one dump, as they come.
pub(super) struct FullTable<'a> {
    /// Addresses the way to which has to be known.
    servers: &'a [IpAddr],
    count: usize,
    kinds: HashSet<Vec<u8>>,
    known: Vec<Known>,
}

/// A route that said nothing new.
struct Known {
    route: Vec<u8>,
    /// Where its destination is.
    destination: Range<usize>,
}

impl Known {
    fn new(route: &[u8]) -> Option<Self> {
        let mut at = HEADER;
        for (kind, value) in attributes(route.get(HEADER..)?) {
            let start = at + ATTRIBUTE;
            if kind == DESTINATION {
                return Some(Self { route: route.to_vec(), destination: start..start + value.len() });
            }
            at = start + value.len().next_multiple_of(ATTRIBUTE);
        }
        None
    }

    /// The destination of a route that differs from this one in nothing else.
    fn destination_of<'r>(&self, route: &'r [u8]) -> Option<&'r [u8]> {
        let same = |part: Range<usize>| route.get(part.clone()) == self.route.get(part);
        let Range { start, end } = self.destination;
        let is_like = route.len() == self.route.len() && same(0..start) && same(end..route.len());
        route.get(start..end).filter(|_| is_like)
    }
}

impl<'a> FullTable<'a> {
    pub(super) fn new(servers: &'a [IpAddr]) -> Self {
        Self { servers, count: 0, kinds: HashSet::new(), known: Vec::new() }
    }

    /// Whether a route is one more of those that say nothing new, by its bytes alone.
    pub(super) fn is_more_of_them(&self, route: &[u8]) -> bool {
        let destination = self.known.iter().find_map(|known| known.destination_of(route));
        let net = destination.and_then(crate::attributes::address).filter(|net| is_public(*net));
        let leads_nowhere =
            |net| route.get(PREFIX).is_some_and(|prefix| !self.leads_to_a_server(net, *prefix));
        net.is_some_and(leads_nowhere)
    }

    fn leads_to_a_server(&self, net: IpAddr, prefix: u8) -> bool {
        self.servers.iter().any(|server| contains(net, prefix, *server))
    }

    /// Whether a route has something to say that none before it said.
    pub(super) fn is_news(&mut self, route: &[u8]) -> bool {
        let Some((net, prefix)) = public_destination(route) else { return true };
        self.count += 1;
        if self.leads_to_a_server(net, prefix) {
            return true;
        }
        let kind = kind(route);
        let is_new = !self.kinds.contains(&kind);
        if is_new {
            self.kinds.insert(kind);
        }
        let is_news = is_new || self.count <= FEW;
        if !is_news && self.known.len() < KNOWN {
            self.known.extend(Known::new(route));
        }
        is_news
    }
}

/// Where a route by way of a gateway leads to, where that is a network of the public table.
fn public_destination(route: &[u8]) -> Option<(IpAddr, u8)> {
    let (prefix, rest) = (*route.get(PREFIX)?, route.get(HEADER..)?);
    let smallest = if i32::from(*route.get(FAMILY)?) == libc::AF_INET { SMALLEST[0] } else { SMALLEST[1] };
    if *route.get(TYPE)? != UNICAST || !(SHORTEST..=smallest).contains(&prefix) {
        return None;
    }
    let has_gateway = attributes(rest).any(|(kind, _)| [GATEWAY, VIA].contains(&kind));
    let net = crate::attributes::address(find(rest, DESTINATION)?)?;
    (has_gateway && is_public(net)).then_some((net, prefix))
}

/// What a route has besides its destination.
fn kind(route: &[u8]) -> Vec<u8> {
    let mut out = route.get(..HEADER).unwrap_or_default().to_vec();
    let rest = attributes(route.get(HEADER..).unwrap_or_default());
    for (kind, value) in rest.filter(|(kind, _)| ![DESTINATION, CACHE_INFO].contains(kind)) {
        out.extend(kind.to_ne_bytes());
        out.extend(value);
    }
    out
}

/// Whether networks of that place are anybody's, and none of a host's own.
fn is_public(net: IpAddr) -> bool {
    match net {
        IpAddr::V4(ip) => {
            let is_within =
                |(own, prefix): &([u8; 4], u8)| contains(IpAddr::from(*own), *prefix, IpAddr::V4(ip));
            ip.octets() < [MULTICAST, 0, 0, 0] && !OWN.iter().any(is_within)
        }
        IpAddr::V6(ip) => {
            let word = ip.octets().first_chunk().map(|word| u32::from_be_bytes(*word)).unwrap_or_default();
            let (bits, public) = PUBLIC6;
            word & bits == public && word != DOCUMENTATION6
        }
    }
}

/// Whether a route is one of those of which there may be very many.
#[cfg(test)]
pub(super) fn is_passed_by(route: &[u8]) -> bool {
    public_destination(route).is_some()
}

fn contains(net: IpAddr, prefix: u8, address: IpAddr) -> bool {
    let differ = |a: u128, b: u128, width: u32| {
        (a ^ b).checked_shr(width - u32::from(prefix)).unwrap_or_default() != 0
    };
    match (net, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => !differ(bits4(a), bits4(b), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => !differ(bits6(a), bits6(b), 128),
        _ => false,
    }
}

fn bits4(ip: Ipv4Addr) -> u128 {
    u32::from(ip).into()
}

fn bits6(ip: Ipv6Addr) -> u128 {
    ip.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::attribute;

    fn route(to: &str, prefix: u8, gateway: Option<&str>) -> Vec<u8> {
        let bytes = |text: &str| crate::attributes::octets(text.parse().unwrap());
        let family = u8::try_from(if to.contains(':') { libc::AF_INET6 } else { libc::AF_INET }).unwrap();
        let header = vec![family, prefix, 0, 0, 254, 12, 0, UNICAST, 0, 0, 0, 0];
        let gateway = gateway.map(|gateway| attribute(GATEWAY, &bytes(gateway))).unwrap_or_default();
        [header, attribute(DESTINATION, &bytes(to)), gateway, attribute(4, &[2, 0, 0, 0])].concat()
    }

    /// With more than a few of them.
    fn router(servers: &[IpAddr]) -> FullTable<'_> {
        let mut table = FullTable::new(servers);
        let news = (0..=FEW).filter(|_| table.is_news(&route("20.0.0.0", 24, Some("192.0.2.1")))).count();
        assert_eq!(news, FEW, "few are kept one by one");
        table
    }

    #[test]
    fn of_many_public_routes_one_of_a_kind_is_kept() {
        let mut table = router(&[]);
        let mut is_news = |to, prefix, gateway| table.is_news(&route(to, prefix, gateway));
        assert!(!is_news("21.0.0.0", 24, Some("192.0.2.1")));
        assert!(is_news("21.0.0.0", 24, Some("192.0.2.2")), "another next hop");
        assert!(!is_news("21.0.1.0", 24, Some("192.0.2.2")));
        assert!(is_news("21.0.0.0", 20, Some("192.0.2.1")), "another length");
        assert!(is_news("2600::", 32, Some("2001:db8::1")) && !is_news("2601::", 32, Some("2001:db8::1")));
    }

    #[test]
    fn what_the_host_itself_has_is_always_kept() {
        let mut table = router(&[]);
        for (to, prefix) in [
            ("0.0.0.0", 0),
            ("128.0.0.0", 1),
            ("10.0.0.0", 8),
            ("172.20.0.0", 16),
            ("100.64.0.0", 10),
            ("21.0.0.0", 25),
            ("fd00::", 8),
            ("2600::", 49),
        ] {
            let gateway = if to.contains(':') { "fe80::1" } else { "192.0.2.1" };
            for _ in 0..2 {
                assert!(table.is_news(&route(to, prefix, Some(gateway))), "{to}/{prefix}");
            }
        }
        assert!(
            table.is_news(&route("21.0.0.0", 24, None)) && table.is_news(&route("21.0.1.0", 24, None)),
            "on a device"
        );
    }

    #[test]
    fn what_differs_in_its_destination_alone_is_known_by_its_bytes() {
        let servers = ["9.9.9.9".parse().unwrap()];
        let (one, other) = (Some("192.0.2.1"), Some("192.0.2.2"));
        let none = FullTable::new(&servers);
        assert!(!none.is_more_of_them(&route("21.0.1.0", 24, one)), "none is known");
        let table = router(&servers);
        assert!(table.is_more_of_them(&route("21.0.1.0", 24, one)));
        for (to, prefix, gateway) in
            [("21.0.0.0", 23, one), ("21.0.1.0", 24, other), ("21.0.1.0", 24, None), ("2600::", 24, one)]
        {
            assert!(!table.is_more_of_them(&route(to, prefix, gateway)), "{to}/{prefix} {gateway:?}");
        }
        assert!(!table.is_more_of_them(&route("10.0.0.0", 24, one)), "nobody's");
        assert!(!table.is_more_of_them(&route("9.9.9.0", 24, one)), "to a server");
        assert!(!table.is_more_of_them(&[]));
    }

    #[test]
    fn the_way_to_a_server_is_kept() {
        let servers = ["9.9.9.9".parse().unwrap(), "2620:fe::9".parse().unwrap()];
        let mut table = router(&servers);
        for _ in 0..2 {
            assert!(table.is_news(&route("9.9.9.0", 24, Some("192.0.2.1"))));
            assert!(table.is_news(&route("8.0.0.0", 6, Some("192.0.2.1"))));
            assert!(table.is_news(&route("2620:fe::", 48, Some("fe80::1"))));
        }
        assert!(!table.is_news(&route("9.9.8.0", 24, Some("192.0.2.1"))));
    }
}
