//! Where a run goes that cannot reach its goal.

use super::intent::union;
use crate::model::{Egress, Journal, Member, Name, Observed};
use crate::plan::{self, Action, Owners};
use std::collections::BTreeSet;

/// Where to go back to.
pub(super) struct Rollback {
    /// Each namespace as it was before or as it should be after.
    pub(super) journal: Journal,
    /// The changed namespaces that are as they should be, and stay so.
    pub(super) complete: Vec<Name>,
}

/// Plans the way back from what is `observed` after a failure on the way from `before` to `goal`.
pub(super) fn plan_rollback(
    goal: &Journal,
    before: &Journal,
    observed: &Observed,
    all_or_nothing: bool,
) -> Rollback {
    let actions = plan::actions(goal, observed);
    let incomplete = incomplete(goal, &actions).filter(|_| !all_or_nothing && can_be_mixed(before, goal));
    let mut journal = common(goal, before);
    let mut complete = Vec::new();
    let names: BTreeSet<&Name> = goal.members.keys().chain(before.members.keys()).collect();
    for name in names {
        let (old, new) = (before.members.get(name), goal.members.get(name));
        let is_complete = incomplete.as_ref().is_some_and(|names| !names.contains(name));
        if old != new && is_complete {
            put(&mut journal, name, new);
            complete.push(name.clone());
        } else {
            put(&mut journal, name, old);
        }
    }
    plan::tidy(&mut journal, observed);
    Rollback { journal, complete }
}

/// What holds for all namespaces is as it was looked at now: there is no earlier one where nothing was up. What sysctls
/// were was looked at last for the goal.
fn common(goal: &Journal, before: &Journal) -> Journal {
    let mut out = Journal {
        mask: goal.mask,
        host: goal.host,
        inherited: goal.inherited.clone(),
        left_alone: goal.left_alone.clone(),
        ..union(before, goal)
    };
    out.sysctls.extend(goal.sysctls.clone());
    out
}

fn put(journal: &mut Journal, name: &Name, member: Option<&Member>) {
    match member {
        Some(member) => journal.members.insert(name.clone(), member.clone()),
        None => journal.members.remove(name),
    };
}

/// The namespaces that actions are still needed for; none (all) when something that several share is missing.
fn incomplete(goal: &Journal, actions: &[Action]) -> Option<BTreeSet<Name>> {
    let owners = Owners::new(goal);
    actions.iter().map(|action| owners.of(action).cloned()).collect()
}

/// Whether some namespaces can be as in one journal and others as in the other: what is one egress in one is one in the
/// other.
fn can_be_mixed(one: &Journal, other: &Journal) -> bool {
    let same = |(a, b): (&String, &Egress), (c, d): (&String, &Egress)| (a == c) == (b.number == d.number);
    one.egresses.iter().all(|a| other.egresses.iter().all(|b| same(a, b)))
}
