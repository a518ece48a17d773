//! What netavark is answered.

use crate::cni::Interface;
use serde_json::{Value, json};

/// What is said about the plugin.
pub fn info() -> Value {
    json!({ "version": env!("CARGO_PKG_VERSION"), "api_version": "1.0.0" })
}

/// The status of a network that a container is in now.
pub fn made(made: &Interface) -> Value {
    let subnets = made.routes.iter().map(|route| {
        let prefix = if route.own.is_ipv4() { 32 } else { 128 };
        json!({ "ipnet": format!("{}/{prefix}", route.own), "gateway": route.gateway })
    });
    let interface = json!({
        "mac_address": made.mac.as_deref().unwrap_or_default(),
        "subnets": subnets.collect::<Vec<_>>(),
    });
    json!({
        "dns_search_domains": [],
        "dns_server_ips": made.nameservers,
        "interfaces": { made.ifname.as_str(): interface },
    })
}

/// An error.
pub fn refused(why: &str) -> Value {
    json!({ "error": why })
}
