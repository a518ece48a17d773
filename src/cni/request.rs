//! What a runtime asks: the environment and the network configuration.

use super::access::{self, KEYS};
use super::failure::{Failure, code};
use super::version::Version;
use super::{identity, ports};
use crate::model::{Access, Attached, Beside, Bond, Destination, Name, Publication};
use ipnetwork::IpNetwork;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The version that is spoken.
    pub version: Version,
    /// Name of the network.
    pub network: String,
    /// By what the containers of the network leave, and what of the host they reach.
    pub access: Access,
    /// What is asked.
    pub call: Call,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Gives a container an interface.
    Add(Endpoint),
    /// Takes it away.
    Del(Name),
    /// Whether it is as it should be, with the addresses that it was given.
    Check(Endpoint, Vec<IpAddr>),
    /// Takes away what belongs to the network and is not among these.
    Collect(BTreeSet<Name>),
    /// Whether containers can be added.
    Status,
}

/// The interface of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What its attachment is called.
    pub id: Name,
    /// The network namespace, as the runtime names it.
    pub netns: PathBuf,
    /// nsnat's interface.
    pub ifname: String,
    /// Ports that the other side of the uplink is to reach.
    pub publish: Vec<Publication>,
    /// What the plugins before nsnat made, as it was given.
    pub previous: Option<Map<String, Value>>,
    /// Another way out: that of these plugins, or of another network.
    pub beside: Option<Beside>,
}

/// The key of what a runtime adds for the sake of capabilities, and the capability that nsnat has.
const RUNTIME: &str = "runtimeConfig";
const PORTS: &str = "portMappings";

/// Capabilities that nsnat has not, with what helps; for any other one the last line.
const CAPABILITIES: [(&str, &str); 4] = [
    (
        "bandwidth",
        "the plugin `bandwidth` limits nsnat's interface, from a place behind nsnat in the list of plugins",
    ),
    ("mac", "the kernel chooses the link-layer address"),
    ("dns", "DNS servers are set in nsnat's configuration"),
    ("", OWN_ADDRESSES),
];

const OWN_ADDRESSES: &str = "nsnat chooses the addresses itself, and has no capability but `portMappings`";

/// nsnat's interface where another plugin made the one that the runtime names.
const IFNAME: &str = "nsnat0";

/// What the names of attachments begin with.
const BY: &str = "cni";

type Answer<T> = Result<T, Failure>;

/// The version in a question for the versions.
pub fn read_version(input: &str) -> Answer<String> {
    let fields: Map<String, Value> = serde_json::from_str(input).map_err(|why| {
        Failure::new(code::DECODE, "the question for versions is not understood", why.to_string())
    })?;
    let version = fields.get("cniVersion").and_then(Value::as_str);
    Ok(version.unwrap_or(Version::V1_1.text()).to_owned())
}

/// Reads a call; `variable` looks a variable of the environment up, `command` is the first of them.
pub fn read(command: &str, variable: impl Fn(&str) -> Option<String>, input: &str) -> Answer<Request> {
    let fields: Map<String, Value> = serde_json::from_str(input).map_err(|why| {
        Failure::new(code::DECODE, "the network configuration is not understood", why.to_string())
    })?;
    let version = version(&fields)?;
    let read = || {
        let network = network(&fields)?;
        let call = call(command, version, variable, &fields)?;
        // To take away what is there needs no way out, even where the configuration has become wrong since.
        let access = match &call {
            Call::Del(_) | Call::Collect(_) => {
                let none =
                    Access { to: Destination::Uplinks(Vec::new()), host: None, publish_by: Vec::new() };
                access(&fields).unwrap_or(none)
            }
            Call::Add(_) | Call::Check(..) | Call::Status => access(&fields)?,
        };
        Ok(Request { version, network, access, call })
    };
    read().map_err(|failure: Failure| Failure { version: Some(version), ..failure })
}

fn version(fields: &Map<String, Value>) -> Answer<Version> {
    // The first version had no such key.
    let text = fields.get("cniVersion").and_then(Value::as_str).unwrap_or("0.1.0");
    Version::read(text).ok_or_else(|| {
        let known = Version::ALL.map(Version::text).join(", ");
        let details = format!("the network configuration has the version {text:?}; supported are {known}");
        Failure::new(code::VERSION, "incompatible CNI version", details)
    })
}

fn wrong(details: impl Into<String>) -> Failure {
    Failure::new(code::CONFIGURATION, "invalid network configuration", details)
}

fn network(fields: &Map<String, Value>) -> Answer<String> {
    let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
    if is_word(name) { Ok(name.to_owned()) } else { Err(wrong(format!("`name` is {name:?}"))) }
}

/// As the specification has the names of networks and containers.
fn is_word(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(known)
}

/// What nsnat does not do: it would be missed.
fn refuse(fields: &Map<String, Value>) -> Answer<()> {
    let unsupported = |key: &str, value: &Value, why: &str| {
        let details = format!("{key} = {value}: {why}");
        Err(Failure::new(code::FIELD, format!("unsupported field {key} = {value}"), details))
    };
    if let Some(value) = fields.get("ipam").filter(|value| !is_empty(value)) {
        return unsupported("ipam", value, OWN_ADDRESSES);
    }
    if let Some(value) = fields.get(RUNTIME).filter(|value| !is_empty(value) && !value.is_object()) {
        return unsupported(RUNTIME, value, "it is no object");
    }
    let asked = fields.get(RUNTIME).and_then(Value::as_object).into_iter().flatten();
    match asked.filter(|(_, value)| !is_empty(value)).find(|(key, _)| *key != PORTS) {
        Some((key, value)) => {
            let known = CAPABILITIES.iter().find(|(name, _)| name == key || name.is_empty());
            unsupported(&format!("{RUNTIME}.{key}"), value, known.map_or("", |(_, why)| *why))
        }
        None => Ok(()),
    }
}

/// The ports that a runtime asks for.
fn publish(fields: &Map<String, Value>) -> Answer<Vec<Publication>> {
    let mappings = fields.get(RUNTIME).and_then(|asked| asked.get(PORTS));
    ports::published(mappings).map_err(|why| wrong(format!("`{PORTS}`: {why}")))
}

/// What the network gives its containers.
fn access(fields: &Map<String, Value>) -> Answer<Access> {
    refuse(fields)?;
    let read = |key: &'static str| {
        let value = fields.get(key)?;
        let words = words(value).ok_or_else(|| wrong(format!("`{key}` is {value}, which is no text")));
        Some(words.map(|words| (key, words)))
    };
    let given: Vec<_> = KEYS.into_iter().filter_map(read).collect::<Answer<_>>()?;
    access::access(&given).map_err(wrong)
}

/// What a runtime adds although nobody asked for it.
fn is_empty(value: &Value) -> bool {
    let is_empty_list = value.as_array().is_some_and(Vec::is_empty);
    value.is_null() || is_empty_list || value.as_object().is_some_and(Map::is_empty)
}

/// A text, or several.
fn words(value: &Value) -> Option<Vec<String>> {
    let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let words: Option<Vec<String>> = values.iter().map(|value| value.as_str().map(str::to_owned)).collect();
    words.filter(|words| !words.is_empty())
}

fn call(
    command: &str,
    version: Version,
    variable: impl Fn(&str) -> Option<String>,
    fields: &Map<String, Value>,
) -> Answer<Call> {
    let variables = Variables(variable);
    match command {
        "ADD" => Ok(Call::Add(beside(variables.endpoint(publish(fields)?)?, fields)?)),
        "DEL" => variables.id().map(Call::Del),
        "CHECK" if version >= Version::V0_4 => {
            Ok(Call::Check(variables.endpoint(publish(fields)?)?, addresses(fields)))
        }
        "GC" if version >= Version::V1_1 => valid(fields).map(Call::Collect),
        "STATUS" if version >= Version::V1_1 => Ok(Call::Status),
        _ => Err(environment(
            &format!("CNI_COMMAND={command}"),
            &format!("not known to CNI {}", version.text()),
        )),
    }
}

fn environment(message: &str, details: &str) -> Failure {
    Failure::new(code::ENVIRONMENT, format!("invalid environment: {message}"), details)
}

struct Variables<F>(F);

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    fn get(&self, name: &str) -> Answer<String> {
        let value = (self.0)(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| environment(name, &format!("{name} is missing")))
    }

    fn id(&self) -> Answer<Name> {
        let (container, ifname) = (self.get("CNI_CONTAINERID")?, self.get("CNI_IFNAME")?);
        if !is_word(&container) {
            let message = format!("CNI_CONTAINERID={container}");
            return Err(environment(&message, "not of letters, digits, '_', '.' and '-'"));
        }
        if let Some(why) = Attached::problem_of_ifname(&ifname) {
            return Err(environment(&format!("CNI_IFNAME={ifname}"), why));
        }
        identity::name_of(BY, &container, &ifname)
            .ok_or_else(|| environment(&format!("CNI_CONTAINERID={container}"), "no name can be made of it"))
    }

    fn endpoint(&self, publish: Vec<Publication>) -> Answer<Endpoint> {
        let id = self.id()?;
        let (netns, ifname) = (self.get("CNI_NETNS")?.into(), self.get("CNI_IFNAME")?);
        Ok(Endpoint { id, netns, ifname, publish, previous: None, beside: None })
    }
}

/// In a list of plugins: the interface that the runtime names is that of the plugins before, and nsnat's is another one. In a list of
/// its own, `except` says that the container is in another network, too, by which that goes.
fn beside(endpoint: Endpoint, fields: &Map<String, Value>) -> Answer<Endpoint> {
    let except = fields.get("except").map_or(Ok(Vec::new()), networks)?;
    let own = fields.get("ifname").map_or(Some(IFNAME), Value::as_str);
    let ifname = own.ok_or_else(|| wrong("`ifname` is no text"))?;
    if let Some(why) = Attached::problem_of_ifname(ifname) {
        return Err(wrong(format!("`ifname` is {ifname:?}: {why}")));
    }
    let previous = fields.get("prevResult").and_then(Value::as_object).filter(|result| !result.is_empty());
    let Some(result) = previous else {
        if fields.contains_key("ifname") {
            let why = "`ifname` is for a list of plugins in which another one makes the interface";
            return Err(wrong(why));
        }
        let apart = Beside { addresses: Vec::new(), except, bond: Bond::Apart };
        return Ok(Endpoint { beside: Some(apart).filter(|apart| !apart.except.is_empty()), ..endpoint });
    };
    let beside = Some(Beside { addresses: addresses(fields), except, bond: Bond::Chained });
    Ok(Endpoint { ifname: ifname.to_owned(), previous: Some(result.clone()), beside, ..endpoint })
}

fn networks(value: &Value) -> Answer<Vec<IpNetwork>> {
    let words = words(value).ok_or_else(|| wrong(format!("`except` is {value}, which is no text")))?;
    let one = |word: &String| {
        let network = word.parse::<IpNetwork>().ok().filter(|net| net.ip() == net.network());
        network.ok_or_else(|| wrong(format!("`except`: {word:?} is no network")))
    };
    words.iter().map(one).collect()
}

/// The addresses that ADD answered with.
fn addresses(fields: &Map<String, Value>) -> Vec<IpAddr> {
    let ips = fields.get("prevResult").and_then(|result| result.get("ips")).and_then(Value::as_array);
    let address = |ip: &Value| ip.get("address")?.as_str()?.split('/').next()?.parse().ok();
    ips.into_iter().flatten().filter_map(address).collect()
}

/// The attachments of the network that are still there.
fn valid(fields: &Map<String, Value>) -> Answer<BTreeSet<Name>> {
    const KEY: &str = "cni.dev/valid-attachments";
    let Some(valid) = fields.get(KEY).and_then(Value::as_array) else {
        return Err(wrong(format!("`{KEY}` is missing, without which everything would be removed")));
    };
    let one = |value: &Value| {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        identity::name_of(BY, text("containerID")?, text("ifname")?)
    };
    let names: Option<BTreeSet<Name>> = valid.iter().map(one).collect();
    names.ok_or_else(|| wrong(format!("`{KEY}` has an entry without containerID or ifname")))
}
