//! Of a namespace that has a choice of uplinks: which are not well, as `status` tells it.

use crate::config::Namespace;
use crate::model::{Code, Condition, Cure, Finding, Name, Observed};
use crate::report::Uplink;
use std::time::{SystemTime, UNIX_EPOCH};

/// All uplinks of a namespace in their order; none where there is no choice.
pub(super) fn uplinks(namespace: &Namespace, observed: &Observed) -> Vec<Uplink> {
    if !namespace.has_choice() {
        return Vec::new();
    }
    let one = |name: &Name| {
        let health = observed.health.get(name);
        let condition = health.map_or(Condition::Well, |health| health.condition);
        Uplink { name: name.clone(), condition, since: health.map(|health| health.since) }
    };
    namespace.uplinks.iter().filter_map(|uplink| uplink.name.as_ref()).map(one).collect()
}

/// The uplinks that are not well.
pub(super) fn ailments(uplinks: &[Uplink], used: Option<&Name>) -> Vec<Finding> {
    let instead = used.map(|used| format!("{used} is used")).unwrap_or_default();
    let one = |Uplink { name, condition, since }: &Uplink| {
        let since = since.map(lasting).unwrap_or_default();
        let (code, what) = match condition {
            Condition::Well => return None,
            Condition::Dead => (Code::UplinkSilent, format!("uplink {name} does not answer{since}")),
            Condition::Unsteady => {
                let what = format!("uplink {name} has been unsteady{since}: one that is well is better");
                (Code::UplinkUnsteady, what)
            }
        };
        Some(Finding::new(code, what, Cure::advice(instead.as_str())))
    };
    uplinks.iter().filter_map(one).collect()
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
