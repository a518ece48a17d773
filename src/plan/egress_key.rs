//! What an egress is known by: its uplinks as they are declared, and what else its namespaces share.

use super::reach;
use crate::config::{self, Namespace};
use crate::model::{Egress, LastResort, Name, Observed, Prefer, State};
use std::collections::{BTreeMap, BTreeSet};

/// What ends the key of an egress that leaves as the host does while none of its uplinks can be used.
const OR_MAIN: &str = " or main";

/// What namespaces that share an egress have in common, as declared: what a device is or which gateway it has at
/// the moment may change without the egress becoming another.
pub(super) fn egress_key(namespace: &Namespace, observed: &Observed) -> String {
    let paths: Vec<_> = namespace.uplinks.iter().map(|uplink| uplink_key(uplink, observed)).collect();
    let lan = if namespace.lan { "" } else { " without lan" };
    let prefer = if namespace.prefer == Prefer::Sticky && paths.len() > 1 { " sticky" } else { "" };
    let main = if namespace.last_resort == LastResort::Main { OR_MAIN } else { "" };
    format!("{}{lan}{prefer}{main}", paths.join(", "))
}

/// Whether an uplink is one of those among which an egress has a choice.
pub(super) fn is_choice_of(key: &str, uplink: &Name) -> bool {
    let name = format!("[{uplink}]");
    (key.contains(", ") || key.ends_with(OR_MAIN)) && key.split(", ").any(|part| part.starts_with(&name))
}

/// Whatever a device is called, it is one.
fn uplink_key(uplink: &config::Uplink, observed: &Observed) -> String {
    if let Some(name) = &uplink.name {
        return format!("[{name}]");
    }
    let dev = uplink.dev.as_ref().map(|dev| reach::real_name(&dev.value, observed).to_owned());
    let gateways = uplink.gateways.iter().map(|gateway| gateway.value.to_string());
    dev.into_iter().chain(gateways).collect::<Vec<_>>().join(" ")
}

/// If all namespaces of an egress change to one and the same other egress, the egress is renamed, and keeps its number,
/// mark, table and subnets. So another gateway, or another name of an uplink, changes a route at most, and no job loses
/// its address. `wanted`: the egress of each namespace.
pub(super) fn carry_over(state: &mut State, wanted: &BTreeMap<&Name, String>) {
    let mut destinations: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    for (name, namespace) in &state.namespaces {
        let from = &namespace.egress;
        destinations.entry(from).or_default().insert(wanted.get(name).unwrap_or(from));
        // What a namespace answers by stays what it is.
        for by in &namespace.published_by {
            destinations.entry(&by.egress).or_default().insert(&by.egress);
        }
    }
    let only = |(from, to): (&&String, &BTreeSet<&String>)| match to.first() {
        Some(goal) if to.len() == 1 && goal != from => Some(((*from).clone(), (*goal).clone())),
        _ => None,
    };
    let mut renamed: BTreeMap<String, String> = destinations.iter().filter_map(only).collect();
    // Of two egresses that become one only the first moves; an egress that stays keeps its place.
    let mut claimed = BTreeSet::new();
    renamed.retain(|_, to| claimed.insert(to.clone()));
    while let Some(stays) = renamed
        .iter()
        .find(|(_, to)| state.egresses.contains_key(*to) && !renamed.contains_key(*to))
        .map(|(from, _)| from.clone())
    {
        renamed.remove(&stays);
    }
    let mut moved = Vec::new();
    for (from, to) in &renamed {
        // Where the old uplinks led says nothing about the new ones.
        moved.extend(state.egresses.remove(from).map(|egress| (to.clone(), Egress { path: None, ..egress })));
    }
    state.egresses.extend(moved);
    for namespace in state.namespaces.values_mut() {
        if let Some(to) = renamed.get(&namespace.egress) {
            namespace.egress.clone_from(to);
        }
    }
}
