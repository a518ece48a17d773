//! What is written down before anything is changed: whatever a run that is killed has made is in it.

use crate::model::{Journal, Member};
use crate::plan::Action;

/// The union of what is wanted and what was before, while `actions` lead from one to the other.
pub(super) fn intent(goal: &Journal, before: &Journal, actions: &[Action]) -> Journal {
    forget_loaded(union(goal, before), actions)
}

/// How a skeleton that these actions load reads back is not known yet.
pub(super) fn forget_loaded(journal: Journal, actions: &[Action]) -> Journal {
    let loads = actions.iter().any(|action| matches!(action, Action::LoadSkeleton { .. }));
    Journal { skeleton: journal.skeleton.filter(|_| !loads), ..journal }
}

/// Both, the first one's entries where both have one. To the kernel an egress is its number: a member that only the
/// second has stays with that, whatever it is called in the first.
pub(super) fn union(first: &Journal, second: &Journal) -> Journal {
    let mut out = first.clone();
    for (key, egress) in &second.egresses {
        if !out.egresses.values().any(|other| other.number == egress.number) {
            let taken = out.egresses.contains_key(key);
            let key = if taken { format!("{key} #{}", egress.number) } else { key.clone() };
            out.egresses.insert(key, egress.clone());
        }
    }
    for (name, member) in &second.members {
        let number = second.egresses.get(&member.egress).map(|egress| egress.number);
        let key =
            out.egresses.iter().find(|(_, egress)| Some(egress.number) == number).map(|(key, _)| key.clone());
        let egress = key.unwrap_or_else(|| member.egress.clone());
        out.members.entry(name.clone()).or_insert_with(|| Member { egress, ..member.clone() });
    }
    for (key, held) in &second.sysctls {
        out.sysctls.entry(key.clone()).or_insert_with(|| held.clone());
    }
    out.passes.extend(second.passes.iter().cloned());
    out.made_netns_dir |= second.made_netns_dir;
    out.earlier.extend(second.earlier.iter().chain([&second.first]));
    out.earlier.remove(&out.first);
    out
}
