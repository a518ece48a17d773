//! The `nsnat` binary.

use clap::Parser;
use nsnat::cli::Cli;
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    // `exec` first: before the command line's parser and before any runtime.
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let result = match nsnat::enter::fast_path(&args) {
        Some(error) => Err(error),
        None => nsnat::commands::run(&Cli::parse()),
    };
    result.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::from(error.status())
    })
}
