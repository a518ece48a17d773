//! `nsnat status`.

use super::follow::{follow, probe_targets};
use super::neighbours::SilentNextHops;
use super::refusals::{need_root, unknown};
use super::{config, session, uplinks};
use crate::config::Config;
use crate::error::Result;
use crate::kernel::{crowds, files};
use crate::model::stack::is_link_local;
use crate::model::{ActiveNamespace, DnsMode, Egress, Link, Look, Name, Netns, Observed, State, UplinkPath};
use crate::plan::{self, Owners};
use crate::report::{self, NamespaceState, Status};
use crate::ui::Ui;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn run(ui: &Ui<'_>, name: Option<&Name>, check: bool) -> Result<()> {
    if check {
        need_root("status --check")?;
    }
    for line in files::watch_says().lines() {
        ui.note(format_args!("nsnat watch: {line}"));
    }
    let config = config::open(ui)?;
    let root = nix::unistd::geteuid().is_root();
    let declared: Vec<&Name> = config.namespaces.keys().collect();
    let look = if root { Look::Everything(&declared) } else { Look::Outside(&declared) };
    let observed = session::look(ui, look)?;
    let up = observed.state.namespaces.keys().chain(observed.orphans());
    let known: BTreeSet<&Name> = config.namespaces.keys().chain(up).collect();
    if let Some(name) = name.filter(|name| !known.contains(name)) {
        return Err(unknown(name, known.into_iter()));
    }
    let wanted: Vec<_> = known.into_iter().filter(|known| name.is_none_or(|name| name == *known)).collect();
    let view = if root {
        StatusView::new(ui, &config, &observed, &wanted)?
    } else {
        ui.note("as root, status also looks into the namespaces, at nftables and at the gateways");
        StatusView::from_outside(&config, &observed, plan::refreshed(&observed))
    };
    let mut all: Vec<Status> = wanted.into_iter().map(|name| view.status(name)).collect();
    if check {
        all.iter_mut().try_for_each(|status| view.check(status))?;
    }
    if ui.json() {
        return ui.print_json(&report::json(&all));
    }
    if all.is_empty() {
        ui.note("no namespace is declared; nsnat add NAME --gateway ADDR declares one");
        return Ok(());
    }
    ui.print(report::text(&all, ui.colour).trim_end())
}

/// What is, beside what should be.
pub(super) struct StatusView<'a> {
    config: &'a Config,
    observed: &'a Observed,
    /// As it is now: a device that went down or lost an address since is a passing condition, and no repair helps.
    pub(super) state: State,
    /// What `up` would do for the namespaces that are up, and for which; none: for something that several share.
    missing: Vec<(Option<Name>, String)>,
    /// Why `up` would refuse a namespace.
    refused: BTreeMap<Name, Vec<String>>,
    /// Next hops that do not answer.
    silent: SilentNextHops,
    /// Processes in each network namespace, by its inode number.
    crowds: BTreeMap<u64, usize>,
    /// What stops the packets of all namespaces, in chains of others.
    stopped: Vec<String>,
    /// Rules and IPsec policies of others before ours, of each egress.
    shadows: BTreeMap<String, Vec<String>>,
    /// Of each egress on whose account a proxy of others hears nothing: what is said of that.
    cut_off: BTreeMap<String, String>,
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
        let actions = plan::actions(goal, observed);
        let owners = Owners::new(goal);
        let missing = actions.iter().map(|action| (owners.of(action).cloned(), action.to_string()));
        let missing = missing.collect();
        let stopped = plan::reasons_stopped(&state, observed);
        let told = |egress| {
            preceding_problems(&state, egress, observed).into_iter().map(|(problem, _)| problem).collect()
        };
        let shadows = state.egresses.iter().map(|(key, egress)| (key.clone(), told(egress))).collect();
        let outside = Self::from_outside(config, observed, state);
        Ok(Self { missing, refused, silent, stopped, shadows, ..outside })
    }

    /// Without what only root may see.
    fn from_outside(config: &'a Config, observed: &'a Observed, state: State) -> Self {
        let told =
            |(key, egress): (&String, &Egress)| Some((key.clone(), plan::cut_off(egress, &state, observed)?));
        let cut_off = state.egresses.iter().filter_map(told).collect();
        Self {
            config,
            observed,
            state,
            missing: Vec::new(),
            refused: BTreeMap::new(),
            silent: SilentNextHops::default(),
            crowds: crowds(),
            stopped: Vec::new(),
            shadows: BTreeMap::new(),
            cut_off,
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
        let told = follow(
            &status.name,
            namespace,
            &probe_targets(namespace, None),
            (&self.state, self.observed),
            &[],
        )?;
        if let Some(problem) = report::trace::problem_of(&told) {
            status.state = NamespaceState::Broken;
            status.problems.push(problem);
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
        let mut problems = self.problems(name, namespace, path);
        let unreachable = plan::unreachable(&namespace.dns.servers, namespace.ipv6, path);
        problems.extend(unreachable.map(str::to_owned));
        problems.extend(path.into_iter().flat_map(|path| self.silent.problems_of(path, observed)));
        if namespace.owner.is_none() && !self.config.namespaces.contains_key(name) {
            problems.push(format!("up, but not declared any more; nsnat down {name} removes it"));
        }
        let declared = self.config.namespaces.get(name);
        let uplinks = declared.map_or_else(Vec::new, |declared| uplinks::uplinks(declared, observed));
        let state = if problems.is_empty() { NamespaceState::Up } else { NamespaceState::Broken };
        // The namespace is as it should be, only that is of little use to most.
        if unreachable.is_none() {
            problems.extend(unresolvable(name, namespace, path, observed));
        }
        let used = path.and_then(|path| path.uplink.as_ref());
        problems.extend(uplinks::ailments(&uplinks, used.filter(|_| path.is_some_and(|path| path.up))));
        problems.extend(plan::possible_findings(namespace, &self.state, observed));
        problems.extend(self.cut_off.get(&namespace.egress).cloned());
        Status {
            state,
            uplink: used.cloned(),
            uplinks,
            device: path.map(|path| path.dev.clone()),
            gateway: path.map(|path| path.gateways.clone()).unwrap_or_default(),
            address: addresses(name, observed),
            dns: dns(&namespace.dns),
            rx_bytes,
            tx_bytes,
            processes: inode.and_then(|inode| self.crowds.get(&inode)).copied().unwrap_or_default(),
            problems,
            ..empty(name)
        }
    }

    /// What is wrong: the uplink's device, what others do, and what of the kernel's state is not as declared.
    fn problems(&self, name: &Name, namespace: &ActiveNamespace, path: Option<&UplinkPath>) -> Vec<String> {
        let mut out = Vec::new();
        match path {
            None => out.push("no uplink can be used at the moment: nothing gets out".into()),
            Some(path) if path.dead => out.push("none of its uplinks answers: nothing gets out".into()),
            Some(path) => out.extend(device_problem(path, self.observed.host.link(&path.dev))),
        }
        out.extend(path.into_iter().flat_map(unaddressed_families));
        if self.observed.is_taken(name) {
            out.push(format!(
                "another namespace has its name, and its processes run on: ip netns del {name}, then nsnat up gives it back"
            ));
        }
        out.extend(self.shadows.get(&namespace.egress).into_iter().flatten().cloned());
        out.extend(self.stopped.iter().cloned());
        out.extend(plan::certain_findings(namespace, &self.state, self.observed));
        let refused = self.refused.get(name).into_iter().flatten();
        out.extend(refused.map(|why| format!("not what is declared, and nsnat up refuses: {why}")));
        out.extend(self.missing(name));
        out
    }

    fn missing(&self, name: &Name) -> Option<String> {
        let mine = |(owner, _): &&(Option<Name>, String)| owner.as_ref().is_none_or(|owner| owner == name);
        let mut missing = self.missing.iter().filter(mine);
        let (_, first) = missing.next()?;
        let more = match missing.count() {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        Some(format!("missing: {first}{more}; nsnat up repairs it"))
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

/// Rules and IPsec policies of others that come before ours, as problems; and whether the next plan goes before them.
fn preceding_problems(state: &State, egress: &Egress, observed: &Observed) -> Vec<(String, bool)> {
    let rules = plan::preceding_rules(state, egress, observed);
    let policies = plan::catching_policies(state, egress, observed);
    let rules = rules.iter().map(|rule| (rule.problem(), rule.is_passed_by_plan()));
    rules.chain(policies.iter().map(|policy| (policy.problem(), policy.is_passed_by_plan()))).collect()
}

/// What of others comes first, and goes on to when a plan is done: for each namespace that is up then.
pub(super) fn not_preceded(state: &State, observed: &Observed) -> Vec<String> {
    let of_egress = |egress| preceding_problems(state, egress, observed);
    let by_egress: BTreeMap<&String, _> =
        state.egresses.iter().map(|(key, egress)| (key, of_egress(egress))).collect();
    let mut out = Vec::new();
    for (name, namespace) in &state.namespaces {
        let lasting = by_egress.get(&namespace.egress).into_iter().flatten().filter(|(_, passed)| !passed);
        out.extend(lasting.map(|(problem, _)| format!("{name}: {problem}")));
    }
    out
}

fn down(name: &Name, observed: &Observed) -> Status {
    let foreign = matches!(observed.namespaces.get(name), Some(netns @ Netns::Alive { .. }) if !observed.is_ours(name, netns));
    let orphan = observed.orphans().any(|orphan| orphan == name);
    let (state, problem) = match (foreign, orphan) {
        (true, _) => {
            let told =
                format!("a namespace of that name exists and is not nsnat's (ip netns exec {name} ip addr)");
            (NamespaceState::Foreign, Some(told))
        }
        (_, true) => {
            let told = format!(
                "up, but nsnat's state file was lost; nsnat up {name} takes it in again, nsnat down removes it"
            );
            (NamespaceState::Broken, Some(told))
        }
        _ => {
            let told = format!("taken down, and nsnat watch leaves it so; nsnat up {name} brings it up");
            (NamespaceState::Down, observed.state.down.contains(name).then_some(told))
        }
    };
    Status { state, problems: problem.into_iter().collect(), ..empty(name) }
}

fn empty(name: &Name) -> Status {
    Status {
        name: name.clone(),
        state: NamespaceState::Down,
        uplink: None,
        uplinks: Vec::new(),
        device: None,
        gateway: Vec::new(),
        address: Vec::new(),
        dns: Vec::new(),
        rx_bytes: 0,
        tx_bytes: 0,
        processes: 0,
        problems: Vec::new(),
    }
}

fn addresses(name: &Name, observed: &Observed) -> Vec<ipnetwork::IpNetwork> {
    let Some(Netns::Alive { stack, .. }) = observed.namespaces.get(name) else { return Vec::new() };
    let plain = |net: &ipnetwork::IpNetwork| !is_link_local(net.ip());
    stack.addresses.iter().filter(|a| a.dev == "eth0").map(|a| a.net).filter(plain).collect()
}

fn dns(dns: &DnsMode) -> Vec<String> {
    let show = crate::model::dnsaddr::show;
    let servers = dns.servers.iter().map(|server| show(*server));
    servers.chain(dns.rewrites.iter().map(|r| format!("{}={}", show(r.old), show(r.new)))).collect()
}

/// Why names do not resolve inside. A resolv.conf that somebody wrote for it is left to them.
pub(super) fn unresolvable(
    name: &Name,
    namespace: &ActiveNamespace,
    path: Option<&UplinkPath>,
    observed: &Observed,
) -> Option<String> {
    let by_hand = || std::path::Path::new("/etc/netns").join(name.as_str()).join("resolv.conf").exists();
    let why = plan::unresolvable(&namespace.dns, namespace.ipv6, path, observed);
    why.filter(|_| !by_hand()).map(str::to_owned)
}

fn device_problem(path: &UplinkPath, link: Option<&Link>) -> Option<String> {
    let dev = &path.dev;
    match link {
        None => Some(format!("the device {dev} is gone: nothing gets out")),
        Some(link) if !link.up => {
            Some(format!("{dev} is down: nothing gets out; ip link set {dev} up, then: nsnat up"))
        }
        Some(link) if !link.carrier => Some(format!("{dev} has no carrier: nothing gets out")),
        Some(_) => None,
    }
}

/// Families whose next hop is out of reach, because the device has no address of theirs.
fn unaddressed_families(path: &UplinkPath) -> impl Iterator<Item = String> {
    let dev = &path.dev;
    path.waiting.iter().filter(|_| path.up).map(move |family| {
        format!("{dev} has no {family} address: nothing gets out by {family}; once it has one: nsnat up")
    })
}
