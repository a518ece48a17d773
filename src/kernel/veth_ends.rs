//! The ends of our veth pairs, which tell our network namespaces from others where the kernel gives these no numbers of their
//! own (before Linux 5.14): an inode number is given again, but a pair joins two namespaces only.

use super::decode::{self, GET_LINK, IFINFO};
use super::netlink_socket::NetlinkSocket;
use crate::attributes::{find, native};
use crate::error::Result;
use crate::model::Link;

/// IFLA_LINK.
const OTHER_END: u16 = 5;

/// An end of a pair of ours.
pub(super) struct VethEnd {
    pub(super) link: Link,
    /// The index of the other end.
    other: u32,
}

impl VethEnd {
    /// Whether both are the ends of one pair.
    pub(super) fn meets(&self, end: &Self) -> bool {
        (self.link.index, self.other) == (end.other, end.link.index)
    }
}

/// Those in this thread's namespace.
pub(super) fn ours() -> Result<Vec<VethEnd>> {
    let read = |_, body: &[u8]| {
        let (link, _) = decode::link(body)?;
        let other = find(body.get(IFINFO..)?, OTHER_END).and_then(native)?;
        link.is_ours().then_some(VethEnd { link, other })
    };
    Ok(NetlinkSocket::for_dumps()?.dump_as(GET_LINK, &[0; IFINFO], read)?.unwrap_or_default())
}
