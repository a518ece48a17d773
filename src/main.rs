//! The `nsnat` binary.

use clap::Parser;
use nsnat::cli::{Cli, Command};
use nsnat::{enter, error};
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    // `exec` first: before the command line's parser and before any runtime.
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let result = enter::fast_path(&args).map_or_else(parse_and_run, Err);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.status())
        }
    }
}

fn parse_and_run() -> error::Result<()> {
    match Cli::parse().command {
        Command::Exec(exec) => Err(enter::run(&enter::from_cli(&exec)?)),
        _ => Ok(()),
    }
}
