//! Forgetting flows whose NAT was decided before their rewrite changed.
//!
//! One CT_DELETE message with a filter (Linux 5.8 and later; `ctnetlink_flush_conntrack` in
//! net/netfilter/nf_conntrack_netlink.c) instead of a dump of everything. No crate builds that filter; it is a few
//! nested attributes.

use super::nfnetlink::{Nfnetlink, attribute, nested};
use crate::error::{Error, Result};
use std::net::IpAddr;

/// NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE (include/uapi/linux/netfilter/nfnetlink*.h).
const CT_DELETE: u16 = (1 << 8) | 2;

const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;

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
    let (family, filter) = filter(source, protocol, port);
    match Nfnetlink::open()?.ask(CT_DELETE, family, &filter)? {
        // ENOENT: there was none.
        0 | libc::ENOENT => Ok(()),
        errno => {
            Err(Error::new(format!("forget flows of {source}"), std::io::Error::from_raw_os_error(errno)))
        }
    }
}

/// The family and the attributes of the request.
fn filter(source: IpAddr, protocol: u8, port: u16) -> (u8, Vec<u8>) {
    let (family, address) = match source {
        IpAddr::V4(ip) => (NFPROTO_IPV4, attribute(CTA_IP_V4_SRC, &ip.octets())),
        IpAddr::V6(ip) => (NFPROTO_IPV6, attribute(CTA_IP_V6_SRC, &ip.octets())),
    };
    let numbers = [attribute(CTA_PROTO_NUM, &[protocol]), attribute(CTA_PROTO_DST_PORT, &port.to_be_bytes())];
    let tuple = [nested(CTA_TUPLE_IP, &address), nested(CTA_TUPLE_PROTO, &numbers.concat())];
    let flags = attribute(CTA_FILTER_ORIG_FLAGS, &BY_SOURCE_PROTOCOL_PORT.to_ne_bytes());
    let filter = [nested(CTA_TUPLE_ORIG, &tuple.concat()), nested(CTA_FILTER, &flags)].concat();
    (family, filter)
}
