//! What happens to namespaces, as it is recorded and told.

use super::{Family, Name};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Something that happened to a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in seconds after 1970.
    pub time: u64,
    /// The namespace; none: what happened concerns all of them.
    pub namespace: Option<Name>,
    /// What happened.
    #[serde(rename = "event")]
    pub kind: EventKind,
    /// The uplink by which the namespace leaves now, where it has a name. Of `dead`, `unsteady` and `well`: the uplink that has
    /// become so.
    pub uplink: Option<Name>,
    /// The uplink by which the namespace left before, where that was another one.
    pub previous_uplink: Option<Name>,
    /// The family that this is about; none: both, or the only one that there is.
    #[serde(default)]
    pub family: Option<Family>,
    /// It leaves by the host's main table, because none of its uplinks can be used.
    #[serde(default)]
    pub last_resort: bool,
    /// The device by which the namespace leaves now.
    pub device: Option<String>,
    /// The next hops to which the namespace sends now.
    pub gateway: Vec<IpAddr>,
    /// What a repair did.
    pub done: Option<String>,
    /// What led to it, as far as that is known.
    pub reason: Option<String>,
}

impl Event {
    /// An event about which nothing more is known.
    pub fn new(time: u64, namespace: Option<Name>, kind: EventKind) -> Self {
        Self {
            time,
            namespace,
            kind,
            uplink: None,
            previous_uplink: None,
            family: None,
            last_resort: false,
            device: None,
            gateway: Vec::new(),
            done: None,
            reason: None,
        }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// The namespace came up.
    Up,
    /// The namespace went down.
    Down,
    /// The namespace leaves by another one of its uplinks.
    Moved,
    /// No uplink can be used any more: nothing gets out.
    Closed,
    /// An uplink can be used again.
    Opened,
    /// Something else about the namespace is not as it was: its gateway, its servers.
    Changed,
    /// Something was not as it should be, and is again.
    Repaired,
    /// One of the uplinks does not answer any more.
    Dead,
    /// One of the uplinks that did not answer does so again.
    Unsteady,
    /// One of the uplinks has answered for a while.
    Well,
}

impl EventKind {
    /// Its name, as programs read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Moved => "moved",
            Self::Closed => "closed",
            Self::Opened => "opened",
            Self::Changed => "changed",
            Self::Repaired => "repaired",
            Self::Dead => "dead",
            Self::Unsteady => "unsteady",
            Self::Well => "well",
        }
    }
}

impl From<super::Condition> for EventKind {
    fn from(condition: super::Condition) -> Self {
        match condition {
            super::Condition::Well => Self::Well,
            super::Condition::Unsteady => Self::Unsteady,
            super::Condition::Dead => Self::Dead,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_is_recorded() {
        let all = [
            EventKind::Up,
            EventKind::Down,
            EventKind::Moved,
            EventKind::Closed,
            EventKind::Opened,
            EventKind::Changed,
            EventKind::Repaired,
            EventKind::Dead,
            EventKind::Unsteady,
            EventKind::Well,
        ];
        for kind in all {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
