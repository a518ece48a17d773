//! rtnetlink messages → the model's objects. They are read by hand, because there may be thousands of them: a crate that
//! reads all that is in a message takes several times as long, most of it for memory.

use super::devconf::{self, Settings};
use super::nexthop::NextHops;
use crate::attributes::{address as ip, attributes, find, native, word};
use crate::model::stack::{DeviceNames, is_link_local};
use crate::model::{Address, Family, Link, Port, Route, RouteKind, Rule, RuleAction};
use ipnetwork::IpNetwork;
use std::net::IpAddr;

/// RTM_GETLINK (include/uapi/linux/rtnetlink.h).
pub(super) const GET_LINK: u16 = 18;
/// `struct ifinfomsg`, and where its index and its flags are.
pub(super) const IFINFO: usize = 16;
pub(super) const IFINFO_INDEX: usize = 4;
const IFINFO_FLAGS: usize = 8;
/// IFLA_IFNAME, _MTU, _LINKINFO, _IFALIAS, _STATS64, _AF_SPEC, _GROUP, _PROP_LIST (include/uapi/linux/if_link.h).
pub(super) const IFNAME: u16 = 3;
const MTU: u16 = 4;
const LINKINFO: u16 = 18;
const IFALIAS: u16 = 20;
const STATS64: u16 = 23;
const AF_SPEC: u16 = 26;
const GROUP: u16 = 27;
const PROP_LIST: u16 = 52;
/// IFLA_INFO_KIND.
const INFO_KIND: u16 = 1;
/// `rx_bytes` and `tx_bytes` of `struct rtnl_link_stats64`.
const RX_BYTES: usize = 16;
const TX_BYTES: usize = 24;

/// A link, its number in it, and its settings.
pub(super) fn link(body: &[u8]) -> Option<(Link, Settings)> {
    let is =
        |flag: libc::c_int| u32_at(body, IFINFO_FLAGS).is_some_and(|flags| flags & flag.cast_unsigned() != 0);
    let mut out = Link {
        index: u32_at(body, IFINFO_INDEX)?,
        up: is(libc::IFF_UP),
        carrier: is(libc::IFF_LOWER_UP),
        loopback: is(libc::IFF_LOOPBACK),
        // A tunnel without a fixed peer (xfrm, sit, vti) has no neighbours either.
        point_to_point: is(libc::IFF_POINTOPOINT) || (is(libc::IFF_NOARP) && !is(libc::IFF_BROADCAST)),
        ..Link::default()
    };
    let mut families = &[][..];
    for (kind, value) in attributes(body.get(IFINFO..)?) {
        match kind {
            IFNAME => out.name = word(value),
            IFALIAS => out.alias = Some(word(value)),
            MTU => out.mtu = u32_at(value, 0)?,
            GROUP => out.group = u32_at(value, 0)?,
            STATS64 => out.bytes = u64_at(value, RX_BYTES).zip(u64_at(value, TX_BYTES)),
            LINKINFO => out.kind = find(value, INFO_KIND).map(word),
            PROP_LIST => out.altnames.extend(attributes(value).map(|(_, name)| word(name))),
            AF_SPEC => families = value,
            _ => {}
        }
    }
    // Nothing is set or asked of the loopback device.
    let settings = if out.loopback { Settings::new() } else { devconf::settings(families, &out.name) };
    Some((out, settings))
}

/// A number in the host's byte order.
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_ne_bytes(*word))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|long| u64::from_ne_bytes(*long))
}

/// The index of the link that an address is on: `ifa_index`.
pub(super) fn address_index(body: &[u8]) -> Option<u32> {
    u32_at(body, 4)
}

/// Whether an address is a link-local one.
pub(super) fn has_link_local_address(body: &[u8]) -> bool {
    let own = body.get(IFADDR..).and_then(|rest| find(rest, IFA_LOCAL).or_else(|| find(rest, IFA_ADDRESS)));
    own.and_then(ip).is_some_and(is_link_local)
}

/// The index of the link that a route leads by, where it says one: RTA_OIF, after `struct rtmsg`.
pub(super) fn route_index(body: &[u8]) -> Option<u32> {
    u32_at(find(body.get(12..)?, 4)?, 0)
}

/// `struct ifaddrmsg`, and where its prefix length is; IFA_ADDRESS, IFA_LOCAL (include/uapi/linux/if_addr.h).
const IFADDR: usize = 8;
const IFADDR_PREFIX: usize = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// An address. On a point-to-point device IFA_ADDRESS is the peer's and IFA_LOCAL ours.
pub(super) fn address(body: &[u8], names: &DeviceNames) -> Option<Address> {
    let dev = names.get(&address_index(body)?)?.clone();
    let rest = body.get(IFADDR..)?;
    let own = find(rest, IFA_LOCAL).or_else(|| find(rest, IFA_ADDRESS))?;
    Some(Address { dev, net: IpNetwork::new(ip(own)?, *body.get(IFADDR_PREFIX)?).ok()? })
}

/// `struct rtmsg` (include/uapi/linux/rtnetlink.h), and where in it are the family, the length of the destination, the
/// table, the protocol, the type and the flags.
const ROUTE: usize = 12;
const ROUTE_FAMILY: usize = 0;
const ROUTE_PREFIX: usize = 1;
const ROUTE_TABLE: usize = 4;
const ROUTE_PROTOCOL: usize = 5;
const ROUTE_TYPE: usize = 7;
const ROUTE_FLAGS: usize = 8;
/// RTA_DST and so on.
const DESTINATION: u16 = 1;
const OIF: u16 = 4;
const GATEWAY: u16 = 5;
const PRIORITY: u16 = 6;
const PREFERRED_SOURCE: u16 = 7;
const MULTIPATH: u16 = 9;
const TABLE: u16 = 15;
const VIA: u16 = 18;
const NEXT_HOP_OBJECT: u16 = 30;
/// RTN_UNICAST, RTN_UNREACHABLE.
const UNICAST: u8 = 1;
const UNREACHABLE: u8 = 7;
/// RTNH_F_ONLINK, RTM_F_CLONED.
const ONLINK: u32 = 4;
const CLONED: u32 = 0x200;
/// `struct rtnexthop`, and where its index is.
const HOP: usize = 8;
const HOP_INDEX: usize = 4;

/// Whether a route of the main table leads to link-local addresses alone, as each device has one.
pub(super) fn leads_to_its_link(body: &[u8]) -> bool {
    let to = find(body.get(ROUTE..).unwrap_or_default(), DESTINATION).and_then(ip);
    body.get(ROUTE_TABLE) == Some(&libc::RT_TABLE_MAIN) && to.is_some_and(is_link_local)
}

/// Whether a route leads by several next hops, or by an object.
pub(super) fn has_next_hops(body: &[u8]) -> bool {
    let rest = body.get(ROUTE..).unwrap_or_default();
    [MULTIPATH, NEXT_HOP_OBJECT].iter().any(|kind| find(rest, *kind).is_some())
}

/// What a message says of a route: one, one by the next hops of an object of that number, or one by each of its own.
pub(super) enum RouteMessage {
    One(Route),
    ByObject(Route, u32),
    Several(Vec<Route>),
}

impl RouteMessage {
    /// The route by each of its next hops.
    pub(super) fn routes(self, names: &DeviceNames, objects: &NextHops) -> Vec<Route> {
        match self {
            Self::One(route) => vec![route],
            Self::ByObject(route, number) => objects.routes(&route, number, names),
            Self::Several(routes) => routes,
        }
    }
}

/// A route; none of those that are not the administrator's: clones, and the local table.
pub(super) fn route(body: &[u8], names: &DeviceNames) -> Option<RouteMessage> {
    let family = family(*body.get(ROUTE_FAMILY)?)?;
    let flags = u32_at(body, ROUTE_FLAGS)?;
    let rest = body.get(ROUTE..)?;
    let table = find(rest, TABLE).and_then(native).unwrap_or(u32::from(*body.get(ROUTE_TABLE)?));
    if table == u32::from(libc::RT_TABLE_LOCAL) || flags & CLONED != 0 {
        return None;
    }
    let mut out = Route {
        kind: route_kind(*body.get(ROUTE_TYPE)?),
        onlink: flags & ONLINK != 0,
        ..Route::new(table, family.everything(), *body.get(ROUTE_PROTOCOL)?)
    };
    if let Some(to) = find(rest, DESTINATION).and_then(ip) {
        out.to = IpNetwork::new(to, *body.get(ROUTE_PREFIX)?).unwrap_or(out.to);
    }
    route_attributes(&mut out, rest, names);
    // The kernel shows IPv6's unreachable routes on lo.
    if out.kind == RouteKind::Unreachable {
        out.dev = None;
    }
    let says = [GATEWAY, VIA, OIF, MULTIPATH].iter().any(|kind| find(rest, *kind).is_some());
    let object = find(rest, NEXT_HOP_OBJECT).and_then(native).filter(|_| !says);
    Some(match (object, find(rest, MULTIPATH)) {
        (Some(number), _) => RouteMessage::ByObject(out, number),
        (None, Some(hops)) => RouteMessage::Several(next_hops(hops, &out, names)),
        (None, None) => RouteMessage::One(out),
    })
}

/// The route by each of these next hops, `struct rtnexthop` and attributes one after the other.
fn next_hops(mut hops: &[u8], route: &Route, names: &DeviceNames) -> Vec<Route> {
    let mut out = Vec::new();
    while let Some(hop) = next_hop(hops) {
        let dev = u32_at(hop, HOP_INDEX).and_then(|index| names.get(&index).cloned());
        let mut by = Route { dev, ..route.clone() };
        route_attributes(&mut by, hop.get(HOP..).unwrap_or_default(), names);
        out.push(by);
        hops = hops.get(hop.len().next_multiple_of(4)..).unwrap_or_default();
    }
    out
}

fn next_hop(hops: &[u8]) -> Option<&[u8]> {
    let length = usize::from(u16::from_ne_bytes(*hops.first_chunk()?));
    hops.get(..length).filter(|hop| hop.len() >= HOP)
}

/// What a route and a next hop of one may say.
fn route_attributes(out: &mut Route, rest: &[u8], names: &DeviceNames) {
    for (kind, value) in attributes(rest) {
        match kind {
            PRIORITY => out.metric = native(value).unwrap_or_default(),
            OIF => out.dev = native(value).and_then(|index| names.get(&index).cloned()),
            GATEWAY => out.via = ip(value),
            // A family, and an address of it.
            VIA => out.via = value.get(2..).and_then(ip).filter(IpAddr::is_ipv6).or(out.via),
            PREFERRED_SOURCE => out.src = ip(value),
            _ => {}
        }
    }
}

fn route_kind(kind: u8) -> RouteKind {
    match kind {
        UNICAST => RouteKind::Unicast,
        UNREACHABLE => RouteKind::Unreachable,
        _ => RouteKind::Other,
    }
}

fn family(family: u8) -> Option<Family> {
    match i32::from(family) {
        libc::AF_INET => Some(Family::V4),
        libc::AF_INET6 => Some(Family::V6),
        _ => None,
    }
}

/// `struct fib_rule_hdr` (include/uapi/linux/fib_rules.h), and where in it are the family, the lengths of both networks,
/// the type of service, the table, the action and the flags.
const RULE: usize = 12;
const RULE_FAMILY: usize = 0;
const RULE_TO_PREFIX: usize = 1;
const RULE_FROM_PREFIX: usize = 2;
const RULE_TOS: usize = 3;
const RULE_TABLE: usize = 4;
const RULE_ACTION: usize = 7;
const RULE_FLAGS: usize = 8;
/// FIB_RULE_INVERT.
const INVERT: u32 = 2;
/// FRA_DST and so on.
mod fra {
    pub(super) const DESTINATION: u16 = 1;
    pub(super) const SOURCE: u16 = 2;
    pub(super) const IIFNAME: u16 = 3;
    pub(super) const GOTO: u16 = 4;
    pub(super) const PRIORITY: u16 = 6;
    pub(super) const FWMARK: u16 = 10;
    pub(super) const SUPPRESS_IFGROUP: u16 = 13;
    pub(super) const SUPPRESS_PREFIXLEN: u16 = 14;
    pub(super) const TABLE: u16 = 15;
    pub(super) const FWMASK: u16 = 16;
    pub(super) const OIFNAME: u16 = 17;
    pub(super) const L3MDEV: u16 = 19;
    pub(super) const UID_RANGE: u16 = 20;
    pub(super) const PROTOCOL: u16 = 21;
    pub(super) const IP_PROTOCOL: u16 = 22;
    pub(super) const DESTINATION_PORTS: u16 = 24;
    pub(super) const DESTINATION_PORT_MASK: u16 = 29;
}

/// A rule.
pub(super) fn rule(body: &[u8]) -> Option<Rule> {
    let byte = |at: usize| body.get(at).copied();
    let mut out = Rule::new(family(byte(RULE_FAMILY)?)?, 0, rule_action(body)?, 0);
    out.more.invert = u32_at(body, RULE_FLAGS)? & INVERT != 0;
    out.more.narrow = byte(RULE_TOS)? != 0;
    let rest = body.get(RULE..)?;
    let net = |kind, prefix| IpNetwork::new(ip(find(rest, kind)?)?, byte(prefix)?).ok();
    out.from = net(fra::SOURCE, RULE_FROM_PREFIX);
    out.to = net(fra::DESTINATION, RULE_TO_PREFIX);
    for (kind, value) in attributes(rest) {
        rule_attribute(&mut out, kind, value);
    }
    Some(out)
}

fn rule_action(body: &[u8]) -> Option<RuleAction> {
    Some(match *body.get(RULE_ACTION)? {
        1 => RuleAction::Lookup(u32::from(*body.get(RULE_TABLE)?)),
        2 => RuleAction::Goto(0),
        6 => RuleAction::Blackhole,
        7 => RuleAction::Unreachable,
        8 => RuleAction::Prohibit,
        _ => RuleAction::Other,
    })
}

fn rule_attribute(out: &mut Rule, kind: u16, value: &[u8]) {
    let number = native(value).unwrap_or_default();
    let byte = value.first().copied().unwrap_or_default();
    match kind {
        fra::SOURCE | fra::DESTINATION => {}
        fra::PRIORITY => out.preference = number,
        fra::FWMARK => out.mark = Some((number, out.mark.map_or(u32::MAX, |(_, mask)| mask))),
        fra::FWMASK => out.mark = Some((out.mark.map_or(0, |(mark, _)| mark), number)),
        fra::PROTOCOL => out.protocol = byte,
        fra::IP_PROTOCOL => {
            out.port = Some(Port { protocol: byte, port: out.port.map_or(0, |port| port.port) });
        }
        fra::DESTINATION_PORTS if value.get(..2) == value.get(2..4) => {
            let port = value.first_chunk().map_or(0, |port| u16::from_ne_bytes(*port));
            out.port = Some(Port { protocol: out.port.map_or(0, |port| port.protocol), port });
        }
        fra::TABLE => {
            if let RuleAction::Lookup(to) = &mut out.action {
                *to = number;
            }
        }
        fra::GOTO => out.action = RuleAction::Goto(number),
        fra::IIFNAME => out.more.iif = Some(word(value)),
        fra::OIFNAME => out.more.oif = Some(word(value)),
        fra::L3MDEV => out.more.l3mdev = byte != 0,
        fra::UID_RANGE => out.more.uids = Some((number, u32_at(value, 4).unwrap_or(number))),
        // This is how the kernel spells the absence of these two.
        fra::SUPPRESS_PREFIXLEN | fra::SUPPRESS_IFGROUP if number == u32::MAX => {}
        fra::SUPPRESS_PREFIXLEN => out.suppress = u8::try_from(number).ok(),
        // Kernels from 6.15 on spell a single port's mask out.
        fra::DESTINATION_PORT_MASK if value.iter().all(|byte| *byte == 0xff) => {}
        _ => out.more.narrow = true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::{attribute, nested};

    fn names() -> DeviceNames {
        DeviceNames::from([(2, "eth0".to_owned()), (3, "eth1".to_owned())])
    }

    fn head(family: u8, table: u8, kind: u8) -> Vec<u8> {
        vec![family, 24, 0, 0, table, 4, 0, kind, 0, 0, 0, 0]
    }

    fn shown(body: &[u8]) -> Vec<String> {
        let routes = route(body, &names()).map(|read| read.routes(&names(), &NextHops::default()));
        let text = |route: &Route| format!("{} {:?} {:?} {}", route.to, route.via, route.dev, route.table);
        routes.unwrap_or_default().iter().map(text).collect()
    }

    #[test]
    fn a_route_by_several_next_hops_is_one_by_each() {
        let hop = |index: u32, last: u8| {
            let gateway = attribute(GATEWAY, &[192, 0, 2, last]);
            let length = u16::try_from(HOP + gateway.len()).unwrap();
            [&length.to_ne_bytes()[..], &[0, 0], &index.to_ne_bytes(), &gateway].concat()
        };
        let hops = [hop(2, 1), hop(3, 2)].concat();
        let to = attribute(DESTINATION, &[198, 51, 100, 0]);
        let table = attribute(TABLE, &300_u32.to_ne_bytes());
        let body = [head(2, 252, UNICAST), to, table, nested(MULTIPATH, &hops)].concat();
        let by = |last, dev| format!("198.51.100.0/24 Some(192.0.2.{last}) Some(\"{dev}\") 300");
        assert_eq!(shown(&body), [by(1, "eth0"), by(2, "eth1")]);
        // What is cut off ends the list; nothing else comes of it.
        for end in 0..body.len() {
            assert!(shown(&body[..end]).len() <= 2);
        }
    }

    #[test]
    fn an_ipv4_route_may_lead_by_an_ipv6_router() {
        let via =
            [&10_u16.to_ne_bytes()[..], &"fe80::1".parse::<std::net::Ipv6Addr>().unwrap().octets()].concat();
        let body =
            [head(2, 254, UNICAST), attribute(OIF, &2_u32.to_ne_bytes()), attribute(VIA, &via)].concat();
        assert_eq!(shown(&body), ["0.0.0.0/0 Some(fe80::1) Some(\"eth0\") 254"]);
    }

    #[test]
    fn the_local_table_and_clones_are_not_the_administrators() {
        assert!(shown(&head(2, 255, UNICAST)).is_empty());
        let cloned = [&head(10, 254, UNICAST)[..8], &CLONED.to_ne_bytes()].concat();
        assert!(shown(&cloned).is_empty() && !shown(&head(10, 254, UNICAST)).is_empty());
    }

    #[test]
    fn a_rule_of_one_port_is_not_narrow_and_one_of_several_is() {
        let ports = |first: u16, last: u16, mask: u16| {
            let range =
                attribute(fra::DESTINATION_PORTS, &[first.to_ne_bytes(), last.to_ne_bytes()].concat());
            let mask = attribute(fra::DESTINATION_PORT_MASK, &mask.to_ne_bytes());
            rule(&[head(2, 53, 1), attribute(fra::IP_PROTOCOL, &[17]), range, mask].concat()).unwrap()
        };
        let one = ports(53, 53, u16::MAX);
        assert_eq!((one.port, one.more.narrow), (Some(Port { protocol: 17, port: 53 }), false));
        assert_eq!(one.action, RuleAction::Lookup(53));
        assert!(ports(53, 54, u16::MAX).more.narrow && ports(53, 53, 0xfff0).more.narrow);
    }
}
