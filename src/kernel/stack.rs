//! What a network stack holds, by four dumps.

use super::decode::{self, IFINFO};
use super::nexthop::NextHops;
use super::nfnetlink::Nfnetlink;
use crate::error::Result;
use crate::model::Stack;
use crate::model::stack::DeviceNames;
use netlink_packet_route::RouteNetlinkMessage;

/// RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETRULE (include/uapi/linux/rtnetlink.h).
const GET_LINK: u16 = 18;
const GET_ADDRESS: u16 = 22;
const GET_ROUTE: u16 = 26;
const GET_RULE: u16 = 34;
/// `struct ifaddrmsg`, `struct rtmsg` and `struct fib_rule_hdr`. What is 0 in them selects nothing: all families.
const IFADDR: [u8; 8] = [0; 8];
const ROUTE: [u8; 12] = [0; 12];
const RULE: [u8; 12] = [0; 12];
/// `rtm_table`, and what it is for the table "local".
const ROUTE_TABLE: usize = 4;

/// Links, addresses, routes and rules of the stack that the socket is in, with the names of its devices. `objects` gives
/// the next hops that are objects of their own, where a route names one; nothing of ours does inside.
pub(super) fn observe(
    netlink: &Nfnetlink,
    objects: Option<fn() -> Result<NextHops>>,
) -> Result<(Stack, DeviceNames)> {
    let (mut out, mut names) = (Stack::default(), DeviceNames::new());
    for (link, settings) in dump(netlink, GET_LINK, &[0; IFINFO], |_, body| decode::link(body))? {
        names.insert(link.index, link.name.clone());
        out.sysctls.extend(settings);
        out.links.insert(link);
    }
    let address = |kind, body: &[u8]| decode::address(&decode::message(kind, body)?, &names);
    out.addresses = dump(netlink, GET_ADDRESS, &IFADDR, address)?.into_iter().collect();
    let routes: Vec<RouteNetlinkMessage> = dump(netlink, GET_ROUTE, &ROUTE, route)?;
    let objects = objects.filter(|_| routes.iter().any(|row| decode::by_object(row).is_some()));
    let objects = objects.map_or_else(|| Ok(NextHops::default()), |dump| dump())?;
    out.routes = routes.iter().flat_map(|row| decode::routes(row, &names, &objects)).collect();
    let rule = |kind, body: &[u8]| decode::rule(&decode::message(kind, body)?);
    out.rules = dump(netlink, GET_RULE, &RULE, rule)?.into_iter().collect();
    Ok((out, names))
}

/// The table "local" is the kernel's own, and most of all routes are in it.
fn route(kind: u16, body: &[u8]) -> Option<RouteNetlinkMessage> {
    let is_local = body.get(ROUTE_TABLE) == Some(&libc::RT_TABLE_LOCAL);
    if is_local { None } else { decode::message(kind, body) }
}

fn dump<T>(
    netlink: &Nfnetlink,
    kind: u16,
    header: &[u8],
    read: impl Fn(u16, &[u8]) -> Option<T>,
) -> Result<Vec<T>> {
    Ok(netlink.dump_as(kind, header, read)?.unwrap_or_default())
}
