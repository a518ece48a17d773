//! `nsnat trace`.

use super::table;
use crate::model::Name;
use crate::model::trace::{ProbeAnswer, Trace};
use crate::plan::{Fault, Suspect, TracedPath};
use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// A probe, its way, and the text of the rule that stopped it.
#[derive(Clone, Debug)]
pub struct TraceReport {
    /// The namespace.
    pub name: Name,
    /// What was seen.
    pub trace: Trace,
    /// What it means.
    pub walk: TracedPath,
    /// The culprit's text, as nft lists it.
    pub rule: Option<String>,
}

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
            "culprit": fault.culprit.as_ref().map(|suspect| describe_suspect(suspect, told.rule.as_deref())),
            "cure": fault.cure,
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
    let Some(Fault { what, culprit, cure }) = &told.walk.fault else {
        let silent = told.trace.heard == ProbeAnswer::Nothing && !told.trace.left.is_empty();
        let more = if silent { "; nobody answered, as routers may do" } else { "" };
        return format!("{}{more}\n", paint(AnsiColor::Green, "it went where it should"));
    };
    let mut out = format!("{}\n", paint(AnsiColor::Red, what));
    if let Some(suspect) = culprit {
        let _ = writeln!(out, "  by {}", describe_suspect(suspect, told.rule.as_deref()));
    }
    if !cure.is_empty() {
        let _ = writeln!(out, "  {cure}");
    }
    out
}

/// What is wrong, in one line; none where nothing is.
pub fn problem_of(told: &TraceReport) -> Option<String> {
    let Fault { what, culprit, cure } = told.walk.fault.as_ref()?;
    let by =
        culprit.as_ref().map(|suspect| format!(" by {}", describe_suspect(suspect, told.rule.as_deref())));
    let cure = if cure.is_empty() { String::new() } else { format!("; {cure}") };
    Some(format!("a packet to {}: {what}{}{cure}", told.trace.goal, by.unwrap_or_default()))
}

fn describe_suspect(suspect: &Suspect, text: Option<&str>) -> String {
    let spot = &suspect.spot;
    match (text, suspect.rule) {
        (Some(text), _) => format!("{spot}: {text}"),
        (None, Some(handle)) => format!("{spot}, rule {handle}"),
        (None, None) => format!("the policy of {spot}"),
    }
}
