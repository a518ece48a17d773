//! `nsnat exec` where the fast path did not serve, and `nsnat shell`.

use super::refusals::unknown;
use super::{config, session::Session, traffic, up};
use crate::cli;
use crate::enter::{self, Proxies, Request, RunAs};
use crate::error::{Class, Error, Result};
use crate::kernel::interrupt;
use crate::model::Name;
use crate::reconcile::Policy;
use crate::report;
use crate::ui::{Ui, tell};
use std::process::ExitCode;

pub(super) fn run(ui: &Ui<'_>, exec: &cli::Exec) -> Result<ExitCode> {
    let request = Request { quiet: ui.global.quiet, ..enter::from_cli(exec)? };
    enter(ui, &request)
}

pub(super) fn shell(ui: &Ui<'_>, name: &Name) -> Result<ExitCode> {
    let who = if nix::unistd::geteuid().is_root() && enter::has_caller() { RunAs::Me } else { RunAs::Same };
    let command = enter::shell_command(name);
    let request = Request {
        namespace: name.clone(),
        who,
        pid: false,
        quiet: ui.global.quiet,
        report: false,
        proxies: Proxies::Stay,
        mounts: Vec::new(),
        command,
    };
    enter(ui, &request)
}

/// Brings a declared namespace up where it is not, then becomes the command.
fn enter(ui: &Ui<'_>, request: &Request) -> Result<ExitCode> {
    if !enter::is_up(&request.namespace)? {
        bring_up(ui, &request.namespace).map_err(not_entered)?;
    }
    if !request.report {
        return Err(enter::run(request));
    }
    let start = traffic::Start::now(&request.namespace, report::Scope::Namespace);
    Err(enter::run_then(request, || start.print(ui.json())))
}

/// The command was not run. Where that is because of a signal, nsnat ends by the same signal.
pub(super) fn not_entered(error: Error) -> Error {
    let Some(signal) = interrupt::caught_signal() else { return error.class(Class::Exec) };
    tell(error);
    enter::end_by(signal)
}

fn bring_up(ui: &Ui<'_>, name: &Name) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Err(
            Error::new(format!("namespace {name}"), "it is not up").hint(format!("sudo nsnat up {name}"))
        );
    }
    let config = config::open(ui)?;
    if !config.namespaces.contains_key(name) {
        return Err(unknown(name, config.namespaces.keys()));
    }
    let mut session = Session::begin(ui, "up")?;
    if session.state()?.down.contains(name) {
        let why = "it was taken down, and nsnat watch leaves it so";
        return Err(Error::new(format!("namespace {name}"), why).hint(format!("nsnat up {name}")));
    }
    let policy = Policy { narrow: true, ..Policy::default() };
    up::make(session, ui, || Ok(&config), std::slice::from_ref(name), false, policy).map(drop)
}
