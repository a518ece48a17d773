//! What is kept of chains of others and of their rules.

use super::accepts::Accepts;
use crate::model::gate::{Direction, Hook};
use crate::model::tap::{Layer, TapHook};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A base chain of somebody else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Base {
    pub(super) family: u8,
    pub(super) table: String,
    pub(super) name: String,
    pub(super) hook: Hook,
    /// The chain's policy is to drop.
    pub(super) drops: bool,
}

/// What a rule does with what it matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Verdict {
    Next,
    Accept,
    Stop,
    Return,
    Jump(String),
    Goto(String),
    /// The rule looks the verdict up in a map.
    Map,
}

impl Verdict {
    pub(super) fn without_chain(self) -> Self {
        match self {
            Self::Jump(_) => Self::Jump(String::new()),
            Self::Goto(_) => Self::Goto(String::new()),
            other => other,
        }
    }
}

/// What a rule has in common with rules of iptables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum LikeIptables {
    No,
    /// It counts packets, as each of them does.
    Counts,
    /// It holds a part of iptables.
    Surely,
}

/// A rule of somebody else, or one of ours among theirs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Rule {
    pub(super) handle: u64,
    /// The rule matches every packet.
    pub(super) always: bool,
    pub(super) verdict: Verdict,
    /// Whether the rule may be one of iptables.
    pub(super) like_iptables: LikeIptables,
    /// Set where the rule is ours.
    pub(super) pass: Option<Direction>,
    /// What the rule is known to accept.
    pub(super) accepts: Option<Accepts>,
    /// Every question for a neighbour comes by the rule's conditions.
    pub(super) for_neighbours: bool,
}

/// The chains of others that the kernel calls.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Chains {
    pub(super) bases: Vec<Base>,
    pub(super) edges: Vec<DeviceChain>,
}

impl Chains {
    /// Whether some are on devices, which come and go.
    pub(super) fn are_on_devices(&self) -> bool {
        self.edges.iter().any(|edge| [Layer::Netdev, Layer::Inet].contains(&edge.layer))
    }
}

/// A chain on a device, or of frames.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DeviceChain {
    pub(super) family: u8,
    pub(super) layer: Layer,
    pub(super) table: String,
    pub(super) name: String,
    pub(super) side: TapHook,
    /// None where all are meant.
    pub(super) devices: BTreeSet<String>,
    /// The chain's policy is to drop.
    pub(super) drops: bool,
}
