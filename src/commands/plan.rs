//! `nsnat plan`.

use super::refusals::need_root;
use super::{config, session};
use crate::error::Result;
use crate::model::{Look, Name};
use crate::plan;
use crate::report;
use crate::ui::Ui;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Exit status when there is something to do.
const SOMETHING: u8 = 2;

pub(super) fn run(ui: &Ui<'_>, names: &[Name], commands: bool) -> Result<ExitCode> {
    let config = config::open(ui)?;
    need_root("plan")?;
    let observed = session::look(ui, Look::Everything(&config.names().collect::<Vec<_>>()))?;
    let goal = config::state_with(ui, &config, names, &observed)?;
    let actions = plan::actions(&goal, &observed);
    for problem in super::status::not_preceded(&goal, &observed) {
        ui.note(problem);
    }
    if ui.json() {
        let one = |action: &plan::Action| json!({ "command": action.to_string(), "action": action });
        let actions: Vec<Value> = actions.iter().map(one).collect();
        ui.print_json(&json!({ "version": 1, "actions": actions }))?;
    } else if actions.is_empty() {
        ui.note("nothing to do");
    } else if commands {
        actions.iter().try_for_each(|action| ui.print(action))?;
    } else {
        ui.print(report::plan::text(&actions, &plan::Owners::new(&goal), ui.colour))?;
    }
    Ok(if actions.is_empty() { ExitCode::SUCCESS } else { SOMETHING.into() })
}
