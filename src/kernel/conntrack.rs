//! Forgetting flows whose NAT was decided before their rewrite changed.
//!
//! One CT_DELETE message with a filter (Linux 5.8 and later; `ctnetlink_flush_conntrack` in
//! net/netfilter/nf_conntrack_netlink.c) instead of a dump of everything. No crate builds that filter; it is a few
//! nested attributes.

use crate::error::{Context, Error, Result};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use std::net::IpAddr;

/// NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE (include/uapi/linux/netfilter/nfnetlink*.h).
const CT_DELETE: u16 = (1 << 8) | 2;
const REQUEST_ACK: u16 = 1 | 4;
const NESTED: u16 = 0x8000;
const ERROR: u16 = 2;

// include/uapi/linux/netfilter/nfnetlink_conntrack.h
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_FILTER: u16 = 25;
const CTA_FILTER_ORIG_FLAGS: u16 = 1;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_DST_PORT: u16 = 3;

/// Which parts of the tuple count: source address, protocol, destination port (the order of bits is that of
/// `enum ctattr_filter` in net/netfilter/nf_internals.h).
const BY_SOURCE_PROTOCOL_PORT: u32 = 1 | 1 << 3 | 1 << 5;

/// Forgets the flows from `source` to `port`, over udp and tcp.
pub(super) fn forget(source: IpAddr, port: u16) -> Result<()> {
    [17, 6].into_iter().try_for_each(|protocol| delete(source, protocol, port))
}

fn delete(source: IpAddr, protocol: u8, port: u16) -> Result<()> {
    let what = || format!("forget flows of {source}");
    let mut socket = Socket::new(NETLINK_NETFILTER).what(what)?;
    socket.bind_auto().what(what)?;
    socket.connect(&SocketAddr::new(0, 0)).what(what)?;
    socket.send(&message(source, protocol, port), 0).what(what)?;
    let (answer, _) = socket.recv_from_full().what(what)?;
    match errno(&answer) {
        // ENOENT: there was none.
        Some(0 | libc::ENOENT) => Ok(()),
        Some(errno) => Err(Error::new(what(), std::io::Error::from_raw_os_error(errno))),
        None => Err(Error::new(what(), "the kernel's answer makes no sense")),
    }
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
    // nlmsghdr (16 bytes), then nfgenmsg: family, version, resource.
    let length = u32::try_from(20 + body.len()).unwrap_or(0);
    let mut out = length.to_ne_bytes().to_vec();
    out.extend(CT_DELETE.to_ne_bytes());
    out.extend(REQUEST_ACK.to_ne_bytes());
    out.extend([0; 8]);
    out.extend([u8::try_from(family).unwrap_or(0), 0, 0, 0]);
    out.extend(body);
    out
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
