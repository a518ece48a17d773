//! What became of questions for a name.

use crate::model::{Code, Cure, Finding, Name, Observed, Outcome, Probe, dnsaddr};
use crate::plan::Verdict;
use std::net::SocketAddr;

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

/// What became of questions for a name, by every path.
#[derive(Clone, Debug)]
pub struct NameTests {
    /// The namespace.
    pub name: Name,
    /// The name that was asked for.
    pub host: String,
    /// Every path.
    pub tried: Vec<ProbedServer>,
    /// Every socket that is there.
    pub sockets: Vec<Socket>,
}

impl NameTests {
    /// What is wrong, each with what helps.
    pub fn findings(&self) -> Vec<Finding> {
        let of = |verdict| self.tried.iter().filter(move |tried| tried.verdict == verdict);
        let leaks = of(Verdict::Leaks).map(|tried| leak(&self.name, tried));
        let unseen = of(Verdict::Unseen).map(|tried| unseen_query(&self.name, tried));
        let seen = self.sockets.iter().filter(|socket| socket.visible && !socket.wanted);
        let seen = seen.map(|socket| visible(&self.name, socket));
        leaks.chain(unseen).chain(seen).chain(self.unanswered()).collect()
    }

    /// Questions of which nobody knows where they went; those to other hosts first.
    pub fn unseen(&self) -> impl Iterator<Item = Probe> {
        let of = move |beyond| {
            let unseen = self.tried.iter().filter(|tried| tried.verdict == Verdict::Unseen);
            unseen.map(|tried| tried.probe).filter(move |probe| probe.server.ip().is_loopback() != beyond)
        };
        of(true).chain(of(false))
    }

    /// Whether a server answered that is not on this host itself.
    pub fn is_answered_beyond(&self, observed: &Observed) -> bool {
        let own = |server: SocketAddr| observed.host.addresses.iter().any(|own| own.net.ip() == server.ip());
        let outside = |server: SocketAddr| !server.ip().is_loopback() && !own(server);
        self.tried.iter().any(|tried| answered(tried) && tried.outcome.by.is_some_and(outside))
    }

    /// Nobody answers at all, or nobody whom programs ask.
    fn unanswered(&self) -> Option<Finding> {
        let resolves = |tried: &ProbedServer| tried.path == RESOLV_CONF && answered(tried);
        let asked = self.tried.iter().filter(|tried| tried.path == RESOLV_CONF).map(shown);
        if !self.tried.iter().any(answered) {
            let cure = person(&self.name, "see that the servers' addresses are right, and that they run");
            return Some(Finding::new(Code::DnsSilent, "no server answers at all", cure).shown_by(asked));
        }
        if self.tried.iter().any(resolves) {
            return None;
        }
        let what = "no server that resolv.conf names answers: names do not resolve inside";
        let name = &self.name;
        let cure = person(name, &format!("name a server that answers: nsnat dns {name} set ADDR"));
        Some(Finding::new(Code::DnsUnresolvable, what, cure).shown_by(asked))
    }
}

/// Whether names can be resolved this way.
pub(super) fn answered(tried: &ProbedServer) -> bool {
    tried.probe.server.port() == dnsaddr::PORT
        && [Verdict::Configured, Verdict::Direct].contains(&tried.verdict)
}

/// A query and what came of it, in a line.
fn shown(tried: &ProbedServer) -> String {
    let Probe { server, transport } = tried.probe;
    let went = tried.outcome.by.map(|by| format!(", went to {}", dnsaddr::show(by))).unwrap_or_default();
    let error = tried.outcome.error.as_deref().unwrap_or("answered");
    format!("{} ({transport}){went}: {error}", dnsaddr::show(server))
}

/// What a person has to do about names. Whether it is done, the same questions tell.
fn person(name: &Name, words: &str) -> Cure {
    Cure::person(words).checked_by(format!("nsnat dns {name} test"))
}

fn unseen_query(name: &Name, tried: &ProbedServer) -> Finding {
    let (asked, how) = (dnsaddr::show(tried.probe.server), tried.probe.transport);
    let what = format!("where a query to {asked} ({how}) went cannot be seen");
    let cure = format!(
        "see whether a firewall drops it, or NAT inside changes it: ip netns exec {name} nft list ruleset"
    );
    Finding::new(Code::DnsUnseen, what, person(name, &cure)).shown_by([shown(tried)])
}

fn leak(name: &Name, tried: &ProbedServer) -> Finding {
    let by = tried.outcome.by.map_or_else(|| "another server".into(), dnsaddr::show);
    let (asked, how) = (dnsaddr::show(tried.probe.server), tried.probe.transport);
    let what = format!("a query to {asked} ({how}) went to {by}, which is not configured");
    let cure = format!(
        "nsnat up {name} makes the rewrite anew; if that changes nothing, take NAT inside away: ip netns exec {name} nft list ruleset"
    );
    Finding::new(Code::DnsLeaks, what, person(name, &cure)).shown_by([shown(tried)])
}

fn visible(name: &Name, socket: &Socket) -> Finding {
    let what = format!("{} can be opened inside: names leak through it", socket.path);
    let cure =
        format!("remove what makes exec show it: dns = \"host\", or a file of yours in /etc/netns/{name}");
    Finding::new(Code::SocketVisible, what, person(name, &cure)).shown_by([socket.path.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `exec` hides them all, so that none can be planted: this holds it to that.
    #[test]
    fn a_socket_that_exec_should_have_hidden_is_told() {
        let socket = |visible, wanted| Socket { path: "/run/nscd/socket", visible, wanted };
        let found = |socket| {
            let name = Name::try_from("slow".to_owned()).unwrap();
            let tests = NameTests { name, host: "a.test".into(), tried: Vec::new(), sockets: vec![socket] };
            tests.findings().iter().any(|finding| finding.code == Code::SocketVisible)
        };
        assert!(found(socket(true, false)));
        assert!(!found(socket(true, true)) && !found(socket(false, false)));
    }
}
