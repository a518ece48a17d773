//! Which uplinks are to be asked whether they live: the uplinks of namespaces that are up and have something else to take.

use super::uplink_path;
use super::{attached, reach};
use crate::config::{Config, Uplink};
use crate::model::{Asked, CheckKind, Checkup, Name, Observed, State};
use std::collections::BTreeMap;

/// These uplinks, and what is to be asked of each. An uplink without a next hop is left out while its link is up.
pub fn checkups(config: &Config, state: &State, observed: &Observed) -> BTreeMap<Name, Checkup> {
    let is_up = |name: &Name| state.namespaces.contains_key(name);
    let attachments = attached::namespaces(config, state);
    let several =
        config.namespaces.iter().chain(&attachments).filter(|(name, ns)| is_up(name) && ns.has_choice());
    let uplinks = several.flat_map(|(_, namespace)| &namespace.uplinks);
    let named: BTreeMap<&Name, &Uplink> =
        uplinks.filter_map(|uplink| Some((uplink.name.as_ref()?, uplink))).collect();
    let one =
        |(name, uplink): (&Name, &Uplink)| Some((name.clone(), checkup(name, uplink, state, observed)?));
    named.into_iter().filter_map(one).collect()
}

fn checkup(name: &Name, uplink: &Uplink, state: &State, observed: &Observed) -> Option<Checkup> {
    let check = uplink.check.clone();
    if check.kind == CheckKind::None {
        return None;
    }
    let asked = match uplink_path::resolve_uplink(uplink, observed) {
        Ok(path) if uplink_path::is_usable(&path, observed) && check.kind.asks_host() => {
            Asked::HostsFrom(namespace_that_checks(name, state)?)
        }
        Ok(path) if uplink_path::is_usable(&path, observed) => {
            let gateways = reach::neighbours(&path, observed);
            (!gateways.is_empty()).then_some(Asked::NextHops(gateways))?
        }
        _ => Asked::Nothing,
    };
    Some(Checkup { check, asked })
}

/// The namespace from which the targets of an uplink's check are asked, once it is up.
fn namespace_that_checks(uplink: &Name, state: &State) -> Option<Name> {
    let mut all = state.namespaces.iter();
    all.find(|(_, namespace)| namespace.checks.as_ref() == Some(uplink)).map(|(name, _)| name.clone())
}
