//! Devices that others send by: ports of a bridge, parts of a bond, the device below a VLAN. A packet that leaves by such
//! another one is seen on both, and its way out is the upper one.

use super::decode::{GET_LINK, IFINFO, IFINFO_INDEX};
use super::netlink_socket::NetlinkSocket;
use crate::attributes::{find, native};

/// IFLA_LINK, IFLA_MASTER and IFLA_LINK_NETNSID (include/uapi/linux/if_link.h).
const LINK: u16 = 5;
const MASTER: u16 = 10;
const LINK_NETNSID: u16 = 37;

/// What a device has to do with others, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    index: u32,
    /// The device that it is a part of.
    master: Option<u32>,
    /// The device that it sends by.
    lower: Option<u32>,
}

/// Of these devices those that no other one of them sends by.
pub(super) fn uppermost(devices: &[u32]) -> Vec<u32> {
    let places: Vec<Place> = devices.iter().map(|index| place(*index)).collect();
    let is_upper = |place: &&Place| !places.iter().any(|above| is_below(**place, *above));
    places.iter().filter(is_upper).map(|place| place.index).collect()
}

fn is_below(below: Place, above: Place) -> bool {
    below.master == Some(above.index) || above.lower == Some(below.index)
}

/// Of one that is gone meanwhile nothing is known.
fn place(index: u32) -> Place {
    let body = ask(index).unwrap_or_default();
    let attributes = body.get(IFINFO..).unwrap_or_default();
    let number = |kind| find(attributes, kind).and_then(native);
    // The other end of a pair may be in another namespace, whose numbers are its own.
    let lower = number(LINK).filter(|_| find(attributes, LINK_NETNSID).is_none());
    Place { index, master: number(MASTER), lower }
}

fn ask(index: u32) -> Option<Vec<u8>> {
    let mut question = [0; IFINFO];
    question.get_mut(IFINFO_INDEX..)?.first_chunk_mut().map(|place| *place = index.to_ne_bytes())?;
    NetlinkSocket::for_dumps().ok()?.get_whole(GET_LINK, &question).ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_what() {
        let device = |index, master, lower| Place { index, master, lower };
        let (bridge, port) = (device(1, None, None), device(2, Some(1), None));
        assert!(is_below(port, bridge) && !is_below(bridge, port));
        let (vlan, below) = (device(3, None, Some(4)), device(4, None, None));
        assert!(is_below(below, vlan) && !is_below(vlan, below));
        assert!(!is_below(bridge, vlan) && !is_below(vlan, bridge));
    }
}
