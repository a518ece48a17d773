//! The circle that everything that changes the host goes through.
//!
//! # Theory of operation
//!
//! ```text
//! observe → resolve → diff → record the intent → perform → verify → commit
//!                                      └── failed: plan the roll-back → perform → verify → commit
//! ```
//!
//! [`Reconciler::run`] is given a goal as a function of what was observed. Two narrow traits stand for the rest of the
//! world: a [`Host`], which is observed and on which actions are performed, and a [`Store`], which remembers across
//! runs. The room knows no command line and prints nothing: a [`Progress`] is told what happens while it happens, an
//! [`Outcome`] or a [`Failure`] says what came of it.
//!
//! # What is left when it does not work
//!
//! When an action fails, or somebody interrupts, each namespace is left as it was before or as it should be after:
//! complete namespaces stay, the others get their old entry of the journal back, and the circle is gone through once
//! more with that ([`rollback`]). When even that fails, or the process is killed, the store holds the union of old and
//! new ([`intent`]), and the next run completes it.

mod circle;
mod intent;
mod outcome;
mod policy;
mod rollback;

pub use circle::{Reconciler, prepare};
pub use outcome::{Aftermath, Failure, Outcome};
pub use policy::{Policy, Progress};

use crate::error::{Error, Result};
use crate::model::{Depth, Journal, Name, Observed, Target};
use crate::plan::Action;
use std::collections::{BTreeMap, BTreeSet};

/// What is observed and changed: the kernel, or a model of one.
pub trait Host {
    /// What is, given what is remembered: the namespaces of `journal` and those that `names` asks for.
    fn observe(&mut self, journal: &Journal, names: &[&Name], depth: Depth) -> Result<Observed>;

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
    /// They are done.
    Done(&'a [Action]),
    /// They failed.
    Failed(&'a [Action], Error),
}

/// What is remembered across runs, also those that are killed.
pub trait Store {
    /// The journal; an empty one where nothing is up.
    fn read(&mut self) -> Result<Journal>;

    /// Writes down what may be there from now on, before anything is changed. Namespaces that go (`gone`) count as down.
    fn record_intent(&mut self, intent: &Journal, gone: &BTreeSet<&Name>) -> Result<()>;

    /// Writes down what is there now, and at last what `exec` reads of each namespace.
    fn commit(&mut self, journal: &Journal, targets: &BTreeMap<&Name, Target>) -> Result<()>;
}
