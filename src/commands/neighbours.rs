//! Next hops that do not answer, as `up` and `status` tell it.

use crate::error::Result;
use crate::kernel;
use crate::model::{ActiveNamespace, Neighbour, Observed, State, UplinkPath};
use crate::plan;
use std::collections::BTreeSet;

/// The next hops of some namespaces that do not answer.
#[derive(Default)]
pub(super) struct SilentNextHops(BTreeSet<Neighbour>);

impl SilentNextHops {
    /// Asks the next hops, all at once, and the next hops of a shared path once.
    pub(super) fn ask<'a>(
        namespaces: impl Iterator<Item = &'a ActiveNamespace>,
        state: &State,
        observed: &Observed,
    ) -> Result<Self> {
        let paths = namespaces.filter_map(|namespace| state.path_of(namespace));
        let neighbours: BTreeSet<Neighbour> =
            paths.flat_map(UplinkPath::parts).flat_map(|path| plan::neighbours(path, observed)).collect();
        let silent = kernel::find_silent(neighbours.iter())?;
        Ok(Self(silent.into_iter().cloned().collect()))
    }

    /// Those of a path.
    pub(super) fn of_path(&self, path: &UplinkPath, observed: &Observed) -> Vec<Neighbour> {
        let all = path.parts().flat_map(|part| plan::neighbours(part, observed));
        all.filter(|one| self.0.contains(one)).collect()
    }
}
