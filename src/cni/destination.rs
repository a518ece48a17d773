//! By what a network of an engine leaves, as its configuration says it.

use crate::model::{Destination, Name};
use std::net::IpAddr;

/// The keys of which one says it.
pub const KEYS: [&str; 3] = ["egress", "uplink", "gateway"];

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
