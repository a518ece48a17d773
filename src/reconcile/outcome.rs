//! What came of a run, as data.

use crate::error::{Class, Error};
use crate::model::{Name, Observed, State};
use crate::plan::Action;

/// What a run did that reached its goal.
#[derive(Debug)]
pub struct Outcome {
    /// What was before.
    pub before: Observed,
    /// What was wanted, and holds now.
    pub goal: State,
    /// The actions that were performed, in order; none: there was nothing to do.
    pub done: Vec<Action>,
}

/// Why a run did not reach its goal, and what it left.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub error: Error,
    /// What it left.
    pub aftermath: Aftermath,
}

/// What a run left that did not reach its goal.
#[derive(Debug)]
pub enum Aftermath {
    /// Nothing was begun.
    Untouched,
    /// These of the namespaces that were to change are as they should be; everything else is as it was before.
    RolledBack {
        /// The complete ones.
        complete: Vec<Name>,
    },
    /// The roll-back failed for this reason; the store has the union of old and new.
    Unfinished(Box<Error>),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, aftermath: Aftermath::Untouched }
    }
}

impl From<Failure> for Error {
    fn from(Failure { error, aftermath }: Failure) -> Self {
        match aftermath {
            Aftermath::Untouched => error,
            Aftermath::RolledBack { complete } if complete.is_empty() => {
                error.class(Class::Failed).hint("everything is as it was before")
            }
            Aftermath::RolledBack { complete } => error
                .class(Class::Failed)
                .hint(format!("complete: {}; everything else is as it was before", names(&complete))),
            Aftermath::Unfinished(second) => error
                .class(Class::Failed)
                .and_then(second.as_reason_of("going back failed, too"))
                .hint("nsnat plan shows what is missing, nsnat up or nsnat down completes it"),
        }
    }
}

/// Names in a sentence; of many, the first ones.
fn names(names: &[Name]) -> String {
    const MANY: usize = 10;
    let first = names.iter().take(MANY).map(Name::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MANY) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
