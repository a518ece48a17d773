//! `nsnat dns NAME test`.

use super::table;
use crate::doctor::{NameTests, ProbedServer};
use crate::model::dnsaddr;
use crate::plan::Verdict;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// For programs.
pub fn json(tests: &NameTests) -> Value {
    let tried = tests.tried.iter().map(|tried| {
        json!({
            "path": tried.path,
            "server": dnsaddr::show(tried.probe.server),
            "transport": tried.probe.transport,
            "answered_by": tried.outcome.by.map(dnsaddr::show),
            "milliseconds": milliseconds(tried),
            "error": tried.outcome.error,
            "verdict": tried.verdict,
        })
    });
    let sockets =
        tests.sockets.iter().map(|socket| json!({ "path": socket.path, "visible": socket.visible }));
    json!({
        "version": 1,
        "namespace": tests.name,
        "host": tests.host,
        "paths": tried.collect::<Vec<_>>(),
        "sockets": sockets.collect::<Vec<_>>(),
        "problems": tests.findings().iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// For people.
pub fn text(tests: &NameTests) -> String {
    let mut rows = vec![["PATH", "SERVER", "", "WENT TO", "TIME", "RESULT"].map(String::from)];
    rows.extend(tests.tried.iter().map(row));
    let mut out = String::new();
    for line in table::lines(&rows, |_, _, cell| cell) {
        let _ = writeln!(out, "{line}");
    }
    for socket in &tests.sockets {
        let how = if socket.visible { "visible to exec" } else { "hidden from exec" };
        let _ = writeln!(out, "socket {}: {how}", socket.path);
    }
    for problem in tests.findings() {
        let _ = writeln!(out, "! {problem}");
    }
    out
}

fn row(tried: &ProbedServer) -> [String; 6] {
    [
        tried.path.into(),
        dnsaddr::show(tried.probe.server),
        tried.probe.transport.to_string(),
        tried.outcome.by.map_or_else(|| "-".into(), dnsaddr::show),
        format!("{:.1} ms", milliseconds(tried)),
        match &tried.outcome.error {
            Some(error) => format!("{}: {error}", word_for_verdict(tried)),
            None => word_for_verdict(tried).into(),
        },
    ]
}

fn milliseconds(tried: &ProbedServer) -> f64 {
    (tried.outcome.took.as_secs_f64() * 10_000.0).round() / 10.0
}

fn word_for_verdict(tried: &ProbedServer) -> &'static str {
    match tried.verdict {
        Verdict::Configured => "as configured",
        Verdict::Direct if tried.probe.server.port() != dnsaddr::PORT => "reachable",
        Verdict::Direct => "answered, not rewritten",
        Verdict::Refused => "refused",
        Verdict::Silent => "no answer",
        Verdict::Unseen => "no answer, not seen",
        Verdict::Leaks => "LEAKS",
    }
}
