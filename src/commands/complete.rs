//! `nsnat __complete`, which the completion scripts of shells call: a line that says what comes next, and then the words,
//! each with its meaning. The scripts beside this file read it.

use super::config;
use crate::cli::Cli;
use crate::complete::{Kind, Next, next};
use crate::error::Result;
use crate::kernel::{names, state_file};
use crate::model::Name;
use crate::ui::Ui;
use clap::CommandFactory;
use std::collections::BTreeSet;

pub(super) fn run(ui: &Ui<'_>, words: &[String]) -> Result<()> {
    let mut root = Cli::command();
    root.build();
    let found = match next(&root, words) {
        Next::CommandLine(begun) => return ui.print(format_args!("command {begun}")),
        Next::File => return ui.print("files"),
        Next::Words(words) => words,
        Next::Name(kind) => known(ui, kind).into_iter().map(|name| (name, String::new())).collect(),
        Next::Unknown => Vec::new(),
    };
    ui.print("words")?;
    let word = words.last().map(String::as_str).unwrap_or_default();
    let (before, begun) = parted(word);
    for (name, meaning) in found.iter().filter(|(name, _)| name.starts_with(begun)) {
        ui.print(format_args!("{before}{name}\t{meaning}"))?;
    }
    Ok(())
}

/// What stays of a word, and what is replaced: of `--option=value` the value.
fn parted(word: &str) -> (&str, &str) {
    match word.split_once('=') {
        Some(("", value)) => ("", value),
        Some((option, value)) if word.starts_with("--") => (word.split_at(option.len() + 1).0, value),
        _ => ("", word),
    }
}

/// The names that there are. What cannot be read has none.
fn known(ui: &Ui<'_>, kind: Kind) -> Vec<String> {
    let config = || config::open(ui).ok();
    match kind {
        Kind::Namespace => {
            let declared = config().into_iter().flat_map(|config| config.namespaces.into_keys());
            sorted(declared.chain(up(false)))
        }
        Kind::Attachment => sorted(up(true).into_iter()),
        Kind::Uplink => sorted(config().into_iter().flat_map(|config| config.uplinks.into_keys())),
        Kind::Device => names::devices(),
        Kind::User => names::users(),
        Kind::Unit => names::units(),
    }
}

/// What is up: namespaces, or attachments.
fn up(attached: bool) -> Vec<Name> {
    let up = state_file::read().unwrap_or_default().namespaces.into_iter();
    up.filter(|(_, namespace)| namespace.attached.is_some() == attached).map(|(name, _)| name).collect()
}

/// Each once.
fn sorted(names: impl Iterator<Item = Name>) -> Vec<String> {
    let names: BTreeSet<Name> = names.collect();
    names.into_iter().map(|name| name.to_string()).collect()
}
