//! Whether an uplink lives: how that is found out, and what is known of it.

use super::{Family, Name, Neighbour};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// How an uplink is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is asked.
    pub kind: CheckKind,
    /// Hosts behind the uplink, of which one of each family has to answer; none for kinds that ask no host. The port of `ping` is 0.
    pub targets: Vec<SocketAddr>,
    /// From one question to the next.
    pub interval: Duration,
    /// How long an answer may take; at most the interval.
    pub timeout: Duration,
    /// So many questions without an answer, one after the other, make it dead.
    pub fail: u32,
    /// So many answers, one after the other, make it usable again.
    pub recover: u32,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            kind: CheckKind::default(),
            targets: Vec::new(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_millis(200),
            fail: 3,
            recover: 5,
        }
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckKind {
    /// The next hops are asked by ARP and neighbour discovery.
    #[default]
    Gateway,
    /// A host is sent an ICMP echo request.
    Ping,
    /// A connection to a host is begun.
    Tcp,
    /// A host is sent a query.
    Dns,
    /// Nothing: its link alone counts.
    None,
}

impl CheckKind {
    /// Whether a host behind the uplink is asked.
    pub fn asks_host(self) -> bool {
        matches!(self, Self::Ping | Self::Tcp | Self::Dns)
    }
}

/// Which of several uplinks is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefer {
    /// The first that can be used.
    #[default]
    First,
    /// The present one, for as long as it can be used.
    Sticky,
}

/// What becomes of a namespace while none of its uplinks can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastResort {
    /// Nothing gets out.
    #[default]
    Unreachable,
    /// It leaves as the host does, by the main table.
    Main,
}

/// The health of an uplink that is checked: how each family is that is asked about. A router may lose one of them only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Health(pub BTreeMap<Family, FamilyHealth>);

impl Health {
    /// How a family is. One that nobody asks about is as the other one is.
    pub fn of(&self, family: Family) -> Condition {
        let known = self.0.get(&family).or_else(|| self.0.values().next());
        known.map_or(Condition::Well, |health| health.condition)
    }

    /// How the uplink is as a whole: it is as well as the better of its families.
    pub fn best(&self) -> FamilyHealth {
        let well = FamilyHealth { condition: Condition::Well, since: 0 };
        self.0.values().copied().min_by_key(|health| health.condition).unwrap_or(well)
    }
}

/// How a family of an uplink is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FamilyHealth {
    /// How it is.
    pub condition: Condition,
    /// Since when, in seconds after 1970.
    pub since: u64,
}

/// How an uplink is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// Nothing is known against it.
    Well,
    /// The uplink answers, but did not until lately, or its link was down. A well uplink is preferred.
    Unsteady,
    /// The uplink does not answer.
    Dead,
}

/// What came of asking an uplink: whether each family that was asked about answers.
pub type Answers = BTreeMap<Family, bool>;

/// An uplink that is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkup {
    /// How.
    pub check: Check,
    /// What is asked.
    pub asked: Asked,
}

impl Checkup {
    /// The families that are asked about.
    pub fn families(&self) -> BTreeSet<Family> {
        match &self.asked {
            Asked::NextHops(hops) => hops.iter().map(|hop| Family::of(hop.address)).collect(),
            Asked::HostsFrom(_) => self.check.targets.iter().map(|target| Family::of(target.ip())).collect(),
            Asked::Nothing => BTreeSet::new(),
        }
    }
}

/// What is asked of an uplink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Next hops, of which one of each family has to answer.
    NextHops(Vec<Neighbour>),
    /// The targets of its check, from this namespace, which leaves by that uplink alone.
    HostsFrom(Name),
    /// Nothing: its link is down.
    Nothing,
}
