//! Refusals that several commands have in common.

use crate::error::{Class, Error, Result};
use crate::model::Name;

/// Changing the network takes root.
pub(super) fn need_root(what: &str) -> Result<()> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let words: Vec<_> = std::env::args().skip(1).collect();
    Err(Error::new(what, "needs root").hint(format!("sudo nsnat {}", words.join(" "))).class(Class::Failed))
}

/// The names that are not among the declared ones, as an error with the nearest.
pub(super) fn unknown<'a>(name: &Name, declared: impl Iterator<Item = &'a Name>) -> Error {
    let near = declared.map(|d| (strsim::damerau_levenshtein(d.as_str(), name.as_str()), d)).min();
    let error = Error::new(format!("namespace {name}"), "it is not declared");
    match near.filter(|(distance, _)| *distance <= 3) {
        Some((_, near)) => error.hint(format!("did you mean {near}?")),
        None => error.hint(format!("nsnat add {name} --gateway ADDR declares it")),
    }
}
