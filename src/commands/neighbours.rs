//! Next hops that do not answer, as `up` and `status` tell it.

use crate::error::Result;
use crate::kernel;
use crate::model::{ActiveNamespace, Family, Neighbour, Observed, State, UplinkPath};
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
            paths.flat_map(|path| plan::neighbours(path, observed)).collect();
        let silent = kernel::find_silent(neighbours.iter())?;
        Ok(Self(silent.into_iter().cloned().collect()))
    }

    /// What is to be said of a way.
    pub(super) fn problems_of(&self, path: &UplinkPath, observed: &Observed) -> Vec<String> {
        let neighbours = plan::neighbours(path, observed);
        neighbours.iter().filter(|one| self.0.contains(*one)).map(describe_silence).collect()
    }
}

fn describe_silence(Neighbour { dev, address, .. }: &Neighbour) -> String {
    let (family, how) = match Family::of(*address) {
        Family::V4 => (Family::V4, "ARP"),
        Family::V6 => (Family::V6, "neighbour discovery"),
    };
    format!(
        "the gateway {address} does not answer on {dev} ({how}): nothing gets out by {family}; is the address right, and is that router on?"
    )
}
