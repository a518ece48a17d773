//! The model's objects → rtnetlink messages.

use crate::model::{Address, Family, Route, RouteKind, Rule, RuleAction, numbers};
use crate::plan::Side;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope,
    RouteType, RouteVia,
};
use netlink_packet_route::rule::{self, RuleAttribute, RuleMessage, RulePortRange};
use netlink_packet_route::{AddressFamily, IpProtocol};
use std::net::IpAddr;
use std::os::fd::RawFd;

fn family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

/// A veth pair in one message: host veth `link`, its peer `inside` already in the namespace behind `netns`, where one is named. One queue
/// each way: without that the kernel makes one for every possible CPU and throws them away. Not up: the peer may
/// not be at creation (ENOTCONN), and the host veth not before its sysctls are set.
pub(super) fn veth(link: &str, mtu: u32, inside: &str, netns: Option<RawFd>) -> LinkMessage {
    let common = |name: &str| {
        vec![
            LinkAttribute::IfName(name.into()),
            LinkAttribute::Mtu(mtu),
            LinkAttribute::Group(numbers::LINK_GROUP),
            LinkAttribute::NumTxQueues(1),
            LinkAttribute::NumRxQueues(1),
        ]
    };
    let mut peer = LinkMessage::default();
    peer.attributes = common(inside);
    peer.attributes.extend(netns.map(LinkAttribute::NetNsFd));
    let mut out = LinkMessage::default();
    out.attributes = common(link);
    out.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    out
}

/// An address; IPv6 without duplicate address detection.
///
/// The host's address of a veth pair is of scope link. A device of the host's that has no address at this moment,
/// because its lease is renewed or it is set up anew, borrows one of another device for what it sends, its ARP
/// questions too; but never one of scope link (inet_select_addr in net/ipv4/devinet.c). IPv6 has the scope in the
/// address itself.
pub(super) fn address(place: &Side, address: &Address, index: u32) -> AddressMessage {
    let mut out = AddressMessage::default();
    out.header.family = family(Family::of_net(address.net));
    out.header.prefix_len = address.net.prefix();
    out.header.index = index;
    out.header.scope = match place {
        Side::Host => AddressScope::Link,
        Side::Inside(_) => AddressScope::Universe,
    };
    out.attributes =
        vec![AddressAttribute::Local(address.net.ip()), AddressAttribute::Address(address.net.ip())];
    if address.net.is_ipv6() {
        out.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    out
}

/// A route; `index` is its device's.
pub(super) fn route(route: &Route, index: Option<u32>) -> RouteMessage {
    let mut out = RouteMessage::default();
    out.header = RouteHeader {
        address_family: family(route.family()),
        destination_prefix_length: route.to.prefix(),
        // Tables above 255 stand in the attribute.
        table: RouteHeader::RT_TABLE_UNSPEC,
        protocol: RouteProtocol::from(route.protocol),
        scope: scope(route),
        kind: kind(route.kind),
        flags: if route.onlink { RouteFlags::Onlink } else { RouteFlags::empty() },
        ..RouteHeader::default()
    };
    out.attributes.push(RouteAttribute::Table(route.table));
    if route.to.prefix() > 0 {
        out.attributes.push(RouteAttribute::Destination(route_address(route.to.network())));
    }
    if route.metric > 0 {
        out.attributes.push(RouteAttribute::Priority(route.metric));
    }
    out.attributes.extend(route.via.map(|via| gateway(route.family(), via)));
    out.attributes.extend(route.src.map(|src| RouteAttribute::PrefSource(route_address(src))));
    out.attributes.extend(index.map(RouteAttribute::Oif));
    out
}

fn gateway(family: Family, via: IpAddr) -> RouteAttribute {
    match (family, via) {
        (Family::V4, IpAddr::V6(via)) => RouteAttribute::Via(RouteVia::Inet6(via)),
        _ => RouteAttribute::Gateway(route_address(via)),
    }
}

/// As ip-route(8): a route without a next hop reaches its destination on the link.
fn scope(route: &Route) -> RouteScope {
    let direct = route.via.is_none() && route.kind == RouteKind::Unicast && route.family() == Family::V4;
    if direct { RouteScope::Link } else { RouteScope::Universe }
}

fn kind(kind: RouteKind) -> RouteType {
    match kind {
        RouteKind::Unicast | RouteKind::Other => RouteType::Unicast,
        RouteKind::Unreachable => RouteType::Unreachable,
    }
}

fn route_address(ip: IpAddr) -> RouteAddress {
    match ip {
        IpAddr::V4(ip) => RouteAddress::Inet(ip),
        IpAddr::V6(ip) => RouteAddress::Inet6(ip),
    }
}

/// A rule. The action is always spelled out: a rule without one is accepted and does nothing.
pub(super) fn rule(rule: &Rule) -> RuleMessage {
    let mut out = RuleMessage::default();
    out.header.family = family(rule.family);
    out.attributes = vec![
        RuleAttribute::Priority(rule.preference),
        RuleAttribute::Protocol(RouteProtocol::from(rule.protocol)),
    ];
    match rule.action {
        RuleAction::Lookup(table) => {
            out.header.action = rule::RuleAction::ToTable;
            out.attributes.push(RuleAttribute::Table(table));
        }
        RuleAction::Blackhole => out.header.action = rule::RuleAction::Blackhole,
        RuleAction::Unreachable | RuleAction::Prohibit | RuleAction::Goto(_) | RuleAction::Other => {
            out.header.action = rule::RuleAction::Unreachable;
        }
    }
    out.attributes.extend(rule.suppress.map(|prefix| RuleAttribute::SuppressPrefixLen(prefix.into())));
    if let Some(net) = rule.from {
        out.header.src_len = net.prefix();
        out.attributes.push(RuleAttribute::Source(net.network()));
    }
    if let Some(net) = rule.to {
        out.header.dst_len = net.prefix();
        out.attributes.push(RuleAttribute::Destination(net.network()));
    }
    if let Some((mark, mask)) = rule.mark {
        out.attributes.extend([RuleAttribute::FwMark(mark), RuleAttribute::FwMask(mask)]);
    }
    if let Some(port) = rule.port {
        out.attributes.push(RuleAttribute::IpProtocol(IpProtocol::from(i32::from(port.protocol))));
        let range = RulePortRange { start: port.port, end: port.port };
        out.attributes.push(RuleAttribute::DestinationPortRange(range));
    }
    out
}
