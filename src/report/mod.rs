//! What people and programs are shown: text and JSON. View only.

pub mod dns;
pub mod doctor;
mod job;
mod man;
mod status;
pub mod table;
pub mod trace;

pub use job::{Job, Scope};
pub use man::man;
pub use status::{NamespaceState, Status, Uplink, json, text};

use crate::model::UplinkPath;
use std::net::IpAddr;

/// "by eth0 via 192.168.1.254".
pub fn describe_path(path: Option<&UplinkPath>) -> String {
    let Some(path) = path else { return "no way out at the moment".into() };
    let by = match &path.uplink {
        Some(name) => format!("by {name} ({})", path.dev),
        None => format!("by {}", path.dev),
    };
    if path.gateways.is_empty() { by } else { format!("{by} via {}", join(&path.gateways)) }
}

fn join(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
