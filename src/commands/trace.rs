//! `nsnat trace`.

use super::follow::{follow, goals};
use super::status::View;
use super::{Context, config, session};
use crate::error::{Error, Result};
use crate::model::trace::Goal;
use crate::model::{Depth, Name};
use crate::report::State;
use crate::report::trace as report;
use std::process::ExitCode;

pub(super) fn run(context: &Context<'_>, name: &Name, goal: Option<Goal>) -> Result<ExitCode> {
    let config = config::open(context)?;
    super::need_root("trace")?;
    let observed = session::look(context, &config.namespaces.keys().collect::<Vec<_>>(), Depth::All)?;
    let Some(member) = observed.journal.members.get(name) else {
        let error = Error::new(format!("namespace {name}"), "it is not up");
        return Err(error.hint(format!("nsnat up {name}")));
    };
    let view = View::new(context, &config, &observed, &[name])?;
    let status = view.status(name);
    let known = if status.state == State::Broken { status.problems } else { Vec::new() };
    let told = follow(name, member, &goals(member, goal), (&view.journal, &observed), &known)?;
    if context.json() {
        super::print_json(&report::json(&told))?;
    } else {
        super::print(report::text(&told, context.colour).trim_end())?;
    }
    Ok(if told.walk.fault.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
