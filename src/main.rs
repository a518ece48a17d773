//! The `nsnat` binary.

#![warn(clippy::print_stdout, clippy::print_stderr)]

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use dlmalloc::Dlmalloc;
use nsnat::cli::Cli;
use nsnat::error::{Error, Result};
use nsnat::ui::tell;
use std::alloc::{GlobalAlloc, Layout};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// In a static binary the default is musl's, which asks the kernel for pages and gives them back hundreds of times in
/// one run of `up`.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator(Mutex::new(Dlmalloc::new()));

/// dlmalloc behind a lock for which a thread waits awake for a moment: it is held for some dozens of nanoseconds, and two threads
/// that look into thousands of namespaces want it all the time. The lock of the crate's own global allocator puts a thread
/// to sleep at once, which takes a hundred times as long.
struct Allocator(Mutex<Dlmalloc>);

impl Allocator {
    fn lock(&self) -> MutexGuard<'_, Dlmalloc> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// SAFETY: dlmalloc keeps what the trait asks for, and has one caller at a time.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout has a size.
        unsafe { self.lock().malloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller got the block here, with that layout.
        unsafe { self.lock().free(block, layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout has a size.
        unsafe { self.lock().calloc(layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller got the block here, with that layout.
        unsafe { self.lock().realloc(block, layout.size(), layout.align(), size) }
    }
}

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    match plugin(&args) {
        Some(Plugin::Cni) => return nsnat::commands::serve_cni(named_configuration()),
        Some(Plugin::Netavark) => {
            let args: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
            return nsnat::commands::serve_netavark(named_configuration(), &args);
        }
        None => {}
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

/// What a container engine calls nsnat as.
enum Plugin {
    Cni,
    Netavark,
}

/// Whether a container engine calls: by the name of the plugin, without any argument and with a command of CNI, or out of
/// the directory of netavark's plugins, where a file is called as the driver is to be called.
fn plugin(args: &[OsString]) -> Option<Plugin> {
    let called = PathBuf::from(std::env::args_os().next()?);
    let is = |name: Option<&OsStr>, word: &str| name.is_some_and(|name| name == word);
    let directory = called.parent().and_then(Path::file_name);
    if is(called.file_name(), "nsnat-netavark") || is(directory, "netavark") {
        return Some(Plugin::Netavark);
    }
    let is_cni = is(called.file_name(), "nsnat-cni") || std::env::var_os("CNI_COMMAND").is_some();
    (args.is_empty() && is_cni).then_some(Plugin::Cni)
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
    let is_meant = |tip: &&str| tip.starts_with("a ") || tip.starts_with("some similar ");
    let tip = paragraphs.find_map(|words| words.strip_prefix("tip: ").filter(is_meant).map(str::to_owned));
    let help = || format!("nsnat{} --help", first_verb(args));
    error.hint(name_comes_first(args).or(tip).unwrap_or_else(help))
}

/// The cure where the words of a command stand before the name that they are about: `nsnat dns test slow`.
fn name_comes_first(args: &[OsString]) -> Option<String> {
    let words: Vec<&str> = args.iter().filter_map(|arg| arg.to_str()).collect();
    let [verb, what, name, rest @ ..] = &words[..] else { return None };
    let command = Cli::command();
    let command =
        command.find_subcommand(verb).filter(|command| command.get_positionals().next().is_some())?;
    let is_turned = command.find_subcommand(what).is_some() && command.find_subcommand(name).is_none();
    let rest: String = rest.iter().flat_map(|word| [" ", word]).collect();
    is_turned.then(|| format!("the name of the namespace comes first: nsnat {verb} {name} {what}{rest}"))
}

/// The command that was meant, with a space before it.
fn first_verb(args: &[OsString]) -> String {
    let known = |word: &&str| Cli::command().find_subcommand(word).is_some();
    let verb = args.iter().filter_map(|arg| arg.to_str()).find(known);
    verb.map(|verb| format!(" {verb}")).unwrap_or_default()
}
