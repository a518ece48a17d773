//! What netavark asks: an argument and the network.

use crate::cni;
use crate::model::{Access, Name, Publication};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// What the plugin is.
    Info,
    /// Whether there can be such a network: what it would give its containers, and the network as it is to be kept.
    Create(Access, Value),
    /// A container comes into the network.
    Setup(Setup),
    /// It leaves it.
    Teardown(Name),
}

/// An interface that a container is to be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// What the attachment is called.
    pub id: Name,
    /// The network namespace.
    pub netns: PathBuf,
    /// The interface.
    pub ifname: String,
    /// By what it leaves, and what of the host it reaches.
    pub access: Access,
    /// Ports that the other side of the uplink is to reach.
    pub publish: Vec<Publication>,
}

/// The key of the ports that a container publishes.
const PORTS: &str = "port_mappings";

type Answer<T> = Result<T, String>;
type Fields = Map<String, Value>;

/// What the names of attachments begin with.
const BY: &str = "podman";

/// What can be asked of a network and nsnat does not do, with the reason: it would be missed. The first column is the key.
const OF_NETWORK: [(&str, &str); 5] = [
    ("subnets", "nsnat chooses the addresses itself"),
    ("routes", "a container has a default route, and nothing else"),
    ("network_interface", "each container has an interface of its own on the host"),
    ("network_dns_servers", "DNS servers are set in nsnat's configuration"),
    ("internal", "the network is a way out"),
];

/// The same of a container.
const OF_CONTAINER: [(&str, &str); 2] = [
    ("static_ips", "nsnat chooses the addresses itself"),
    ("static_mac", "the kernel chooses the link-layer address"),
];

/// Reads a call; the arguments are those after the program's name.
pub fn read(arguments: &[String], input: &str) -> Answer<Call> {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] | ["info"] => Ok(Call::Info),
        ["create"] => create(fields(input)?),
        ["setup", netns] => setup(netns, &fields(input)?),
        ["teardown", _] => id(&fields(input)?).map(Call::Teardown),
        other => Err(format!("netavark does not call a plugin like this: {}", other.join(" "))),
    }
}

fn fields(input: &str) -> Answer<Fields> {
    serde_json::from_str(input).map_err(|why| format!("standard input is not understood: {why}"))
}

fn create(mut network: Fields) -> Answer<Call> {
    refuse(&network, &OF_NETWORK)?;
    let access = access(&network)?;
    // Podman would choose addresses, and answer names by itself.
    network.insert("ipam_options".into(), json!({ "driver": "none" }));
    network.insert("dns_enabled".into(), false.into());
    Ok(Call::Create(access, network.into()))
}

fn setup(netns: &str, asked: &Fields) -> Answer<Call> {
    let container = part(asked, "network_options")?;
    refuse(container, &OF_CONTAINER)?;
    let access = access(part(asked, "network")?)?;
    let ifname = text(container, "interface_name")?;
    let publish = cni::published(asked.get(PORTS)).map_err(|why| format!("`{PORTS}`: {why}"))?;
    Ok(Call::Setup(Setup { id: id(asked)?, netns: netns.into(), ifname: ifname.to_owned(), access, publish }))
}

fn refuse(fields: &Fields, keys: &[(&str, &str)]) -> Answer<()> {
    let asked = |(key, _): &&(&str, &str)| fields.get(*key).is_some_and(|value| !is_empty(value));
    match keys.iter().find(asked) {
        Some((key, why)) => Err(format!("`{key}` is not supported: {why}")),
        None => Ok(()),
    }
}

/// What podman says where nobody asked for anything.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// What the network gives: its options.
fn access(network: &Fields) -> Answer<Access> {
    let none = Fields::new();
    let options = network.get("options").and_then(Value::as_object).unwrap_or(&none);
    cni::by_options(options)
}

fn id(asked: &Fields) -> Answer<Name> {
    let container = text(asked, "container_id")?;
    let ifname = text(part(asked, "network_options")?, "interface_name")?;
    cni::name_of(BY, container, ifname).ok_or_else(|| format!("no name can be made of {container}"))
}

fn part<'a>(fields: &'a Fields, key: &str) -> Answer<&'a Fields> {
    fields.get(key).and_then(Value::as_object).ok_or_else(|| format!("`{key}` is missing"))
}

fn text<'a>(fields: &'a Fields, key: &str) -> Answer<&'a str> {
    fields.get(key).and_then(Value::as_str).ok_or_else(|| format!("`{key}` is missing"))
}
