//! How a run goes about its goal, and what it tells on the way.

use crate::error::Error;
use crate::model::{Look, Name};
use crate::plan::Action;

/// How a run goes about its goal; the default is what `up` and `down` do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Only the namespaces that are named are looked at, as long as the goal changes no other one ([`Look::These`]).
    pub narrow: bool,
    /// After a failure everything is rolled back, complete namespaces as well.
    pub all_or_nothing: bool,
    /// Nothing but SIGKILL stops it.
    pub unstoppable: bool,
}

impl Policy {
    /// What is looked at first.
    pub fn look<'a>(self, names: &'a [&'a Name]) -> Look<'a> {
        if self.narrow { Look::These(names) } else { Look::Everything(names) }
    }
}

/// Is told what happens while it happens.
pub trait Progress {
    /// An action comes next.
    fn before(&mut self, _action: &Action) {}

    /// An action was refused, and the run goes on without it.
    fn went_on_without(&mut self, _refused: &Error) {}

    /// Whether somebody wants the run to stop; asked between two actions.
    fn is_interrupted(&mut self) -> bool {
        false
    }
}

/// Nobody listens.
impl Progress for () {}
