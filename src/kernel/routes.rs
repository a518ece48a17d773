//! The routes of a stack, by one dump. What the kernel tells of them is kept as it is told until the devices are known that the
//! routes lead by, so that both can be asked for at the same time.

use super::decode::{self, RouteMessage};
use super::full_table::FullTable;
use super::netlink_socket::NetlinkSocket;
use super::nexthop::NextHops;
use crate::error::Result;
use crate::model::Route;
use crate::model::stack::DeviceNames;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// RTM_GETROUTE (include/uapi/linux/rtnetlink.h).
const GET_ROUTE: u16 = 26;
/// `struct rtmsg`. What is 0 in it selects nothing: all families.
const ROUTE: [u8; 12] = [0; 12];
/// Where `rtm_table` is.
const ROUTE_TABLE: usize = 4;

/// Routes as the kernel told of them, one after the other: there may be tens of thousands.
#[derive(Default)]
pub(super) struct RouteRows {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl RouteRows {
    /// The routes of the stack that the socket is in, without those of the table "local". Where there are very many, the way to
    /// `servers` is found all the same.
    pub(super) fn dump(netlink: &NetlinkSocket, servers: &[IpAddr]) -> Result<Self> {
        let rows = RefCell::new(Self::default());
        let begin = || {
            rows.take();
            let mut table = FullTable::new(servers);
            let rows = &rows;
            move |_, body: &[u8]| {
                if !table.is_more_of_them(body) && !is_local(body) && table.is_news(body) {
                    rows.borrow_mut().push(body);
                }
                None::<()>
            }
        };
        netlink.dump_by(GET_ROUTE, &ROUTE, begin)?;
        Ok(rows.into_inner())
    }

    fn push(&mut self, row: &[u8]) {
        self.bytes.extend_from_slice(row);
        self.ends.push(self.bytes.len());
    }

    fn rows(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).filter_map(|(start, end)| self.bytes.get(start..*end))
    }

    /// The numbers of the devices that routes lead by, but for those to link-local addresses. None: some lead by next hops of
    /// which each may be of another device.
    pub(super) fn devices(&self) -> Option<BTreeSet<u32>> {
        let mut out = BTreeSet::new();
        for row in self.rows().filter(|row| !decode::leads_to_its_link(row)) {
            match decode::route_index(row) {
                Some(index) => out.extend([index]),
                None if decode::has_next_hops(row) => return None,
                None => {}
            }
        }
        Some(out)
    }

    /// The routes by these devices, and by none. `next_hops`: some may lead by next hops that are objects of their own, which are
    /// asked for.
    pub(super) fn read(&self, names: &DeviceNames, next_hops: bool) -> Result<BTreeSet<Route>> {
        let is_seen = |row: &&[u8]| decode::route_index(row).is_none_or(|index| names.contains_key(&index));
        let read = |row| decode::route(row, names);
        let routes: Vec<RouteMessage> = self.rows().filter(is_seen).filter_map(read).collect();
        let is_by_object = |route: &RouteMessage| matches!(route, RouteMessage::ByObject(..));
        let by_object = next_hops && routes.iter().any(is_by_object);
        let objects = if by_object { NextHops::dump()? } else { NextHops::default() };
        Ok(routes.into_iter().flat_map(|route| route.routes(names, &objects)).collect())
    }
}

/// The table "local" is the kernel's own, and most of all routes are in it.
fn is_local(body: &[u8]) -> bool {
    body.get(ROUTE_TABLE) == Some(&libc::RT_TABLE_LOCAL)
}
