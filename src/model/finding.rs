//! What is wrong, as data: found by a check, told by `status` in a line and by `doctor` in full.

use super::{Code, Cure};
use serde::Serialize;
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
            Cure::Person { words, .. } if words.is_empty() => f.write_str(&self.what),
            cure => write!(f, "{}; {cure}", self.what),
        }
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
            (Cure::person("look"), "look", 0),
        ];
        for (cure, told, commands) in cures {
            let finding = Finding::new(Code::RuleMissing, "wrong", cure);
            assert_eq!(finding.to_string(), format!("wrong; {told}"));
            assert_eq!(finding.cure.commands().len(), commands);
        }
        assert_eq!(Code::NetnsFileMissing.to_string(), "netns-file-missing");
    }
}
