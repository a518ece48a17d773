//! Which of the uplinks of a namespace is taken.

use super::last_resort;
use super::uplink_path::{UplinkError, is_usable, resolve_uplink};
use crate::config::{Namespace, Problem};
use crate::model::{Condition, LastResort, Observed, Prefer, UplinkPath};

/// Resolves the uplink of a namespace that is taken. All of them are looked at: a problem is reported even where another
/// uplink would do, but a device that is merely absent is one only where it is the only way.
///
/// `last`: the way that these very uplinks led to when they were looked at last. It stays, closed, while none of
/// them is there: a link that flaps is no mistake of the configuration.
///
/// `later`: a device that is absent may still come, as while the host boots.
pub(super) fn choose_path(
    namespace: &Namespace,
    last: Option<&UplinkPath>,
    observed: &Observed,
    later: bool,
) -> Result<Option<UplinkPath>, Vec<Problem>> {
    let (mut paths, mut absent, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for uplink in &namespace.uplinks {
        match resolve_uplink(uplink, observed) {
            Ok(path) => paths.push(path),
            Err(UplinkError::Absent(problem)) => absent.push(*problem),
            Err(UplinkError::Wrong(problem)) => wrong.push(*problem),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let best = best_of(&paths, namespace, last, observed);
    if best.is_none()
        && namespace.last_resort == LastResort::Main
        && let Some(path) = last_resort::path(observed)
    {
        return Ok(Some(path));
    }
    match (paths.into_iter().nth(best.unwrap_or(0)), last) {
        (Some(path), _) if best.is_none() && is_usable(&path, observed) => {
            Ok(Some(UplinkPath { up: false, dead: true, ..path }))
        }
        (Some(path), _) => Ok(Some(path)),
        (None, Some(last)) => Ok(Some(UplinkPath { up: false, ..last.clone() })),
        (None, None) if !namespace.has_choice() && !later => Err(absent),
        (None, None) => Ok(None),
    }
}

/// Which of the ways is taken: one that is well, else one that answers at least; of several the first, or the present one.
/// None: none of them can be used.
fn best_of(
    paths: &[UplinkPath],
    namespace: &Namespace,
    last: Option<&UplinkPath>,
    observed: &Observed,
) -> Option<usize> {
    let stays = |path: &UplinkPath| {
        namespace.prefer == Prefer::Sticky && last.is_some_and(|last| last.uplink == path.uplink)
    };
    // Where there is no other, nothing is gained by leaving it.
    let condition = |path: &UplinkPath| match &path.uplink {
        Some(name) if namespace.has_choice() => {
            observed.health.get(name).map_or(Condition::Well, |health| health.condition)
        }
        _ => Condition::Well,
    };
    [Condition::Well, Condition::Unsteady].into_iter().find_map(|wanted| {
        let fits = |path: &UplinkPath| is_usable(path, observed) && condition(path) == wanted;
        let present = paths.iter().position(|path| fits(path) && stays(path));
        present.or_else(|| paths.iter().position(fits))
    })
}
