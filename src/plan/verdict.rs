//! Whether a query went where it was told to go.

use crate::model::{DnsMode, Family, Outcome, Probe, dnsaddr};
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};

/// What is to be thought of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// A server answered that the namespace is configured to ask.
    Configured,
    /// The server that was asked answered, and nothing else is configured for it.
    Direct,
    /// An error at once.
    Refused,
    /// Nobody answered.
    Silent,
    /// Where it went cannot be seen, although the configuration says where, and nobody refused it.
    Unseen,
    /// Somebody else answered, or was asked.
    Leaks,
}

/// Judges one path.
pub fn judge_outcome(dns: &DnsMode, probe: &Probe, outcome: &Outcome) -> Verdict {
    let (expected, configured) = expected_servers(dns, probe);
    match outcome.by {
        Some(by) if !expected.contains(&by) => Verdict::Leaks,
        _ if is_refused(outcome) => Verdict::Refused,
        // An answer does not say who gave it.
        None if configured => Verdict::Unseen,
        _ if outcome.error.is_none() && configured => Verdict::Configured,
        _ if outcome.error.is_none() => Verdict::Direct,
        _ => Verdict::Silent,
    }
}

/// Somebody said no, at once.
fn is_refused(outcome: &Outcome) -> bool {
    outcome.error.as_ref().is_some_and(|error| error != Outcome::LATE)
}

/// Servers that may be asked in place of this one, and whether the configuration says so.
fn expected_servers(dns: &DnsMode, probe: &Probe) -> (Vec<SocketAddr>, bool) {
    let server = probe.server;
    if dns.refused.contains(&(probe.transport.protocol(), server.port())) {
        return (Vec::new(), true);
    }
    if let Some(rewrite) = dns.rewrites.iter().find(|rewrite| rewrite.old == server) {
        return (vec![rewrite.new], true);
    }
    let of_family = |other: &&SocketAddr| Family::of(other.ip()) == Family::of(server.ip());
    let every: Vec<SocketAddr> = dns.servers.iter().filter(of_family).copied().collect();
    if server.port() == dnsaddr::PORT && !every.is_empty() {
        return (every, true);
    }
    if dns.only && server.port() == dnsaddr::PORT {
        return (Vec::new(), true);
    }
    let hosts = |ip: IpAddr| dns.host.as_ref().is_some_and(|servers| servers.contains(&ip));
    (vec![server], hosts(server.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Rewrite, Transport};
    use std::time::Duration;

    fn at(text: &str) -> SocketAddr {
        dnsaddr::parse(text).unwrap()
    }

    fn judged(dns: &DnsMode, asked: &str, by: Option<&str>, error: Option<&str>) -> Verdict {
        let probe = Probe { server: at(asked), transport: Transport::Udp };
        let outcome = Outcome { by: by.map(at), took: Duration::ZERO, error: error.map(Into::into) };
        judge_outcome(dns, &probe, &outcome)
    }

    #[test]
    fn every_query_is_rewritten() {
        let dns =
            DnsMode { servers: vec![at("192.0.2.1"), at("192.0.2.2")], only: true, ..DnsMode::default() };
        assert_eq!(judged(&dns, "8.8.8.8", Some("192.0.2.1"), None), Verdict::Configured);
        assert_eq!(judged(&dns, "127.0.0.53", Some("192.0.2.2"), None), Verdict::Configured);
        assert_eq!(judged(&dns, "8.8.8.8", Some("8.8.8.8"), None), Verdict::Leaks);
        assert_eq!(judged(&dns, "8.8.8.8", Some("8.8.8.8"), Some(Outcome::LATE)), Verdict::Leaks);
        assert_eq!(
            judged(&dns, "2001:db8::1", None, Some("Permission denied (os error 13)")),
            Verdict::Refused
        );
        assert_eq!(judged(&dns, "2001:db8::1", Some("2001:db8::1"), None), Verdict::Leaks);
        assert_eq!(judged(&dns, "8.8.8.8", Some("192.0.2.1"), Some(Outcome::LATE)), Verdict::Silent);
        // The query may have gone anywhere.
        assert_eq!(judged(&dns, "8.8.8.8", None, Some(Outcome::LATE)), Verdict::Unseen);
        assert_eq!(judged(&dns, "8.8.8.8", None, None), Verdict::Unseen);
        assert_eq!(judged(&DnsMode::default(), "8.8.8.8", None, None), Verdict::Direct);
        assert_eq!(judged(&DnsMode::default(), "8.8.8.8", None, Some(Outcome::LATE)), Verdict::Silent);
    }

    #[test]
    fn one_server_is_rewritten() {
        let rewrites = vec![Rewrite { old: at("8.8.8.8"), new: at("192.0.2.1:5353") }];
        let dns = DnsMode { rewrites, ..DnsMode::default() };
        assert_eq!(judged(&dns, "8.8.8.8", Some("192.0.2.1:5353"), None), Verdict::Configured);
        assert_eq!(judged(&dns, "8.8.8.8", Some("192.0.2.1"), None), Verdict::Leaks);
        assert_eq!(judged(&dns, "9.9.9.9", Some("9.9.9.9"), None), Verdict::Direct);
    }
}
