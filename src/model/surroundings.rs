//! What of the host has to do with every namespace, and is no part of its network stack.

use super::{Family, Lacks, Name};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// What is known of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// `nsnat watch`.
    pub daemon: Daemon,
    /// What the kernel lacks of what nsnat needs.
    pub lacks: Option<Lacks>,
    /// Connection tracking: flows that are known, and how many there may be.
    pub flows: Option<(u64, u64)>,
    /// Neighbours that are known in each family, and how many there may be.
    pub neighbours: Vec<(Family, u64, u64)>,
    /// This program, and others of its name, with their versions.
    pub programs: Vec<(PathBuf, String)>,
    /// Units that are bound to a namespace.
    pub bound: Vec<(String, Name)>,
    /// Names that are declared.
    pub declared: Vec<Name>,
    /// Links of nsnat's that a network manager has taken under its care.
    pub managed: Vec<(String, &'static str)>,
    /// The form of the recorded state; none: there is no state.
    pub state_version: Option<u32>,
    /// Which machines say that the addresses on the uplinks are theirs.
    pub claims: Vec<Claim>,
    /// Addresses that do not simply stay.
    pub leases: Vec<Lease>,
}

/// An IPv4 address on the link of an uplink, and the machines that say that it is theirs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The device.
    pub dev: String,
    /// The address.
    pub address: Ipv4Addr,
    /// Whose address it should be.
    pub claimed: Claimed,
    /// Link-layer addresses of the other machines that answer for it.
    pub holders: Vec<String>,
}

/// Whose an address should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claimed {
    /// The host's own.
    Own,
    /// A next hop's.
    NextHop,
}

/// An address of the host that is valid for some time only, or is another machine's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The device.
    pub dev: String,
    /// The address.
    pub address: IpAddr,
    /// The kernel found that another machine has it, and does not use it.
    pub taken: bool,
    /// For how many seconds it was valid when that was set last; none: for ever.
    pub given: Option<u64>,
    /// For how many seconds it still is.
    pub left: Option<u64>,
}

/// `nsnat watch`, as a service of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Daemon {
    /// It runs.
    pub runs: bool,
    /// It is started when the host starts.
    pub enabled: bool,
    /// What it has to say of what is wrong, a line each.
    pub says: Vec<String>,
}
