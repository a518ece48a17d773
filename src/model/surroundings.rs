//! What of the host has to do with every namespace, and is no part of its network stack.

use super::{Family, Name};
use std::path::PathBuf;

/// What is known of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// `nsnat watch`.
    pub daemon: Daemon,
    /// The version of nft(8); none: it is not there.
    pub nft: Option<String>,
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
