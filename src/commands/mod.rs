//! Each command has a file here, which only connects the other rooms.

mod attach;
mod bundle;
mod cni;
mod complete;
mod config;
mod declare;
mod dns;
mod dns_test;
mod docker;
mod doctor;
mod down;
mod engine;
mod ephemeral;
mod events;
mod exec;
mod follow;
mod info;
mod list;
mod neighbours;
mod netavark;
mod plan;
mod processes;
mod refusals;
mod session;
mod status;
mod systemd;
mod trace;
mod traffic;
mod up;
mod uplinks;
mod watch;
mod watch_status;

pub use cni::serve as serve_cni;
pub use netavark::serve as serve_netavark;

use crate::cli::{Cli, Command};
use crate::error::Result;
use crate::ui::Ui;
use std::process::ExitCode;

/// Runs a command line. What programs are told of an error is printed here; `main` tells it to people.
pub fn run(cli: &Cli) -> Result<ExitCode> {
    let ui = Ui::new(&cli.global);
    run_command(&ui, cli).map_err(|error| {
        let told = error.json().filter(|_| ui.json()).map(|problems| ui.print_json(&problems));
        told.and_then(Result::err).unwrap_or(error)
    })
}

fn run_command(ui: &Ui<'_>, cli: &Cli) -> Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    match &cli.command {
        Command::Up { names, repair } => up::run(ui, names, *repair).map(done),
        Command::Watch => watch::run(ui).map(done),
        Command::Down { names, kill } => down::run(ui, names, *kill).map(done),
        Command::Add(add) => declare::add(ui, add).map(done),
        Command::Remove { name, kill } => declare::remove(ui, name, *kill).map(done),
        Command::Attach(line) => attach::attach(ui, line).map(done),
        Command::Detach { id } => attach::detach(ui, id).map(done),
        Command::Docker { socket, state } => docker::serve(ui, socket, state).map(done),
        Command::Exec(exec) if exec.path.is_given() => ephemeral::run(ui, exec),
        Command::Exec(exec) => exec::run(ui, exec),
        Command::Shell { name } => exec::shell(ui, name),
        Command::Status { name, watch: true, .. } => watch_status::run(ui, name.as_ref()).map(done),
        Command::Status { name, check, .. } => status::run(ui, name.as_ref(), *check),
        Command::Events { name, follow } => events::run(ui, name.as_ref(), *follow).map(done),
        Command::List => list::run(ui).map(done),
        Command::Plan { names, commands } => plan::run(ui, names, *commands),
        Command::Ps { name } => processes::ps(ui, name.as_ref()).map(done),
        Command::Which { pid } => processes::which(ui, *pid),
        Command::Dns { name, command } => dns::run(ui, name, command),
        Command::Trace { name, goal } => trace::run(ui, name, *goal),
        Command::Doctor { name, fix, ask, bundle } => {
            doctor::run(ui, name.as_ref(), *fix, ask, bundle.as_deref())
        }
        Command::Systemd { command } => systemd::run(ui, command).map(done),
        Command::Skeleton => info::skeleton(ui).map(done),
        Command::Completions { shell } => info::completions(ui, *shell).map(done),
        Command::Man { page } => info::man(ui, *page).map(done),
        Command::Help { words } => info::help(ui, words).map(done),
        Command::Complete { words } => complete::run(ui, words).map(done),
    }
}
