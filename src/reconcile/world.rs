//! The rest of the world, as the circle knows it: what is changed, and what remembers.

use crate::error::{Error, Result};
use crate::model::{ExecRecord, Look, Name, Observed, State};
use crate::plan::Action;
use std::collections::{BTreeMap, BTreeSet};

/// What is observed and changed: the kernel, or a model of one.
pub trait Host {
    /// What is, given what is remembered, as far as it is looked at.
    fn observe(&mut self, state: &State, look: Look<'_>) -> Result<Observed>;

    /// From now on nothing is passed by for its not mattering, as far as can be told without the configuration
    /// ([`Observed::idle_passed_by`]). A model passes by nothing of the kind.
    fn look_closer(&mut self) {}

    /// Performs actions in order. `step` is told of each, and says whether to go on.
    fn perform(&mut self, actions: &[Action], step: &mut dyn FnMut(Step<'_>) -> bool);

    /// Settings that namespaces did not take since this was asked last, by path below `/proc/sys`.
    fn take_refused(&mut self) -> BTreeMap<String, String>;

    /// Makes ready to go on after a failure: what a failed request leaves behind is not to be taken for an answer.
    fn reopen(&mut self) -> Result<()>;
}

/// What happens while actions are performed.
#[derive(Debug)]
pub enum Step<'a> {
    /// These come next: one, or several that are performed together.
    Before(&'a [Action]),
    /// These actions are done.
    Done(&'a [Action]),
    /// These actions failed.
    Failed(&'a [Action], Error),
}

/// What is remembered across runs, also across runs that are killed.
pub trait Store {
    /// The state; an empty one where nothing is up.
    fn read(&mut self) -> Result<State>;

    /// Writes down what may be there from now on, before anything is changed. Namespaces that go (`gone`) count as
    /// down.
    fn record_intent(&mut self, intent: &State, gone: &BTreeSet<&Name>) -> Result<()>;

    /// Writes down what is there now, and at last what `exec` reads of these namespaces.
    fn commit(&mut self, state: &State, targets: &BTreeMap<&Name, ExecRecord>) -> Result<()>;
}
