//! What others hang on devices, by nf_tables and by tc.

use super::foreign::Foreign;
use super::foreign_chains::{DeviceChain, Rule, Verdict};
use super::tc;
use crate::error::Result;
use crate::model::State;
use crate::model::gate::Stop;
use crate::model::stack::DeviceNames;
use crate::model::tap::Tap;
use std::collections::BTreeSet;

/// What may take packets of what is up, on these devices. `are_few`: there are many more.
pub(super) fn observe(
    foreign: &Foreign,
    edges: Vec<DeviceChain>,
    state: &State,
    names: &DeviceNames,
    are_few: bool,
) -> Result<BTreeSet<Tap>> {
    let mut out = BTreeSet::new();
    for edge in edges {
        let rules = foreign.rules(edge.family, &edge.table, &edge.name)?;
        out.extend(chain(edge, &rules));
    }
    out.extend(foreign.flowtables());
    let up = |dev: &str| state.namespaces.values().any(|namespace| namespace.link == dev);
    out.extend(tc::observe(names, are_few, up)?);
    Ok(out)
}

/// A chain that drops what it does not know, as far as it can be told without following its jumps.
fn chain(edge: DeviceChain, rules: &[Rule]) -> Option<Tap> {
    let last = rules.iter().filter(|rule| rule.always).find_map(|rule| match rule.verdict {
        Verdict::Stop => Some(Some(Stop::Rule { chain: edge.name.clone(), handle: rule.handle })),
        Verdict::Accept | Verdict::Return => Some(None),
        _ => None,
    });
    let stop = last.unwrap_or(edge.drops.then_some(Stop::Policy))?;
    let all = rules.iter().all(|rule| matches!(rule.verdict, Verdict::Next | Verdict::Stop));
    let DeviceChain { layer, table, name, side, devices, .. } = edge;
    Some(Tap::Chain { layer, table, name, side, devices, stop, all })
}
