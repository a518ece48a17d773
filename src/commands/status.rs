//! `nsnat status`.

use super::follow::{follow, is_waiting, probe_targets};
use super::neighbours::SilentNextHops;
use super::refusals::{need_root, unknown};
use super::{config, session, uplinks};
use crate::config::Config;
use crate::doctor::{Patient, Shared, examine, unexplained};
use crate::error::Result;
use crate::kernel::{self, crowds, event_log, files};
use crate::model::flaps;
use crate::model::numbers::INSIDE_LINK;
use crate::model::stack::is_link_local;
use crate::model::{
    ActiveNamespace, Code, Cure, DnsMode, Event, Family, Finding, Look, Name, Netns, Observed, Severity,
    State, UplinkPath,
};
use crate::plan::{self, Action, Owners};
use crate::report::{self, Apart, NamespaceState, Status, Uplink};
use crate::ui::Ui;
use std::collections::{BTreeMap, BTreeSet};
use std::mem::ManuallyDrop;
use std::process::ExitCode;

/// Exit status of `--check` when something is broken.
const BROKEN: u8 = 3;

pub(super) fn run(ui: &Ui<'_>, name: Option<&Name>, check: bool) -> Result<ExitCode> {
    if check {
        need_root("status --check")?;
    }
    for line in files::watch_says().lines() {
        ui.note(format_args!("nsnat watch: {line}"));
    }
    let root = nix::unistd::geteuid().is_root();
    if !root {
        ui.note("as root, status also looks into the namespaces, at nftables and at the gateways");
    }
    // To take apart what was seen of a thousand namespaces would take a tenth of the time. The process ends soon.
    let seen = ManuallyDrop::new(Seen::now(ui)?);
    let all = seen.statuses(ui, name, check)?;
    show(ui, &all)?;
    if let (Some(name), [status]) = (name, all.as_slice()) {
        show_details(ui, name, status)?;
    }
    let is_broken = |status: &Status| status.state == NamespaceState::Broken;
    Ok(if check && all.iter().any(is_broken) { BROKEN.into() } else { ExitCode::SUCCESS })
}

/// What is declared, and what is.
pub(super) struct Seen {
    config: Config,
    observed: Observed,
}

impl Seen {
    pub(super) fn now(ui: &Ui<'_>) -> Result<Self> {
        let config = config::open(ui)?;
        let root = nix::unistd::geteuid().is_root();
        let declared: Vec<&Name> = config.names().collect();
        let look = if root { Look::Everything(&declared) } else { Look::Outside(&declared) };
        let observed = session::look_for(&config, ui, look)?;
        Ok(Self { config, observed })
    }

    /// All that is declared or up, or the one of that name. `check`: test packets are sent.
    pub(super) fn statuses(&self, ui: &Ui<'_>, name: Option<&Name>, check: bool) -> Result<Vec<Status>> {
        let Self { config, observed } = self;
        let is_for_jobs = |(_, namespace): &(_, &ActiveNamespace)| namespace.checks.is_none();
        let up = observed.state.namespaces.iter().filter(is_for_jobs).map(|(name, _)| name);
        let up = up.chain(observed.orphans());
        let known: BTreeSet<&Name> = config.namespaces.keys().chain(up).collect();
        if let Some(name) = name.filter(|name| !known.contains(name)) {
            return Err(unknown(name, known.into_iter()));
        }
        let wanted: Vec<_> =
            known.into_iter().filter(|known| name.is_none_or(|name| name == *known)).collect();
        let view = if nix::unistd::geteuid().is_root() {
            StatusView::new(ui, config, observed, &wanted)?
        } else {
            StatusView::from_outside(config, observed, plan::refreshed(observed))
        };
        let mut all: Vec<Status> = wanted.into_iter().map(|name| view.status(name)).collect();
        if check && !kernel::can_trace() {
            ui.note("no test packets were sent: to follow them needs Linux 5.12 or later");
        } else if check {
            all.iter_mut().try_for_each(|status| view.check(status))?;
        }
        Ok(all)
    }
}

/// What is known of one namespace beyond its line. Where the record of events cannot be read, nothing is told of it.
fn show_details(ui: &Ui<'_>, name: &Name, status: &Status) -> Result<()> {
    if ui.json() || !matches!(status.state, NamespaceState::Up | NamespaceState::Broken) {
        return Ok(());
    }
    let mut events = event_log::all().unwrap_or_default();
    events.retain(|event| event.namespace.as_ref() == Some(name));
    let details = report::details(status, &events);
    if details.is_empty() { Ok(()) } else { ui.print(details.trim_end()) }
}

fn show(ui: &Ui<'_>, all: &[Status]) -> Result<()> {
    if ui.json() {
        return ui.print_json(&report::json(all));
    }
    if all.is_empty() {
        ui.note("no namespace is declared; nsnat add NAME --gateway ADDR declares one");
        return Ok(());
    }
    ui.print(report::text(all, ui.colour).trim_end())
}

/// What is, beside what should be.
pub(super) struct StatusView<'a> {
    config: &'a Config,
    observed: &'a Observed,
    /// As it is now: a device that went down or lost an address since is a passing condition, and no repair helps.
    pub(super) state: State,
    /// What `up` would do for the namespaces that are up, and for which; none: for something that several share.
    missing: Vec<(Option<Name>, Action)>,
    /// Why `up` would refuse a namespace.
    refused: BTreeMap<Name, Vec<String>>,
    /// Next hops that do not answer.
    silent: SilentNextHops,
    /// Processes in each network namespace, by its inode number.
    crowds: BTreeMap<u64, usize>,
    /// What happened lately, by which a line is known that goes and comes.
    happened: Vec<Event>,
    /// What is found once for several namespaces.
    shared: Shared,
}

impl<'a> StatusView<'a> {
    pub(super) fn new(
        ui: &Ui<'_>,
        config: &'a Config,
        observed: &'a Observed,
        wanted: &[&Name],
    ) -> Result<Self> {
        let state = plan::refreshed(observed);
        let silent = SilentNextHops::ask(
            wanted.iter().filter_map(|name| state.namespaces.get(*name)),
            &state,
            observed,
        )?;
        let declared = |name: &&Name| config.namespaces.contains_key(*name);
        let names: Vec<Name> = state.namespaces.keys().filter(declared).cloned().collect();
        let one = |name: &Name| config::why_not(config, name, observed);
        let (goal, refused) = match config::goal_of_repair(ui, config, &[], observed) {
            Ok(goal) => (Some(keeping_dns(goal, &state)), BTreeMap::new()),
            Err(_) => (None, names.iter().map(|name| (name.clone(), one(name))).collect()),
        };
        let goal = goal.as_ref().unwrap_or(&state);
        let owners = Owners::new(goal);
        let missing = plan::actions(goal, observed).into_iter();
        let missing = missing.map(|action| (owners.of(&action).cloned(), action)).collect();
        let shared = Shared::new(&state, observed);
        let outside = Self::from_outside(config, observed, state);
        Ok(Self { missing, refused, silent, shared, ..outside })
    }

    /// Without what only root may see.
    fn from_outside(config: &'a Config, observed: &'a Observed, state: State) -> Self {
        let shared = Shared::from_outside(&state, observed);
        Self {
            config,
            observed,
            state,
            missing: Vec::new(),
            refused: BTreeMap::new(),
            silent: SilentNextHops::default(),
            crowds: crowds(),
            happened: event_log::latest(flaps::WITHIN),
            shared,
        }
    }

    pub(super) fn status(&self, name: &Name) -> Status {
        match self.observed.state.namespaces.get(name) {
            Some(namespace) => self.up(name, namespace),
            None => down(name, self.observed),
        }
    }

    /// What only packets tell of a namespace that looks well.
    fn check(&self, status: &mut Status) -> Result<()> {
        let namespace =
            self.state.namespaces.get(&status.name).filter(|_| status.state == NamespaceState::Up);
        let Some(namespace) = namespace else { return Ok(()) };
        if is_waiting(&status.name, namespace)? {
            return Ok(());
        }
        let told = follow(
            &status.name,
            namespace,
            &probe_targets(namespace, None),
            (&self.state, self.observed),
            &[],
        )?;
        if let Some(finding) = told.finding() {
            status.state = NamespaceState::Broken;
            status.problems.push(finding);
        }
        Ok(())
    }

    fn up(&self, name: &Name, namespace: &ActiveNamespace) -> Status {
        let observed = self.observed;
        let path = self.state.namespaces.get(name).and_then(|namespace| self.state.path_of(namespace));
        // What the host veth receives is what the namespace sends.
        let (tx_bytes, rx_bytes) =
            observed.host.link(&namespace.link).and_then(|link| link.bytes).unwrap_or_default();
        let inode = observed.namespaces.get(name).and_then(Netns::inode);
        let declared = self.config.namespaces.get(name);
        let uplinks = declared.map_or_else(Vec::new, |declared| uplinks::uplinks(declared, observed));
        let used = path.and_then(|path| path.uplink.as_ref());
        let patient = self.patient(name, namespace, &uplinks);
        let problems = unexplained(examine(&patient), &[]);
        let is_fault = |finding: &Finding| finding.code.severity() == Severity::Fault;
        let broken = problems.iter().any(is_fault);
        let state = if broken { NamespaceState::Broken } else { NamespaceState::Up };
        Status {
            state,
            uplink: used.cloned(),
            uplinks,
            device: path.map(|path| path.dev.clone()),
            gateway: path.map(|path| path.gateways.clone()).unwrap_or_default(),
            apart: path.and_then(apart),
            attached: namespace.attached.clone(),
            address: addresses(name, observed),
            dns: dns(&namespace.dns),
            published: namespace.publications().collect(),
            host: namespace.host.clone(),
            rx_bytes,
            tx_bytes,
            processes: inode.and_then(|inode| self.crowds.get(&inode)).copied().unwrap_or_default(),
            problems,
            ..empty(name)
        }
    }

    /// All that is known of a namespace without a packet.
    pub(super) fn patient<'b>(
        &'b self,
        name: &'b Name,
        namespace: &'b ActiveNamespace,
        uplinks: &[Uplink],
    ) -> Patient<'b> {
        let observed = self.observed;
        let path = self.state.namespaces.get(name).and_then(|namespace| self.state.path_of(namespace));
        let is_attached = namespace.attached.is_some();
        let is_mine = |owner: &Option<Name>| owner.as_ref().is_none_or(|owner| owner == name);
        let missing = self.missing.iter().filter(|(owner, _)| is_mine(owner)).map(|(_, action)| action);
        Patient {
            name,
            namespace,
            state: &self.state,
            observed,
            declared: is_attached || self.config.namespaces.contains_key(name),
            // That of a container is its engine's.
            own_resolv_conf: is_attached || has_own_resolv_conf(name),
            shared: &self.shared,
            missing: missing.collect(),
            refused: self.refused.get(name).map_or(&[], Vec::as_slice),
            silent: path.map(|path| self.silent.of_path(path, observed)).unwrap_or_default(),
            flaps: flaps::of_namespace(name, &self.happened, session::seconds()),
            uplinks: uplinks::ailments(uplinks, path),
            probes: None,
            names: None,
        }
    }
}

/// What is declared, but for DNS: `dns NAME set` changes that until the next `up`, and is no fault.
fn keeping_dns(mut goal: State, state: &State) -> State {
    for (name, namespace) in &mut goal.namespaces {
        if let Some(now) = state.namespaces.get(name) {
            namespace.dns.clone_from(&now.dns);
        }
    }
    goal
}

/// What of others comes first, and goes on to when a plan is done: for each namespace that is up then.
pub(super) fn not_preceded(state: &State, observed: &Observed) -> Vec<String> {
    let shared = Shared::new(state, observed);
    let lasts = |finding: &&Finding| !matches!(finding.cure, Cure::Up(..));
    let of = |namespace: &ActiveNamespace| shared.preceding.get(&namespace.egress).into_iter().flatten();
    let told = state.namespaces.iter().flat_map(|(name, namespace)| {
        of(namespace).filter(lasts).map(move |finding| format!("{name}: {finding}"))
    });
    told.collect()
}

fn down(name: &Name, observed: &Observed) -> Status {
    let foreign = matches!(observed.namespaces.get(name), Some(netns @ Netns::Alive { .. }) if !observed.is_ours(name, netns));
    let orphan = observed.orphans().any(|orphan| orphan == name);
    let up = |does| Cure::Up(Some(name.clone()), does);
    let (state, finding) = if foreign {
        let what = "a namespace of that name exists and is not nsnat's";
        let cure = Cure::person(format!(
            "see what it is (ip netns exec {name} ip addr), and end it, or declare another name"
        ));
        let finding = Finding::new(Code::NameForeign, what, cure).shown_by([format!("/run/netns/{name}")]);
        (NamespaceState::Foreign, Some(finding))
    } else if orphan {
        let what = "up, but nsnat's state file was lost";
        let cure = up("takes it in again, nsnat down removes it");
        let shown = [format!("/run/netns/{name}, and no {name} in /run/nsnat/state.json")];
        (NamespaceState::Broken, Some(Finding::new(Code::StateLost, what, cure).shown_by(shown)))
    } else {
        let what = "taken down, and nsnat watch leaves it so";
        let shown = || [format!("nsnat events {name}")];
        let finding = || Finding::new(Code::TakenDown, what, up("brings it up")).shown_by(shown());
        (NamespaceState::Down, observed.state.down.contains(name).then(finding))
    };
    Status { state, problems: finding.into_iter().collect(), ..empty(name) }
}

fn empty(name: &Name) -> Status {
    Status {
        name: name.clone(),
        state: NamespaceState::Down,
        uplink: None,
        uplinks: Vec::new(),
        device: None,
        gateway: Vec::new(),
        apart: None,
        attached: None,
        address: Vec::new(),
        dns: Vec::new(),
        published: Vec::new(),
        host: None,
        rx_bytes: 0,
        tx_bytes: 0,
        processes: 0,
        problems: Vec::new(),
    }
}

/// By what one family leaves, where that is another uplink.
fn apart(path: &UplinkPath) -> Option<Apart> {
    let part = path.apart.as_deref()?;
    let family = Family::BOTH.into_iter().find(|family| part.serves(*family))?;
    let (uplink, device, gateway) = (part.uplink.clone(), part.dev.clone(), part.gateways.clone());
    Some(Apart { family, uplink, device, gateway })
}

fn addresses(name: &Name, observed: &Observed) -> Vec<ipnetwork::IpNetwork> {
    let known = observed.state.namespaces.get(name);
    if known.is_some_and(|known| known.is_handed()) {
        let own = plan::attachment_addresses(&observed.state, observed.features, name);
        return own.into_iter().map(|(own, _)| own.into()).collect();
    }
    let Some(Netns::Alive { stack, .. }) = observed.namespaces.get(name) else { return Vec::new() };
    let ifname = known.map_or(INSIDE_LINK, |namespace| namespace.ifname());
    let plain = |net: &ipnetwork::IpNetwork| !is_link_local(net.ip());
    stack.addresses.iter().filter(|a| a.dev == ifname).map(|a| a.net).filter(plain).collect()
}

fn dns(dns: &DnsMode) -> Vec<String> {
    let show = crate::model::dnsaddr::show;
    let servers = dns.servers.iter().map(|server| show(*server));
    servers.chain(dns.rewrites.iter().map(|r| format!("{}={}", show(r.old), show(r.new)))).collect()
}

/// Whether somebody wrote a resolv.conf for a namespace.
fn has_own_resolv_conf(name: &Name) -> bool {
    std::path::Path::new("/etc/netns").join(name.as_str()).join("resolv.conf").exists()
}

/// Why names do not resolve inside. A resolv.conf that somebody wrote for it is left to them.
pub(super) fn unresolvable(
    name: &Name,
    namespace: &ActiveNamespace,
    path: Option<&UplinkPath>,
    observed: &Observed,
) -> Option<String> {
    // What names the servers of a container is its engine's.
    if namespace.attached.is_some() {
        return None;
    }
    let why = plan::unresolvable(&namespace.dns, namespace.ipv6, path, observed)?;
    (!has_own_resolv_conf(name)).then(|| format!("{why}; name one: dns = \"ADDR\""))
}
