//! What is: the kernel's state and our journal, as far as the plan needs them.

use super::{Element, Journal, Name, Stack};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// All that was observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Observed {
    /// The host's stack.
    pub host: Stack,
    /// Namespaces that the journal or the configuration names, as far as `/run/netns` has them.
    pub namespaces: BTreeMap<Name, Netns>,
    /// Our nft table.
    pub table: Table,
    /// What we remember.
    pub journal: Journal,
    /// The kernel has `conf.IF.force_forwarding` (6.17 and later).
    pub force_forwarding: bool,
    /// The kernel has IPv6 at all.
    pub ipv6: bool,
    /// Upstream servers of the host's resolver, where resolv.conf names only a loopback stub; by device, "" for
    /// all.
    pub upstreams: BTreeMap<String, Vec<std::net::IpAddr>>,
    /// Nameservers of the host's resolv.conf.
    pub nameservers: Vec<std::net::IpAddr>,
}

/// A file in `/run/netns`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Netns {
    /// A plain file: its namespace went away, or was never mounted.
    Stale,
    /// A namespace.
    Alive {
        /// Inode number of the namespace.
        inode: u64,
        /// Its stack.
        stack: Box<Stack>,
    },
}

/// Our nft table as it reads back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Table {
    /// It exists.
    pub exists: bool,
    /// Digest of the text that it was loaded from, as its marker set names it.
    pub text: Option<String>,
    /// Digest of its rules as they read back.
    pub rules: Option<String>,
    /// Elements of our sets and maps.
    pub elements: BTreeSet<Element>,
}
