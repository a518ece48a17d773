//! Names: which servers a namespace asks, and which of them answer.

use super::name_tests::answered;
use super::patient::Patient;
use crate::model::{Code, Finding, dnsaddr, doh};
use crate::plan;
use std::net::SocketAddr;

/// The servers are of a family that the namespace does not have.
pub(super) fn family(patient: &Patient<'_>) -> Vec<Finding> {
    let namespace = patient.namespace;
    let why = plan::unreachable(&namespace.dns.servers, namespace.ipv6, patient.path());
    let cure =
        || patient.person(format!("name a server of the other family: nsnat dns {} set ADDR", patient.name));
    let shown = || namespace.dns.servers.iter().map(|server| dnsaddr::show(*server));
    why.map(|why| Finding::new(Code::DnsFamily, why, cure()).shown_by(shown())).into_iter().collect()
}

/// No server that resolv.conf names can be asked. A resolv.conf that somebody wrote for the namespace is left to them.
pub(super) fn resolv_conf(patient: &Patient<'_>) -> Vec<Finding> {
    let namespace = patient.namespace;
    if patient.own_resolv_conf || !family(patient).is_empty() {
        return Vec::new();
    }
    let why = plan::unresolvable(&namespace.dns, namespace.ipv6, patient.path(), patient.observed);
    let one = |why| {
        let named = plan::named_servers(&namespace.dns, patient.observed).iter();
        let shown = named.map(|server| format!("resolv.conf: nameserver {server}"));
        let cure =
            format!("name one: dns = \"ADDR\"; or until the next up: nsnat dns {} set ADDR", patient.name);
        Finding::new(Code::DnsUnresolvable, why, patient.person(cure)).shown_by(shown)
    };
    why.map(one).into_iter().collect()
}

/// What became of questions.
pub(super) fn asked(patient: &Patient<'_>) -> Vec<Finding> {
    let Some(tests) = patient.names else { return Vec::new() };
    let passed_over = patient.probes.into_iter().flat_map(|probes| &probes.passed_over);
    let dead =
        passed_over.map(|server| dead_server(*server, patient)).filter(|_| tests.tried.iter().any(answered));
    // What was known without asking is not told twice.
    let is_known =
        |finding: &Finding| finding.code == Code::DnsUnresolvable && !resolv_conf(patient).is_empty();
    tests.findings().into_iter().filter(|finding| !is_known(finding)).chain(dead).collect()
}

fn dead_server(server: SocketAddr, patient: &Patient<'_>) -> Finding {
    let shown = dnsaddr::show(server);
    let what = format!("the DNS server {shown} does not answer, and another one does");
    let cure = "see that the address is right and that the server runs; it is asked again after a minute";
    Finding::new(Code::DnsServerDead, what, patient.person(cure))
        .shown_by([format!("queries that went to {shown} had no answer in time, so it is passed over")])
}

/// DNS over TLS (RFC 7858), and HTTPS.
const TLS: u16 = 853;
const HTTPS: u16 = 443;

/// Programs that ask for names by themselves, over connections that nobody can look into.
pub(super) fn encrypted(patient: &Patient<'_>) -> Vec<Finding> {
    let connected = patient.probes.into_iter().flat_map(|probes| &probes.connected);
    let asks = |to: &&SocketAddr| {
        to.port() == TLS || to.port() == HTTPS && doh::addresses().any(|known| known == to.ip())
    };
    let shown: Vec<String> =
        connected.filter(asks).map(|to| format!("a TCP connection inside to {to}")).collect();
    if shown.is_empty() {
        return Vec::new();
    }
    let what = "a program inside asks for names over an encrypted connection of its own, past the servers of the namespace";
    let cure = format!(
        "leave it, turn that off in the program, or refuse it: [namespace.{}.dns] block = [\"dot\", \"doh\"]",
        patient.name
    );
    vec![Finding::new(Code::NamesEncrypted, what, patient.person(cure)).shown_by(shown)]
}
