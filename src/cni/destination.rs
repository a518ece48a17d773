//! By what a network of an engine leaves, as its configuration says it.

use crate::model::{Destination, Name};
use serde_json::{Map, Value};
use std::net::IpAddr;

/// The keys of which one says it.
pub(super) const KEYS: [&str; 3] = ["egress", "uplink", "gateway"];

/// Reads the options of a network that has no others, with commas between several words.
pub fn by_options(options: &Map<String, Value>) -> Result<Destination, String> {
    if let Some(key) = options.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("the option `{key}` is not known; there are {}", KEYS.join(", ")));
    }
    let words = |value: &Value| value.as_str().unwrap_or_default().split(',').map(str::to_owned).collect();
    let given: Vec<(&str, Vec<String>)> =
        options.iter().map(|(key, value)| (key.as_str(), words(value))).collect();
    destination(&given)
}

/// Reads what stands at the [`KEYS`] that are given.
pub fn destination(given: &[(&str, Vec<String>)]) -> Result<Destination, String> {
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
