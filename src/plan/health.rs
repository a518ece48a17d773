//! Which uplinks are to be asked whether they live: the uplinks of namespaces that are up and have several.

use super::reach;
use super::uplink_path;
use crate::config::{Config, Uplink};
use crate::model::{CheckKind, Checkup, Name, Observed, State};
use std::collections::BTreeMap;

/// These uplinks, and what is to be asked of each. An uplink without a next hop is left out while its link is up.
pub fn checkups(config: &Config, state: &State, observed: &Observed) -> BTreeMap<Name, Checkup> {
    let is_up = |name: &Name| state.namespaces.contains_key(name);
    let several = config.namespaces.iter().filter(|(name, ns)| is_up(name) && ns.uplinks.len() > 1);
    let uplinks = several.flat_map(|(_, namespace)| &namespace.uplinks);
    let named: BTreeMap<&Name, &Uplink> =
        uplinks.filter_map(|uplink| Some((uplink.name.as_ref()?, uplink))).collect();
    let one = |(name, uplink): (&Name, &Uplink)| Some((name.clone(), checkup(uplink, observed)?));
    named.into_iter().filter_map(one).collect()
}

fn checkup(uplink: &Uplink, observed: &Observed) -> Option<Checkup> {
    let check = uplink.check;
    if check.kind == CheckKind::None {
        return None;
    }
    match uplink_path::resolve_uplink(uplink, observed) {
        Ok(path) if uplink_path::is_usable(&path, observed) => {
            let gateways = reach::neighbours(&path, observed);
            (!gateways.is_empty()).then_some(Checkup { check, gateways })
        }
        _ => Some(Checkup { check, gateways: Vec::new() }),
    }
}
