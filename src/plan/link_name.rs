//! Device names of host veths.

use crate::model::{Name, Observed, State, numbers};

/// Device name of the host veth: the prefix and the name, or what of it fits and a digest.
pub(super) fn link_name(name: &Name, state: &State, observed: &Observed) -> String {
    const ROOM: usize = 15 - numbers::LINK_PREFIX.len();
    let plain = format!("{}{name}", numbers::LINK_PREFIX);
    let foreign = |link: &str| observed.host.link(link).is_some_and(|link| !link.is_ours());
    let taken =
        |link: &str| foreign(link) || state.namespaces.values().any(|namespace| namespace.link == link);
    if name.as_str().len() <= ROOM && !taken(&plain) {
        return plain;
    }
    let start: String = name.as_str().chars().take(ROOM - 6).collect();
    // Among hundreds of ephemeral namespaces two names do have one digest of 24 bits.
    let digested = |n: u32| {
        let digest: String = crate::model::digest(format!("{name}{n}")).chars().rev().take(6).collect();
        format!("{}{start}{digest}", numbers::LINK_PREFIX)
    };
    (0..1000).map(digested).find(|link| !taken(link)).unwrap_or(plain)
}
