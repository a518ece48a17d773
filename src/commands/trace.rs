//! `nsnat trace`.

use super::follow::{follow, probe_targets};
use super::refusals::need_root;
use super::status::StatusView;
use super::{config, session};
use crate::error::{Error, Result};
use crate::model::trace::ProbeTarget;
use crate::model::{Look, Name};
use crate::report::NamespaceState;
use crate::report::trace as report;
use crate::ui::Ui;
use std::process::ExitCode;

pub(super) fn run(ui: &Ui<'_>, name: &Name, goal: Option<ProbeTarget>) -> Result<ExitCode> {
    let config = config::open(ui)?;
    need_root("trace")?;
    let observed = session::look(ui, Look::Everything(&config.namespaces.keys().collect::<Vec<_>>()))?;
    let Some(namespace) = observed.state.namespaces.get(name) else {
        let error = Error::new(format!("namespace {name}"), "it is not up");
        return Err(error.hint(format!("nsnat up {name}")));
    };
    let view = StatusView::new(ui, &config, &observed, &[name])?;
    let status = view.status(name);
    let known = if status.state == NamespaceState::Broken { status.problems } else { Vec::new() };
    let told = follow(name, namespace, &probe_targets(namespace, goal), (&view.state, &observed), &known)?;
    if ui.json() {
        ui.print_json(&report::json(&told))?;
    } else {
        ui.print(report::text(&told, ui.colour).trim_end())?;
    }
    Ok(if told.walk.fault.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
