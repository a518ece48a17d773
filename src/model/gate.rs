//! Gates: base chains of others on the way of forwarded packets that stop what they do not know; and passes, the rules
//! of ours in them that let namespaces through.
//!
//! An accept in our chain is not final for the chains of others: each of them has to accept a packet itself.

use super::stack::Family;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// What a rule of ours in somebody else's chain carries as its comment.
pub const COMMENT: &str = "nsnat";

/// The chain that Docker keeps for rules of others; it survives a restart of the engine.
pub const DOCKER_USER: &str = "DOCKER-USER";

/// Who keeps a chain, and by which program a rule gets into it. One that another program does not understand makes it
/// refuse the whole table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keeper {
    /// A person or a program that speaks nf_tables.
    Nft,
    /// iptables, in tables of nf_tables.
    IptablesNft,
    /// iptables, in tables of its own.
    IptablesLegacy,
}

/// The family of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// Both.
    Inet,
}

impl Kind {
    /// Whether packets of that family come by.
    pub fn sees(self, family: Family) -> bool {
        match self {
            Self::Ip => family == Family::V4,
            Self::Ip6 => family == Family::V6,
            Self::Inet => true,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Inet => "inet",
        })
    }
}

/// A chain of somebody else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// Who keeps it.
    pub keeper: Keeper,
    /// Family of its table.
    pub kind: Kind,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let legacy = if self.keeper == Keeper::IptablesLegacy { " (iptables-legacy)" } else { "" };
        write!(f, "table {} {}{legacy}, chain {}", self.kind, self.table, self.name)
    }
}

/// Which packets a pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From namespaces.
    Out,
    /// To namespaces: only answers get so far, see chain `inwards` of the skeleton.
    In,
}

impl Direction {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Out, Self::In];
}

/// A rule of ours in a chain of somebody else: what is from our links, or to them, is accepted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pass {
    /// Where it stands.
    pub chain: Chain,
    /// Which packets it is for.
    pub direction: Direction,
}

/// A pass that is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Found {
    /// The rule.
    pub pass: Pass,
    /// Its handle (`nft -a list chain`); 0 where rules have none.
    pub handle: u64,
}

/// What stops packets in a gate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stop {
    /// The policy of the chain.
    Policy,
    /// A rule that drops or rejects everything that comes so far; where it stands.
    Rule {
        /// The chain that it is in, which may be one that the gate jumps to.
        chain: String,
        /// Its handle (`nft -a list chain`); its place in the chain where rules have none.
        handle: u64,
    },
}

/// Why a gate cannot be passed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Closed {
    /// Its table has an owner: a program that runs, and that alone may change it.
    Owned,
    /// The program that it takes is not on this host.
    Without(String),
    /// It stops everything, before it is known where to it goes.
    Everything,
    /// Its name is none that nft can read.
    Unnamable,
}

/// A base chain of somebody else that stops what it does not know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gate {
    /// The chain that the kernel calls.
    pub chain: Chain,
    /// What stops packets.
    pub stop: Stop,
    /// The chain in which a pass is to stand: it, or one that it jumps to first, kept for that.
    pub place: String,
    /// Why it cannot be passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
}

impl Gate {
    /// The rules that let namespaces through.
    pub fn passes(&self) -> impl Iterator<Item = Pass> {
        let chain = Chain { name: self.place.clone(), ..self.chain.clone() };
        let both = if self.closed.is_none() { &Direction::BOTH[..] } else { &[] };
        both.iter().map(move |direction| Pass { chain: chain.clone(), direction: *direction })
    }
}

/// The gates of a host, and the passes that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gates {
    /// Those that stop what they do not know.
    pub all: BTreeSet<Gate>,
    /// Rules that carry our comment: in base chains of others on hook forward, in [`DOCKER_USER`] and where the
    /// journal says.
    pub passes: BTreeSet<Found>,
}

impl Gates {
    /// Nothing of the kind.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.passes.is_empty()
    }
}
