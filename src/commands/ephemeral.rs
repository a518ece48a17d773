//! `nsnat exec --gateway ADDR -- CMD`: a namespace for one command.
//!
//! It is a namespace like any other, but that its entry in the recorded state names this process as its owner. nsnat
//! stays behind the command, and takes the namespace down when that ended. When nsnat itself is killed, the next one
//! that changes anything finds an owner that ended and nobody inside, and takes it down.

use super::{config, declare, exec, session::Session, traffic::Start};
use crate::cli;
use crate::config::{COMMAND_LINE, NewNamespace};
use crate::enter::{self, Request};
use crate::error::{Class, Error, Result};
use crate::kernel::{self, interrupt, netns, processes_in};
use crate::model::{Name, Observed, Owner};
use crate::plan::{self, Selection, resolve};
use crate::reconcile::Policy;
use crate::report::Scope;
use crate::ui::{Ui, tell};
use std::process::ExitCode;
use std::thread;

pub(super) fn run(ui: &Ui<'_>, line: &cli::Exec) -> Result<ExitCode> {
    let owner = kernel::this_process().ok_or_else(|| Error::new("exec", "/proc is not mounted"))?;
    let name = name(owner)?;
    let request = enter::in_ephemeral(line, &name, &std::env::args_os().collect::<Vec<_>>())?;
    let request = Request { quiet: ui.global.quiet, ..request };
    if line.path.gateway.is_empty() && line.path.dev.is_none() {
        return Err(no_way());
    }
    set_up(ui, &name, &declare::new_by_way(&line.path), owner).map_err(exec::not_entered)?;
    let start = request.report.then(|| Start::now(&name, Scope::Job));
    Err(enter::run_then(&request, || {
        if let Some(start) = start {
            start.print(ui.json());
        }
        if let Err(error) = take_down(ui, &name) {
            tell(error);
        }
    }))
}

/// No other living process of this space has the number, and none that had it before was started at that time.
fn name(owner: Owner) -> Result<Name> {
    format!("exec.{}.{}.{:x}", owner.pid, owner.start, owner.space)
        .parse()
        .map_err(|why: String| Error::new("exec", why))
}

fn set_up(ui: &Ui<'_>, name: &Name, namespace: &NewNamespace, owner: Owner) -> Result<()> {
    thread::scope(|scope| {
        let read = || config::load_with(ui, COMMAND_LINE, name, namespace);
        let reading = config::Reading::begin(scope, read)?;
        let mut session = Session::begin(ui, "exec --gateway")?;
        let policy = Policy { narrow: true, all_or_nothing: true, unstoppable: false };
        let goal = |observed: &Observed| {
            let config = reading.get()?;
            config::need_devices_of(config, observed)?;
            resolve(config, Selection::Ephemeral(name, owner), observed)
                .map_err(|problems| crate::config::report(&problems, &config.sources, ui.colour))
        };
        session.reconcile(policy, &[name], goal).map(drop)
    })
}

/// What the command left running keeps its way out. What interrupted the command or the setting up is dealt with;
/// what comes from now on can end the wait for the lock, and nothing else.
fn take_down(ui: &Ui<'_>, name: &Name) -> Result<()> {
    interrupt::forget();
    let mut session = Session::begin(ui, "exec --gateway")?;
    let left = netns::identity(name)?.map(processes_in).unwrap_or_default();
    if let Some(process) = left.first() {
        return Err(Error::new(
            format!("namespace {name}"),
            format!("still in use by {} ({}); it stays until that ends", process.comm, process.pid),
        )
        .hint(format!("nsnat down {name} --kill ends it now")));
    }
    let policy = Policy { narrow: true, unstoppable: true, all_or_nothing: false };
    session
        .reconcile(policy, &[name], |observed| Ok(plan::state_without(observed, |other| other == name)))
        .map(drop)
}

fn no_way() -> Error {
    Error::usage("exec", "--dns and --rewrite are for an ephemeral namespace, which needs a way out")
        .hint("--gateway ADDR, or --dev IF for that device's own gateway")
        .class(Class::Exec)
}
