//! All that nsnat prints: results to standard output, everything else to standard error.
//!
//! No other file names these two, and clippy's `print_stdout`, `print_stderr` and `disallowed_methods` hold it. What
//! the standard library prints by itself (`--help` and `--version`, by clap) never comes by here.

#![expect(clippy::disallowed_methods, reason = "standard output and standard error are written here")]

use crate::cli::{Color, GlobalOptions, Output};
use crate::error::{Error, Result};
use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use tracing_subscriber::prelude::*;

/// How a command line wants to be answered.
pub struct Ui<'a> {
    /// The options of all commands.
    pub global: &'a GlobalOptions,
    /// Colour what is printed.
    pub colour: bool,
}

impl<'a> Ui<'a> {
    /// What the options say, and the terminal.
    pub fn new(global: &'a GlobalOptions) -> Self {
        let colour = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        };
        Self { global, colour }
    }

    /// Whether programs read it.
    pub fn json(&self) -> bool {
        self.global.output == Output::Json
    }

    /// Prints a line of the result. A reader that has seen enough (`| head`) is no error.
    pub fn print(&self, line: impl Display) -> Result<()> {
        match writeln!(anstream::stdout(), "{line}") {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
            result => result.map_err(|error| Error::new("write the result", error)),
        }
    }

    /// Shows the result in place of what was shown before: on a terminal on an empty page, for programs in one line more.
    pub fn page(&self, text: impl Display) -> Result<()> {
        const EMPTY: &str = "\x1b[H\x1b[2J";
        let is_page = std::io::stdout().is_terminal() && !self.json();
        self.print(format_args!("{}{text}", if is_page { EMPTY } else { "" }))
    }

    /// Prints the result for programs.
    pub fn print_json(&self, value: &serde_json::Value) -> Result<()> {
        // As one text: standard output is written line by line, and there may be tens of thousands of them.
        self.print(format!("{value:#}"))
    }

    /// Tells something that is not the result, unless quiet.
    pub fn say(&self, text: impl Display) {
        if !self.global.quiet && !self.json() {
            // A message that nobody can read is no failure of what it tells.
            let _ = writeln!(anstream::stdout(), "{text}");
        }
    }

    /// Something that takes a while begins; only to people who look at a terminal.
    pub fn progress(&self, text: impl Display) {
        if !self.global.quiet && std::io::stderr().is_terminal() {
            tell(format_args!("nsnat: {text} …"));
        }
    }

    /// Something to know that is no error; on standard error.
    pub fn note(&self, text: impl Display) {
        if !self.global.quiet {
            tell(format_args!("nsnat: {text}"));
        }
    }
}

/// Tells something on standard error, also where no command line was read. That it cannot be told is no reason to end
/// otherwise than one would.
pub fn tell(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// From now on what is logged goes to systemd's journal, with its fields (`journalctl NSNAT_NAMESPACE=slow`), where standard
/// error goes there; elsewhere it is lines on standard error.
pub fn log() {
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    let registry = tracing_subscriber::registry();
    // It fails where a log is set up already, and nothing sets one up before.
    let _ = if let Some(journal) = journal {
        registry.with(journal.with_field_prefix(Some("NSNAT".into()))).try_init()
    } else {
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
        registry.with(lines.without_time().with_ansi(false)).try_init()
    };
}
