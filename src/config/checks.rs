//! The namespaces from which hosts behind uplinks are asked.
//!
//! A question about an uplink has to leave by that uplink and by no other one, whatever other programs do to rules, tables and
//! devices; its answer has to come in where the host checks the reverse path; firewalls, VPNs and IPsec policies of others are
//! in its way. All of that is true of a job as well. So a question is asked as a job would: from a namespace that has that
//! uplink alone.

use super::{Namespace, Problem, Uplink};
use crate::model::{Name, digest, name};
use std::collections::BTreeMap;

/// What their names begin with.
const PREFIX: &str = "check.";

/// One for each uplink with targets that a namespace has among others.
pub(super) fn of(
    namespaces: &BTreeMap<Name, Namespace>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<Name, Namespace> {
    let several = namespaces.values().filter(|namespace| namespace.has_choice());
    let asked = several.flat_map(|namespace| &namespace.uplinks).filter(|one| one.check.kind.asks_host());
    let of_uplink = |uplink: &Uplink| {
        let checked = uplink.name.clone()?;
        Some((name_for(&checked)?, namespace_for(uplink, checked)))
    };
    let checks: BTreeMap<Name, Namespace> = asked.filter_map(of_uplink).collect();
    for (name, namespace) in namespaces.iter().filter(|(name, _)| checks.contains_key(*name)) {
        let message =
            format!("namespace `{name}`: nsnat itself makes one of that name, for the check of an uplink");
        problems.push(Problem::at(namespace.place.clone(), message).help("choose another name"));
    }
    checks
}

/// The uplink's name with a prefix, or what of it fits and a digest.
fn name_for(uplink: &Name) -> Option<Name> {
    let plain = format!("{PREFIX}{uplink}");
    if plain.len() <= name::MAX {
        return plain.parse().ok();
    }
    let digest = digest(uplink.as_str());
    let start: String = plain.chars().take(name::MAX.saturating_sub(digest.len())).collect();
    format!("{start}{digest}").parse().ok()
}

fn namespace_for(uplink: &Uplink, checked: Name) -> Namespace {
    Namespace { place: uplink.place.clone(), checks: Some(checked), ..Namespace::by(vec![uplink.clone()]) }
}
