//! The `nsnat` binary.

#![warn(clippy::print_stdout, clippy::print_stderr)]

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use nsnat::cli::Cli;
use nsnat::error::{Error, Result};
use nsnat::ui::tell;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// In a static binary the default is musl's, which asks the kernel for pages and gives them back hundreds of times in
/// one run of `up`.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    if is_plugin(&args) {
        return nsnat::commands::serve_cni(named_configuration());
    }
    // `exec` first: before the command line's parser and before any runtime.
    let result = match nsnat::enter::fast_path(&args) {
        Some(error) => Err(error),
        None => parse(&args).and_then(|cli| nsnat::commands::run(&cli)),
    };
    result.unwrap_or_else(|error| {
        tell(&error);
        ExitCode::from(error.status())
    })
}

/// Whether a container runtime calls: by the name of the plugin, or without any argument and with a command of CNI.
fn is_plugin(args: &[OsString]) -> bool {
    let called = std::env::args_os().next().map(PathBuf::from);
    let is_named = called.is_some_and(|path| path.file_name().is_some_and(|name| name == "nsnat-cni"));
    args.is_empty() && (is_named || std::env::var_os("CNI_COMMAND").is_some())
}

/// The configuration that the environment names.
fn named_configuration() -> Option<PathBuf> {
    std::env::var_os("NSNAT_CONFIG").filter(|path| !path.is_empty()).map(Into::into)
}

/// The command line, or what is wrong with it in the form of all our errors. Help and version are printed here.
fn parse(args: &[OsString]) -> Result<Cli> {
    let parsed = Cli::try_parse().map(|mut cli| {
        cli.global.config = cli.global.config.or_else(named_configuration);
        cli
    });
    parsed.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
        _ => refusal(&error.render().to_string(), args),
    })
}

/// The parser's words are paragraphs: what is wrong, then a tip where it has one, then the usage.
fn refusal(text: &str, args: &[OsString]) -> Error {
    let mut paragraphs =
        text.split("\n\n").map(|words| words.split_whitespace().collect::<Vec<_>>().join(" "));
    let why = paragraphs.next().unwrap_or_default();
    let error = Error::usage("command line", why.trim_start_matches("error: "));
    // "To pass it as a value" is never what was meant here.
    let tip = paragraphs.find_map(|words| words.strip_prefix("tip: a ").map(|tip| format!("a {tip}")));
    error.hint(tip.unwrap_or_else(|| format!("nsnat{} --help", first_verb(args))))
}

/// The command that was meant, with a space before it.
fn first_verb(args: &[OsString]) -> String {
    let known = |word: &&str| Cli::command().find_subcommand(word).is_some();
    let verb = args.iter().filter_map(|arg| arg.to_str()).find(known);
    verb.map(|verb| format!(" {verb}")).unwrap_or_default()
}
