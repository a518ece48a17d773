//! Looking for the command and becoming it, as `execvp(3)` of glibc does.
//!
//! It is done by hand because musl's `execvp` does not run a script that lacks its `#!` line, and because the
//! errors have to be told apart: 127 not found, 126 found and not runnable.

use super::inherited;
use crate::error::{Class, Error};
use nix::errno::Errno;
use nix::unistd::execv;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Where commands are looked for when PATH is not set.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Becomes the command. Returns only when that failed.
pub(super) fn replace(command: &[OsString]) -> Error {
    let Some((program, args)) = command.split_first() else {
        return Error::usage("exec", "a command is needed");
    };
    inherited::restore();
    let mut refused = None;
    for path in candidates(program) {
        match attempt(&path, program, args) {
            // Not here; a script whose interpreter is missing is here, though.
            Errno::ENOENT | Errno::ENOTDIR if !path.exists() => {}
            why => refused = refused.or(Some((path, why))),
        }
    }
    match refused {
        Some((path, why)) => not_runnable(&path, why),
        None => Error::new(program.display(), "command not found").class(Class::NotFound),
    }
}

/// A name with a slash is a path; any other is looked for in PATH, where an empty piece is the working directory.
fn candidates(program: &OsStr) -> Vec<PathBuf> {
    if program.is_empty() {
        return Vec::new();
    }
    if program.as_bytes().contains(&b'/') {
        return vec![program.into()];
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    std::env::split_paths(&path).map(|dir| dir.join(program)).map(in_working_directory).collect()
}

fn in_working_directory(path: PathBuf) -> PathBuf {
    if path.as_os_str().as_bytes().contains(&b'/') { path } else { Path::new(".").join(path) }
}

/// Tries one file; returns why it failed.
fn attempt(path: &Path, program: &OsStr, args: &[OsString]) -> Errno {
    let why = execute(path, std::iter::once(program).chain(args.iter().map(OsString::as_os_str)));
    if why != Errno::ENOEXEC {
        return why;
    }
    let words = [OsStr::new("sh"), path.as_os_str()];
    execute(Path::new("/bin/sh"), words.into_iter().chain(args.iter().map(OsString::as_os_str)))
}

fn execute<'a>(path: &Path, words: impl Iterator<Item = &'a OsStr>) -> Errno {
    let string = |text: &OsStr| CString::new(text.to_owned().into_vec());
    let (Ok(path), Ok(words)) = (string(path.as_os_str()), words.map(string).collect::<Result<Vec<_>, _>>())
    else {
        return Errno::EINVAL;
    };
    match execv(&path, &words) {
        Ok(never) => match never {},
        Err(why) => why,
    }
}

fn not_runnable(path: &Path, why: Errno) -> Error {
    let error =
        Error::new(path.display(), format!("cannot be run: {}", why.desc())).class(Class::NotRunnable);
    match why {
        Errno::ENOENT => {
            error.hint("it is there, but the program that its first line (#!) or its ELF header names is not")
        }
        _ => error,
    }
}

/// What went wrong before the command's turn is 125; what is wrong with the command keeps its own status.
pub(super) fn own_failure(error: Error) -> Error {
    if error.status() == Class::Failed.status() { error.class(Class::Exec) } else { error }
}
