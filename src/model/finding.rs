//! What is wrong, as data: found by a check, told by `status` in a line and by `doctor` in full.

use super::{Code, Name};
use serde::{Serialize, Serializer};
use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Which kind of thing it is. Programs go by this, so a code keeps its meaning for ever.
    pub code: Code,
    /// What is wrong: a sentence without its full stop.
    pub what: String,
    /// What shows it: the very rule, route, setting, process or counter.
    pub evidence: Vec<String>,
    /// What helps.
    pub cure: Cure,
}

impl Finding {
    /// A finding whose sentence is all that is to be shown.
    pub fn new(code: Code, what: impl Into<String>, cure: Cure) -> Self {
        Self { code, what: what.into(), evidence: Vec::new(), cure }
    }

    /// With what shows it.
    #[must_use]
    pub fn shown_by(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }
}

/// One line: what is wrong, and what helps.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cure {
            Cure::Advice(words) if words.is_empty() => f.write_str(&self.what),
            cure => write!(f, "{}; {cure}", self.what),
        }
    }
}

/// What helps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cure {
    /// `nsnat up`, for one namespace or for all that are up, and what that does. `doctor --fix` runs it.
    Up(Option<Name>, &'static str),
    /// Commands to be run one after the other.
    Commands(Vec<String>),
    /// What a person has to do or to decide.
    Advice(String),
}

impl Cure {
    /// `nsnat up`, which makes whatever of ours is missing.
    pub fn up(does: &'static str) -> Self {
        Self::Up(None, does)
    }

    /// One command.
    pub fn command(line: impl Into<String>) -> Self {
        Self::Commands(vec![line.into()])
    }

    /// What has to be done, in words.
    pub fn advice(words: impl Into<String>) -> Self {
        Self::Advice(words.into())
    }

    /// The commands to run; none where a person has to decide.
    pub fn commands(&self) -> Vec<String> {
        match self {
            Self::Up(None, _) => vec!["nsnat up".into()],
            Self::Up(Some(name), _) => vec![format!("nsnat up {name}")],
            Self::Commands(commands) => commands.clone(),
            Self::Advice(_) => Vec::new(),
        }
    }
}

impl fmt::Display for Cure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up(_, does) => write!(f, "{} {does}", self.commands().concat()),
            Self::Commands(commands) => f.write_str(&commands.join(", then: ")),
            Self::Advice(words) => f.write_str(words),
        }
    }
}

/// For programs: the words, and the commands by themselves.
impl Serialize for Cure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut out = serializer.serialize_struct("Cure", 3)?;
        out.serialize_field("text", &self.to_string())?;
        out.serialize_field("commands", &self.commands())?;
        out.serialize_field("by_nsnat", &matches!(self, Self::Up(..)))?;
        out.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_is_wrong_and_what_helps() {
        let cures = [
            (Cure::up("repairs it"), "nsnat up repairs it", 1),
            (Cure::Commands(vec!["a".into(), "b c".into()]), "a, then: b c", 2),
            (Cure::advice("look"), "look", 0),
        ];
        for (cure, told, commands) in cures {
            let finding = Finding::new(Code::RuleMissing, "wrong", cure);
            assert_eq!(finding.to_string(), format!("wrong; {told}"));
            assert_eq!(finding.cure.commands().len(), commands);
        }
        assert_eq!(Code::NetnsFileMissing.to_string(), "netns-file-missing");
    }
}
