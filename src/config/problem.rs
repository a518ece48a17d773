//! What is wrong in a configuration, and where it stands.

use std::ops::Range;
use std::path::PathBuf;

/// The path of a source that was made of the options of the command line, each as the key of its name.
pub const COMMAND_LINE: &str = "command line";

/// A file of the configuration.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// Text of the file.
    pub text: String,
}

/// A piece of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Index into [`Config::sources`](super::Config::sources).
    pub file: usize,
    /// Bytes.
    pub span: Range<usize>,
}

/// A value and where it stands. Values from the command line have no place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Option<Span>,
}

impl<T> From<T> for Located<T> {
    fn from(value: T) -> Self {
        Self { value, place: None }
    }
}

/// What is wrong, where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, in one line.
    pub message: String,
    /// The offending text.
    pub place: Option<Span>,
    /// Short words under the offending text.
    pub label: String,
    /// Another place that has to do with it, and words for it.
    pub other: Option<(Span, String)>,
    /// What would be right.
    pub help: Option<String>,
}

impl Problem {
    /// A problem at one place.
    pub fn at(place: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        let (place, message) = (place.into(), message.into());
        Self { message, place, label: String::new(), other: None, help: None }
    }

    /// Short words under the offending text.
    #[must_use]
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }

    /// Another place that has to do with it; nothing when that value has no place.
    #[must_use]
    pub fn other(self, place: impl Into<Option<Span>>, label: impl Into<String>) -> Self {
        Self { other: place.into().map(|place| (place, label.into())), ..self }
    }

    /// What would be right.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}
