//! Next hops that do not answer, as `up` and `status` tell it.

use crate::error::Result;
use crate::kernel;
use crate::model::{Family, Journal, Member, Neighbour, Observed, Way};
use crate::plan;
use std::collections::BTreeSet;

/// Those of the next hops of some namespaces that do not answer.
#[derive(Default)]
pub(super) struct Silent(BTreeSet<Neighbour>);

impl Silent {
    /// Asks them, all at once; those of a way that several share once.
    pub(super) fn ask<'a>(
        members: impl Iterator<Item = &'a Member>,
        journal: &Journal,
        observed: &Observed,
    ) -> Result<Self> {
        let ways = members.filter_map(|member| journal.way(member));
        let neighbours: BTreeSet<Neighbour> = ways.flat_map(|way| plan::neighbours(way, observed)).collect();
        let silent = kernel::silent(neighbours.iter())?;
        Ok(Self(silent.into_iter().cloned().collect()))
    }

    /// What is to be said of a way.
    pub(super) fn of(&self, way: &Way, observed: &Observed) -> Vec<String> {
        let neighbours = plan::neighbours(way, observed);
        neighbours.iter().filter(|one| self.0.contains(*one)).map(words).collect()
    }
}

fn words(Neighbour { dev, address, .. }: &Neighbour) -> String {
    let (family, how) = match Family::of(*address) {
        Family::V4 => (Family::V4, "ARP"),
        Family::V6 => (Family::V6, "neighbour discovery"),
    };
    format!(
        "the gateway {address} does not answer on {dev} ({how}): nothing gets out by {family}; is the address right, and is that router on?"
    )
}
