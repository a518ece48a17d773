//! Queries that are sent to see which server answers, and their outcomes.

use serde::Serialize;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// How a query travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// In a datagram.
    Udp,
    /// By a connection.
    Tcp,
}

impl Transport {
    /// Its number as an IP protocol.
    pub fn protocol(self) -> u8 {
        match self {
            Self::Udp => 17,
            Self::Tcp => 6,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        })
    }
}

/// A DNS query that is sent out of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The server that is asked.
    pub server: SocketAddr,
    /// How.
    pub transport: Transport,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Where the query went, as the host's connection tracking knows it; none: it never left the namespace.
    pub by: Option<SocketAddr>,
    /// Time until the answer or the error.
    pub took: Duration,
    /// None: there was an answer.
    pub error: Option<String>,
}

impl Outcome {
    /// The error that is none: nobody answered in time.
    pub const LATE: &str = "timed out";
}
