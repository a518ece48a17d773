//! `nsnat trace`.

use super::table;
use crate::model::trace::ProbeAnswer;
use crate::plan::{Fault, TraceReport};
use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// For programs.
pub fn json(told: &TraceReport) -> Value {
    let steps = told.walk.steps.iter().map(|(name, text)| json!({ "step": name, "text": text }));
    json!({
        "version": 1,
        "namespace": told.name,
        "to": told.trace.goal.address,
        "protocol": told.trace.goal.protocol,
        "right": told.walk.fault.is_none(),
        "steps": steps.collect::<Vec<_>>(),
        "fault": told.walk.fault.as_ref().map(|fault| json!({
            "what": fault.what,
            "code": fault.code,
            "culprit": told.culprit(),
            "cure": told.words(),
            "command": told.remedy,
        })),
        "left_by": told.trace.left,
        "heard": told.trace.heard,
        "answered_by": told.trace.by,
        "events": told.trace.events,
    })
}

/// For people.
pub fn text(told: &TraceReport, colour: bool) -> String {
    let mut out = String::new();
    let steps: Vec<_> =
        told.walk.steps.iter().map(|(name, text)| [(*name).to_owned(), text.clone()]).collect();
    for line in table::lines(&steps, |_, _, cell| cell) {
        let _ = writeln!(out, "{line}");
    }
    out.push_str(&verdict(told, colour));
    out
}

fn verdict(told: &TraceReport, colour: bool) -> String {
    let paint = |shade: AnsiColor, text: &str| {
        let style = if colour { Style::new().fg_color(Some(shade.into())) } else { Style::new() };
        format!("{style}{text}{style:#}")
    };
    let Some(Fault { what, .. }) = &told.walk.fault else {
        let silent = told.trace.heard == ProbeAnswer::Nothing && !told.trace.left.is_empty();
        let more = if silent { "; nobody answered, as routers may do" } else { "" };
        return format!("{}{more}\n", paint(AnsiColor::Green, "it went where it should"));
    };
    let mut out = format!("{}\n", paint(AnsiColor::Red, what));
    if let Some(culprit) = told.culprit() {
        let _ = writeln!(out, "  by {culprit}");
    }
    let cure = told.words();
    if !cure.is_empty() {
        let _ = writeln!(out, "  {cure}");
    }
    if let Some(command) = &told.remedy {
        let _ = writeln!(out, "  cure: {command}");
    }
    out
}
