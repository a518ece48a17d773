//! What helps against a thing that is wrong: commands that can be pasted, or words and a command that shows whether it helped.

use super::Name;
use serde::{Serialize, Serializer};
use std::fmt;

/// What helps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cure {
    /// `nsnat up`, for one namespace or for all that are up, and what that does. `doctor --fix` runs it.
    Up(Option<Name>, &'static str),
    /// Commands to be run one after the other.
    Commands(Vec<String>),
    /// What a person has to do or to decide: nothing that can be typed on this host does it.
    Person {
        /// What that is.
        words: String,
        /// A command that fails until it is done.
        check: String,
    },
}

/// What is checked where nothing smaller tells.
const EXAMINE: &str = "nsnat doctor";

impl Cure {
    /// `nsnat up`, which makes whatever of ours is missing.
    pub fn up(does: &'static str) -> Self {
        Self::Up(None, does)
    }

    /// One command.
    pub fn command(line: impl Into<String>) -> Self {
        Self::Commands(vec![line.into()])
    }

    /// What a person has to do, in words. Whether it is done, `nsnat doctor` tells.
    pub fn person(words: impl Into<String>) -> Self {
        Self::Person { words: words.into(), check: EXAMINE.into() }
    }

    /// With another command that fails until it is done.
    #[must_use]
    pub fn checked_by(mut self, command: impl Into<String>) -> Self {
        if let Self::Person { check, .. } = &mut self {
            *check = command.into();
        }
        self
    }

    /// The commands; or what a person has to do, where nsnat does not know them.
    pub fn commands_or(commands: Vec<String>, otherwise: impl FnOnce() -> Self) -> Self {
        if commands.is_empty() { otherwise() } else { Self::Commands(commands) }
    }

    /// The command that fails until a person has done what helps.
    pub fn check(&self) -> Option<&str> {
        if let Self::Person { check, .. } = self { Some(check) } else { None }
    }

    /// The commands to run; none where a person has to decide.
    pub fn commands(&self) -> Vec<String> {
        match self {
            Self::Up(None, _) => vec!["nsnat up".into()],
            Self::Up(Some(name), _) => vec![format!("nsnat up {name}")],
            Self::Commands(commands) => commands.clone(),
            Self::Person { .. } => Vec::new(),
        }
    }
}

impl fmt::Display for Cure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up(_, does) => write!(f, "{} {does}", self.commands().concat()),
            Self::Commands(commands) => f.write_str(&commands.join(", then: ")),
            Self::Person { words, .. } => f.write_str(words),
        }
    }
}

/// For programs: the words, and what can be typed by itself: the commands, or else the check.
impl Serialize for Cure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut out = serializer.serialize_struct("Cure", 4)?;
        out.serialize_field("text", &self.to_string())?;
        out.serialize_field("commands", &self.commands())?;
        out.serialize_field("by_nsnat", &matches!(self, Self::Up(..)))?;
        out.serialize_field("check", &self.check())?;
        out.end()
    }
}

/// What kind of cure helps against a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Help {
    /// `nsnat up`, which `doctor --fix` runs.
    Nsnat,
    /// Commands that change something else than nsnat's own, which a person should have seen before.
    Commands,
    /// A person: nothing that can be typed on this host helps, or it is for a person to decide.
    Person,
    /// Commands where nsnat knows them, and otherwise a person.
    Either,
}

impl Help {
    /// Whether that kind of thing has such a cure.
    pub fn has(self, cure: &Cure) -> bool {
        let is = match cure {
            Cure::Up(..) => Self::Nsnat,
            Cure::Commands(_) => Self::Commands,
            Cure::Person { .. } => Self::Person,
        };
        self == is || self == Self::Either && is != Self::Nsnat
    }
}

impl fmt::Display for Help {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nsnat => "`nsnat up`",
            Self::Commands => "commands",
            Self::Person => "a person",
            Self::Either => "commands, or a person",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_does_has_a_check_and_what_is_typed_has_none() {
        assert_eq!(Cure::person("look").check(), Some("nsnat doctor"));
        assert_eq!(Cure::person("look").checked_by("true").check(), Some("true"));
        assert_eq!(Cure::command("a").checked_by("true").check(), None);
        let or = |commands: &[&str]| {
            Cure::commands_or(commands.iter().map(ToString::to_string).collect(), || Cure::person("look"))
        };
        assert_eq!(or(&["a"]), Cure::command("a"));
        assert_eq!(or(&[]), Cure::person("look"));
    }

    #[test]
    fn what_kind_of_cure_a_thing_has() {
        let cures = [Cure::up("repairs it"), Cure::command("a"), Cure::person("look")];
        let has = |help: Help| cures.iter().map(|cure| help.has(cure)).collect::<Vec<_>>();
        assert_eq!(has(Help::Nsnat), [true, false, false]);
        assert_eq!(has(Help::Commands), [false, true, false]);
        assert_eq!(has(Help::Person), [false, false, true]);
        assert_eq!(has(Help::Either), [false, true, true]);
    }
}
