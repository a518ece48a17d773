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
//! # What is looked at
//!
//! A run that is `narrow` ([`Policy`]) looks at the named namespaces, and at the host without what belongs to others
//! alone ([`Look::These`](crate::model::Look::These)). What it passes by counts as right, is not planned, and keeps its entries in the store; so
//! the cost of a run grows slowly with the number of namespaces that it is not about. Where the goal changes
//! something that others share ([`concerns_others`](crate::plan::concerns_others)), the run looks at everything and
//! plans again; so does the roll-back.
//!
//! # What is left when it does not work
//!
//! When an action fails, or somebody interrupts, each namespace is left as it was before or as it should be after:
//! complete namespaces stay, the others get their old entry of the recorded state back, and the circle is gone
//! through once more with that ([`rollback`]). When even that fails, or the process is killed, the store holds the
//! union of old and new ([`intent`]), and the next run completes it.
//!
//! A line may go while the run makes use of it. After each failure the host is looked at again: where the ways out have
//! become others, the run goes for what is wanted now, as if it had begun then.

mod circle;
mod events;
mod intent;
mod outcome;
mod policy;
mod rollback;
mod world;

pub use circle::{Reconciler, prepare};
pub use outcome::{Aftermath, Failure, Outcome};
pub use policy::{Policy, Progress};
pub use world::{Host, Step, Store};
