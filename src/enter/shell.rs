//! The shell of `nsnat shell`, with a marker in its prompt.

use crate::model::Name;
use nix::unistd::{Uid, User};
use std::ffi::OsString;

/// What `sh` does: becomes the user's shell (SHELL was set with the user), told to mark its prompt.
const SCRIPT: &str = include_str!("shell.sh");

/// The command that starts the shell of the user it is run as.
pub fn command(name: &Name) -> Vec<OsString> {
    ["/bin/sh", "-c", SCRIPT, "nsnat-shell", name.as_str()].map(OsString::from).into()
}

/// Whether sudo, doas or pkexec names its caller.
pub fn has_caller() -> bool {
    ["SUDO_UID", "DOAS_USER", "PKEXEC_UID"].iter().any(|key| std::env::var_os(key).is_some())
}

/// The number of the user behind sudo, doas or pkexec.
pub fn caller_number() -> Option<u32> {
    let number = |key| std::env::var(key).ok()?.parse().ok();
    let by_name = || Some(User::from_name(&std::env::var("DOAS_USER").ok()?).ok()??.uid.as_raw());
    number("SUDO_UID").or_else(|| number("PKEXEC_UID")).or_else(by_name)
}

/// A user's name, or the number where nobody knows one.
pub fn user_name(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}
