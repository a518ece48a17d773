//! `nsnat dns NAME test`.

use super::table;
use crate::model::{Name, Outcome, Probe, Transport, dnsaddr};
use crate::plan::Verdict;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The path that most programs take: the servers that resolv.conf(5) names.
pub const RESOLV_CONF: &str = "resolv.conf";

/// What came of one path.
#[derive(Clone, Debug)]
pub struct ProbedServer {
    /// What kind of path: "resolv.conf", "loopback stub", ….
    pub path: &'static str,
    /// The query.
    pub probe: Probe,
    /// What came of it.
    pub outcome: Outcome,
    /// What is to be thought of it.
    pub verdict: Verdict,
}

/// A socket of a resolver on the host.
#[derive(Clone, Debug)]
pub struct Socket {
    /// Where it is.
    pub path: &'static str,
    /// Whether a command of `exec` sees it.
    pub visible: bool,
    /// The socket is meant to be seen (`dns = "host"`).
    pub wanted: bool,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Tests {
    /// The namespace.
    pub name: Name,
    /// The name that was asked for.
    pub host: String,
    /// Every path.
    pub tried: Vec<ProbedServer>,
    /// Every socket that is there.
    pub sockets: Vec<Socket>,
}

impl Tests {
    /// What leaks, each with what helps.
    pub fn problems(&self) -> Vec<String> {
        let leaks = self.tried.iter().filter(|tried| tried.verdict == Verdict::Leaks);
        let mut out: Vec<String> = leaks.map(|tried| leak(&self.name, tried)).collect();
        let unseen = self.tried.iter().filter(|tried| tried.verdict == Verdict::Unseen);
        out.extend(unseen.map(unseen_query));
        let seen = self.sockets.iter().filter(|socket| socket.visible && !socket.wanted);
        out.extend(seen.map(|socket| format!("{} can be opened inside: names leak through it", socket.path)));
        let resolves = |tried: &ProbedServer| tried.path == RESOLV_CONF && answered(tried);
        if !self.tried.iter().any(answered) {
            out.push(format!("no server answers at all; is the way out there? nsnat status {}", self.name));
        } else if !self.tried.iter().any(resolves) {
            let why = "no server that resolv.conf names answers: names do not resolve inside";
            out.push(format!("{why}; nsnat dns {} set ADDR", self.name));
        }
        out
    }
}

/// Whether names can be resolved this way.
fn answered(tried: &ProbedServer) -> bool {
    tried.probe.server.port() == dnsaddr::PORT
        && [Verdict::Configured, Verdict::Direct].contains(&tried.verdict)
}

fn unseen_query(tried: &ProbedServer) -> String {
    let asked = dnsaddr::show(tried.probe.server);
    let how = transport(tried.probe.transport);
    format!("where a query to {asked} ({how}) went cannot be seen: does a firewall of this host drop it?")
}

fn leak(name: &Name, tried: &ProbedServer) -> String {
    let by = tried.outcome.by.map_or_else(|| "another server".into(), dnsaddr::show);
    let asked = dnsaddr::show(tried.probe.server);
    let how = transport(tried.probe.transport);
    format!("a query to {asked} ({how}) went to {by}, which is not configured: nsnat up {name}")
}

/// For programs.
pub fn json(tests: &Tests) -> Value {
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
        "problems": tests.problems(),
    })
}

/// For people.
pub fn text(tests: &Tests) -> String {
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
    for problem in tests.problems() {
        let _ = writeln!(out, "! {problem}");
    }
    out
}

fn row(tried: &ProbedServer) -> [String; 6] {
    [
        tried.path.into(),
        dnsaddr::show(tried.probe.server),
        transport(tried.probe.transport).into(),
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

fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    }
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
