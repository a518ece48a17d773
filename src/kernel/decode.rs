//! rtnetlink messages → the model's objects.

use super::devconf::{self, Settings};
use super::nexthop::NextHops;
use crate::attributes::{attributes, find};
use crate::model::stack::DeviceNames;
use crate::model::{Address, Family, Link, Port, Route, RouteKind, Rule, RuleAction};
use ipnetwork::IpNetwork;
use netlink_packet_core::{DefaultNla, NetlinkDeserializable, NetlinkHeader, Nla};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteNextHop, RouteType, RouteVia,
};
use netlink_packet_route::rule::{self, RuleAttribute, RuleFlags, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use std::net::IpAddr;

/// RTM_GETLINK (include/uapi/linux/rtnetlink.h).
pub(super) const GET_LINK: u16 = 18;
/// `struct ifinfomsg`, and where its index and its flags are.
pub(super) const IFINFO: usize = 16;
const IFINFO_INDEX: usize = 4;
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

/// A link, its number in it, and its settings. Read by hand, because there may be thousands of them, and the crate
/// would read a hundred numbers of each.
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
            IFNAME => out.name = text(value),
            IFALIAS => out.alias = Some(text(value)),
            MTU => out.mtu = u32_at(value, 0)?,
            GROUP => out.group = u32_at(value, 0)?,
            STATS64 => out.bytes = u64_at(value, RX_BYTES).zip(u64_at(value, TX_BYTES)),
            LINKINFO => out.kind = find(value, INFO_KIND).map(text),
            PROP_LIST => out.altnames.extend(attributes(value).map(|(_, name)| text(name))),
            AF_SPEC => families = value,
            _ => {}
        }
    }
    let settings = devconf::settings(families, &out.name);
    Some((out, settings))
}

/// A text up to its zero byte.
fn text(value: &[u8]) -> String {
    let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
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

/// The index of the link that a route leads by, where it says one: RTA_OIF, after `struct rtmsg`.
pub(super) fn route_index(body: &[u8]) -> Option<u32> {
    u32_at(find(body.get(12..)?, 4)?, 0)
}

/// What the crate makes of a message that is not a link.
pub(super) fn message(kind: u16, body: &[u8]) -> Option<RouteNetlinkMessage> {
    let mut header = NetlinkHeader::default();
    header.message_type = kind;
    RouteNetlinkMessage::deserialize(&header, body).ok()
}

/// An address.
pub(super) fn address(message: &RouteNetlinkMessage, names: &DeviceNames) -> Option<Address> {
    let RouteNetlinkMessage::NewAddress(message) = message else { return None };
    let dev = names.get(&message.header.index)?.clone();
    let net = IpNetwork::new(own_address(message)?, message.header.prefix_len).ok()?;
    Some(Address { dev, net })
}

/// On a point-to-point device IFA_ADDRESS is the peer's and IFA_LOCAL ours (include/uapi/linux/if_addr.h).
fn own_address(message: &AddressMessage) -> Option<IpAddr> {
    let mut found = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => return Some(*ip),
            AddressAttribute::Address(ip) => found = Some(*ip),
            _ => {}
        }
    }
    found
}

/// The number of the object that a route leads by, where it says nothing else of its next hops.
pub(super) fn by_object(message: &RouteNetlinkMessage) -> Option<u32> {
    let RouteNetlinkMessage::NewRoute(message) = message else { return None };
    let says = |attribute: &RouteAttribute| {
        matches!(
            attribute,
            RouteAttribute::Gateway(_)
                | RouteAttribute::Via(_)
                | RouteAttribute::Oif(_)
                | RouteAttribute::MultiPath(_)
        )
    };
    let number = |attribute: &RouteAttribute| match attribute {
        RouteAttribute::NhId(number) => Some(*number),
        _ => None,
    };
    let attributes = &message.attributes;
    attributes.iter().find_map(number).filter(|_| !attributes.iter().any(says))
}

/// A route, one for each of its next hops; none of those that are not the administrator's: clones, and the local table.
pub(super) fn routes(message: &RouteNetlinkMessage, names: &DeviceNames, objects: &NextHops) -> Vec<Route> {
    let object = by_object(message);
    let RouteNetlinkMessage::NewRoute(message) = message else { return Vec::new() };
    let Some(route) = route(message, names) else { return Vec::new() };
    if let Some(object) = object {
        return objects.routes(&route, object, names);
    }
    let hops = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::MultiPath(hops) => Some(hops),
        _ => None,
    });
    let Some(hops) = hops else { return vec![route] };
    let by = |hop: &RouteNextHop| {
        let mut out = Route { dev: names.get(&hop.interface_index).cloned(), ..route.clone() };
        hop.attributes.iter().for_each(|attribute| route_attribute(&mut out, attribute, message, names));
        out
    };
    hops.iter().map(by).collect()
}

fn route(message: &RouteMessage, names: &DeviceNames) -> Option<Route> {
    let family = family(message.header.address_family)?;
    let mut out = Route {
        kind: route_kind(message.header.kind),
        onlink: message.header.flags.contains(RouteFlags::Onlink),
        ..Route::new(u32::from(message.header.table), family.everything(), u8::from(message.header.protocol))
    };
    for attribute in &message.attributes {
        route_attribute(&mut out, attribute, message, names);
    }
    // The kernel shows IPv6's unreachable routes on lo.
    if out.kind == RouteKind::Unreachable {
        out.dev = None;
    }
    let local = out.table == u32::from(libc::RT_TABLE_LOCAL);
    (!local && !message.header.flags.contains(RouteFlags::Cloned)).then_some(out)
}

fn route_attribute(out: &mut Route, attribute: &RouteAttribute, message: &RouteMessage, names: &DeviceNames) {
    match attribute {
        RouteAttribute::Table(table) => out.table = *table,
        RouteAttribute::Priority(metric) => out.metric = *metric,
        RouteAttribute::Oif(index) => out.dev = names.get(index).cloned(),
        RouteAttribute::Gateway(via) => out.via = address_of(via),
        RouteAttribute::Via(RouteVia::Inet6(via)) => out.via = Some(IpAddr::V6(*via)),
        RouteAttribute::PrefSource(src) => out.src = address_of(src),
        RouteAttribute::Destination(to) => {
            let prefix = message.header.destination_prefix_length;
            if let Some(net) = address_of(to).and_then(|ip| IpNetwork::new(ip, prefix).ok()) {
                out.to = net;
            }
        }
        _ => {}
    }
}

fn address_of(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some(IpAddr::V4(*ip)),
        RouteAddress::Inet6(ip) => Some(IpAddr::V6(*ip)),
        _ => None,
    }
}

fn route_kind(kind: RouteType) -> RouteKind {
    match kind {
        RouteType::Unicast => RouteKind::Unicast,
        RouteType::Unreachable => RouteKind::Unreachable,
        _ => RouteKind::Other,
    }
}

fn family(family: AddressFamily) -> Option<Family> {
    match family {
        AddressFamily::Inet => Some(Family::V4),
        AddressFamily::Inet6 => Some(Family::V6),
        _ => None,
    }
}

/// A rule.
pub(super) fn rule(message: &RouteNetlinkMessage) -> Option<Rule> {
    let RouteNetlinkMessage::NewRule(message) = message else { return None };
    let family = family(message.header.family)?;
    let mut out = Rule::new(family, 0, rule_action(message), 0);
    out.more.invert = message.header.flags.contains(RuleFlags::Invert);
    out.more.narrow = message.header.tos != 0;
    for attribute in &message.attributes {
        rule_attribute(&mut out, attribute, message);
    }
    Some(out)
}

fn rule_action(message: &RuleMessage) -> RuleAction {
    match message.header.action {
        rule::RuleAction::ToTable => RuleAction::Lookup(u32::from(message.header.table)),
        rule::RuleAction::Unreachable => RuleAction::Unreachable,
        rule::RuleAction::Blackhole => RuleAction::Blackhole,
        rule::RuleAction::Prohibit => RuleAction::Prohibit,
        rule::RuleAction::Goto => RuleAction::Goto(0),
        _ => RuleAction::Other,
    }
}

fn rule_attribute(out: &mut Rule, attribute: &RuleAttribute, message: &RuleMessage) {
    let net = |ip: &IpAddr, prefix| IpNetwork::new(*ip, prefix).ok();
    match attribute {
        RuleAttribute::Priority(preference) => out.preference = *preference,
        RuleAttribute::Source(ip) => out.from = net(ip, message.header.src_len),
        RuleAttribute::Destination(ip) => out.to = net(ip, message.header.dst_len),
        RuleAttribute::FwMark(mark) => out.mark = Some((*mark, out.mark.map_or(u32::MAX, |(_, mask)| mask))),
        RuleAttribute::FwMask(mask) => out.mark = Some((out.mark.map_or(0, |(mark, _)| mark), *mask)),
        RuleAttribute::Protocol(protocol) => out.protocol = u8::from(*protocol),
        RuleAttribute::IpProtocol(protocol) => {
            let port = out.port.map_or(0, |port| port.port);
            out.port = Some(Port { protocol: (i32::from(*protocol)).try_into().unwrap_or(u8::MAX), port });
        }
        RuleAttribute::DestinationPortRange(range) if range.start == range.end => {
            let protocol = out.port.map_or(0, |port| port.protocol);
            out.port = Some(Port { protocol, port: range.start });
        }
        RuleAttribute::Table(table) => {
            if let RuleAction::Lookup(to) = &mut out.action {
                *to = *table;
            }
        }
        RuleAttribute::Goto(preference) => out.action = RuleAction::Goto(*preference),
        RuleAttribute::Iifname(name) => out.more.iif = Some(name.clone()),
        RuleAttribute::Oifname(name) => out.more.oif = Some(name.clone()),
        RuleAttribute::L3MDev(of_vrf) => out.more.l3mdev = *of_vrf,
        RuleAttribute::UidRange(range) => out.more.uids = Some((range.start, range.end)),
        // "none" is how the kernel spells the absence of these two.
        RuleAttribute::SuppressPrefixLen(u32::MAX) | RuleAttribute::SuppressIfGroup(u32::MAX) => {}
        RuleAttribute::SuppressPrefixLen(prefix) => out.suppress = u8::try_from(*prefix).ok(),
        // Kernels from 6.15 on spell a single port's mask out.
        RuleAttribute::Other(nla) if nla.kind() == DESTINATION_PORT_MASK && is_all_ones(nla) => {}
        _ => out.more.narrow = true,
    }
}

/// FRA_DPORT_MASK (include/uapi/linux/fib_rules.h).
const DESTINATION_PORT_MASK: u16 = 29;

fn is_all_ones(nla: &DefaultNla) -> bool {
    let mut value = vec![0; nla.value_len()];
    nla.emit_value(&mut value);
    value.iter().all(|byte| *byte == 0xff)
}
