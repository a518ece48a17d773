//! What people and programs are shown: text and JSON. View only.

pub mod dns;
mod job;
mod man;
mod status;
pub mod table;
pub mod trace;

pub use job::{Job, Scope};
pub use man::man;
pub use status::{State, Status, json, text};

use crate::model::Way;
use std::net::IpAddr;

/// "by eth0 via 192.168.1.254".
pub fn way(way: Option<&Way>) -> String {
    let Some(way) = way else { return "no way out at the moment".into() };
    let by = match &way.uplink {
        Some(name) => format!("by {name} ({})", way.dev),
        None => format!("by {}", way.dev),
    };
    if way.gateways.is_empty() { by } else { format!("{by} via {}", join(&way.gateways)) }
}

fn join(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
