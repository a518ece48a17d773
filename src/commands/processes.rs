//! `nsnat ps` and `nsnat which`.

use super::refusals::need_root;
use crate::enter;
use crate::error::{Error, Result};
use crate::kernel::{self, Process, netns, record};
use crate::model::Name;
use crate::report::table::pad_cell;
use crate::ui::Ui;
use serde_json::json;
use std::process::ExitCode;

pub(super) fn ps(ui: &Ui<'_>, name: &Name) -> Result<()> {
    need_root("ps")?;
    let Some(identity) = netns::identity(name)?.filter(|_| record::names().contains(name)) else {
        return Err(
            Error::new(format!("namespace {name}"), "it is not up").hint("nsnat status shows what is")
        );
    };
    let processes = kernel::processes_in(identity);
    if ui.json() {
        let one = |p: &Process| json!({ "pid": p.pid, "uid": p.uid, "comm": p.comm, "command": p.command });
        let processes: Vec<_> = processes.iter().map(one).collect();
        return ui.print_json(&json!({ "version": 1, "namespace": name, "processes": processes }));
    }
    if processes.is_empty() {
        ui.note(format!("nobody is in {name}"));
        return Ok(());
    }
    ui.print(format_args!("{:>8}  {:<12}  COMMAND", "PID", "USER"))?;
    for process in processes {
        let user = enter::user_name(process.uid);
        ui.print(format_args!("{:>8}  {}  {}", process.pid, pad_cell(&user, 12), process.command))?;
    }
    Ok(())
}

/// Prints the name, or says that it is the host's; exit status 1 for the host's.
pub(super) fn which(ui: &Ui<'_>, pid: Option<i32>) -> Result<ExitCode> {
    let identity = kernel::netns_of(pid)?;
    let found = record::names()
        .into_iter()
        .find(|name| netns::identity(name).is_ok_and(|found| found == Some(identity)));
    if ui.json() {
        ui.print_json(&json!({ "version": 1, "namespace": found }))?;
    } else if let Some(name) = &found {
        ui.print(name)?;
    } else {
        ui.note("in none of nsnat's namespaces");
    }
    Ok(if found.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
