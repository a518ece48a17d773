//! Whether a run that looks into some namespaces only may leave the others alone.
//!
//! A namespace that is not looked into is taken for right. What should be there of it follows from its entry in the
//! recorded state, from its egresses, and from a few things that all namespaces share; as long as none of these
//! changes, nothing of it does.

use super::diff::is_whole;
use crate::model::{ActiveNamespace, Egress, Name, Observed, State};
use std::collections::BTreeSet;

/// Whether reaching `goal` changes something of a namespace that was not looked into.
pub fn concerns_others(goal: &State, observed: &Observed) -> bool {
    let before = &observed.state;
    // Without the state file nobody knows whose things are there.
    if has_strangers(observed) {
        return true;
    }
    let mut unseen = before.namespaces.iter().filter(|(name, _)| observed.is_unseen(name)).peekable();
    if unseen.peek().is_none() {
        return false;
    }
    let is_shared_the_same = before.mask == goal.mask
        && before.host == goal.host
        && before.inherited == goal.inherited
        && before.left_alone == goal.left_alone
        && before.split == goal.split;
    let egresses = changed_egresses(before, goal);
    let changes = |(name, namespace): (&Name, &ActiveNamespace)| {
        goal.namespaces.get(name) != Some(namespace)
            || namespace.egress_keys().any(|key| egresses.contains(key))
    };
    // The table is loaded as a whole.
    !is_shared_the_same || !is_whole(goal, observed) || unseen.any(changes)
}

/// Egresses that a namespace of theirs would notice to have changed. Slices are for rules, which are always looked at.
fn changed_egresses<'a>(before: &'a State, goal: &State) -> BTreeSet<&'a String> {
    let part = |egress: &Egress| (egress.number, egress.lan, egress.path.clone(), egress.slice6);
    let changed =
        |(key, egress): &(&String, &Egress)| goal.egresses.get(*key).map(part) != Some(part(egress));
    before.egresses.iter().filter(changed).map(|(key, _)| key).collect()
}

/// Whether there are links of ours that the state does not know.
fn has_strangers(observed: &Observed) -> bool {
    let is_known = |link: &str| {
        let mut known = observed.state.namespaces.values();
        known.any(|known| known.link == link || (known.is_handed() && known.ifname() == link))
    };
    let mut ours = observed.host.links.iter().filter(|link| link.is_ours());
    ours.any(|link| !is_known(&link.name))
}
