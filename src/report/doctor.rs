//! `nsnat doctor`.

use crate::model::{Cure, Finding, Name, Severity};
use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What is wrong with the host (no name), or with a namespace.
pub struct Examined {
    /// The namespace.
    pub name: Option<Name>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// For programs.
pub fn json(all: &[Examined]) -> Value {
    let findings = all.iter().flat_map(|examined| {
        examined.findings.iter().map(|finding| {
            json!({
                "namespace": examined.name,
                "code": finding.code,
                "stage": finding.code.stage(),
                "severity": finding.code.severity(),
                "what": finding.what,
                "evidence": finding.evidence,
                "cure": finding.cure,
            })
        })
    });
    json!({ "version": 1, "findings": findings.collect::<Vec<_>>() })
}

/// For people: each finding with what shows it and what helps. What is found of several namespaces alike is told once.
pub fn text(all: &[Examined], colour: bool) -> String {
    let mut told: Vec<(&Finding, Vec<String>)> = Vec::new();
    for examined in all {
        let whose = examined.name.as_ref().map_or_else(|| "host".to_owned(), ToString::to_string);
        for finding in &examined.findings {
            match told.iter_mut().find(|(known, _)| *known == finding) {
                Some((_, names)) => names.push(whose.clone()),
                None => told.push((finding, vec![whose.clone()])),
            }
        }
    }
    let mut out = String::new();
    for (finding, names) in &told {
        write_finding(&mut out, finding, &names.join(", "), colour);
    }
    if told.is_empty() {
        let _ = writeln!(out, "{}", paint(colour, AnsiColor::Green, "nothing is wrong"));
    }
    out
}

fn write_finding(out: &mut String, finding: &Finding, names: &str, colour: bool) {
    let (shade, word) = match finding.code.severity() {
        Severity::Fault => (AnsiColor::Red, "fault"),
        Severity::Warning => (AnsiColor::Yellow, "warning"),
    };
    let word = paint(colour, shade, word);
    let _ = writeln!(out, "{names}: {word} [{}]: {}", finding.code, finding.what);
    for line in finding.evidence.iter().filter(|line| **line != finding.what) {
        let _ = writeln!(out, "    {line}");
    }
    for command in finding.cure.commands() {
        let _ = writeln!(out, "  cure: {command}");
    }
    if let Cure::Person { words, check } = &finding.cure {
        let _ = writeln!(out, "  to do: {words}\n  check: {check}");
    }
}

fn paint(colour: bool, shade: AnsiColor, text: &str) -> String {
    let style = if colour { Style::new().fg_color(Some(shade.into())) } else { Style::new() };
    format!("{style}{text}{style:#}")
}
