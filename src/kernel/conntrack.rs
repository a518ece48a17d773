//! Forgetting flows whose NAT was decided before their rewrite changed, and asking where a flow really goes.
//!
//! One CT_DELETE message with a filter (Linux 5.8 and later; `ctnetlink_flush_conntrack` in
//! net/netfilter/nf_conntrack_netlink.c) instead of a dump of everything. No crate builds that filter; it is a few
//! nested attributes.

use super::nfnetlink::{Nfnetlink, attribute, find, nested};
use crate::error::{Error, Result};
use crate::plan::Flows;
use std::net::{IpAddr, SocketAddr};

/// NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE (include/uapi/linux/netfilter/nfnetlink*.h).
const CT_DELETE: u16 = (1 << 8) | 2;
/// NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET.
const CT_GET: u16 = (1 << 8) | 1;

const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;

// include/uapi/linux/netfilter/nfnetlink_conntrack.h
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_STATUS: u16 = 3;
const CTA_FILTER: u16 = 25;
const CTA_STATUS_MASK: u16 = 26;
const CTA_FILTER_ORIG_FLAGS: u16 = 1;
const CTA_FILTER_REPLY_FLAGS: u16 = 2;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_TUPLE_ZONE: u16 = 3;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_IP_V6_DST: u16 = 4;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;

/// Which parts of the tuple count (the order of bits is that of `enum ctattr_filter` in
/// net/netfilter/nf_internals.h): source address; destination address; protocol and destination port.
const BY_SOURCE: u32 = 1;
const BY_DESTINATION: u32 = 1 << 1;
const BY_PROTOCOL_AND_PORT: u32 = 1 << 3 | 1 << 5;

/// IPS_SRC_NAT (include/uapi/linux/netfilter/nf_conntrack_common.h).
const SOURCE_NAT: u32 = 1 << 4;

/// Zones of questions: none, and those that `dns_question` of host.nft gives where there are several servers.
const ZONES: [u16; 4] = [0, 1, 2, 3];

/// Forgets flows from `source`.
pub(super) fn forget(source: IpAddr, which: Flows) -> Result<()> {
    match which {
        Flows::To(port) => [17, 6]
            .into_iter()
            .try_for_each(|protocol| granted(source, delete(source, Some((protocol, port)), &[])?)),
        Flows::All => tolerated(source, delete(source, None, &[])?),
        Flows::Plain => {
            let status = attribute(CTA_STATUS, &0_u32.to_be_bytes());
            let mask = attribute(CTA_STATUS_MASK, &SOURCE_NAT.to_be_bytes());
            tolerated(source, delete(source, None, &[status, mask].concat())?)
        }
        Flows::LeavingWith(outside) => {
            let (family, filter) = leaving_with(source, outside);
            tolerated(source, Nfnetlink::open()?.ask(CT_DELETE, family, &filter)?)
        }
    }
}

/// A kernel that knows no such filter (EINVAL) keeps flows that come to nothing; that is not for `down` to fail on.
fn tolerated(source: IpAddr, errno: i32) -> Result<()> {
    if errno == libc::EINVAL { Ok(()) } else { granted(source, errno) }
}

fn granted(source: IpAddr, errno: i32) -> Result<()> {
    match errno {
        // ENOENT: there was none.
        0 | libc::ENOENT => Ok(()),
        _ => Err(Error::new(format!("forget flows of {source}"), std::io::Error::from_raw_os_error(errno))),
    }
}

/// Who answers the flow from `source` to `server`: where replies to it come from. None where there is no such flow.
pub(super) fn reply_source(
    source: SocketAddr,
    server: SocketAddr,
    protocol: u8,
) -> Result<Option<SocketAddr>> {
    let family = family_of(source.ip());
    let netlink = Nfnetlink::open()?;
    for zone in ZONES {
        let entry = netlink.get(CT_GET, family, &original(source, server, protocol, zone))?;
        if let Some(by) = entry.and_then(|entry| reply_in(&entry)) {
            return Ok(Some(by));
        }
    }
    Ok(None)
}

/// Deletes those that fit, and says what the kernel says.
fn delete(source: IpAddr, to: Option<(u8, u16)>, more: &[u8]) -> Result<i32> {
    let (family, filter) = filter(source, to);
    Nfnetlink::open()?.ask(CT_DELETE, family, &[&filter, more].concat())
}

/// The family and the attributes of the request.
fn filter(source: IpAddr, to: Option<(u8, u16)>) -> (u8, Vec<u8>) {
    let family = family_of(source);
    let mut tuple = nested(CTA_TUPLE_IP, &address(source, CTA_IP_V4_SRC, CTA_IP_V6_SRC));
    let mut parts = BY_SOURCE;
    if let Some((protocol, port)) = to {
        let numbers =
            [attribute(CTA_PROTO_NUM, &[protocol]), attribute(CTA_PROTO_DST_PORT, &port.to_be_bytes())];
        tuple.extend(nested(CTA_TUPLE_PROTO, &numbers.concat()));
        parts |= BY_PROTOCOL_AND_PORT;
    }
    let flags = attribute(CTA_FILTER_ORIG_FLAGS, &parts.to_ne_bytes());
    (family, [nested(CTA_TUPLE_ORIG, &tuple), nested(CTA_FILTER, &flags)].concat())
}

/// The same for flows whose answers go to `outside`, which is the address that the other side sees.
fn leaving_with(source: IpAddr, outside: IpAddr) -> (u8, Vec<u8>) {
    let from = address(source, CTA_IP_V4_SRC, CTA_IP_V6_SRC);
    let to = address(outside, CTA_IP_V4_DST, CTA_IP_V6_DST);
    let flags = [
        attribute(CTA_FILTER_ORIG_FLAGS, &BY_SOURCE.to_ne_bytes()),
        attribute(CTA_FILTER_REPLY_FLAGS, &BY_DESTINATION.to_ne_bytes()),
    ];
    let parts = [
        nested(CTA_TUPLE_ORIG, &nested(CTA_TUPLE_IP, &from)),
        nested(CTA_TUPLE_REPLY, &nested(CTA_TUPLE_IP, &to)),
        nested(CTA_FILTER, &flags.concat()),
    ];
    (family_of(source), parts.concat())
}

fn family_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { NFPROTO_IPV4 } else { NFPROTO_IPV6 }
}

/// A flow's tuple as its first packet had it.
fn original(source: SocketAddr, server: SocketAddr, protocol: u8, zone: u16) -> Vec<u8> {
    let from = address(source.ip(), CTA_IP_V4_SRC, CTA_IP_V6_SRC);
    let to = address(server.ip(), CTA_IP_V4_DST, CTA_IP_V6_DST);
    let port = |kind, place: SocketAddr| attribute(kind, &place.port().to_be_bytes());
    let ports = [port(CTA_PROTO_SRC_PORT, source), port(CTA_PROTO_DST_PORT, server)].concat();
    let numbers = [attribute(CTA_PROTO_NUM, &[protocol]), ports].concat();
    let zone = attribute(CTA_TUPLE_ZONE, &zone.to_be_bytes());
    let tuple = [nested(CTA_TUPLE_IP, &[from, to].concat()), nested(CTA_TUPLE_PROTO, &numbers), zone];
    nested(CTA_TUPLE_ORIG, &tuple.concat())
}

fn address(ip: IpAddr, v4: u16, v6: u16) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => attribute(v4, &ip.octets()),
        IpAddr::V6(ip) => attribute(v6, &ip.octets()),
    }
}

/// The source of replies, out of an entry.
fn reply_in(entry: &[u8]) -> Option<SocketAddr> {
    let tuple = find(entry, CTA_TUPLE_REPLY)?;
    let (ip, numbers) = (find(tuple, CTA_TUPLE_IP)?, find(tuple, CTA_TUPLE_PROTO)?);
    let v4 = || Some(IpAddr::from(*find(ip, CTA_IP_V4_SRC)?.first_chunk::<4>()?));
    let v6 = || Some(IpAddr::from(*find(ip, CTA_IP_V6_SRC)?.first_chunk::<16>()?));
    let port = u16::from_be_bytes(*find(numbers, CTA_PROTO_SRC_PORT)?.first_chunk()?);
    Some(SocketAddr::new(v4().or_else(v6)?, port))
}
