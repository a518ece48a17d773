//! One file a command, glue only.

mod config;
mod declare;
mod dns;
mod dns_test;
mod down;
mod exec;
mod follow;
mod info;
mod list;
mod neighbours;
mod plan;
mod processes;
mod session;
mod status;
mod systemd;
mod throw_away;
mod trace;
mod traffic;
mod up;

use crate::cli::{Cli, Color, Command, Global, Output};
use crate::error::{Class, Error, Result, tell};
use crate::model::Name;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// What every command gets.
struct Context<'a> {
    global: &'a Global,
    /// Colour what is printed.
    colour: bool,
}

impl Context<'_> {
    fn json(&self) -> bool {
        self.global.output == Output::Json
    }

    /// Tells something that is not the result, unless quiet.
    fn say(&self, text: impl std::fmt::Display) {
        if !self.global.quiet && !self.json() {
            // A message that nobody can read is no failure of what it tells.
            let _ = writeln!(anstream::stdout(), "{text}");
        }
    }

    /// Something to know that is no error; on standard error.
    fn note(&self, text: impl std::fmt::Display) {
        if !self.global.quiet {
            tell(format_args!("nsnat: {text}"));
        }
    }
}

/// Runs a command line.
pub fn run(cli: &Cli) -> Result<ExitCode> {
    let colour = match cli.global.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    let context = &Context { global: &cli.global, colour };
    let done = |()| ExitCode::SUCCESS;
    match &cli.command {
        Command::Up { names, repair } => up::run(context, names, *repair).map(done),
        Command::Down { names, kill } => down::run(context, names, *kill).map(done),
        Command::Add(add) => declare::add(context, add).map(done),
        Command::Remove { name, kill } => declare::remove(context, name, *kill).map(done),
        Command::Exec(exec) => exec::run(context, exec),
        Command::Shell { name } => exec::shell(context, name),
        Command::Status { name, check } => status::run(context, name.as_ref(), *check).map(done),
        Command::List => list::run(context).map(done),
        Command::Plan { names } => plan::run(context, names),
        Command::Ps { name } => processes::ps(context, name).map(done),
        Command::Which { pid } => processes::which(context, *pid),
        Command::Dns { name, command } => dns::run(context, name, command),
        Command::Trace { name, goal } => trace::run(context, name, *goal),
        Command::Systemd { command } => systemd::run(context, command).map(done),
        Command::Skeleton => info::skeleton(context).map(done),
        Command::Completions { shell } => info::completions(*shell).map(done),
        Command::Man => info::man().map(done),
    }
}

/// Changing the network takes root.
fn need_root(what: &str) -> Result<()> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let words: Vec<_> = std::env::args().skip(1).collect();
    Err(Error::new(what, "needs root").hint(format!("sudo nsnat {}", words.join(" "))).class(Class::Failed))
}

/// The names that are not among the declared ones, as an error with the nearest.
fn unknown<'a>(name: &Name, declared: impl Iterator<Item = &'a Name>) -> Error {
    let near = declared.map(|d| (strsim::damerau_levenshtein(d.as_str(), name.as_str()), d)).min();
    let error = Error::new(format!("namespace {name}"), "it is not declared");
    match near.filter(|(distance, _)| *distance <= 3) {
        Some((_, near)) => error.hint(format!("did you mean {near}?")),
        None => error.hint(format!("nsnat add {name} --gateway ADDR declares it")),
    }
}

/// Prints a line of the result. A reader that has seen enough (`| head`) is no error.
fn print(line: impl std::fmt::Display) -> Result<()> {
    match writeln!(anstream::stdout(), "{line}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.map_err(|error| Error::new("write the result", error)),
    }
}

fn print_json(value: &serde_json::Value) -> Result<()> {
    print(format_args!("{value:#}"))
}
