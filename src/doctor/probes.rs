//! What became of test packets.

use crate::model::trace::{ProbeAnswer, ProbeTarget};
use crate::plan::TraceReport;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// What became of test packets of a namespace.
#[derive(Clone, Debug, Default)]
pub struct Probes {
    /// Packets that were followed as far as the next hop.
    pub followed: Vec<TraceReport>,
    /// Packets that were sent further than the next hop, and what was heard of each.
    pub beyond: Vec<(ProbeTarget, ProbeAnswer)>,
    /// A small and a large packet to the same target.
    pub large: Vec<LargeProbe>,
    /// DNS servers that are passed over, because they did not answer.
    pub passed_over: Vec<SocketAddr>,
    /// Hosts with which the programs inside have a TCP connection.
    pub connected: BTreeSet<SocketAddr>,
}

/// A small and a large packet to the same target.
#[derive(Clone, Copy, Debug)]
pub struct LargeProbe {
    /// The target.
    pub to: IpAddr,
    /// Bytes of the large one, as an IP packet.
    pub size: u32,
    /// What was heard of the small one.
    pub small: ProbeAnswer,
    /// What was heard of the large one.
    pub large: ProbeAnswer,
    /// The size of the largest one that was answered, where the large one was not.
    pub passes: Option<u32>,
}
