//! What Docker is answered.

use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// What an interface is called in the container, before a number that Docker chooses.
const PREFIX: &str = "eth";

/// A route to what is on the link itself (libnetwork's `types.CONNECTED`).
const CONNECTED: u8 = 1;

/// An address of a container, and the next hop from it.
type Way = (IpAddr, IpAddr);

/// What nsnat is.
pub fn activated() -> Value {
    json!({ "Implements": ["NetworkDriver"] })
}

/// Its networks are this host's alone.
pub fn capabilities() -> Value {
    json!({ "Scope": "local", "ConnectivityScope": "local" })
}

/// It is done.
pub fn nothing() -> Value {
    json!({})
}

/// There is nothing that Docker does not know.
pub fn details() -> Value {
    json!({ "Value": {} })
}

/// The addresses of a new endpoint. What Docker chose itself, it does not want to hear again.
pub fn endpoint(ways: &[Way], has_chosen: bool) -> Value {
    let mut interface = Map::new();
    for (own, _) in ways {
        match own {
            IpAddr::V4(own) if !has_chosen => interface.insert("Address".into(), format!("{own}/32").into()),
            IpAddr::V4(_) => None,
            IpAddr::V6(own) => interface.insert("AddressIPv6".into(), format!("{own}/128").into()),
        };
    }
    json!({ "Interface": interface })
}

/// The interface that comes into the container, and the routes by it.
pub fn joined(interface: &str, ways: &[Way]) -> Value {
    let mut out =
        Map::from_iter([("InterfaceName".to_owned(), json!({ "SrcName": interface, "DstPrefix": PREFIX }))]);
    let near = |(_, gateway): &Way| {
        let prefix = if gateway.is_ipv4() { 32 } else { 128 };
        json!({ "Destination": format!("{gateway}/{prefix}"), "RouteType": CONNECTED })
    };
    out.insert("StaticRoutes".into(), ways.iter().map(near).collect());
    for (_, gateway) in ways {
        let key = if gateway.is_ipv4() { "Gateway" } else { "GatewayIPv6" };
        out.insert(key.into(), json!(gateway));
    }
    out.into()
}

/// An error.
pub fn refused(why: &str) -> Value {
    json!({ "Err": why })
}
