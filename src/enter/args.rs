//! The arguments of `exec`: the plain ones, read before the command line's parser, and the parser's, finished.
//!
//! `plain` knows only what it can be sure of. Whatever else is there (other options, a mistake) is left to the
//! real parser, so that there is one place that explains the command line.

use super::request::{Mount, Proxies, Request, RunAs};
use crate::cli;
use crate::error::{Error, Result};
use crate::model::Name;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Options of `exec` that do not need the configuration.
#[derive(Debug, Default)]
struct Options {
    user: Option<String>,
    me: bool,
    pid: bool,
    report: bool,
    proxies: Proxies,
    mounts: Vec<Mount>,
}

impl Options {
    /// Reads options from the front of `args`; what comes after them is returned. `Err` is what is not ours.
    fn read<'a>(&mut self, mut args: &'a [OsString]) -> std::result::Result<&'a [OsString], &'a OsStr> {
        while let Some((first, rest)) = args.split_first() {
            if !first.as_bytes().starts_with(b"-") || first == "--" {
                break;
            }
            args = self.read_one(first, rest).ok_or(first.as_os_str())?;
        }
        Ok(args)
    }

    /// Takes one option, and its value from itself or from `rest`; returns what is left.
    fn read_one<'a>(&mut self, first: &OsStr, rest: &'a [OsString]) -> Option<&'a [OsString]> {
        let text = first.to_str()?;
        match text {
            "--me" if !self.me => self.me = true,
            "--pid" if !self.pid => self.pid = true,
            "--report" if !self.report => self.report = true,
            "--no-proxy" if self.proxies != Proxies::Drop => self.proxies = Proxies::Drop,
            "-u" | "--user" | "--mount" | "--tmpfs" => {
                let (value, rest) = rest.split_first()?;
                return self.take(text, value).map(|()| rest);
            }
            _ if text.starts_with("--") => {
                let (key, value) = text.split_once('=')?;
                self.take(key, value.as_ref())?;
            }
            _ => {
                let value = text.strip_prefix("-u")?;
                self.take("-u", value.strip_prefix('=').unwrap_or(value).as_ref())?;
            }
        }
        Some(rest)
    }

    fn take(&mut self, key: &str, value: &OsStr) -> Option<()> {
        match key {
            "-u" | "--user" if self.user.is_none() => self.user = Some(value.to_str()?.to_owned()),
            "--mount" => self.mounts.push(bind(value).ok()?),
            "--tmpfs" => self.mounts.push(Mount::Tmpfs(value.into())),
            _ => return None,
        }
        Some(())
    }

    /// Nothing when the options contradict each other.
    fn request(mut self, namespace: Name, command: &[OsString]) -> Option<Request> {
        let who = match (self.user, self.me) {
            (None, false) => RunAs::Same,
            (None, true) => RunAs::Me,
            (Some(user), false) => RunAs::User(user),
            (Some(_), true) => return None,
        };
        // An empty directory can be put into what was bound; nothing can be bound into an empty directory.
        self.mounts.sort_by_key(|mount| matches!(mount, Mount::Tmpfs(_)));
        Some(Request {
            namespace,
            who,
            pid: self.pid,
            quiet: false,
            report: self.report,
            proxies: self.proxies,
            mounts: self.mounts,
            command: command.to_vec(),
        })
    }
}

/// `exec [OPTION…] NAME [OPTION…] [--] CMD [ARG…]`; nothing when it is anything else.
pub(super) fn parse_plain_exec(args: &[OsString]) -> Option<Request> {
    let (verb, args) = args.split_first()?;
    if verb != "exec" {
        return None;
    }
    let mut options = Options::default();
    let (name, args) = options.read(args).ok()?.split_first()?;
    let namespace = name.to_str()?.parse().ok()?;
    let command = without_dashes(options.read(args).ok()?);
    if command.is_empty() { None } else { options.request(namespace, command) }
}

fn without_dashes(args: &[OsString]) -> &[OsString] {
    match args.split_first() {
        Some((first, rest)) if first == "--" => rest,
        _ => args,
    }
}

/// Finishes what the parser made of `exec NAME …`. Everything from NAME on is in one list there, and options
/// before it that the parser did not recognise.
pub fn from_cli(exec: &cli::Exec) -> Result<Request> {
    let mut options = given_options(exec)?;
    let Some((name, args)) = options.read(&exec.command).map_err(misplaced)?.split_first() else {
        return Err(Error::usage("exec", "a namespace and a command are needed"));
    };
    let namespace = parse_name(name)?;
    let command = without_dashes(options.read(args).map_err(misplaced)?);
    if command.is_empty() {
        let hint = format!("nsnat exec {namespace} -- CMD [ARG…], or nsnat shell {namespace}");
        return Err(Error::usage("exec", "a command is needed").hint(hint));
    }
    let request = options.request(namespace, command);
    request.ok_or_else(|| Error::usage("exec", "-u and --me exclude each other"))
}

/// The same for a namespace that the command line does not name: everything is the command. `line` is what the
/// parser read.
pub fn in_ephemeral(exec: &cli::Exec, namespace: &Name, line: &[OsString]) -> Result<Request> {
    let mut options = given_options(exec)?;
    let command = if comes_after_dashes(&exec.command, line) {
        &exec.command
    } else {
        without_dashes(options.read(&exec.command).map_err(misplaced)?)
    };
    if command.is_empty() {
        return Err(
            Error::usage("exec", "a command is needed").hint("nsnat exec --gateway ADDR -- CMD [ARG…]")
        );
    }
    let request = options.request(namespace.clone(), command);
    request.ok_or_else(|| Error::usage("exec", "-u and --me exclude each other"))
}

/// The parser takes away the `--` that everything of the command comes after.
fn comes_after_dashes(command: &[OsString], line: &[OsString]) -> bool {
    line.strip_suffix(command).is_some_and(|before| before.ends_with(&["--".into()]))
}

fn parse_name(name: &OsStr) -> Result<Name> {
    let text = name.to_string_lossy();
    text.parse().map_err(|why: String| Error::usage(format!("namespace {text:?}"), why))
}

fn misplaced(option: &OsStr) -> Error {
    Error::usage(
        format!("exec: {}", option.display()),
        "is not an option that can stand here, or its value is not valid",
    )
    .hint("options of nsnat itself come before the namespace; a command that starts with '-' comes after --")
}

/// The options that the parser recognised.
fn given_options(exec: &cli::Exec) -> Result<Options> {
    let mounts = given_mounts(exec)?;
    let proxies = if exec.no_proxy { Proxies::Drop } else { Proxies::Stay };
    Ok(Options { user: exec.user.clone(), me: exec.me, pid: exec.pid, report: exec.report, proxies, mounts })
}

fn given_mounts(exec: &cli::Exec) -> Result<Vec<Mount>> {
    let binds = exec
        .mount
        .iter()
        .map(|text| bind(text).map_err(|why| Error::usage(format!("--mount {}", text.display()), why)));
    binds.chain(exec.tmpfs.iter().map(|path| Ok(Mount::Tmpfs(path.clone())))).collect()
}

/// `SRC:DST[:ro]`.
fn bind(text: &OsStr) -> std::result::Result<Mount, &'static str> {
    let mut parts =
        text.as_bytes().split(|byte| *byte == b':').map(|part| PathBuf::from(OsStr::from_bytes(part)));
    let (Some(from), Some(to)) = (parts.next(), parts.next()) else { return Err("SRC:DST[:ro] is needed") };
    let read_only = match parts.next() {
        None => false,
        Some(word) if word.as_os_str() == "ro" => true,
        Some(_) => return Err("only :ro can follow SRC:DST; paths cannot contain ':'"),
    };
    if parts.next().is_some() || from.as_os_str().is_empty() || to.as_os_str().is_empty() {
        return Err("SRC:DST[:ro] is needed");
    }
    Ok(Mount::Bind { from, to, read_only })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn by_clap(line: &str) -> Result<Request> {
        let line = std::iter::once("nsnat".into()).chain(words(line));
        match cli::Cli::try_parse_from(line) {
            Ok(cli::Cli { command: cli::Command::Exec(exec), .. }) => from_cli(&exec),
            Ok(_) => Err(Error::usage("test", "not exec")),
            Err(error) => Err(Error::usage("clap", error)),
        }
    }

    #[test]
    fn what_comes_after_dashes_is_the_command() {
        let request = |line: &str| {
            let line: Vec<OsString> = words(&format!("nsnat exec --gateway 192.0.2.1 {line}"));
            match cli::Cli::try_parse_from(&line).unwrap().command {
                cli::Command::Exec(exec) => in_ephemeral(&exec, &"x".parse().unwrap(), &line),
                _ => panic!("{line:?} is exec"),
            }
        };
        for (line, pid, command) in [
            ("-- -foo", false, "-foo"),
            ("-- --pid sh", false, "--pid sh"),
            ("--pid -- -u x", true, "-u x"),
            ("-- -- true", false, "-- true"),
            ("--pid grep -- -x", true, "grep -- -x"),
            ("grep -- --pid", false, "grep -- --pid"),
            ("true", false, "true"),
        ] {
            let request = request(line).unwrap();
            assert_eq!((request.pid, request.command), (pid, words(command)), "{line}");
        }
        assert_eq!(request("--nonsense true").expect_err("no option").status(), 2);
    }

    #[test]
    fn plain_lines_mean_the_same_to_the_parser() {
        for line in [
            "exec slow true",
            "exec slow -- true -u x",
            "exec slow ls --me",
            "exec -u bob slow id -u",
            "exec -ubob slow id",
            "exec -u=bob slow id",
            "exec slow -u=bob id",
            "exec slow -u bob -- id",
            "exec slow --user=bob id",
            "exec slow --user bob --pid id",
            "exec --me --pid slow sh -c x",
            "exec slow --mount /a:/b:ro --tmpfs=/c id",
            "exec --tmpfs /c slow --mount /a:/b id",
            "exec --tmpfs /c --mount /a:/b slow id",
            "exec --mount=/a:/b slow id",
            "exec --report slow id",
            "exec slow --report --pid -- id",
            "exec --no-proxy slow id",
            "exec slow --no-proxy id --no-proxy",
        ] {
            let plain = parse_plain_exec(&words(line)).unwrap_or_else(|| panic!("{line} is plain"));
            assert_eq!(plain, by_clap(line).unwrap(), "{line}");
        }
    }

    #[test]
    fn everything_else_is_left_to_the_parser() {
        for line in [
            "",
            "exec",
            "exec slow",
            "exec slow --",
            "-v exec slow true",
            "exec -v slow true",
            "exec slow -q true",
            "exec --config x slow true",
            "exec --gateway 192.0.2.1 -- true",
            "exec --dev=eth0 true",
            "exec slow --help",
            "exec --me -u bob slow id",
            "exec -u bob -u eve slow id",
            "exec ../x true",
            "exec slow --mount /a id",
            "exec slow -u",
            "status",
            "execute slow true",
            "exec -- slow true",
        ] {
            assert_eq!(parse_plain_exec(&words(line)), None, "{line}");
        }
    }

    #[test]
    fn what_the_parser_lets_through_is_still_checked() {
        for line in [
            "exec slow",
            "exec ../x true",
            "exec slow --nonsense true",
            "exec --me slow -u bob id",
            "exec --mount /a slow id",
            "exec --mount /a:/b:rw slow id",
            "exec --mount :/b slow id",
            "exec slow -q id",
        ] {
            assert_eq!(by_clap(line).expect_err(line).status(), 2, "{line}");
        }
        assert_eq!(by_clap("exec -- slow true").unwrap().command, ["true"]);
    }
}
