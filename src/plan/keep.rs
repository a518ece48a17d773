//! What is declared stays true while nobody types a command.
//!
//! Every declared namespace is to be up, unless a command took it down. No caller waits for an answer, so nothing is
//! refused as a whole: a namespace whose uplink is not there yet exists and is closed, and one that has another problem
//! stays as it is until that is solved.

use super::resolve::resolve_each;
use super::selection::Selection;
use crate::config::{Config, Problem};
use crate::model::{Name, Observed, State};
use std::collections::BTreeSet;

/// The state in which this holds, and what stands in the way of the rest.
pub fn keep(config: &Config, observed: &Observed) -> (State, Vec<Problem>) {
    let is_meant = |name: &&Name| !observed.state.down.contains(*name);
    let mut names: BTreeSet<Name> = config.names().filter(is_meant).cloned().collect();
    let mut problems = Vec::new();
    loop {
        let (mut state, found) = resolve_each(config, Selection::Kept(&names), observed);
        if found.is_empty() {
            state.down.retain(|name| config.namespaces.contains_key(name));
            return (state, problems);
        }
        // A problem that concerns all namespaces leaves none.
        let before = names.len();
        names.retain(|name| !found.contains_key(&Some(name.clone())));
        if names.len() == before {
            names.clear();
        }
        if before == 0 {
            return (observed.state.clone(), problems);
        }
        problems.extend(found.into_values().flatten());
    }
}
