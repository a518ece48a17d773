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

/// The program by which a rule gets into a chain. A rule that another program does not understand makes that program
/// refuse the whole table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleWriter {
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
pub struct Chain {
    /// The program by which rules get into the chain.
    pub keeper: RuleWriter,
    /// Family of its table.
    pub kind: Kind,
    /// Table of the chain.
    pub table: String,
    /// Name of the chain.
    pub name: String,
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let legacy = if self.keeper == RuleWriter::IptablesLegacy { " (iptables-legacy)" } else { "" };
        write!(f, "table {} {}{legacy}, chain {}", self.kind, self.table, self.name)
    }
}

/// Where the kernel calls a base chain (NF_INET_… in include/uapi/linux/netfilter.h), in the order of their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// What comes in, before it is routed.
    Prerouting,
    /// What is for the host itself: questions to its own resolver, and neighbour discovery.
    Input,
    /// What is routed.
    #[default]
    Forward,
    /// What the host itself sends: answers of its resolver, errors of our guard.
    Output,
    /// What goes out, after it was routed.
    Postrouting,
}

impl Hook {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 5] =
        [Self::Prerouting, Self::Input, Self::Forward, Self::Output, Self::Postrouting];

    /// The usual one is not written down.
    pub fn is_forward(&self) -> bool {
        *self == Self::Forward
    }
}

/// Which packets a pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From namespaces.
    Out,
    /// To namespaces: only answers, and questions to published ports, get in; see chain `inwards` of the skeleton.
    In,
    /// From namespaces to elsewhere: what is for the host itself is left to the chain.
    Onward,
    /// Neighbour discovery of IPv6 by namespaces.
    Neighbours,
    /// The answers in it alone, where the rule for `Neighbours` is about questions alone.
    Advertisements,
    /// Questions of namespaces over udp.
    Udp,
    /// Questions of namespaces over tcp.
    Tcp,
    /// Questions of namespaces to chosen services on the host's loopback: what the table led there, and nothing else.
    Chosen,
}

impl Direction {
    /// What is forwarded.
    pub const BOTH: [Self; 2] = [Self::Out, Self::In];
    /// Questions to the host's own resolver.
    pub const NAMES: [Self; 2] = [Self::Udp, Self::Tcp];
    /// All there are.
    pub const ALL: [Self; 8] = [
        Self::Out,
        Self::In,
        Self::Onward,
        Self::Neighbours,
        Self::Advertisements,
        Self::Udp,
        Self::Tcp,
        Self::Chosen,
    ];

    /// What such a rule carries as its comment.
    pub fn comment(self) -> &'static str {
        match self {
            Self::Out | Self::In => COMMENT,
            Self::Onward => "nsnat onward",
            Self::Neighbours => "nsnat neighbours",
            Self::Advertisements => "nsnat advertisements",
            Self::Udp => "nsnat udp",
            Self::Tcp => "nsnat tcp",
            Self::Chosen => "nsnat chosen",
        }
    }
}

/// A rule of ours in a chain of somebody else: what is from our links, or to them, is accepted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pass {
    /// The chain in which the rule stands.
    pub chain: Chain,
    /// The direction of the packets that the rule accepts.
    pub direction: Direction,
}

/// A pass that was found on the host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FoundPass {
    /// The rule.
    pub pass: Pass,
    /// Handle of the rule (`nft -a list chain`); 0 where rules have no handles.
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
        /// Handle of the rule (`nft -a list chain`); its place in the chain where rules have no handles.
        handle: u64,
    },
}

/// Why a gate cannot be passed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Closed {
    /// The table has an owner: a running program, which alone may change it.
    Owned,
    /// The program that could add a rule is not on this host.
    Without(String),
    /// The nft that could add a rule takes none in JSON: it is too old, or was built without that.
    WithoutJson {
        /// Where it is.
        program: String,
        /// Its version.
        version: String,
    },
    /// The chain stops everything before it is known where a packet goes to.
    Everything,
    /// The chain has a name that nft cannot read.
    Unnamable,
    /// The chain is before routing and accepts no answers: it is not known there yet which namespace an answer is for.
    Answers,
    /// The chain is before or after routing, and kept by iptables.
    Early,
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
    /// Where the kernel calls it.
    #[serde(default, skip_serializing_if = "Hook::is_forward")]
    pub hook: Hook,
    /// No rule of it accepts neighbour discovery from everybody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_neighbours: bool,
    /// The chain is a kill switch's that lets through what it does not tunnel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
}

/// A kill switch whose chains accept flows of a connection mark, whatever else they drop.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Split {
    /// The connection mark.
    pub mark: u32,
    /// Tunnels of the kill switch, where it drops these flows.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tunnels: BTreeSet<String>,
}

impl Gate {
    /// A rule in it that lets packets of namespaces through.
    pub fn pass(&self, direction: Direction) -> Pass {
        Pass { chain: Chain { name: self.place.clone(), ..self.chain.clone() }, direction }
    }
}
