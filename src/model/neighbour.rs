//! Next hops as neighbours: routers that have to answer on a link before a packet can be sent to them.

use std::net::IpAddr;

/// An address beside a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Neighbour {
    /// Device name.
    pub dev: String,
    /// The kernel's number for the device.
    pub index: u32,
    /// The address.
    pub address: IpAddr,
}
