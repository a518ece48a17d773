//! By what the containers of an engine's network leave, and what of the host they reach, as its configuration says it.

use crate::model::{Access, Destination, HostService, Name};
use serde_json::{Map, Value};
use std::net::IpAddr;

/// The keys of which one says by what they leave.
const WAYS: [&str; 3] = ["egress", "uplink", "gateway"];

/// The key of the services of the host.
const HOST: &str = "host";

/// All of them.
pub(super) const KEYS: [&str; 4] = ["egress", "uplink", "gateway", HOST];

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
    let (ways, others): (Vec<&Given<'_>>, Vec<_>) = given.iter().partition(|(key, _)| WAYS.contains(key));
    let host = others.first().map(|(_, words)| services(words)).transpose()?;
    Ok(Access { to: destination(&ways)?, host })
}

fn destination(given: &[&Given<'_>]) -> Result<Destination, String> {
    let [(key, words)] = given else {
        return Err("one of `egress` (a declared namespace), `uplink` and `gateway` is needed".into());
    };
    let name = |word: &String| word.parse::<Name>().map_err(|why| format!("`{key}`: {why}"));
    match (*key, words.as_slice()) {
        ("egress", [word]) => name(word).map(Destination::Namespace),
        ("egress", _) => Err("`egress` names one namespace".into()),
        ("uplink", words) => words.iter().map(name).collect::<Result<_, _>>().map(Destination::Uplinks),
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
