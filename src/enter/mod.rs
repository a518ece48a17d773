//! Becoming a process inside a namespace.
//!
//! # Theory of operation
//!
//! `nsnat exec` replaces itself with the command, so whatever it changes about its own process, the command
//! sees; whatever it leaves alone is as if nsnat were not there. Hence one rule for this room: change the
//! network namespace, the mount namespace, `NSNAT_NAMESPACE`, on request the user, and nothing else. What
//! Rust's own start-up changed before `main` is put back ([`inherited`]).
//!
//! It happens in this order, and the order is what makes it safe:
//!
//! 1. the name is checked, the record `/run/nsnat/ns/NAME` and `/run/netns/NAME` are opened ([`namespace`]);
//! 2. the user is looked up, while the host's network is still there to ask ([`user`]);
//! 3. the network namespace is entered;
//! 4. a mount namespace is made that follows the host's mounts and is never followed by the host ([`mounts`]):
//!    `/sys`, `/etc`, resolver sockets ([`resolvers`]), what the caller asked for;
//! 5. with `--pid`, the process tree is made ([`pid`]);
//! 6. privileges are dropped ([`privileges`]), after everything that needs them and before everything that
//!    depends on the command's name;
//! 7. the command is looked for and run ([`command`]).
//!
//! This path is what scripts call ten thousand times. Therefore it runs before the command line's parser and
//! before any runtime ([`fast_path`]), reads one small file, and asks the kernel about single paths instead of
//! reading the table of mounts, which may have hundreds of lines.

mod args;
mod command;
mod handover;
mod inherited;
mod member;
mod mounts;
mod namespace;
mod pid;
mod privileges;
mod proxy;
mod resolvers;
mod session;
mod shell;
mod signals;
mod supervise;
mod user;
mod view;

use crate::error::{Class, Context, Error, Result, tell};
use crate::kernel::interrupt;
use crate::model::Name;
use nix::unistd::{Pid, geteuid};
use std::convert::Infallible;
use std::ffi::OsString;
use std::path::PathBuf;

pub use args::{from_cli, in_throw_away};
pub use member::serve;
pub use proxy::Proxies;
pub use shell::{caller_number, command as shell_command, has_caller, user_name};
pub use signals::end_by;
pub use user::number;
pub use view::{View, view};

/// What is to be run, where, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The namespace.
    pub namespace: Name,
    /// The user that the command runs as.
    pub who: Who,
    /// With a process-number space of its own.
    pub pid: bool,
    /// Nothing is said but errors.
    pub quiet: bool,
    /// What it moved is told at the end: somebody has to stay behind.
    pub report: bool,
    /// What is done about proxies that the environment names.
    pub proxies: Proxies,
    /// Mounts that only the command and its descendants see, in this order.
    pub mounts: Vec<Mount>,
    /// The command and its arguments.
    pub command: Vec<OsString>,
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Who {
    /// Whoever calls: nothing is changed.
    #[default]
    Same,
    /// By name or number.
    User(String),
    /// The one who called sudo, doas or pkexec.
    Me,
}

/// A mount that only the command and its descendants see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mount {
    /// A directory or file appears in another place, too.
    Bind {
        /// What appears.
        from: PathBuf,
        /// Where.
        to: PathBuf,
        /// It cannot be written to.
        read_only: bool,
    },
    /// An empty directory in memory.
    Tmpfs(PathBuf),
}

/// Runs `nsnat exec NAME …` when it is plain and the namespace is up. `args` is without the program's name.
///
/// Nothing is returned when the command line's parser has to look at it, or the namespace has to be brought up
/// first; an error when it failed; on success the process is the command by now.
pub fn fast_path(args: &[OsString]) -> Option<Error> {
    let request = args::plain(args).filter(|request| !request.report)?;
    match namespace::find(&request.namespace) {
        Ok(None) => None,
        Ok(Some(inside)) => Some(become_command(&request, inside)),
        Err(error) => Some(own_failure(error)),
    }
}

/// Whether a namespace is up, as `exec` sees it.
pub fn is_up(name: &Name) -> Result<bool> {
    Ok(namespace::find(name)?.is_some())
}

/// Runs the command in a namespace that is up. Returns only when that failed. What interrupted the bringing up is the
/// end: it was meant for the command, too.
pub fn run(request: &Request) -> Error {
    interrupt::release();
    if let Some(signal) = interrupt::caught() {
        end_by(signal);
    }
    match namespace::find(&request.namespace) {
        Ok(Some(inside)) => become_command(request, inside),
        Ok(None) => {
            let name = &request.namespace;
            own_failure(Error::new(format!("namespace {name}"), "is not up").hint(format!("nsnat up {name}")))
        }
        Err(error) => own_failure(error),
    }
}

/// Runs the command as a child; when it ended calls `after`, and then ends as the command did. Returns only when
/// something failed, which in the child is what [`run`] says. Where somebody interrupted before the child is there, it
/// is not run.
pub fn run_then(request: &Request, after: impl FnOnce()) -> Error {
    match fork_command() {
        Err(error) => {
            after();
            own_failure(error)
        }
        Ok(Fork::Interrupted(signal)) => {
            after();
            end_by(signal)
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
    if let Some(signal) = interrupt::caught() {
        return Ok(Fork::Interrupted(signal));
    }
    if let Some(child) = supervise::child()? {
        return Ok(Fork::Parent(child));
    }
    signals.give_back().what(|| "signals")?;
    Ok(Fork::Child)
}

fn become_command(request: &Request, inside: namespace::Inside) -> Error {
    proxy::settle(request, inside.target.proxy);
    if !geteuid().is_root() {
        warn(request, &inside, None);
        return own_failure(member::hand_over(request, &inside.target));
    }
    match enter(request, inside) {
        Ok(never) => match never {},
        Err(error) => own_failure(error),
    }
}

/// What went wrong before the command's turn is 125; what is wrong with the command keeps its own status.
fn own_failure(error: Error) -> Error {
    if error.status() == Class::Failed.status() { error.class(Class::Exec) } else { error }
}

fn enter(request: &Request, inside: namespace::Inside) -> Result<Infallible> {
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
    set_environment(name, account.as_ref());
    Err(command::replace(&request.command))
}

/// Where somebody outside will take over from the command.
fn warn(request: &Request, inside: &namespace::Inside, account: Option<&user::Account>) {
    if !request.quiet {
        let user = || account.map_or_else(geteuid, |account| account.ids.user).as_raw();
        handover::warn(&request.namespace, || inside.identity(), user, &request.command);
    }
}

fn set_environment(name: &Name, account: Option<&user::Account>) {
    let set = |key: &str, value: &std::ffi::OsStr| {
        // SAFETY: this process has a single thread; exec happens before any runtime is made.
        unsafe { std::env::set_var(key, value) };
    };
    set("NSNAT_NAMESPACE", name.as_str().as_ref());
    if let Some(account) = account {
        set("HOME", account.home.as_os_str());
        set("SHELL", account.shell.as_os_str());
        set("USER", account.name.as_ref());
        set("LOGNAME", account.name.as_ref());
        for (key, value) in session::variables(account.ids.user.as_raw(), &account.name) {
            match value {
                Some(value) => set(key, &value),
                // SAFETY: as above.
                None => unsafe { std::env::remove_var(key) },
            }
        }
    }
}
