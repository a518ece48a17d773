//! Which of the uplinks of a namespace is taken.

use super::last_resort;
use super::uplink_path::{UplinkError, is_usable, resolve_uplink};
use crate::config::{Namespace, Problem};
use crate::model::{Condition, Family, Health, LastResort, Observed, Prefer, UplinkPath};

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
    let choice = Choice { paths: &paths, namespace, last, observed };
    if let Some(path) = choice.path() {
        return Ok(Some(path));
    }
    match (paths.into_iter().next(), last) {
        (Some(path), _) if is_usable(&path, observed) => {
            Ok(Some(UplinkPath { up: false, dead: true, ..path }))
        }
        (Some(path), _) => Ok(Some(path)),
        (None, Some(last)) => Ok(Some(UplinkPath { up: false, apart: None, ..last.clone() })),
        (None, None) if !namespace.has_choice() && !later => Err(absent),
        (None, None) => Ok(None),
    }
}

/// The ways among which there is a choice, and what decides it.
struct Choice<'a> {
    paths: &'a [UplinkPath],
    namespace: &'a Namespace,
    last: Option<&'a UplinkPath>,
    observed: &'a Observed,
}

impl Choice<'_> {
    /// The way that is taken. None: nothing gets out.
    ///
    /// It is an uplink as a whole. A family that this uplink has lost leaves by another one, or is closed. A family that it
    /// never had stays closed: what leaves by one uplink in one family is not to leave by the next in the other, unasked.
    fn path(&self) -> Option<UplinkPath> {
        let Some(base) = self.best(None).and_then(|best| self.paths.get(best)) else {
            return self.last_resort(&Family::BOTH);
        };
        let has = |family: &Family| self.has(base, *family);
        let parts: Vec<(Family, Option<UplinkPath>)> =
            Family::BOTH.into_iter().filter(has).map(|family| (family, self.part(family))).collect();
        if parts.iter().all(|(_, part)| part.as_ref() == Some(base)) {
            return Some(base.clone());
        }
        let silent = parts.iter().filter(|(_, part)| part.is_none()).map(|(family, _)| *family).collect();
        let mut taken = parts.into_iter().filter_map(|(family, part)| Some((family, part?)));
        let (family, first) = taken.next()?;
        let path = match taken.next() {
            Some((_, second)) if second == first => first,
            Some((other, second)) => {
                UplinkPath { apart: Some(Box::new(second.only(other))), ..first.only(family) }
            }
            None => first.only(family),
        };
        Some(UplinkPath { silent, ..path })
    }

    /// By what one family leaves.
    fn part(&self, family: Family) -> Option<UplinkPath> {
        let best = self.best(Some(family)).and_then(|best| self.paths.get(best).cloned());
        best.or_else(|| self.last_resort(&[family]))
    }

    fn last_resort(&self, families: &[Family]) -> Option<UplinkPath> {
        let is_wanted = self.namespace.last_resort == LastResort::Main;
        is_wanted.then(|| last_resort::path(families, self.observed)).flatten()
    }

    /// Which of the ways is best, for one family or as a whole: one that is well, else one that answers at least; of several
    /// the first, or the present one. None: none of them can be used.
    fn best(&self, family: Option<Family>) -> Option<usize> {
        [Condition::Well, Condition::Unsteady].into_iter().find_map(|wanted| {
            let fits = |path: &UplinkPath| {
                is_usable(path, self.observed)
                    && family.is_none_or(|family| path.serves(family))
                    && self.condition(path, family) == wanted
            };
            let present = self.paths.iter().position(|path| fits(path) && self.stays(path, family));
            present.or_else(|| self.paths.iter().position(fits))
        })
    }

    /// Whether it is the present one. While the families leave by different uplinks, it is one that has both: with one that never
    /// had the other family, that family would be closed.
    fn stays(&self, path: &UplinkPath, family: Option<Family>) -> bool {
        let Some(last) = self.last.filter(|_| self.namespace.prefer == Prefer::Sticky) else { return false };
        if let Some(family) = family {
            return last.part_of(family).is_some_and(|part| part.uplink == path.uplink);
        }
        let had = |family: &Family| last.carries(*family) || last.silent.contains(family);
        let mut families = Family::BOTH.into_iter().filter(had);
        last.parts().any(|part| part.uplink == path.uplink) && families.all(|family| self.has(path, family))
    }

    /// Whether an uplink has a family, or had it.
    fn has(&self, path: &UplinkPath, family: Family) -> bool {
        path.serves(family) || self.has_lost(path, family)
    }

    /// Where there is no other uplink, nothing is gained by leaving it.
    fn condition(&self, path: &UplinkPath, family: Option<Family>) -> Condition {
        let Some(health) = self.health(path) else { return Condition::Well };
        let served = Family::BOTH.into_iter().filter(|family| path.serves(*family));
        let best = || served.map(|family| health.of(family)).min();
        family.map(|family| health.of(family)).or_else(best).unwrap_or(Condition::Well)
    }

    /// Whether a family was there, and was lost: it does not answer, or its next hop went after that.
    fn has_lost(&self, path: &UplinkPath, family: Family) -> bool {
        self.health(path)
            .and_then(|health| health.0.get(&family))
            .is_some_and(|health| health.condition != Condition::Well)
    }

    fn health(&self, path: &UplinkPath) -> Option<&Health> {
        self.observed.health.get(path.uplink.as_ref()?).filter(|_| self.namespace.has_choice())
    }
}
