//! `exec` for users whom a namespace allows: the set-user-id program `nsnat-exec`, and how `nsnat exec` calls it.
//!
//! # Theory of operation
//!
//! `nsnat-exec [--pid] NAME -- CMD [ARG…]` is a program of its own, so that what runs with root's rights on behalf
//! of anybody holds no parser of command lines, no reader of configurations and no way to change the network.
//! The threats that it has to withstand are listed in docs/security.md. In short:
//!
//! * it looks at its arguments, at who called, at the two files of the namespace, and at nothing else: no variable
//!   of the environment, no configuration, no user data base;
//! * whatever it changes belongs to this process alone (its namespaces), so that it can be killed, stopped or
//!   starved at any moment and leaves nothing half done;
//! * paths that the caller chose (CMD, PATH, the working directory) are used after the rights are gone.

use super::privileges::{self, Ids};
use super::request::{Proxies, Request, RunAs};
use super::{command, environment, inherited, mounts, namespace, pid};
use crate::error::{Context, Error, Result};
use crate::model::{ExecRecord, Name};
use crate::ui::tell;
use nix::sys::stat::{Mode, stat};
use nix::unistd::{execv, geteuid, getgid, getgroups, getuid};
use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where the set-user-id program is, seen from the directory of `nsnat` itself.
const PLACES: [&str; 2] = ["../libexec/nsnat/nsnat-exec", "nsnat-exec"];

/// The whole of `nsnat-exec`. `args` is without the program's name. Returns only when it failed.
pub fn serve(args: &[OsString]) -> Error {
    match read(args).ok_or_else(usage).and_then(|request| enter(&request)) {
        Ok(never) => match never {},
        Err(error) => command::own_failure(error),
    }
}

fn read(args: &[OsString]) -> Option<Request> {
    let (pid, args) = match args.split_first() {
        Some((first, rest)) if first == "--pid" => (true, rest),
        _ => (false, args),
    };
    let (name, args) = args.split_first()?;
    let (dashes, command) = args.split_first()?;
    if dashes != "--" || command.is_empty() {
        return None;
    }
    let namespace = name.to_str()?.parse().ok()?;
    Some(Request {
        namespace,
        who: RunAs::Same,
        pid,
        quiet: false,
        report: false,
        proxies: Proxies::Stay,
        mounts: Vec::new(),
        command: command.to_vec(),
    })
}

fn usage() -> Error {
    Error::usage("nsnat-exec", "nsnat-exec [--pid] NAME -- CMD [ARG…]")
        .hint("people call: nsnat exec NAME CMD")
}

fn enter(request: &Request) -> Result<Infallible> {
    privileges::hide_memory().what(|| "nsnat-exec")?;
    let name = &request.namespace;
    let caller = caller().what(|| "nsnat-exec")?;
    if !geteuid().is_root() {
        return Err(set_user_id_without_effect(name));
    }
    let inside = namespace::open_checked_namespace(name)?.ok_or_else(|| not_up(name))?;
    if !is_allowed(&caller, &inside.target) {
        return Err(not_allowed(name, &inside.target));
    }
    if let Some(why) = &inside.target.stopped {
        tell(format_args!("nsnat: {name}: {why}"));
    }
    inside.enter(name)?;
    let here = mounts::set_up(name, &inside.target, &[])?;
    drop(inside);
    if request.pid {
        // The process that stays behind must not have more rights than the caller.
        pid::enter(|| privileges::drop_to(&caller))
            .what(|| format!("namespace {name}: own process numbers"))?;
    }
    privileges::drop_to(&caller).what(|| "nsnat-exec: drop privileges")?;
    if request.pid && !caller.user.is_root() {
        // The kernel gives no unprivileged user process numbers that set-user-id programs would believe.
        privileges::no_new().what(|| "nsnat-exec: no_new_privs")?;
    }
    here.restore();
    environment::set(name, None);
    Err(command::replace(&request.command))
}

/// User and groups of the caller, as the kernel has them.
fn caller() -> nix::Result<Ids> {
    Ok(Ids { user: getuid(), group: getgid(), groups: getgroups()? })
}

fn is_allowed(caller: &Ids, target: &ExecRecord) -> bool {
    let groups = caller.groups.iter().chain([&caller.group]).map(|group| group.as_raw());
    caller.user.is_root() || target.allowed.includes(caller.user.as_raw(), groups)
}

/// Calls `nsnat-exec` for a user that is not root. Returns why that cannot be done.
pub(super) fn hand_over(request: &Request, target: &ExecRecord) -> Error {
    let name = &request.namespace;
    if request.who != RunAs::Same || !request.mounts.is_empty() {
        return Error::new("-u, --me, --mount, --tmpfs", "only root may").hint("sudo nsnat exec …");
    }
    let allowed = caller().is_ok_and(|caller| is_allowed(&caller, target));
    match program() {
        _ if !allowed => not_allowed(name, target),
        None => Error::new(format!("namespace {name}"), "you are allowed, but nsnat-exec is not there")
            .hint("root gives it the set-user-id bit; nsnat-exec(1) says how"),
        Some(_) if privileges::are_frozen() => set_user_id_without_effect(name),
        Some(program) => become_program(&program, request),
    }
}

/// The set-user-id program; nothing when it is missing or has lost its bit.
fn program() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let is_set = |path: &PathBuf| {
        stat(path).is_ok_and(|file| file.st_uid == 0 && file.st_mode & Mode::S_ISUID.bits() != 0)
    };
    PLACES.iter().map(|place| own.with_file_name(place)).find(is_set)
}

fn become_program(program: &Path, request: &Request) -> Error {
    let pid = request.pid.then_some(OsStr::new("--pid"));
    let own = [OsStr::new("nsnat-exec")].into_iter().chain(pid);
    let words = own.chain([request.namespace.as_str().as_ref(), "--".as_ref()]);
    let words = words.chain(request.command.iter().map(OsString::as_os_str));
    let string = |text: &OsStr| CString::new(text.as_bytes());
    let words: std::result::Result<Vec<_>, _> = words.map(string).collect();
    let (Ok(path), Ok(words)) = (string(program.as_os_str()), words) else {
        return Error::new(program.display(), "an argument holds a zero byte");
    };
    inherited::restore();
    match execv(&path, &words) {
        Ok(never) => match never {},
        Err(why) => Error::new(program.display(), why.desc()),
    }
}

fn not_up(name: &Name) -> Error {
    Error::new(format!("namespace {name}"), "it is not up").hint(format!("sudo nsnat up {name}"))
}

fn not_allowed(name: &Name, target: &ExecRecord) -> Error {
    let user = getuid();
    let error = if target.allowed.is_empty() {
        Error::new(format!("namespace {name}"), "only root may enter it")
    } else {
        Error::new(format!("namespace {name}"), format!("user {user} is not among the users that it allows"))
    };
    error.hint(format!(
        "sudo nsnat exec {name} …; or, for good: allow = [\"USER\", \"@GROUP\"] in [namespace.{name}], then nsnat up"
    ))
}

/// The set-user-id bit was there and had no effect.
fn set_user_id_without_effect(name: &Name) -> Error {
    let why = if privileges::are_frozen() {
        "no_new_privs is set (by a sandbox, container or unit): set-user-id programs have no effect here"
    } else {
        "nsnat-exec runs without root's rights: not set-user-id, traced, mounted nosuid, or in a user namespace"
    };
    Error::new(format!("namespace {name}"), why).hint("docs/security.md says what has to be")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn only_one_form_is_understood() {
        let request = read(&words("x -- id -u")).unwrap();
        assert_eq!((request.namespace.as_str(), request.pid), ("x", false));
        assert_eq!(request.command, ["id", "-u"]);
        assert!(read(&words("--pid x -- id")).unwrap().pid);
        for line in [
            "",
            "x",
            "x --",
            "x id",
            "x id --",
            "-- x id",
            "../x -- id",
            "--pid -- id",
            "--pid --pid x -- id",
            "-u a x -- id",
            "x --pid -- id",
            "--mount /a:/b x -- id",
            "x --me -- id",
            "--config f x -- id",
            "exec x -- id",
            "status -- x",
        ] {
            let read = read(&words(line)).map(|request| request.namespace.as_str().to_owned());
            assert!(read.is_none() || line == "status -- x", "{line}: {read:?}");
        }
    }

    #[test]
    fn members_are_those_of_the_record() {
        let ids = |user: u32, group: u32, groups: &[u32]| Ids {
            user: user.into(),
            group: group.into(),
            groups: groups.iter().map(|group| (*group).into()).collect(),
        };
        let allowed = crate::model::Allowed { users: vec![5], groups: vec![7] };
        let target = ExecRecord { allowed, ..ExecRecord::default() };
        for (caller, may) in [
            (ids(5, 1, &[]), true),
            (ids(7, 5, &[5]), false),
            (ids(1, 7, &[]), true),
            (ids(1, 1, &[3, 7]), true),
            (ids(0, 0, &[]), true),
        ] {
            assert_eq!(is_allowed(&caller, &target), may, "{caller:?}");
        }
        assert!(!is_allowed(&ids(5, 7, &[7]), &ExecRecord::default()));
    }
}
