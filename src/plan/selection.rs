//! Which namespaces a run is about.

use super::{attached, second_way};
use crate::config::{Config, Namespace, Problem};
use crate::model::{Attached, Destination, Name, Observed, Owner, State};
use std::collections::{BTreeMap, BTreeSet};

/// Which namespaces of the configuration are to be up.
#[derive(Clone, Copy, Debug)]
pub enum Selection<'a> {
    /// All of them.
    All,
    /// These; whatever else is up stays as it is.
    These(&'a [Name]),
    /// These, as far as that is possible at the moment; see [`keep()`](super::keep()).
    Kept(&'a BTreeSet<Name>),
    /// This one, for as long as its owner lives.
    Ephemeral(&'a Name, Owner),
    /// This attachment, which may be new.
    Attachment(&'a Name, &'a Attached),
}

impl Selection<'_> {
    pub(super) fn contains(self, name: &Name) -> bool {
        match self {
            Self::All => true,
            Self::These(names) => names.contains(name),
            Self::Kept(names) => names.contains(name),
            Self::Ephemeral(only, _) | Self::Attachment(only, _) => only == name,
        }
    }

    /// An attachment follows the namespace that it leaves like. With everything else that stays true, attachments do.
    fn contains_attachment(self, name: &Name, attached: &Attached) -> bool {
        let follows = matches!(&attached.to, Destination::Namespace(like) if self.contains(like));
        matches!(self, Self::All | Self::Kept(_)) || self.contains(name) || follows
    }

    pub(super) fn owner_of(self, name: &Name) -> Option<Owner> {
        match self {
            Self::Ephemeral(only, owner) if only == name => Some(owner),
            _ => None,
        }
    }
}

/// The attachments that are up, as namespaces, and the one that may be new.
pub(super) fn attachments(
    config: &Config,
    selection: Selection<'_>,
    state: &State,
    observed: &Observed,
) -> Result<BTreeMap<Name, Namespace>, Vec<Problem>> {
    let mut attachments = attached::namespaces(config, state);
    if let Selection::Attachment(name, attached) = selection {
        let attached = second_way::with_addresses(attached, observed.namespaces.get(name));
        attachments.insert(name.clone(), config.attachment(&attached)?);
    }
    Ok(attachments)
}

/// The namespaces that are to be up.
pub(super) fn selected<'a>(
    config: &'a Config,
    attachments: &'a BTreeMap<Name, Namespace>,
    selection: Selection<'a>,
) -> impl Iterator<Item = (&'a Name, &'a Namespace)> {
    let is_selected = move |(name, namespace): &(&Name, &Namespace)| match &namespace.attached {
        Some(attached) => selection.contains_attachment(name, attached),
        None => selection.contains(name),
    };
    config.namespaces.iter().chain(&config.checks).chain(attachments).filter(is_selected)
}
