//! Next hops that are objects of their own (`ip nexthop`), and the routes that name them by number.
//!
//! With `net.ipv4.nexthop_compat_mode=0` a route that leads by such an object says its number and nothing else. The
//! crate of messages does not know these objects (include/uapi/linux/nexthop.h).

use super::netlink_socket::NetlinkSocket;
use crate::attributes::{address, find, native};
use crate::error::Result;
use crate::model::Route;
use crate::model::stack::DeviceNames;
use std::collections::BTreeMap;
use std::net::IpAddr;

const RTM_GETNEXTHOP: u16 = 106;
const NHA_ID: u16 = 1;
const NHA_GROUP: u16 = 2;
const NHA_OIF: u16 = 5;
const NHA_GATEWAY: u16 = 6;
/// `struct nhmsg` is as long as `struct nfgenmsg` and these flags.
const FLAGS: usize = 4;
/// `struct nexthop_grp`: a number and its weight.
const GROUP_ENTRY: usize = 8;

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
enum NextHop {
    /// By this device, to this router where there is one.
    One { device: Option<u32>, via: Option<IpAddr> },
    /// By one of these.
    Group(Vec<u32>),
}

/// All objects by number.
#[derive(Default)]
pub(super) struct NextHops(BTreeMap<u32, NextHop>);

impl NextHops {
    /// The next hop objects of this thread's stack.
    pub(super) fn dump() -> Result<Self> {
        let rows = NetlinkSocket::for_routing()?.dump(RTM_GETNEXTHOP, 0, &[0; FLAGS])?.unwrap_or_default();
        Ok(Self(rows.iter().filter_map(|row| object(row.get(FLAGS..)?)).collect()))
    }

    /// The route by each next hop of an object.
    pub(super) fn routes(&self, route: &Route, number: u32, names: &DeviceNames) -> Vec<Route> {
        let members = match self.0.get(&number) {
            Some(NextHop::Group(members)) => members.clone(),
            _ => vec![number],
        };
        let by = |number: &u32| match self.0.get(number)? {
            NextHop::One { device, via } => {
                let dev = device.and_then(|device| names.get(&device).cloned());
                Some(Route { via: *via, dev, ..route.clone() })
            }
            // The kernel has no groups of groups.
            NextHop::Group(_) => None,
        };
        members.iter().filter_map(by).collect()
    }
}

fn object(row: &[u8]) -> Option<(u32, NextHop)> {
    let id = native(find(row, NHA_ID)?)?;
    let next_hop = match find(row, NHA_GROUP) {
        Some(group) => NextHop::Group(group.chunks_exact(GROUP_ENTRY).filter_map(native).collect()),
        None => NextHop::One {
            device: find(row, NHA_OIF).and_then(native),
            via: find(row, NHA_GATEWAY).and_then(address),
        },
    };
    Some((id, next_hop))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::attribute;
    use crate::model::Family;

    #[test]
    fn a_group_is_a_route_by_each_of_its_next_hops() {
        let one = |id: u32, via: [u8; 4]| {
            let parts = [(NHA_ID, id.to_ne_bytes()), (NHA_OIF, 2_u32.to_ne_bytes()), (NHA_GATEWAY, via)];
            parts.iter().flat_map(|(kind, value)| attribute(*kind, value)).collect::<Vec<_>>()
        };
        let entry = |id: u32| [&id.to_ne_bytes()[..], &[0; 4]].concat();
        let entries = [entry(10), entry(11), entry(99)].concat();
        let group = [attribute(NHA_ID, &20_u32.to_ne_bytes()), attribute(NHA_GROUP, &entries)].concat();
        let all = [one(10, [192, 0, 2, 1]), one(11, [192, 0, 2, 2]), group];
        let all = NextHops(all.iter().filter_map(|row| object(row)).collect());
        let names = DeviceNames::from([(2, "eth0".to_owned())]);
        let route = Route::new(254, Family::V4.everything(), 4);
        let found = |number| {
            let show = |route: &Route| format!("{} {}", route.via.unwrap(), route.dev.clone().unwrap());
            all.routes(&route, number, &names).iter().map(show).collect::<Vec<_>>()
        };
        assert_eq!(found(10), ["192.0.2.1 eth0"]);
        assert_eq!(found(20), ["192.0.2.1 eth0", "192.0.2.2 eth0"]);
        assert_eq!(found(99), [""; 0]);
    }
}
