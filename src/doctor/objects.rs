//! What of nsnat's is not there, or is not as nsnat made it.

use super::patient::Patient;
use crate::model::{Code, Cure, Finding};
use crate::plan::Action;
use std::collections::BTreeMap;

/// How many commands are shown of what is missing: the rest is like them.
const SHOWN: usize = 5;

/// What `nsnat up` would do for the namespace, a finding for each kind of thing.
pub(super) fn missing(patient: &Patient<'_>) -> Vec<Finding> {
    let mut kinds: BTreeMap<Code, Vec<&Action>> = BTreeMap::new();
    for action in &patient.missing {
        kinds.entry(kind(action)).or_default().push(action);
    }
    // A chain or an IPsec policy of another program that stops packets is told by a check of its own.
    kinds.remove(&Code::FirewallDrops);
    kinds.remove(&Code::PolicyPrecedes);
    kinds.into_iter().map(|(code, actions)| of_kind(code, &actions)).collect()
}

fn of_kind(code: Code, actions: &[&Action]) -> Finding {
    let first = actions.first().map(|action| action.short_line()).unwrap_or_default();
    let more = match actions.len() {
        0 | 1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    let lines = actions.iter().take(SHOWN).map(|action| action.short_line());
    let what = if code == Code::Leftover { "left over" } else { "missing" };
    Finding::new(code, format!("{what}: {first}{more}"), Cure::up("repairs it")).shown_by(lines)
}

/// What kind of thing an action is about.
fn kind(action: &Action) -> Code {
    match action {
        Action::MakeNetns { .. } => Code::NetnsMissing,
        Action::AttachNetns { .. } => Code::NetnsFileMissing,
        Action::AddVeth { .. } | Action::AddPair { .. } => Code::LinkMissing,
        Action::SetLink { .. } => Code::LinkChanged,
        Action::AddAddress { .. } => Code::AddressMissing,
        Action::AddRoute { .. } => Code::RouteMissing,
        Action::AddRule { .. } => Code::RuleMissing,
        Action::LoadSkeleton { .. } => Code::TableMissing,
        Action::Elements { add, .. } if !add.is_empty() => Code::ElementsMissing,
        Action::Sysctl { .. } | Action::Tune { .. } => Code::SettingChanged,
        Action::AddPolicy { .. } => Code::PolicyPrecedes,
        Action::AddPass { .. } => Code::FirewallDrops,
        Action::RemoveNetns { .. }
        | Action::RemoveTable
        | Action::Elements { .. }
        | Action::RemoveLink { .. }
        | Action::RemoveAddress { .. }
        | Action::RemoveRoute { .. }
        | Action::RemoveRule { .. }
        | Action::RemovePass { .. }
        | Action::RemovePolicy { .. }
        | Action::ForgetFlows { .. }
        | Action::ResetConnections { .. }
        | Action::ForgetServers { .. } => Code::Leftover,
    }
}
