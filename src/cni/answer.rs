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

/// The result of ADD: what is there now, with what the plugins before nsnat made. Behind them, the addresses and routes are theirs
/// alone: runtimes, and the CHECK of the plugins that make interfaces, take all addresses of a result for those of the one interface
/// that the runtime named.
pub fn added(version: Version, made: &Interface, previous: Option<&Map<String, Value>>) -> Value {
    let earlier = |key: &str| {
        previous.and_then(|result| result.get(key)).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    // The second one of nsnat's.
    let number = earlier("interfaces").len() + 1;
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
        let address = format!("{}/{prefix}", route.own);
        let mut out = json!({ "address": address, "gateway": route.gateway, "interface": number });
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
    let interfaces = [
        interface(&made.host_ifname, made.host_mac.as_ref(), None),
        interface(&made.ifname, made.mac.as_ref(), Some(sandbox)),
    ];
    let own = |of_all: Vec<Value>| if previous.is_none() { of_all } else { Vec::new() };
    let with = |key: &str, own: Vec<Value>| earlier(key).into_iter().chain(own).collect::<Vec<_>>();
    let ways = made.routes.iter().filter(|route| route.is_way_out);
    json!({
        "cniVersion": version.text(),
        "interfaces": with("interfaces", interfaces.to_vec()),
        "ips": with("ips", own(made.routes.iter().map(ip).collect())),
        "routes": with("routes", own(ways.map(way).collect())),
        "dns": earlier_dns(previous).unwrap_or(dns),
    })
}

/// The servers that the plugins before nsnat named, such as a cluster's, stay.
fn earlier_dns(previous: Option<&Map<String, Value>>) -> Option<Value> {
    let dns = previous?.get("dns")?;
    let servers = dns.get("nameservers")?.as_array()?;
    (!servers.is_empty()).then(|| dns.clone())
}

/// The result of VERSION; `asked`: the version in the question.
pub fn supported(asked: &str) -> Value {
    json!({ "cniVersion": asked, "supportedVersions": Version::ALL.map(Version::text) })
}
