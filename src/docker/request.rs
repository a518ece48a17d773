//! What Docker asks.

use crate::cni;
use crate::model::{Access, Name, Publication, Published, digest, numbers};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// What the plugin is.
    Activate,
    /// What its networks are.
    Capabilities,
    /// A network is made.
    CreateNetwork {
        /// Docker's number for it.
        network: String,
        /// By what its containers leave, and what of the host they reach.
        access: Access,
    },
    /// It goes.
    DeleteNetwork(String),
    /// A container is to come into a network.
    CreateEndpoint(Endpoint),
    /// What else is to be known of it.
    Details,
    /// It comes: the file that will lead to its network namespace.
    Join {
        /// Docker's number for the endpoint.
        endpoint: String,
        /// The file.
        sandbox: PathBuf,
    },
    /// The ports of the host that are to lead into it.
    Publish {
        /// Docker's number for the endpoint.
        endpoint: String,
        /// Docker's number for its network.
        network: String,
        /// The ports.
        publish: Vec<Publication>,
    },
    /// It leaves the network.
    DeleteEndpoint(String),
    /// What needs nothing to be done.
    Notice,
}

/// A container's place in a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Docker's number for it.
    pub number: String,
    /// Docker's number for the network.
    pub network: String,
    /// What the attachment is called.
    pub id: Name,
    /// The name of the interface on the host.
    pub interface: String,
    /// The address that Docker chose; none: it has none to give.
    pub address: Option<Ipv4Addr>,
    /// Docker asks the servers of the host's resolv.conf for the container's names, because none were named for it.
    pub asks_as_host: bool,
}

type Answer<T> = Result<T, String>;
type Fields = Map<String, Value>;

/// The key of a network's own options.
const GENERIC: &str = "com.docker.network.generic";
/// The key of the ports that a container publishes.
const PORTS: &str = "com.docker.network.portmap";
/// The key of the DNS servers that were named for a container.
const SERVERS: &str = "com.docker.network.endpoint.dnsservers";
/// Docker's own options begin with this.
const OF_DOCKER: &str = "com.docker.";
/// The option of an endpoint by which a person names the attachment.
const ID: &str = "id";

/// Reads a call: the path of the request, and its body.
pub fn read(path: &str, body: &str) -> Answer<Call> {
    let fields = || match body.trim() {
        "" => Ok(Fields::new()),
        body => serde_json::from_str(body).map_err(|why| format!("the body is not understood: {why}")),
    };
    let endpoint = |fields: &Fields| number(fields, "EndpointID");
    match path.trim_start_matches('/') {
        "Plugin.Activate" => Ok(Call::Activate),
        "NetworkDriver.GetCapabilities" => Ok(Call::Capabilities),
        "NetworkDriver.CreateNetwork" => create_network(&fields()?),
        "NetworkDriver.DeleteNetwork" => number(&fields()?, "NetworkID").map(Call::DeleteNetwork),
        "NetworkDriver.CreateEndpoint" => create_endpoint(&fields()?),
        "NetworkDriver.EndpointOperInfo" => Ok(Call::Details),
        "NetworkDriver.DeleteEndpoint" => endpoint(&fields()?).map(Call::DeleteEndpoint),
        "NetworkDriver.Join" => {
            let fields = fields()?;
            let sandbox = text(&fields, "SandboxKey")?.into();
            Ok(Call::Join { endpoint: endpoint(&fields)?, sandbox })
        }
        "NetworkDriver.ProgramExternalConnectivity" => {
            let fields = fields()?;
            publish(&fields, ports(&fields)?)
        }
        "NetworkDriver.RevokeExternalConnectivity" => publish(&fields()?, Vec::new()),
        "NetworkDriver.Leave" | "NetworkDriver.DiscoverNew" | "NetworkDriver.DiscoverDelete" => {
            Ok(Call::Notice)
        }
        other => Err(format!("{other} is no call that a network driver knows")),
    }
}

fn publish(fields: &Fields, publish: Vec<Publication>) -> Answer<Call> {
    let (endpoint, network) = (number(fields, "EndpointID")?, number(fields, "NetworkID")?);
    Ok(Call::Publish { endpoint, network, publish })
}

fn create_network(fields: &Fields) -> Answer<Call> {
    let network = number(fields, "NetworkID")?;
    let options = part(fields, "Options");
    let is_set = |key: &str| options.get(key).is_some_and(|value| value == true || value == "true");
    if is_set("com.docker.network.internal") {
        return Err("an internal network has no way out, and nsnat's are ways out".into());
    }
    let pools = fields.get("IPv6Data").and_then(Value::as_array);
    if pools.is_some_and(|pools| !pools.is_empty()) {
        return Err("nsnat chooses the IPv6 addresses itself: leave --ipv6 out".into());
    }
    let access = cni::by_options(&part(&options, GENERIC))?;
    Ok(Call::CreateNetwork { network, access })
}

fn create_endpoint(fields: &Fields) -> Answer<Call> {
    let number = number(fields, "EndpointID")?;
    let network = self::number(fields, "NetworkID")?;
    let options = part(fields, "Options");
    if let Some(key) = options.keys().find(|key| !key.starts_with(OF_DOCKER) && *key != ID) {
        return Err(format!("the option `{key}` is not known; there is `{ID}`, the name of the attachment"));
    }
    let interface = part(fields, "Interface");
    if !text(&interface, "AddressIPv6").unwrap_or_default().is_empty() {
        return Err("nsnat chooses the IPv6 addresses itself".into());
    }
    let address = match text(&interface, "Address").unwrap_or_default() {
        "" => None,
        address => Some(ipv4(address).ok_or_else(|| format!("{address:?} is no address of IPv4"))?),
    };
    let id = match options.get(ID).and_then(Value::as_str) {
        Some(id) => id.parse().map_err(|why| format!("`{ID}`: {why}"))?,
        None => usual_id(&number)?,
    };
    // Names of devices have at most 15 bytes.
    let interface = format!("{}{}", numbers::LINK_PREFIX, digest(&number).get(..11).unwrap_or_default());
    // Of a further network of a container that publishes ports, Docker says neither these nor the servers.
    let asks_as_host = options.contains_key(PORTS) && !options.contains_key(SERVERS);
    Ok(Call::CreateEndpoint(Endpoint { number, network, id, interface, address, asks_as_host }))
}

/// Docker shows numbers by their first twelve digits.
fn usual_id(number: &str) -> Answer<Name> {
    format!("docker.{}", number.get(..12).unwrap_or(number)).parse()
}

fn ipv4(text: &str) -> Option<Ipv4Addr> {
    text.split_once('/').map_or(text, |(address, _)| address).parse().ok()
}

/// A port that is published, as Docker says it. The protocol is its number.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Mapping {
    proto: u8,
    port: u16,
    #[serde(rename = "HostIP")]
    host_ip: String,
    host_port: u16,
    host_port_end: u16,
}

fn ports(fields: &Fields) -> Answer<Vec<Publication>> {
    let Some(mappings) = part(fields, "Options").remove(PORTS) else { return Ok(Vec::new()) };
    let mappings =
        Option::<Vec<Mapping>>::deserialize(mappings).map_err(|why| format!("`{PORTS}`: {why}"))?;
    let mappings = mappings.unwrap_or_default();
    let ports: Vec<Published> = mappings.iter().map(port).collect::<Answer<_>>()?;
    Publication::distinct(ports.into_iter().map(Publication::from))
}

fn port(mapping: &Mapping) -> Answer<Published> {
    let Mapping { proto, port, host_ip, host_port, host_port_end } = mapping;
    if *host_port == 0 || ![0, *host_port].contains(host_port_end) {
        return Err(format!(
            "port {port} is published without one port of the host: say --publish PORT:{port}"
        ));
    }
    let protocol = match i32::from(*proto) {
        libc::IPPROTO_TCP => "tcp",
        libc::IPPROTO_UDP => "udp",
        _ => return Err(format!("port {port} is published by a protocol that is neither tcp nor udp")),
    };
    cni::published_at(host_ip, u64::from(*host_port), u64::from(*port), protocol)
}

/// A number of Docker's, which names files of nsnat's, too.
fn number(fields: &Fields, key: &str) -> Answer<String> {
    let number = text(fields, key)?;
    let is_plain = number.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if number.is_empty() || number.len() > 64 || !is_plain {
        return Err(format!("`{key}`: {number:?} is no number of Docker's"));
    }
    Ok(number.to_owned())
}

/// What is below a key; nothing where it is missing.
fn part(fields: &Fields, key: &str) -> Fields {
    fields.get(key).and_then(Value::as_object).cloned().unwrap_or_default()
}

fn text<'a>(fields: &'a Fields, key: &str) -> Answer<&'a str> {
    fields.get(key).and_then(Value::as_str).ok_or_else(|| format!("`{key}` is missing"))
}
