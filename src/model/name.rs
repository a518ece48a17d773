//! Names of namespaces and uplinks.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::fmt;

/// Longest name, in bytes.
pub const MAX: usize = 64;

/// A name that can leave neither its directory nor its nft string: `[A-Za-z0-9][A-Za-z0-9_.-]*`, at most 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct Name(SmolStr);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Says what is wrong with `text` as a name, if anything.
    pub fn problem(text: &str) -> Option<String> {
        let mut chars = text.chars();
        let Some(first) = chars.next() else { return Some("a name must not be empty".into()) };
        if !first.is_ascii_alphanumeric() {
            return Some(format!("a name starts with a letter or a digit, not {first:?}"));
        }
        if let Some(bad) = chars.find(|c| !(c.is_ascii_alphanumeric() || "_.-".contains(*c))) {
            return Some(format!("{bad:?} cannot be part of a name; letters, digits, '_', '.' and '-' can"));
        }
        (text.len() > MAX)
            .then(|| format!("{} characters are too many for a name; {MAX} at most", text.len()))
    }
}

impl TryFrom<SmolStr> for Name {
    type Error = String;
    fn try_from(text: SmolStr) -> Result<Self, String> {
        match Self::problem(&text) {
            None => Ok(Self(text)),
            Some(why) => Err(why),
        }
    }
}

impl TryFrom<String> for Name {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        SmolStr::from(text).try_into()
    }
}

impl std::str::FromStr for Name {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        SmolStr::from(text).try_into()
    }
}

impl From<Name> for SmolStr {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name() {
        let long = "a".repeat(65);
        for bad in ["", ".", "..", "a/b", "../x", "a\nb", "a\"b", "-a", "_a", "ä", "a b", &long] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
        for good in ["a", "0", "a..b", "a-b_c.d", &"a".repeat(64)] {
            assert!(good.parse::<Name>().is_ok(), "{good:?}");
        }
    }
}
