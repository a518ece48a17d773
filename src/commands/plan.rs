//! `nsnat plan`.

use super::{Context, config, session};
use crate::error::Result;
use crate::model::{Depth, Name};
use crate::plan;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Exit status when there is something to do.
const SOMETHING: u8 = 2;

pub(super) fn run(context: &Context<'_>, names: &[Name]) -> Result<ExitCode> {
    let config = config::open(context)?;
    super::need_root("plan")?;
    let observed = session::look(context, &config.namespaces.keys().collect::<Vec<_>>(), Depth::All)?;
    let goal = config::goal(context, &config, names, &observed)?;
    let actions = plan::actions(&goal, &observed);
    for problem in super::status::not_preceded(&goal, &observed) {
        context.note(problem);
    }
    if context.json() {
        let one = |action: &plan::Action| json!({ "command": action.to_string(), "action": action });
        let actions: Vec<Value> = actions.iter().map(one).collect();
        super::print_json(&json!({ "version": 1, "actions": actions }))?;
    } else {
        for action in &actions {
            super::print(action)?;
        }
        if actions.is_empty() {
            context.note("nothing to do");
        }
    }
    Ok(if actions.is_empty() { ExitCode::SUCCESS } else { SOMETHING.into() })
}
