//! Where a run goes that cannot reach its goal.

use super::intent::union_of;
use crate::model::{ActiveNamespace, Egress, Name, Observed, State};
use crate::plan::{self, Action, Owners};
use std::collections::BTreeSet;

/// Where to go back to.
pub(super) struct Rollback {
    /// Each namespace as it was before or as it should be after.
    pub(super) state: State,
    /// The changed namespaces that are as they should be, and stay so.
    pub(super) complete: Vec<Name>,
}

/// Plans the way back from what is `observed` after a failure on the way from `before` to `goal`.
pub(super) fn plan_rollback(
    goal: &State,
    before: &State,
    observed: &Observed,
    all_or_nothing: bool,
) -> Rollback {
    let complete = if all_or_nothing { Vec::new() } else { complete(goal, before, observed) };
    let mut mixed = state_to_restore(goal, before, &complete);
    plan::forget_foreign(&mut mixed, observed);
    // The devices of ways are as they are now: no way back may fail because one went away meanwhile.
    plan::refresh(&mut mixed, observed);
    plan::tidy_state(&mut mixed, observed);
    Rollback { state: mixed, complete }
}

/// The changed namespaces that are as they should be; none where they could not stay beside the others.
fn complete(goal: &State, before: &State, observed: &Observed) -> Vec<Name> {
    let actions = plan::actions(goal, observed);
    let Some(incomplete) = incomplete(goal, &actions).filter(|_| can_share(before, goal)) else {
        return Vec::new();
    };
    let is_changed = |name: &&Name| before.namespaces.get(*name) != goal.namespaces.get(*name);
    let changed = names(goal, before).into_iter().filter(is_changed);
    let complete: Vec<Name> = changed.filter(|name| !incomplete.contains(*name)).cloned().collect();
    if is_disjoint(&state_to_restore(goal, before, &complete)) { complete } else { Vec::new() }
}

fn names<'a>(goal: &'a State, before: &'a State) -> BTreeSet<&'a Name> {
    goal.namespaces.keys().chain(before.namespaces.keys()).collect()
}

/// The state before, with the complete namespaces as they should be.
fn state_to_restore(goal: &State, before: &State, complete: &[Name]) -> State {
    let mut out = common(goal, before);
    for name in names(goal, before) {
        let from = if complete.contains(name) { goal } else { before };
        put_namespace(&mut out, name, from.namespaces.get(name));
    }
    out
}

/// What holds for all namespaces is as it was looked at now: there is no earlier one where nothing was up. What sysctls
/// were was looked at last for the goal.
fn common(goal: &State, before: &State) -> State {
    let mut out = State {
        mask: goal.mask,
        host: goal.host,
        inherited: goal.inherited.clone(),
        left_alone: goal.left_alone.clone(),
        ..union_of(before, goal)
    };
    out.sysctls.extend(goal.sysctls.clone());
    out
}

fn put_namespace(state: &mut State, name: &Name, namespace: Option<&ActiveNamespace>) {
    match namespace {
        Some(namespace) => state.namespaces.insert(name.clone(), namespace.clone()),
        None => state.namespaces.remove(name),
    };
}

/// The namespaces that actions are still needed for; none (all) when something that several share is missing.
fn incomplete(goal: &State, actions: &[Action]) -> Option<BTreeSet<Name>> {
    let owners = Owners::new(goal);
    actions.iter().map(|action| owners.of(action).cloned()).collect()
}

/// Whether no two namespaces have an address in common: subnets may have changed places.
fn is_disjoint(state: &State) -> bool {
    let subnets: BTreeSet<_> = state.namespaces.values().map(|namespace| namespace.subnet).collect();
    let neighbours = subnets.iter().zip(subnets.iter().skip(1));
    subnets.len() == state.namespaces.len() && neighbours.into_iter().all(|(a, b)| !a.overlaps(*b))
}

/// Whether the egresses of two states can be in one: what is one egress in one is one in the other.
fn can_share(one: &State, other: &State) -> bool {
    let same = |(a, b): (&String, &Egress), (c, d): (&String, &Egress)| (a == c) == (b.number == d.number);
    one.egresses.iter().all(|a| other.egresses.iter().all(|b| same(a, b)))
}
