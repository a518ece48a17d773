//! `nsnat exec` where the fast path did not serve, and `nsnat shell`.

use super::{Context, config, session::Session, throw_away, traffic, up};
use crate::cli;
use crate::enter::{self, Proxies, Request, Who};
use crate::error::{Class, Error, Result, tell};
use crate::kernel::interrupt;
use crate::model::Name;
use crate::reconcile::Policy;
use crate::report;
use std::process::ExitCode;

pub(super) fn run(context: &Context<'_>, exec: &cli::Exec) -> Result<ExitCode> {
    if exec.way.is_given() {
        return throw_away::run(context, exec);
    }
    let request = Request { quiet: context.global.quiet, ..enter::from_cli(exec)? };
    enter(context, &request)
}

pub(super) fn shell(context: &Context<'_>, name: &Name) -> Result<ExitCode> {
    let who = if nix::unistd::geteuid().is_root() && enter::has_caller() { Who::Me } else { Who::Same };
    let command = enter::shell_command(name);
    let request = Request {
        namespace: name.clone(),
        who,
        pid: false,
        quiet: context.global.quiet,
        report: false,
        proxies: Proxies::Stay,
        mounts: Vec::new(),
        command,
    };
    enter(context, &request)
}

/// Brings a declared namespace up where it is not, then becomes the command.
fn enter(context: &Context<'_>, request: &Request) -> Result<ExitCode> {
    if !enter::is_up(&request.namespace)? {
        bring_up(context, &request.namespace).map_err(not_entered)?;
    }
    if !request.report {
        return Err(enter::run(request));
    }
    let start = traffic::Start::now(&request.namespace, report::Scope::Namespace);
    Err(enter::run_then(request, || start.tell(context.json())))
}

/// It was not the command's turn. Where that is because somebody interrupted, nsnat ends as it was told to.
pub(super) fn not_entered(error: Error) -> Error {
    let Some(signal) = interrupt::caught() else { return error.class(Class::Exec) };
    tell(error);
    enter::end_by(signal)
}

fn bring_up(context: &Context<'_>, name: &Name) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Err(
            Error::new(format!("namespace {name}"), "it is not up").hint(format!("sudo nsnat up {name}"))
        );
    }
    let config = config::open(context)?;
    if !config.namespaces.contains_key(name) {
        return Err(super::unknown(name, config.namespaces.keys()));
    }
    let session = Session::begin(context, "up")?;
    up::make(session, context, &config, std::slice::from_ref(name), false, Policy::default()).map(drop)
}
