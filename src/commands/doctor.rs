//! `nsnat doctor`.

use super::follow::{NOBODY, follow, follow_each_family, is_waiting};
use super::refusals::{need_root, unknown};
use super::session::Session;
use super::status::StatusView;
use super::{bundle, config, dns_test, session, up, uplinks};
use crate::config::Config;
use crate::doctor::{
    LargeProbe, NameTests, Patient, Probes, examine, examine_host, sizes_between, unexplained, usual_sizes,
};
use crate::error::Result;
use crate::kernel::{self, ProbeShape};
use crate::model::trace::{ProbeAnswer, ProbeTarget, Protocol};
use crate::model::{
    ActiveNamespace, Code, Cure, Family, Finding, Look, Name, Observed, Probe, Severity, Stage, State,
    Surroundings, Transport, stack::is_link_local,
};
use crate::plan::TraceReport;
use crate::reconcile::Policy;
use crate::report::doctor::{Examined, json, text};
use crate::report::{NamespaceState, Status};
use crate::ui::Ui;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

/// At most so many servers are asked for what is behind the next hop.
const SERVERS: usize = 3;

pub(super) fn run(
    ui: &Ui<'_>,
    name: Option<&Name>,
    fix: bool,
    ask: &str,
    bundle: Option<&Path>,
) -> Result<ExitCode> {
    need_root("doctor")?;
    let config = config::open(ui)?;
    let mut found = look(ui, &config, name, ask)?;
    if fix && apply(ui, &config, &found)? {
        found = look(ui, &config, name, ask)?;
    }
    if ui.json() {
        ui.print_json(&json(&found))?;
    } else {
        ui.print(text(&found, ui.colour).trim_end())?;
    }
    if let Some(path) = bundle {
        bundle::write(ui, path, &config, &found)?;
    }
    let healthy = found.iter().all(|examined| examined.findings.is_empty());
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the cures that are nsnat's own. Says whether there were any.
fn apply(ui: &Ui<'_>, config: &Config, found: &[Examined]) -> Result<bool> {
    let cures = found.iter().flat_map(|examined| &examined.findings).map(|finding| &finding.cure);
    let cures: BTreeSet<Option<Name>> = cures
        .filter_map(|cure| if let Cure::Up(name, _) = cure { Some(name.clone()) } else { None })
        .collect();
    for name in &cures {
        let session = Session::begin(ui, "doctor --fix")?;
        let policy = Policy { narrow: name.is_some(), ..Policy::default() };
        let outcome = up::make(session, ui, || Ok(config), name.as_slice(), name.is_none(), policy)?;
        if !ui.json() {
            up::report(ui, &outcome)?;
        }
    }
    Ok(!cures.is_empty())
}

/// Looks at the host, and at the namespaces.
fn look(ui: &Ui<'_>, config: &Config, name: Option<&Name>, ask: &str) -> Result<Vec<Examined>> {
    let declared: Vec<&Name> = config.namespaces.keys().collect();
    let observed = match session::look(ui, Look::Everything(&config.names().collect::<Vec<_>>())) {
        Ok(observed) => observed,
        Err(error) => return of_kernel().ok_or(error),
    };
    let is_for_jobs = |(_, namespace): &(_, &ActiveNamespace)| namespace.checks.is_none();
    let up = observed.state.namespaces.iter().filter(is_for_jobs).map(|(name, _)| name);
    let known: BTreeSet<&Name> = declared.iter().copied().chain(up).chain(observed.orphans()).collect();
    if let Some(name) = name.filter(|name| !known.contains(name)) {
        return Err(unknown(name, known.into_iter()));
    }
    let wanted: Vec<&Name> =
        known.iter().copied().filter(|known| name.is_none_or(|name| name == *known)).collect();
    let surroundings = kernel::surroundings(&observed, declared.into_iter().cloned().collect())?;
    let host = examine_host(&surroundings);
    let view = StatusView::new(ui, config, &observed, &wanted)?;
    let mut out = vec![Examined { name: None, findings: Vec::new() }];
    for one in wanted {
        ui.progress(format_args!("{one}: test packets and questions are sent"));
        let findings = of_namespace(&view, config, one, &observed, ask, name.is_some())?;
        out.push(Examined { name: Some(one.clone()), findings: unexplained(findings, &host) });
    }
    if let Some(first) = out.first_mut() {
        first.findings = host;
    }
    Ok(out)
}

/// Where the host cannot be looked at: what the kernel lacks, if that is why.
fn of_kernel() -> Option<Vec<Examined>> {
    let lacks = Some(kernel::lacks()?);
    let findings = examine_host(&Surroundings { lacks, ..Surroundings::default() });
    Some(vec![Examined { name: None, findings }])
}

/// All that is wrong with one. One that is declared and down is nothing wrong, unless it was asked for.
fn of_namespace(
    view: &StatusView<'_>,
    config: &Config,
    name: &Name,
    observed: &Observed,
    ask: &str,
    asked_for: bool,
) -> Result<Vec<Finding>> {
    let Some(namespace) = observed.state.namespaces.get(name) else {
        let Status { state, problems, .. } = view.status(name);
        return Ok(match (state, problems.is_empty()) {
            (NamespaceState::Down, _) if !asked_for => Vec::new(),
            (NamespaceState::Down, true) => {
                let cure = Cure::Up(Some(name.clone()), "brings it up");
                let finding = Finding::new(Code::NotUp, "declared, and not up", cure);
                vec![finding.shown_by([format!("nsnat status {name}")])]
            }
            _ => problems,
        });
    };
    let uplinks = config.namespaces.get(name).map(|declared| uplinks::uplinks(declared, observed));
    let patient = view.patient(name, namespace, &uplinks.unwrap_or_default());
    let still = examine(&patient);
    let is_taken_apart = |finding: &Finding| {
        let is_part = finding.code.stage() == Stage::Objects || finding.code == Code::NameTaken;
        finding.code.severity() == Severity::Fault && is_part
    };
    // Without its own parts no packet gets anywhere, and each would only be one more finding.
    if still.iter().any(is_taken_apart) || is_waiting(name, namespace)? {
        return Ok(still);
    }
    let followed = follow_each_family(name, namespace, (&view.state, observed))?;
    let is_lost = |family: &Family| {
        let mut of_family = followed.iter().filter(|told| Family::of(told.trace.goal.address) == *family);
        of_family.any(|told| told.walk.fault.is_some())
    };
    // Where no packet gets out, no question does, and each would only be waited for.
    if is_lost(&Family::V4) && (is_lost(&Family::V6) || !namespace.ipv6) {
        let probes = Probes { followed, ..Probes::default() };
        return Ok(examine(&Patient { probes: Some(&probes), ..patient }));
    }
    // Which servers the programs of a container ask, its engine says.
    if namespace.attached.is_some() {
        let probes = Probes { followed, ..Probes::default() };
        return Ok(examine(&Patient { probes: Some(&probes), ..patient }));
    }
    // Before doctor connects to servers by itself: its own connections may take a while to end.
    let connected = kernel::tcp_peers(name)?;
    let names = ask_names(name, namespace, observed, ask)?;
    let followed = [followed, follow_questions(name, namespace, (&view.state, observed), &names)?].concat();
    let probes = Probes { followed, connected, ..probes(name, namespace, observed, &names, &patient)? };
    Ok(examine(&Patient { probes: Some(&probes), names: Some(&names), ..patient }))
}

/// Asks for a name by every path.
fn ask_names(name: &Name, namespace: &ActiveNamespace, observed: &Observed, ask: &str) -> Result<NameTests> {
    let mut names = dns_test::ask(name, namespace, ask)?;
    // A server that keeps silent is left for the next one, which only later questions show.
    if namespace.dns.servers.len() > 1 && !names.is_answered_beyond(observed) {
        names.tried.extend(dns_test::ask(name, namespace, ask)?.tried);
    }
    Ok(names)
}

/// Follows questions of which nothing was seen, up to the first that something on this host keeps.
fn follow_questions(
    name: &Name,
    namespace: &ActiveNamespace,
    (state, observed): (&State, &Observed),
    names: &NameTests,
) -> Result<Vec<TraceReport>> {
    let goals: Vec<ProbeTarget> = names.unseen().map(question).take(SERVERS).collect();
    if goals.is_empty() || !kernel::can_trace() {
        return Ok(Vec::new());
    }
    Ok(vec![follow(name, namespace, &goals, (state, observed), &[])?])
}

fn question(Probe { server, transport }: Probe) -> ProbeTarget {
    let protocol = match transport {
        Transport::Tcp => Protocol::Tcp(server.port()),
        Transport::Udp => Protocol::Udp(server.port()),
    };
    ProbeTarget { address: server.ip(), protocol }
}

/// Sends test packets further than the next hop.
fn probes(
    name: &Name,
    namespace: &ActiveNamespace,
    observed: &Observed,
    names: &NameTests,
    patient: &Patient<'_>,
) -> Result<Probes> {
    let passed_over = passed_over(namespace)?;
    if patient.path().is_none_or(|path| !path.up) {
        return Ok(Probes { passed_over, ..Probes::default() });
    }
    let (mut beyond, mut large) = (Vec::new(), Vec::new());
    // A name that was answered out there says that there is a way. Then a server is wanted for the large packet alone, and
    // nothing waits for what is silent.
    let is_known = names.is_answered_beyond(observed);
    for to in servers(namespace, names, observed) {
        if is_known && (!large.is_empty() || NOBODY.contains(&to)) {
            break;
        }
        let heard = echo(name, to, ProbeShape::FAR)?;
        if !is_known {
            beyond.push((ProbeTarget { address: to, protocol: Protocol::Icmp }, heard));
        }
        if heard == ProbeAnswer::Answer && large.is_empty() {
            large.extend(large_probe(name, namespace, to, observed)?);
        }
    }
    Ok(Probes { beyond, large, passed_over, ..Probes::default() })
}

/// DNS servers that are passed over at this moment.
fn passed_over(namespace: &ActiveNamespace) -> Result<Vec<SocketAddr>> {
    let places = kernel::servers_passed_over(&namespace.link)?;
    let server = |(family, place): (Family, usize)| namespace.dns.servers_of(family).nth(place).copied();
    Ok(places.into_iter().filter_map(server).collect())
}

/// A packet as large as the namespace may send.
fn large_probe(
    name: &Name,
    namespace: &ActiveNamespace,
    to: IpAddr,
    observed: &Observed,
) -> Result<Option<LargeProbe>> {
    let link = observed.stack(name).and_then(|stack| stack.link(namespace.ifname()));
    let Some(link) = link else { return Ok(None) };
    let size = link.mtu;
    let large = echo(name, to, ProbeShape::of_size(to, size))?;
    let passes = if large == ProbeAnswer::Nothing { largest_answered(name, to, size)? } else { None };
    Ok(Some(LargeProbe { to, size, small: ProbeAnswer::Answer, large, passes }))
}

/// The size of the largest packet that is answered, where one of `size` bytes is not.
fn largest_answered(name: &Name, to: IpAddr, size: u32) -> Result<Option<u32>> {
    let tried = usual_sizes(size, to.is_ipv6());
    let mut answered = kernel::answered_sizes(name, to, tried.clone())?;
    answered.extend(kernel::answered_sizes(name, to, sizes_between(&tried, size, &answered))?);
    Ok(answered.last().copied())
}

fn echo(name: &Name, address: IpAddr, shape: ProbeShape) -> Result<ProbeAnswer> {
    kernel::reach(name, ProbeTarget { address, protocol: Protocol::Icmp }, shape)
}

/// Who may answer from behind the next hop: the DNS servers, and an address that nobody has, about which routers complain.
fn servers(namespace: &ActiveNamespace, names: &NameTests, observed: &Observed) -> Vec<IpAddr> {
    let configured = namespace.dns.servers.iter().map(SocketAddr::ip);
    let tried = names.tried.iter().map(|tried| tried.probe.server.ip());
    let own = |address: &IpAddr| observed.host.addresses.iter().any(|own| own.net.ip() == *address);
    let served = |address: &IpAddr| address.is_ipv4() || namespace.ipv6;
    let is_outside = |address: &IpAddr| !address.is_loopback() && !is_link_local(*address) && !own(address);
    let mut seen = BTreeSet::new();
    let asked = configured.chain(tried).filter(|address| is_outside(address) && served(address));
    let asked = asked.filter(|address| seen.insert(*address)).take(SERVERS).collect::<Vec<_>>();
    asked.into_iter().chain(NOBODY.into_iter().filter(served)).collect()
}
