//! Which namespace an action is for.

use super::action::{Action, Side};
use crate::model::{Name, State};
use std::collections::BTreeMap;

/// The namespaces of a state by the device names of their host veths.
pub struct Owners<'a>(BTreeMap<&'a str, &'a Name>);

impl<'a> Owners<'a> {
    /// The namespaces of `state`.
    pub fn new(state: &'a State) -> Self {
        Self(state.namespaces.iter().map(|(name, namespace)| (namespace.link.as_str(), name)).collect())
    }

    /// The namespace that an action is for; none when several share what it changes.
    pub fn of(&self, action: &'a Action) -> Option<&'a Name> {
        match action {
            Action::MakeNetns { name, .. }
            | Action::AttachNetns { name, .. }
            | Action::RemoveNetns { name }
            | Action::Tune { name, .. }
            | Action::ResetConnections { name, .. }
            | Action::AddVeth { name, .. }
            | Action::AddPair { name, .. } => Some(name),
            Action::RemoveLink { link } | Action::ForgetServers { link } => self.of_link(link),
            Action::SetLink { place, dev, .. } => self.of_device(place, dev),
            Action::AddAddress { place, address } | Action::RemoveAddress { place, address } => {
                self.of_device(place, &address.dev)
            }
            Action::AddRoute { place, route, .. } | Action::RemoveRoute { place, route } => {
                self.of_device(place, route.dev.as_deref().unwrap_or_default())
            }
            Action::Sysctl { place, key, .. } => {
                self.of_device(place, key.split('/').nth(3).unwrap_or_default())
            }
            Action::AddRule { place, .. } | Action::RemoveRule { place, .. } => self.of_device(place, ""),
            Action::LoadSkeleton { .. }
            | Action::RemoveTable
            | Action::Elements { .. }
            | Action::AddPass { .. }
            | Action::RemovePass { .. }
            | Action::AddPolicy { .. }
            | Action::RemovePolicy { .. }
            | Action::ForgetFlows { .. } => None,
        }
    }

    fn of_link(&self, link: &str) -> Option<&'a Name> {
        self.0.get(link).copied()
    }

    /// The owner of what is on a device, which inside of a namespace is always that namespace.
    fn of_device(&self, place: &'a Side, dev: &str) -> Option<&'a Name> {
        match place {
            Side::Inside(name) => Some(name),
            Side::Host => self.of_link(dev),
        }
    }
}

impl Action {
    /// Whether something is there afterwards that was not there before.
    pub fn is_addition(&self) -> bool {
        matches!(
            self,
            Self::MakeNetns { .. }
                | Self::AttachNetns { .. }
                | Self::LoadSkeleton { .. }
                | Self::AddVeth { .. }
                | Self::AddPair { .. }
                | Self::AddAddress { .. }
                | Self::AddRoute { .. }
                | Self::AddRule { .. }
                | Self::AddPass { .. }
                | Self::AddPolicy { .. }
        )
    }
}
