//! By what the containers of an engine's network leave, what of the host they reach, and by which uplinks their ports are asked,
//! as its configuration says it.

use crate::model::{Access, Destination, HostService, Name};
use serde_json::{Map, Value};
use std::net::IpAddr;

/// The keys of which one says by what they leave.
const WAYS: [&str; 3] = ["egress", "uplink", "gateway"];

/// The key of the services of the host.
const HOST: &str = "host";

/// The key of the uplinks by which ports are asked.
const PUBLISH_BY: &str = "publish-by";

/// All of them.
pub(super) const KEYS: [&str; 5] = ["egress", "uplink", "gateway", HOST, PUBLISH_BY];

/// What stands at a key.
type Given<'a> = (&'a str, Vec<String>);

/// Reads the options of a network that has no others, with commas between several words.
pub fn by_options(options: &Map<String, Value>) -> Result<Access, String> {
    if let Some(key) = options.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("the option `{key}` is not known; there are {}", KEYS.join(", ")));
    }
    let words = |value: &Value| value.as_str().unwrap_or_default().split(',').map(str::to_owned).collect();
    let given: Vec<Given<'_>> = options.iter().map(|(key, value)| (key.as_str(), words(value))).collect();
    access(&given)
}

/// Reads what stands at the [`KEYS`] that are given.
pub(super) fn access(given: &[Given<'_>]) -> Result<Access, String> {
    let ways: Vec<&Given<'_>> = given.iter().filter(|(key, _)| WAYS.contains(key)).collect();
    let at = |wanted: &str| given.iter().find(|(key, _)| *key == wanted).map(|(_, words)| words);
    let host = at(HOST).map(|words| services(words)).transpose()?;
    let publish_by = at(PUBLISH_BY).map(|words| names(PUBLISH_BY, words)).transpose()?.unwrap_or_default();
    Ok(Access { to: destination(&ways)?, host, publish_by })
}

fn names(key: &str, words: &[String]) -> Result<Vec<Name>, String> {
    words.iter().map(|word| word.parse().map_err(|why| format!("`{key}`: {why}"))).collect()
}

fn destination(given: &[&Given<'_>]) -> Result<Destination, String> {
    let [(key, words)] = given else {
        return Err("one of `egress` (a declared namespace), `uplink` and `gateway` is needed".into());
    };
    match (*key, words.as_slice()) {
        ("egress", [word]) => {
            word.parse().map(Destination::Namespace).map_err(|why| format!("`{key}`: {why}"))
        }
        ("egress", _) => Err("`egress` names one namespace".into()),
        ("uplink", words) => names(key, words).map(Destination::Uplinks),
        (_, words) => {
            let address = |word: &String| {
                word.parse::<IpAddr>().map_err(|_| format!("`gateway`: {word:?} is no address"))
            };
            words.iter().map(address).collect::<Result<_, _>>().map(Destination::Gateways)
        }
    }
}

/// The services of the host that are chosen, or none of them, in the words of a declaration.
fn services(words: &[String]) -> Result<Vec<HostService>, String> {
    let service = |word: &String| {
        HostService::choice(word).map_err(|why| {
            format!(
                "`{HOST}`: {word:?} is no service of the host: {why}; such are 5432/tcp and 53/udp, or none"
            )
        })
    };
    let said: Vec<_> = words.iter().map(service).collect::<Result<_, _>>()?;
    Ok(HostService::distinct(said.into_iter().flatten()))
}
