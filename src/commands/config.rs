//! The configuration, for commands: opened, and its problems with those that only the host shows.

use super::Context;
use crate::config::{self, Config};
use crate::error::Result;
use crate::model::{Journal, Name, Observed};
use crate::plan::{Selection, resolve};

/// Reads and checks the configuration.
pub(super) fn open(context: &Context<'_>) -> Result<Config> {
    config::open(context.global.config.as_deref(), context.colour)
}

/// The journal in which the named namespaces (all, when none is named) are up.
pub(super) fn goal(
    context: &Context<'_>,
    config: &Config,
    names: &[Name],
    observed: &Observed,
) -> Result<Journal> {
    if let Some(name) = names.iter().find(|name| !config.namespaces.contains_key(*name)) {
        return Err(super::unknown(name, config.namespaces.keys()));
    }
    let selection = if names.is_empty() { Selection::All } else { Selection::These(names) };
    resolve(config, selection, observed)
        .map_err(|problems| config::report(&problems, &config.sources, context.colour))
}
