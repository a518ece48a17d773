//! Attachments whose interface the engine takes from the host: both ends are made there, and one leaves.

use super::action::Action;
use super::desired::{Desired, Pair};
use crate::model::{Name, Observed};
use std::collections::BTreeSet;

/// The pairs that are not there yet. One that was, and is not any more, ended with its container, and the attachment with it.
pub(super) fn missing_pairs(desired: &Desired, observed: &Observed) -> Vec<Action> {
    let missing = |(name, Pair { link, peer }): (&Name, &Pair)| {
        let mtu = desired.host.link(link).filter(|_| observed.host.link(link).is_none())?.mtu;
        Some(Action::AddPair { name: name.clone(), link: link.clone(), mtu, peer: peer.clone() })
    };
    desired.handed.iter().filter_map(missing).collect()
}

/// Whether a link of the host waits there for an engine. `made`: host veths that are made now, whose other end is no earlier one.
pub(super) fn waits(desired: &Desired, dev: &str, made: &BTreeSet<String>) -> bool {
    desired.handed.values().any(|Pair { link, peer }| peer == dev && !made.contains(link))
}
