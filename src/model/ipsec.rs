//! IPsec policies (`ip xfrm policy`): which packets the kernel encrypts, refuses, or lets by.

use super::Family;
use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

/// When a policy is asked, with the kernel's numbers (XFRM_POLICY_IN, include/uapi/linux/xfrm.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// For what the host takes for itself.
    In = 0,
    /// For what leaves, forwarded or the host's own.
    Out = 1,
    /// For what is to be forwarded.
    Fwd = 2,
}

impl Direction {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::In, Self::Out, Self::Fwd];

    /// As ip-xfrm(8) writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Fwd => "fwd",
        }
    }
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// The packet passes as it is.
    #[default]
    Allow,
    /// The packet has to be encrypted (or otherwise changed) by the policy's templates.
    Protect,
    /// The packet is dropped.
    Block,
}

/// A policy. The kernel takes the matching one of the lowest priority, the older one of two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Policy {
    /// Whether the policy is asked for packets that come in, go out or are forwarded.
    pub direction: Direction,
    /// Source network.
    pub from: IpNetwork,
    /// Destination network.
    pub to: IpNetwork,
    /// Mark and mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<(u32, u32)>,
    /// Lower is first.
    #[serde(default)]
    pub priority: u32,
    /// The kernel's number for it; 0 stands for what the kernel does where no policy matches.
    #[serde(default)]
    pub index: u32,
    /// What becomes of a packet.
    #[serde(default)]
    pub effect: Effect,
    /// The policy is asked beside the main ones (`ptype sub`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sub: bool,
}

impl Policy {
    /// Its family.
    pub fn family(&self) -> Family {
        Family::of_net(self.from)
    }
}
