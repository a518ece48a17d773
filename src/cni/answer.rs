//! What a runtime is answered where a call succeeded.

use super::version::Version;
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use std::path::PathBuf;

/// The interface that a container was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name in the container.
    pub ifname: String,
    /// The network namespace, as the runtime named it.
    pub netns: PathBuf,
    /// Its link-layer address, as far as it is known.
    pub mac: Option<String>,
    /// Name of the other end, on the host.
    pub host_ifname: String,
    /// Link-layer address of the other end.
    pub host_mac: Option<String>,
    /// Bytes.
    pub mtu: Option<u32>,
    /// Its addresses, each with the next hop.
    pub routes: Vec<Route>,
    /// DNS servers that are asked, whichever a program names.
    pub nameservers: Vec<IpAddr>,
}

/// An address of a container, and the way out from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The address.
    pub own: IpAddr,
    /// The next hop.
    pub gateway: IpAddr,
    /// There is a default route by it.
    pub is_way_out: bool,
}

/// The result of ADD.
pub fn added(version: Version, made: &Interface) -> Value {
    let interface = |name: &str, mac: Option<&String>, sandbox: Option<String>| {
        let mut out = Map::from_iter([("name".to_owned(), json!(name))]);
        out.extend(mac.map(|mac| ("mac".to_owned(), json!(mac))));
        out.extend(made.mtu.filter(|_| version >= Version::V1_1).map(|mtu| ("mtu".to_owned(), json!(mtu))));
        out.extend(sandbox.map(|path| ("sandbox".to_owned(), json!(path))));
        Value::from(out)
    };
    let sandbox = made.netns.display().to_string();
    let ip = |route: &Route| {
        let prefix = if route.own.is_ipv4() { 32 } else { 128 };
        // The second of the interfaces below.
        let mut out =
            json!({ "address": format!("{}/{prefix}", route.own), "gateway": route.gateway, "interface": 1 });
        if let Some(fields) = out.as_object_mut().filter(|_| version < Version::V1_0) {
            fields.insert("version".into(), if route.own.is_ipv4() { "4" } else { "6" }.into());
        }
        out
    };
    let way = |route: &Route| {
        let everything = if route.own.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
        json!({ "dst": everything, "gw": route.gateway })
    };
    let dns =
        if made.nameservers.is_empty() { json!({}) } else { json!({ "nameservers": made.nameservers }) };
    json!({
        "cniVersion": version.text(),
        "interfaces": [
            interface(&made.host_ifname, made.host_mac.as_ref(), None),
            interface(&made.ifname, made.mac.as_ref(), Some(sandbox)),
        ],
        "ips": made.routes.iter().map(ip).collect::<Vec<_>>(),
        "routes": made.routes.iter().filter(|route| route.is_way_out).map(way).collect::<Vec<_>>(),
        "dns": dns,
    })
}

/// The result of VERSION; `asked`: the version in the question.
pub fn supported(asked: &str) -> Value {
    json!({ "cniVersion": asked, "supportedVersions": Version::ALL.map(Version::text) })
}
