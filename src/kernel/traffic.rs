//! How much went through a namespace's veth.

use super::decode::{GET_LINK, IFINFO};
use super::netlink_socket::NetlinkSocket;
use crate::attributes::{find, word};
use crate::model::{Name, ownership};

/// IFLA_IFALIAS and IFLA_STATS64 (include/uapi/linux/if_link.h).
const ALIAS: u16 = 20;
const STATS: u16 = 23;

/// Bytes since the namespace was made, link-layer headers included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Into the namespace.
    pub down: u64,
    /// Out of it.
    pub up: u64,
}

/// What a namespace's host veth has counted; nothing when it is not seen from here. It takes no rights; the host veth is
/// found by its alias.
pub fn traffic(name: &Name) -> Option<Traffic> {
    let alias = ownership::alias(name);
    let read = |_, row: &[u8]| {
        let attributes = row.get(IFINFO..)?;
        (word(find(attributes, ALIAS)?) == alias).then(|| counted(find(attributes, STATS)?))?
    };
    let found = NetlinkSocket::for_dumps().ok()?.dump_as(GET_LINK, &[0; IFINFO], read).ok()??;
    found.into_iter().next()
}

/// `struct rtnl_link_stats64`: packets received and sent, then bytes. What the host veth receives is what the namespace
/// sends.
fn counted(stats: &[u8]) -> Option<Traffic> {
    let count = |at: usize| stats.get(at..)?.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes));
    Some(Traffic { up: count(16)?, down: count(24)? })
}
