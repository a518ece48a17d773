//! `nsnat dns NAME test`: which server answers, over every path.

use super::refusals::need_root;
use super::session;
use crate::doctor::{NameTests, ProbedServer, RESOLV_CONF, Socket};
use crate::enter::{self, View};
use crate::error::{Error, Result};
use crate::kernel;
use crate::model::{ActiveNamespace, DnsMode, Look, Name, Probe, Transport, dnsaddr};
use crate::plan;
use crate::report::dns as report;
use crate::ui::Ui;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;

/// Where stubs listen: systemd-resolved's two, everybody's, and the one that cannot be rewritten.
const STUBS: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53)),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 54)),
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// What programs have built in most often.
const HARD_CODED: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888)),
];

pub(super) fn run(ui: &Ui<'_>, name: &Name, host: &str) -> Result<ExitCode> {
    need_root("dns test")?;
    let observed = session::look(ui, Look::Everything(&[name]))?;
    let namespace = observed.state.namespaces.get(name).ok_or_else(|| {
        Error::new(format!("namespace {name}"), "it is not up").hint(format!("nsnat up {name}"))
    })?;
    let tests = ask(name, namespace, host)?;
    show(ui, &tests)?;
    Ok(if tests.findings().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks for a name by every path.
pub(super) fn ask(name: &Name, namespace: &ActiveNamespace, host: &str) -> Result<NameTests> {
    let view = enter::view(name)?;
    let paths = paths(&view);
    let probes: Vec<Probe> = paths.iter().map(|(_, probe)| *probe).collect();
    let outcomes = kernel::probe(name, host, &probes)?;
    let tried = paths.into_iter().zip(outcomes).map(|((path, probe), outcome)| {
        let verdict = plan::judge_outcome(&namespace.dns, &probe, &outcome);
        ProbedServer { path, probe, outcome, verdict }
    });
    let tests = NameTests {
        name: name.clone(),
        host: host.into(),
        tried: tried.collect(),
        sockets: sockets(&view, &namespace.dns),
    };
    Ok(tests)
}

/// Every server by every path that leads to it; what resolv.conf names first, and nothing twice.
fn paths(view: &View) -> Vec<(&'static str, Probe)> {
    let mut named = dnsaddr::nameservers(&view.resolv_conf);
    if named.is_empty() {
        named.push(dnsaddr::DEFAULT);
    }
    let named = named.into_iter().map(|ip| (RESOLV_CONF, ip));
    let stubs = STUBS.map(|ip| ("loopback stub", ip));
    let public = HARD_CODED.map(|ip| ("hard-coded", ip));
    let mut seen = BTreeSet::new();
    let plain = named.chain(stubs).chain(public).filter(move |(_, ip)| seen.insert(*ip));
    let plain = plain.map(|(path, ip)| (path, SocketAddr::new(ip, dnsaddr::PORT)));
    let both = [Transport::Udp, Transport::Tcp];
    let mut out: Vec<_> =
        plain.flat_map(|(path, server)| both.map(|transport| (path, Probe { server, transport }))).collect();
    for (path, transport) in [("DNS over TLS", Transport::Tcp), ("DNS over QUIC", Transport::Udp)] {
        let probe = |ip| Probe { server: SocketAddr::new(ip, dnsaddr::PRIVATE_PORT), transport };
        out.extend(HARD_CODED.map(|ip| (path, probe(ip))));
    }
    out
}

fn sockets(view: &View, dns: &DnsMode) -> Vec<Socket> {
    let wanted = dns.host.is_some();
    view.sockets.iter().map(|(path, visible)| Socket { path, visible: *visible, wanted }).collect()
}

fn show(ui: &Ui<'_>, tests: &NameTests) -> Result<()> {
    if ui.json() { ui.print_json(&report::json(tests)) } else { ui.print(report::text(tests).trim_end()) }
}
