//! Users and groups as people write them: `backup`, `@netusers`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A user or a group, by name or by number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Account {
    /// `NAME`
    User(String),
    /// `@NAME`
    Group(String),
}

impl FromStr for Account {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let name = text.strip_prefix('@').unwrap_or(text);
        // What passwd(5) and group(5) could not hold. Directory services have names with '@', '\' and spaces.
        if name.is_empty() || name.trim() != name || name.contains(':') || name.contains(char::is_control) {
            return Err("no user or group has such a name");
        }
        // getent(1) would take such a name for an option.
        if name.starts_with('-') {
            return Err("no user or group has a name that starts with '-'");
        }
        let kind = if text.starts_with('@') { Self::Group } else { Self::User };
        Ok(kind(name.to_owned()))
    }
}

impl TryFrom<String> for Account {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        text.parse()
    }
}

impl From<Account> for String {
    fn from(account: Account) -> Self {
        match account {
            Account::User(name) => name,
            Account::Group(name) => format!("@{name}"),
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user {name}"),
            Self::Group(name) => write!(f, "group {name}"),
        }
    }
}
