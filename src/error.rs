//! Errors with what, why and what to do next, and the exit status each ends in.
//!
//! Every failure of nsnat is one [`Error`]: printed once, by `main`, as `nsnat: WHAT: WHY`, a further such line for
//! what failed in consequence, and a line `hint: …` for each next step that is known. The exit statuses are those of
//! the command-line contract.

use serde_json::{Value, json};
use std::fmt;

/// Result with our one error type.
pub type Result<T> = std::result::Result<T, Error>;

/// Which exit status an error ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 1: something could not be done.
    Failed,
    /// 2: bad usage or bad configuration; nothing was changed.
    Usage,
    /// 125: `exec` failed before the command could be started.
    Exec,
    /// 126: the command of `exec` exists and cannot be run.
    NotRunnable,
    /// 127: the command of `exec` was not found.
    NotFound,
}

impl Class {
    /// The process's exit status.
    pub fn status(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Exec => 125,
            Self::NotRunnable => 126,
            Self::NotFound => 127,
        }
    }
}

/// What could not be done, why, and what to do about it.
#[derive(Debug)]
pub struct Error {
    what: String,
    why: String,
    /// What failed in consequence.
    then: Option<Box<Error>>,
    hints: Vec<String>,
    class: Class,
    /// Each single thing that is wrong, for programs.
    problems: Option<Box<Value>>,
}

impl Error {
    /// `what` names the thing that was tried ("namespace slow", "add route default"), `why` the reason.
    pub fn new(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        let (what, why) = (what.to_string(), why.to_string());
        Self { what, why, then: None, hints: Vec::new(), class: Class::Failed, problems: None }
    }

    /// An error of usage or configuration: exit status 2.
    pub fn usage(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self { class: Class::Usage, ..Self::new(what, why) }
    }

    /// Adds a next step for the reader, after the steps that are there.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    /// Adds what programs are told of each single thing that is wrong.
    #[must_use]
    pub fn problems(self, problems: Vec<Value>) -> Self {
        Self { problems: Some(Box::new(problems.into())), ..self }
    }

    /// For programs, where there is more to tell than words and an exit status.
    pub fn json(&self) -> Option<Value> {
        self.problems.as_ref().map(|problems| json!({ "version": 1, "problems": problems }))
    }

    /// Makes this error the reason why something larger could not be done.
    #[must_use]
    pub fn as_reason_of(self, what: impl fmt::Display) -> Self {
        Self { what: what.to_string(), why: self.reason(), ..self }
    }

    /// Adds what failed in consequence; its hints come after the present ones.
    #[must_use]
    pub fn and_then(mut self, mut second: Self) -> Self {
        self.hints.append(&mut second.hints);
        Self { then: Some(Box::new(second)), ..self }
    }

    /// What failed, and why, in one line.
    pub fn reason(&self) -> String {
        if self.why.is_empty() { self.what.clone() } else { format!("{}: {}", self.what, self.why) }
    }

    /// Ends in another exit status.
    #[must_use]
    pub fn class(self, class: Class) -> Self {
        Self { class, ..self }
    }

    /// The process's exit status.
    pub fn status(&self) -> u8 {
        self.class.status()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A problem report of the configuration is already whole lines of its own.
        let prefix = if self.why.is_empty() { "" } else { "nsnat: " };
        write!(f, "{prefix}{}", self.reason())?;
        self.then.iter().try_for_each(|second| write!(f, "\n{second}"))?;
        self.hints.iter().try_for_each(|hint| write!(f, "\nhint: {hint}"))
    }
}

impl std::error::Error for Error {}

/// Says what was tried when an operating-system call fails.
pub trait Context<T> {
    /// Turns the error into ours; `what` is only made when there is one.
    fn what<D: fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn what<D: fmt::Display>(self, what: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|why| Error::new(what(), why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hint_is_a_line_and_no_message_is_inside_of_another() {
        let first =
            Error::new("the kernel's state", "a rule is missing").hint("does another program change it?");
        let second = Error::new("remove link nsn-a", "out of memory").hint("close something");
        let both =
            first.and_then(second.as_reason_of("going back failed, too")).hint("nsnat down").to_string();
        let lines: Vec<&str> = both.lines().collect();
        assert_eq!(
            lines,
            [
                "nsnat: the kernel's state: a rule is missing",
                "nsnat: going back failed, too: remove link nsn-a: out of memory",
                "hint: does another program change it?",
                "hint: close something",
                "hint: nsnat down",
            ]
        );
    }
}
