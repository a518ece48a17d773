//! The `nsnat-exec` binary: `nsnat exec` for users whom a namespace allows, installed set-user-id root.

#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let error = nsnat::enter::serve(&args);
    nsnat::ui::tell(&error);
    ExitCode::from(error.status())
}
