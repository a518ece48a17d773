//! `nsnat ps` and `nsnat which`.

use super::refusals::need_root;
use crate::enter;
use crate::error::{Error, Result};
use crate::kernel::{self, Process, netns, record};
use crate::model::Name;
use crate::report::table::pad_cell;
use crate::ui::Ui;
use serde_json::{Value, json};
use std::process::ExitCode;

pub(super) fn ps(ui: &Ui<'_>, name: Option<&Name>) -> Result<()> {
    need_root("ps")?;
    let all = match name {
        Some(name) => vec![(name.clone(), processes_of(name)?)],
        None => inhabited()?,
    };
    match (ui.json(), name, all.as_slice()) {
        (true, Some(_), [(name, processes)]) => {
            ui.print_json(&json!({ "version": 1, "namespace": name, "processes": json_of(processes) }))
        }
        (true, ..) => {
            let one = |(name, processes): &(Name, Vec<Process>)| json!({ "namespace": name, "processes": json_of(processes) });
            let namespaces: Vec<Value> = all.iter().map(one).collect();
            ui.print_json(&json!({ "version": 1, "namespaces": namespaces }))
        }
        (false, Some(name), [(_, processes)]) if processes.is_empty() => {
            ui.note(format!("nobody is in {name}"));
            Ok(())
        }
        (false, None, []) => {
            ui.note("nobody is in any namespace of nsnat's");
            Ok(())
        }
        (false, ..) => show(ui, &all, name.is_none()),
    }
}

fn processes_of(name: &Name) -> Result<Vec<Process>> {
    let Some(identity) = netns::identity(name)?.filter(|_| record::names().contains(name)) else {
        return Err(
            Error::new(format!("namespace {name}"), "it is not up").hint("nsnat status shows what is")
        );
    };
    Ok(kernel::processes_in(identity))
}

/// The namespaces in which processes are, with these.
fn inhabited() -> Result<Vec<(Name, Vec<Process>)>> {
    let crowds = kernel::crowds();
    let mut out = Vec::new();
    for name in record::names() {
        if let Some(identity) = netns::identity(&name)?.filter(|(_, inode)| crowds.contains_key(inode)) {
            out.push((name, kernel::processes_in(identity)));
        }
    }
    Ok(out)
}

fn json_of(processes: &[Process]) -> Vec<Value> {
    let one = |p: &Process| json!({ "pid": p.pid, "uid": p.uid, "comm": p.comm, "command": p.command });
    processes.iter().map(one).collect()
}

/// A process a line; with the namespace where they are of several.
fn show(ui: &Ui<'_>, all: &[(Name, Vec<Process>)], with_names: bool) -> Result<()> {
    const NAMESPACE: &str = "NAMESPACE";
    let width = all.iter().map(|(name, _)| name.as_str().len()).chain([NAMESPACE.len()]).max().unwrap_or(0);
    let first = |word: &str| if with_names { pad_cell(word, width) + "  " } else { String::new() };
    ui.print(format_args!("{}{:>8}  {:<12}  COMMAND", first(NAMESPACE), "PID", "USER"))?;
    for (name, processes) in all {
        for process in processes {
            let user = pad_cell(&enter::user_name(process.uid), 12);
            ui.print(format_args!(
                "{}{:>8}  {user}  {}",
                first(name.as_str()),
                process.pid,
                process.command
            ))?;
        }
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
