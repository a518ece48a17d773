//! nsnat as a plugin of netavark, podman's network program: each call is one of the other commands, and its answer.

use super::attach;
use super::engine;
use crate::cli::GlobalOptions;
use crate::model::Attached;
use crate::netavark::{self, Call, Setup};
use crate::ui::Ui;
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;

/// Answers the call that the arguments and standard input are.
pub fn serve(config: Option<PathBuf>, arguments: &[String]) -> ExitCode {
    let global = GlobalOptions { config, ..GlobalOptions::default() };
    let ui = Ui::new(&global);
    let (answer, status) = match answer(&ui, arguments) {
        Ok(answer) => (answer, ExitCode::SUCCESS),
        Err(why) => (Some(netavark::refused(&why)), ExitCode::FAILURE),
    };
    match answer.map(|answer| ui.print_json(&answer)) {
        Some(Err(_)) => ExitCode::FAILURE,
        Some(Ok(())) | None => status,
    }
}

fn answer(ui: &Ui<'_>, arguments: &[String]) -> Result<Option<Value>, String> {
    let takes_input =
        !matches!(arguments, [] | [_]) || arguments.first().is_some_and(|word| word == "create");
    let input = if takes_input { std::io::read_to_string(std::io::stdin()) } else { Ok(String::new()) };
    let input = input.map_err(|why| format!("standard input cannot be read: {why}"))?;
    match netavark::read(arguments, &input)? {
        Call::Info => Ok(Some(netavark::info())),
        Call::Create(access, network) => {
            engine::of_network(ui, &access).map_err(|why| engine::text(&why))?;
            Ok(Some(network))
        }
        Call::Setup(Setup { id, netns, ifname, access, publish }) => {
            let publish = access.publications(&publish);
            let attached = Attached { publish, ..Attached::in_network(netns, ifname, access) };
            let made = engine::add(ui, &id, &attached).map_err(|why| engine::text(&why))?;
            Ok(Some(netavark::made(&made)))
        }
        Call::Teardown(id) => {
            attach::remove(ui, &[id]).map_err(|why| engine::words(&why))?;
            Ok(None)
        }
    }
}
