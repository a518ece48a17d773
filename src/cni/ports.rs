//! Ports that an engine asks to be published.

use crate::model::{Publication, Published};
use serde::Deserialize;
use serde_json::Value;

/// A mapping, as runtimes say it by CNI (`hostPort`), as containerd does, which counts on Go's reader of JSON to take a key in
/// any case (`HostPort`), and as netavark does (`host_port`).
#[derive(Deserialize)]
struct Mapping {
    #[serde(default, alias = "hostPort", alias = "HostPort")]
    host_port: u64,
    #[serde(default, alias = "containerPort", alias = "ContainerPort")]
    container_port: u64,
    /// One or several, with commas between them; none: tcp.
    #[serde(alias = "Protocol")]
    protocol: Option<String>,
    #[serde(alias = "hostIP", alias = "HostIP")]
    host_ip: Option<String>,
    /// How many ports from these on.
    range: Option<u16>,
}

/// How engines say that all addresses of the host are meant.
const ALL: [&str; 3] = ["", "0.0.0.0", "::"];

/// The ports, each once; none where the engine said nothing of them.
pub fn published(mappings: Option<&Value>) -> Result<Vec<Publication>, String> {
    let read = mappings.map_or(Ok(None), Option::<Vec<Mapping>>::deserialize);
    let mappings = read.map_err(|why| why.to_string())?.unwrap_or_default();
    let each: Vec<_> = mappings.iter().map(ports).collect::<Result<_, _>>()?;
    Publication::distinct(each.into_iter().flatten().map(Publication::from))
}

fn ports(mapping: &Mapping) -> Result<Vec<Published>, String> {
    let address = mapping.host_ip.as_deref().unwrap_or_default();
    let protocols = mapping.protocol.as_deref().filter(|text| !text.is_empty()).unwrap_or("tcp");
    let count = u64::from(mapping.range.unwrap_or_default().max(1));
    let one = |protocol: &str, number: u64| {
        let (outside, inside) =
            (mapping.host_port.saturating_add(number), mapping.container_port.saturating_add(number));
        published_at(address, outside, inside, protocol)
    };
    protocols.split(',').flat_map(|protocol| (0..count).map(move |number| one(protocol, number))).collect()
}

/// One port, at an address of the host.
pub fn published_at(address: &str, outside: u64, inside: u64, protocol: &str) -> Result<Published, String> {
    if !ALL.contains(&address) {
        return Err(format!(
            "port {outside} is asked for at the address {address}: a port is published on the device of the uplink, by all of its addresses"
        ));
    }
    format!("{outside}:{inside}/{}", protocol.to_lowercase()).parse()
}
