//! Whether an uplink lives: how that is found out, and what is known of it.

use super::Neighbour;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How an uplink is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is asked.
    pub kind: CheckKind,
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
    /// Nothing: its link alone counts.
    None,
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

/// The health of an uplink that is checked and is not well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
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

/// An uplink that is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkup {
    /// How.
    pub check: Check,
    /// Next hops, of which one has to answer. Without any, the link is down, and the uplink cannot be asked.
    pub gateways: Vec<Neighbour>,
}
