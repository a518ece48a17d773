//! The `nsnat` binary.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    // `exec` first: before the command line's parser and before any runtime.
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(error) = nsnat::enter::fast_path(&args) {
        eprintln!("{error}");
        return ExitCode::from(error.status());
    }
    ExitCode::SUCCESS
}
