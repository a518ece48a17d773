//! Of a namespace that has a choice of uplinks: which are not well, as `status` tells it.

use crate::config::Namespace;
use crate::model::{
    Code, Condition, Cure, Family, FamilyHealth, Finding, Health, Name, Observed, UplinkPath,
};
use crate::report::{Uplink, UplinkFamily};
use std::time::{SystemTime, UNIX_EPOCH};

/// All uplinks of a namespace in their order; none where there is no choice.
pub(super) fn uplinks(namespace: &Namespace, observed: &Observed) -> Vec<Uplink> {
    if !namespace.has_choice() {
        return Vec::new();
    }
    let one = |name: &Name| {
        let health = observed.health.get(name);
        let whole = health.map(Health::best).filter(|whole| whole.condition != Condition::Well);
        let condition = whole.map_or(Condition::Well, |whole| whole.condition);
        let families = health.into_iter().flat_map(|health| &health.0);
        let worse = families.filter(|(_, health)| health.condition != condition);
        let family = |(family, health): (&Family, &FamilyHealth)| UplinkFamily {
            family: *family,
            condition: health.condition,
            since: health.since,
        };
        let since = whole.map(|whole| whole.since);
        Uplink { name: name.clone(), condition, since, families: worse.map(family).collect() }
    };
    namespace.uplinks.iter().filter_map(|uplink| uplink.name.as_ref()).map(one).collect()
}

/// The uplinks that are not well, as a whole or in one family. `path`: by what the namespace leaves.
pub(super) fn ailments(uplinks: &[Uplink], path: Option<&UplinkPath>) -> Vec<Finding> {
    let path = path.filter(|path| path.is_open());
    let one = |Uplink { name, condition, since, families }: &Uplink| {
        let used = path.and_then(|path| path.uplink.as_ref());
        let whole = ailment(name, *condition, "", *since, used);
        let of_families = families.iter().filter_map(|one| {
            let used = path.and_then(|path| path.part_of(one.family)?.uplink.as_ref());
            ailment(name, one.condition, &format!(" by {}", one.family), Some(one.since), used)
        });
        whole.into_iter().chain(of_families).collect::<Vec<_>>()
    };
    uplinks.iter().flat_map(one).collect()
}

fn ailment(
    name: &Name,
    condition: Condition,
    by: &str,
    since: Option<u64>,
    used: Option<&Name>,
) -> Option<Finding> {
    let since = since.map(lasting).unwrap_or_default();
    let (code, what, help) = match condition {
        Condition::Well => return None,
        Condition::Dead => {
            let help = "see that its router is on and has a connection";
            (Code::UplinkSilent, format!("uplink {name} does not answer{by}{since}"), help)
        }
        Condition::Unsteady => {
            let what = format!("uplink {name} has been unsteady{by}{since}: one that is well is better");
            (Code::UplinkUnsteady, what, "wait: it is used again when it has been well for a while")
        }
    };
    let instead = used.map(|used| format!("; {used} is used")).unwrap_or_default();
    let cure = Cure::person(help);
    Some(Finding::new(code, format!("{what}{instead}"), cure).shown_by(["nsnat events".to_owned()]))
}

/// For how long that has been so.
fn lasting(since: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (seconds, minute, hour) = (now.saturating_sub(since), 60, 3600);
    match seconds {
        0..60 => format!(" for {seconds} s"),
        60..3600 => format!(" for {} min", seconds / minute),
        _ => format!(" for {} h", seconds / hour),
    }
}
