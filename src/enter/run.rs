//! From a request to the command: what happens in which order.

use super::request::Request;
use super::{
    args, command, environment, for_users, handover, mounts, namespace, pid, privileges, proxy, signals,
    supervise, user,
};
use crate::error::{Context, Error, Result};
use crate::kernel::interrupt;
use crate::model::Name;
use crate::ui::tell;
use nix::unistd::{Pid, geteuid};
use std::convert::Infallible;
use std::ffi::OsString;

/// Runs `nsnat exec NAME …` when it is plain and the namespace is up. `args` is without the program's name.
///
/// Nothing is returned when the command line's parser has to look at it, or the namespace has to be brought up
/// first; an error when it failed; on success the process is the command by now.
pub fn fast_path(args: &[OsString]) -> Option<Error> {
    let request = args::parse_plain_exec(args).filter(|request| !request.report)?;
    match namespace::open_checked_namespace(&request.namespace) {
        Ok(None) => None,
        Ok(Some(inside)) => Some(become_command(&request, inside)),
        Err(error) => Some(command::own_failure(error)),
    }
}

/// Whether a namespace is up, as `exec` sees it.
pub fn is_up(name: &Name) -> Result<bool> {
    Ok(namespace::open_checked_namespace(name)?.is_some())
}

/// Runs the command in a namespace that is up. Returns only when that failed. What interrupted the bringing up is the
/// end: it was meant for the command, too.
pub fn run(request: &Request) -> Error {
    interrupt::restore_handlers();
    if let Some(signal) = interrupt::caught_signal() {
        signals::end_by(signal);
    }
    match namespace::open_checked_namespace(&request.namespace) {
        Ok(Some(inside)) => become_command(request, inside),
        Ok(None) => {
            let name = &request.namespace;
            command::own_failure(
                Error::new(format!("namespace {name}"), "is not up").hint(format!("nsnat up {name}")),
            )
        }
        Err(error) => command::own_failure(error),
    }
}

/// Runs the command as a child; when it ended calls `after`, and then ends as the command did. Returns only when
/// something failed, which in the child is what [`run`] says. Where somebody interrupted before the child is there, it
/// is not run.
pub fn run_then(request: &Request, after: impl FnOnce()) -> Error {
    match fork_command() {
        Err(error) => {
            after();
            command::own_failure(error)
        }
        Ok(Fork::Interrupted(signal)) => {
            after();
            signals::end_by(signal)
        }
        Ok(Fork::Child) => run(request),
        // Standard error stays, for what `after` may have to tell.
        Ok(Fork::Parent(command)) => {
            supervise::close_all_but(libc::STDERR_FILENO);
            supervise::fill_standard();
            supervise::supervise(command, after)
        }
    }
}

enum Fork {
    Parent(Pid),
    Child,
    Interrupted(libc::c_int),
}

fn fork_command() -> Result<Fork> {
    let signals = signals::Signals::take().what(|| "signals")?;
    // Nothing is noted from here on: what comes now waits to be passed on.
    if let Some(signal) = interrupt::caught_signal() {
        return Ok(Fork::Interrupted(signal));
    }
    if let Some(child) = supervise::child()? {
        return Ok(Fork::Parent(child));
    }
    signals.give_back().what(|| "signals")?;
    Ok(Fork::Child)
}

fn become_command(request: &Request, inside: namespace::CheckedNamespace) -> Error {
    proxy::settle_proxies(request, inside.target.proxy);
    if !geteuid().is_root() {
        warn(request, &inside, None);
        return command::own_failure(for_users::hand_over(request, &inside.target));
    }
    match enter(request, inside) {
        Ok(never) => match never {},
        Err(error) => command::own_failure(error),
    }
}

fn enter(request: &Request, inside: namespace::CheckedNamespace) -> Result<Infallible> {
    let account = user::find(&request.who)?;
    let name = &request.namespace;
    if let Some(why) = inside.target.stopped.as_ref().filter(|_| !request.quiet) {
        tell(format_args!("nsnat: {name}: {why}"));
    }
    warn(request, &inside, account.as_ref());
    inside.enter(name)?;
    mounts::set_up(name, &inside.target, &request.mounts)?.restore();
    drop(inside);
    if request.pid {
        pid::enter(|| Ok(())).what(|| format!("namespace {name}: own process numbers"))?;
    }
    if let Some(account) = &account {
        privileges::drop_to(&account.ids).what(|| format!("user {}", account.name))?;
    }
    environment::set(name, account.as_ref());
    Err(command::replace(&request.command))
}

/// Where somebody outside will take over from the command.
fn warn(request: &Request, inside: &namespace::CheckedNamespace, account: Option<&user::Account>) {
    if !request.quiet {
        let user = || account.map_or_else(geteuid, |account| account.ids.user).as_raw();
        handover::warn(&request.namespace, || inside.identity(), user, &request.command);
    }
}
