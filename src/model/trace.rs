//! One probe, and what was seen of its way through the host.

use super::gate::Hook;
use serde::Serialize;
use std::fmt;
use std::net::IpAddr;

/// What the probe is sent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// The first packet of a connection to a port.
    Tcp(u16),
    /// A datagram to a port.
    Udp(u16),
    /// An echo request.
    Icmp,
}

/// Where the probe is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ProbeTarget {
    /// Address.
    pub address: IpAddr,
    /// Protocol and port.
    pub protocol: Protocol,
}

impl ProbeTarget {
    /// As `nsnat trace` takes it.
    pub fn argument(&self) -> String {
        let at = |port| std::net::SocketAddr::new(self.address, port);
        match self.protocol {
            Protocol::Tcp(port) => at(port).to_string(),
            Protocol::Udp(port) => format!("{}/udp", at(port)),
            Protocol::Icmp => self.address.to_string(),
        }
    }
}

impl fmt::Display for ProbeTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |port| std::net::SocketAddr::new(self.address, port);
        match self.protocol {
            Protocol::Tcp(port) => write!(f, "{} (tcp)", at(port)),
            Protocol::Udp(port) => write!(f, "{} (udp)", at(port)),
            Protocol::Icmp => write!(f, "{} (icmp)", self.address),
        }
    }
}

/// A chain that the packet came by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TracedChain {
    /// Family of the table, as nft(8) names it.
    pub kind: &'static str,
    /// Its table.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// Where the kernel calls it, of a base chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<Hook>,
    /// Its priority there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
}

impl TracedChain {
    /// Whether it is in nsnat's own table.
    pub fn is_ours(&self) -> bool {
        self.kind == "inet" && self.table == super::nft::TABLE
    }
}

impl fmt::Display for TracedChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {} {}, chain {}", self.kind, self.table, self.chain)
    }
}

/// What a rule or a policy did with the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Done {
    /// The hook's next base chain is asked.
    Accepted,
    /// It ends here; a rule that rejects drops, too.
    Dropped,
    /// A program was given it (NF_QUEUE, NF_STOLEN).
    Taken,
    /// The next rule is asked, here or in another chain.
    Passed,
}

/// Addresses and ports of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Header {
    /// Source.
    pub from: IpAddr,
    /// Destination.
    pub to: IpAddr,
    /// Protocol number.
    pub protocol: u8,
    /// Source and destination port, where there are ports.
    pub ports: Option<(u16, u16)>,
}

/// One rule that matched, or a policy that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The packet: the probe, or an answer to it.
    pub packet: u32,
    /// Where.
    pub spot: TracedChain,
    /// Handle of the rule; none: the chain's policy, or its end.
    pub rule: Option<u64>,
    /// What became of the packet.
    pub done: Done,
    /// Addresses and ports, where the kernel tells them: once for each base chain.
    pub header: Option<Header>,
    /// The mark that it had.
    pub mark: u32,
    /// The device that it is to leave by, once that is known.
    pub oif: Option<String>,
}

/// What the namespace heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeAnswer {
    /// Nothing.
    Nothing,
    /// The hop limit was used up: the answer of a router.
    HopLimit,
    /// An answer of the destination itself.
    Answer,
    /// The connection was refused.
    Reset,
    /// An ICMP error that says that it cannot be reached.
    Unreachable,
}

/// The route that the kernel has for the probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChosenRoute {
    /// Table.
    pub table: u32,
    /// Device.
    pub dev: Option<String>,
    /// Next hop.
    pub gateway: Option<IpAddr>,
}

/// What was seen of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// Where it was sent to.
    pub goal: ProbeTarget,
    /// Its source inside; none where it could not be sent.
    pub source: Option<IpAddr>,
    /// Why it could not be sent.
    pub unsent: Option<String>,
    /// What rules and policies did, in the order in which it happened.
    pub events: Vec<Event>,
    /// The route for it; none: there is none.
    pub route: Option<ChosenRoute>,
    /// Devices by which it left the host.
    pub left: Vec<String>,
    /// The device by which an answer arrived.
    pub arrived: Option<String>,
    /// What was heard inside.
    pub heard: ProbeAnswer,
    /// The sender of the answer, where it is known.
    pub by: Option<IpAddr>,
}
