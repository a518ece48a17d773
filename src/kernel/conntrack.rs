//! Forgetting flows whose NAT was decided before their rewrite changed, and asking where a flow really goes.
//!
//! One CT_DELETE message with a filter (Linux 5.8 and later; `ctnetlink_flush_conntrack` in
//! net/netfilter/nf_conntrack_netlink.c) instead of a dump of everything. No crate builds that filter; it is a few
//! nested attributes.

use crate::error::{Context, Error, Result};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use std::net::{IpAddr, SocketAddr as Place};

/// NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE (include/uapi/linux/netfilter/nfnetlink*.h).
const CT_DELETE: u16 = (1 << 8) | 2;
/// NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET.
const CT_GET: u16 = (1 << 8) | 1;
const REQUEST: u16 = 1;
const REQUEST_ACK: u16 = 1 | 4;
const NESTED: u16 = 0x8000;
const ERROR: u16 = 2;

// include/uapi/linux/netfilter/nfnetlink_conntrack.h
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_FILTER: u16 = 25;
const CTA_FILTER_ORIG_FLAGS: u16 = 1;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_IP_V6_DST: u16 = 4;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;

/// Which parts of the tuple count: source address, protocol, destination port (the order of bits is that of
/// `enum ctattr_filter` in net/netfilter/nf_internals.h).
const BY_SOURCE_PROTOCOL_PORT: u32 = 1 | 1 << 3 | 1 << 5;

/// Forgets the flows from `source` to `port`, over udp and tcp.
pub(super) fn forget(source: IpAddr, port: u16) -> Result<()> {
    [17, 6].into_iter().try_for_each(|protocol| delete(source, protocol, port))
}

/// Who answers the flow from `source` to `server`: where replies to it come from. None where there is no such flow.
pub(super) fn reply_source(source: Place, server: Place, protocol: u8) -> Result<Option<Place>> {
    let answer = transact(|| format!("look a flow of {source} up"), &get(source, server, protocol))?;
    Ok(answer.get(20..).and_then(reply_in))
}

fn delete(source: IpAddr, protocol: u8, port: u16) -> Result<()> {
    let what = || format!("forget flows of {source}");
    let answer = transact(what, &message(source, protocol, port))?;
    match errno(&answer) {
        // ENOENT: there was none.
        Some(0 | libc::ENOENT) => Ok(()),
        Some(errno) => Err(Error::new(what(), std::io::Error::from_raw_os_error(errno))),
        None => Err(Error::new(what(), "the kernel's answer makes no sense")),
    }
}

/// Sends a request and reads its answer.
fn transact(what: impl Fn() -> String, request: &[u8]) -> Result<Vec<u8>> {
    let mut socket = Socket::new(NETLINK_NETFILTER).what(&what)?;
    socket.bind_auto().what(&what)?;
    socket.connect(&SocketAddr::new(0, 0)).what(&what)?;
    socket.send(request, 0).what(&what)?;
    Ok(socket.recv_from_full().what(&what)?.0)
}

/// The positive errno of an NLMSG_ERROR.
fn errno(answer: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let code = i32::from_ne_bytes(answer.get(16..20)?.try_into().ok()?);
    (kind == ERROR).then_some(-code)
}

fn message(source: IpAddr, protocol: u8, port: u16) -> Vec<u8> {
    let (family, address) = match source {
        IpAddr::V4(ip) => (libc::AF_INET, attribute(CTA_IP_V4_SRC, &ip.octets())),
        IpAddr::V6(ip) => (libc::AF_INET6, attribute(CTA_IP_V6_SRC, &ip.octets())),
    };
    let numbers = [attribute(CTA_PROTO_NUM, &[protocol]), attribute(CTA_PROTO_DST_PORT, &port.to_be_bytes())];
    let tuple = [nested(CTA_TUPLE_IP, &address), nested(CTA_TUPLE_PROTO, &numbers.concat())];
    let flags = attribute(CTA_FILTER_ORIG_FLAGS, &BY_SOURCE_PROTOCOL_PORT.to_ne_bytes());
    let body = [nested(CTA_TUPLE_ORIG, &tuple.concat()), nested(CTA_FILTER, &flags)].concat();
    request(CT_DELETE, REQUEST_ACK, family, &body)
}

fn get(source: Place, server: Place, protocol: u8) -> Vec<u8> {
    let (family, addresses) = match (source.ip(), server.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (
            libc::AF_INET,
            [attribute(CTA_IP_V4_SRC, &from.octets()), attribute(CTA_IP_V4_DST, &to.octets())],
        ),
        (from, to) => (libc::AF_INET6, [(CTA_IP_V6_SRC, from), (CTA_IP_V6_DST, to)].map(ipv6)),
    };
    let ports = [(CTA_PROTO_SRC_PORT, source), (CTA_PROTO_DST_PORT, server)];
    let ports = ports.map(|(kind, place)| attribute(kind, &place.port().to_be_bytes()));
    let numbers = [attribute(CTA_PROTO_NUM, &[protocol]), ports.concat()];
    let tuple = [nested(CTA_TUPLE_IP, &addresses.concat()), nested(CTA_TUPLE_PROTO, &numbers.concat())];
    request(CT_GET, REQUEST, family, &nested(CTA_TUPLE_ORIG, &tuple.concat()))
}

fn ipv6((kind, ip): (u16, IpAddr)) -> Vec<u8> {
    match ip {
        IpAddr::V6(ip) => attribute(kind, &ip.octets()),
        IpAddr::V4(ip) => attribute(kind, &ip.to_ipv6_mapped().octets()),
    }
}

/// nlmsghdr (16 bytes), then nfgenmsg: family, version, resource.
fn request(kind: u16, flags: u16, family: i32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(20 + body.len()).unwrap_or(0);
    let mut out = length.to_ne_bytes().to_vec();
    out.extend(kind.to_ne_bytes());
    out.extend(flags.to_ne_bytes());
    out.extend([0; 8]);
    out.extend([u8::try_from(family).unwrap_or(0), 0, 0, 0]);
    out.extend(body);
    out
}

/// The source of replies, out of a conntrack entry's attributes.
fn reply_in(attributes: &[u8]) -> Option<Place> {
    let tuple = find(attributes, CTA_TUPLE_REPLY)?;
    let (ip, numbers) = (find(tuple, CTA_TUPLE_IP)?, find(tuple, CTA_TUPLE_PROTO)?);
    let v4 = || Some(IpAddr::from(<[u8; 4]>::try_from(find(ip, CTA_IP_V4_SRC)?).ok()?));
    let v6 = || Some(IpAddr::from(<[u8; 16]>::try_from(find(ip, CTA_IP_V6_SRC)?).ok()?));
    let port = u16::from_be_bytes(find(numbers, CTA_PROTO_SRC_PORT)?.try_into().ok()?);
    Some(Place::new(v4().or_else(v6)?, port))
}

/// The value of the attribute of that kind.
fn find(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(attributes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(attributes.get(2..4)?.try_into().ok()?);
        let value = attributes.get(4..length)?;
        if kind & !NESTED == wanted {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

fn nested(kind: u16, body: &[u8]) -> Vec<u8> {
    attribute(kind | NESTED, body)
}

/// Length, type, value, padding to four bytes (netlink(7)).
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut out = length.to_ne_bytes().to_vec();
    out.extend(kind.to_ne_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}
