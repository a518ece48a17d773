//! `nsnat status`.

use super::{Context, apply::Session, config};
use crate::config::Config;
use crate::error::Result;
use crate::kernel::{members, netns};
use crate::model::{DnsMode, Journal, Link, Member, Name, Netns, Observed, Way};
use crate::plan;
use crate::report::{self, State, Status};
use std::collections::BTreeSet;

pub(super) fn run(context: &Context<'_>, name: Option<&Name>) -> Result<()> {
    let config = config::open(context)?;
    let observed =
        Session::begin(context, "status")?.observe(&config.namespaces.keys().collect::<Vec<_>>())?;
    let up = observed.journal.members.keys().chain(observed.orphans());
    let known: BTreeSet<&Name> = config.namespaces.keys().chain(up).collect();
    if let Some(name) = name.filter(|name| !known.contains(name)) {
        return Err(super::unknown(name, known.into_iter()));
    }
    let wanted = known.into_iter().filter(|known| name.is_none_or(|name| name == *known));
    let all: Vec<Status> = wanted.map(|name| status(name, &config, &observed)).collect();
    if context.json() {
        return super::print_json(&report::json(&all));
    }
    if all.is_empty() {
        context.note("no namespace is declared; nsnat add NAME --gateway ADDR declares one");
        return Ok(());
    }
    super::print(report::text(&all, context.colour).trim_end())
}

fn status(name: &Name, config: &Config, observed: &Observed) -> Status {
    match observed.journal.members.get(name) {
        Some(member) => up(name, member, config, observed),
        None => down(name, observed),
    }
}

fn down(name: &Name, observed: &Observed) -> Status {
    let foreign = matches!(observed.namespaces.get(name), Some(netns @ Netns::Alive { .. }) if !observed.is_ours(name, netns));
    let orphan = observed.orphans().any(|orphan| orphan == name);
    let (state, problem) = match (foreign, orphan) {
        (true, _) => {
            let told =
                format!("a namespace of that name exists and is not nsnat's (ip netns exec {name} ip addr)");
            (State::Foreign, Some(told))
        }
        (_, true) => {
            let told = format!(
                "up, but nsnat's journal was lost; nsnat up {name} takes it in again, nsnat down removes it"
            );
            (State::Broken, Some(told))
        }
        _ => (State::Down, None),
    };
    Status { state, problems: problem.into_iter().collect(), ..empty(name) }
}

fn empty(name: &Name) -> Status {
    Status {
        name: name.clone(),
        state: State::Down,
        uplink: None,
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

fn up(name: &Name, member: &Member, config: &Config, observed: &Observed) -> Status {
    // As it is now: a device that went down or lost an address since is weather, and no repair helps.
    let journal = &plan::refreshed(observed);
    let way = journal.members.get(name).and_then(|member| journal.way(member));
    // What the host end receives is what the namespace sends.
    let (tx_bytes, rx_bytes) =
        observed.host.link(&member.link).and_then(|link| link.bytes).unwrap_or_default();
    let identity = netns::identity(name).ok().flatten();
    let mut problems = problems(name, way, journal, observed);
    let unreachable = plan::unreachable(&member.dns.servers, member.ipv6, way);
    problems.extend(unreachable.map(str::to_owned));
    if member.owner.is_none() && !config.namespaces.contains_key(name) {
        problems.push(format!("up, but not declared any more; nsnat down {name} removes it"));
    }
    let state = if problems.is_empty() { State::Up } else { State::Broken };
    // It is as it should be, only that is of little use to most.
    if unreachable.is_none() {
        problems.extend(unresolvable(name, member, way, observed));
    }
    Status {
        state,
        uplink: way.and_then(|way| way.uplink.clone()),
        device: way.map(|way| way.dev.clone()),
        gateway: way.map(|way| way.gateways.clone()).unwrap_or_default(),
        address: addresses(name, observed),
        dns: dns(&member.dns),
        rx_bytes,
        tx_bytes,
        processes: identity.map_or(0, |identity| members(identity).len()),
        problems,
        ..empty(name)
    }
}

fn addresses(name: &Name, observed: &Observed) -> Vec<ipnetwork::IpNetwork> {
    let Some(Netns::Alive { stack, .. }) = observed.namespaces.get(name) else { return Vec::new() };
    let plain = |net: &ipnetwork::IpNetwork| match net.ip() {
        std::net::IpAddr::V4(_) => true,
        std::net::IpAddr::V6(ip) => !ip.is_unicast_link_local(),
    };
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
    member: &Member,
    way: Option<&Way>,
    observed: &Observed,
) -> Option<String> {
    let by_hand = std::path::Path::new("/etc/netns").join(name.as_str()).join("resolv.conf").exists();
    let why = plan::unresolvable(&member.dns, member.ipv6, way, observed);
    why.filter(|_| !by_hand).map(str::to_owned)
}

/// What is wrong: the uplink's device, and what of the kernel's state is not as the journal says.
fn problems(name: &Name, way: Option<&Way>, journal: &Journal, observed: &Observed) -> Vec<String> {
    let mut out = Vec::new();
    match way {
        None => out.push("no uplink can be used at the moment: nothing gets out".into()),
        Some(way) => out.extend(device_problem(way, observed.host.link(&way.dev))),
    }
    out.extend(way.into_iter().flat_map(unaddressed));
    if observed.is_taken(name) {
        out.push(format!(
            "another namespace has its name, and its processes run on: ip netns del {name}, then nsnat up gives it back"
        ));
    }
    let missing = missing(name, journal, observed);
    if let Some(first) = missing.first() {
        let more =
            if missing.len() > 1 { format!(" (and {} more)", missing.len() - 1) } else { String::new() };
        out.push(format!("missing: {first}{more}; nsnat up repairs it"));
    }
    out
}

fn device_problem(way: &Way, link: Option<&Link>) -> Option<String> {
    let dev = &way.dev;
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
fn unaddressed(way: &Way) -> impl Iterator<Item = String> {
    let dev = &way.dev;
    way.waiting.iter().filter(|_| way.up).map(move |family| {
        format!("{dev} has no {family} address: nothing gets out by {family}; once it has one: nsnat up")
    })
}

/// What has to be done for a namespace, or for what it shares with others.
fn missing(name: &Name, journal: &Journal, observed: &Observed) -> Vec<String> {
    let actions = plan::actions(journal, observed);
    let mine = |action: &&plan::Action| match super::apply::owner(action, journal) {
        Some(owner) => owner == *name,
        None => true,
    };
    actions.iter().filter(mine).map(ToString::to_string).collect()
}
