//! Configuration → journal: every namespace with its device, gateways, numbers and subnet found.

use super::{alloc, way};
use crate::config::{self, Config, Ipv6, Namespace, Problem};
use crate::model::{DnsMode, Egress, Family, Journal, Member, Name, Netns, Observed, Rewrite, numbers};
use ipnetwork::IpNetwork;

/// Which namespaces of the configuration are to be up.
#[derive(Clone, Copy, Debug)]
pub enum Selection<'a> {
    /// All of them.
    All,
    /// These; whatever else is up stays as it is.
    These(&'a [Name]),
}

/// The journal in which the selected namespaces are up as `config` declares them, and everything else as it is.
pub fn resolve(
    config: &Config,
    selection: Selection<'_>,
    observed: &Observed,
) -> Result<Journal, Vec<Problem>> {
    let mut journal = observed.journal.clone();
    let mut problems = Vec::new();
    let mask = config.settings.fwmark_mask.value;
    if journal.members.is_empty() {
        journal.mask = mask;
    } else if journal.mask != mask {
        let place = config.settings.fwmark_mask.place.clone();
        problems.push(Problem {
            help: Some("nsnat down, then nsnat up".into()),
            ..problem(place, "the mark's mask cannot change while namespaces are up".into())
        });
    }
    let taken = alloc::Taken::new(observed);
    for (name, namespace) in selected(config, selection) {
        if let Err(mut more) = member(&mut journal, config, name, namespace, observed, &taken) {
            problems.append(&mut more);
        }
    }
    prune(&mut journal);
    note_sysctls(&mut journal, observed);
    if problems.is_empty() { Ok(journal) } else { Err(problems) }
}

/// The journal without these namespaces.
pub fn without(observed: &Observed, gone: impl Fn(&Name) -> bool) -> Journal {
    let mut journal = observed.journal.clone();
    journal.members.retain(|name, _| !gone(name));
    prune(&mut journal);
    note_sysctls(&mut journal, observed);
    journal
}

fn selected<'a>(
    config: &'a Config,
    selection: Selection<'a>,
) -> impl Iterator<Item = (&'a Name, &'a Namespace)> {
    config.namespaces.iter().filter(move |(name, _)| match selection {
        Selection::All => true,
        Selection::These(names) => names.contains(name),
    })
}

/// Resolves one namespace into the journal.
fn member(
    journal: &mut Journal,
    config: &Config,
    name: &Name,
    namespace: &Namespace,
    observed: &Observed,
    taken: &alloc::Taken,
) -> Result<(), Vec<Problem>> {
    let one = |problem| vec![problem];
    refuse_foreign(name, namespace, observed).map_err(one)?;
    let way = way::resolve(&namespace.uplinks, observed)?;
    let served = way.as_ref().is_some_and(|way| way.serves(Family::V6));
    if namespace.ipv6 == Ipv6::Nat && !served {
        let message = format!("namespace {name}: ipv6 = \"nat\", but its uplink has no IPv6");
        return Err(one(Problem {
            help: Some("give the uplink an IPv6 gateway, or say ipv6 = \"auto\"".into()),
            ..problem(namespace.place.clone(), message)
        }));
    }
    let key = egress_key(namespace);
    egress(journal, config, name, &key, namespace, taken).map_err(one)?;
    if let Some(egress) = journal.egresses.get_mut(&key) {
        egress.way = way;
    }
    let subnet = subnet(journal, config, name, &key, namespace, taken).map_err(one)?;
    let old = journal.members.get(name);
    let member = Member {
        egress: key,
        link: old.map_or_else(|| link_name(name, observed), |old| old.link.clone()),
        subnet,
        own_subnet: namespace.subnet.is_some(),
        mtu: namespace.mtu,
        ipv6: namespace.ipv6 != Ipv6::Off && served,
        dns: dns(&namespace.dns),
        inode: old.and_then(|old| old.inode),
        owner: old.and_then(|old| old.owner),
    };
    journal.members.insert(name.clone(), member);
    Ok(())
}

/// A namespace of that name which is somebody else's is never touched.
fn refuse_foreign(name: &Name, namespace: &Namespace, observed: &Observed) -> Result<(), Problem> {
    match observed.namespaces.get(name) {
        Some(netns @ Netns::Alive { .. }) if !observed.is_ours(name, netns) => Err(Problem {
            help: Some(format!("choose another name, or remove it yourself: ip netns del {name}")),
            ..problem(
                namespace.place.clone(),
                format!("a network namespace named {name} exists and is not nsnat's; it is left alone"),
            )
        }),
        _ => Ok(()),
    }
}

/// What namespaces that share an egress have in common, as declared: what a device is or which gateway it has at
/// the moment may change without the egress becoming another.
fn egress_key(namespace: &Namespace) -> String {
    let one = |uplink: &config::Uplink| match &uplink.name {
        Some(name) => format!("[{name}]"),
        None => {
            let dev = uplink.dev.as_ref().map(|dev| dev.value.clone());
            let gateways = uplink.gateways.iter().map(|gateway| gateway.value.to_string());
            dev.into_iter().chain(gateways).collect::<Vec<_>>().join(" ")
        }
    };
    let ways: Vec<_> = namespace.uplinks.iter().map(one).collect();
    format!("{}{}", ways.join(", "), if namespace.lan { "" } else { " without lan" })
}

/// Finds or makes the egress. A namespace that was the only one of another egress takes that along, numbers and
/// all: a change of gateway then changes a route and nothing else.
fn egress(
    journal: &mut Journal,
    config: &Config,
    name: &Name,
    key: &str,
    namespace: &Namespace,
    taken: &alloc::Taken,
) -> Result<(), Problem> {
    if let Some(egress) = journal.egresses.get_mut(key) {
        egress.lan = namespace.lan;
        return Ok(());
    }
    if let Some(mut egress) = sole_egress(journal, name) {
        egress.lan = namespace.lan;
        journal.egresses.insert(key.into(), egress);
        return Ok(());
    }
    let (number, slice6) = alloc::number(journal, &config.settings, taken).ok_or_else(|| Problem {
        help: Some("let namespaces share uplinks, or widen settings.fwmark-mask".into()),
        ..problem(namespace.place.clone(), format!("namespace {name}: no mark and routing table are left"))
    })?;
    let egress = Egress { number, lan: namespace.lan, way: None, slices: Vec::new(), slice6 };
    journal.egresses.insert(key.into(), egress);
    Ok(())
}

fn sole_egress(journal: &mut Journal, name: &Name) -> Option<Egress> {
    let old = journal.members.get(name)?.egress.clone();
    let shared = journal.members.iter().any(|(other, member)| other != name && member.egress == old);
    if shared { None } else { journal.egresses.remove(&old) }
}

fn subnet(
    journal: &mut Journal,
    config: &Config,
    name: &Name,
    key: &str,
    namespace: &Namespace,
    taken: &alloc::Taken,
) -> Result<ipnetwork::Ipv4Network, Problem> {
    if let Some(own) = &namespace.subnet {
        let others = journal.members.iter().filter(|(other, _)| *other != name).map(|(_, m)| m.subnet.into());
        let mut clash = taken.overlaps(IpNetwork::V4(own.value)).into_iter().chain(others);
        return match clash.find(|net| alloc::overlap(*net, IpNetwork::V4(own.value))) {
            None => Ok(own.value),
            Some(other) => Err(Problem {
                label: format!("overlaps {other}"),
                help: Some("choose another subnet, or leave it out: one is taken from settings.pool".into()),
                ..problem(own.place.clone(), format!("the subnet {} is in use", own.value))
            }),
        };
    }
    let slices = journal.egresses.get(key).map(|egress| egress.slices.clone()).unwrap_or_default();
    if let Some(old) = journal.members.get(name).filter(|old| !old.own_subnet) {
        if slices.iter().any(|slice| slice.overlaps(old.subnet)) {
            return Ok(old.subnet);
        }
    }
    alloc::subnet(journal, key, &config.settings, taken).ok_or_else(|| Problem {
        help: Some(pool_help(config, taken)),
        ..problem(
            config.settings.pool.place.clone(),
            format!("namespace {name}: the pool {} has no free block left", config.settings.pool.value),
        )
    })
}

fn pool_help(config: &Config, taken: &alloc::Taken) -> String {
    match taken.overlaps(IpNetwork::V4(config.settings.pool.value)) {
        Some(net) => format!("{net} of this host overlaps it; choose another settings.pool"),
        None => "widen settings.pool".into(),
    }
}

/// Device name of the host end: the prefix and the name, or what of it fits and a digest.
fn link_name(name: &Name, observed: &Observed) -> String {
    const ROOM: usize = 15 - numbers::LINK_PREFIX.len();
    let plain = format!("{}{name}", numbers::LINK_PREFIX);
    let taken = |link: &str| observed.host.link(link).is_some_and(|link| !super::diff::is_our_link(link));
    if name.as_str().len() <= ROOM && !taken(&plain) {
        return plain;
    }
    let start: String = name.as_str().chars().take(ROOM - 6).collect();
    let digest: String = crate::skeleton::hash(name.as_str()).chars().take(6).collect();
    format!("{}{start}{digest}", numbers::LINK_PREFIX)
}

fn dns(dns: &config::Dns) -> DnsMode {
    match dns {
        config::Dns::Auto | config::Dns::Host => DnsMode::default(),
        config::Dns::Rewrite { servers, rewrites } => DnsMode {
            servers: servers.iter().map(|server| server.value).collect(),
            rewrites: rewrites.iter().map(|(old, new)| Rewrite { old: old.value, new: new.value }).collect(),
        },
    }
}

/// Egresses without members go.
fn prune(journal: &mut Journal) {
    let used: Vec<_> = journal.members.values().map(|member| member.egress.clone()).collect();
    journal.egresses.retain(|key, _| used.contains(key));
}

/// Notes what the sysctls of devices that are not ours were before we set them; forgets those of which the old
/// value is back.
fn note_sysctls(journal: &mut Journal, observed: &Observed) {
    let desired = super::desired::desired(journal, observed.features).host;
    let links: Vec<_> = desired.links.iter().map(|link| format!("/conf/{}/", link.name)).collect();
    let mut noted = std::mem::take(&mut journal.sysctls);
    for key in desired.sysctls.keys().filter(|key| !links.iter().any(|link| key.contains(link))) {
        let before = noted.remove(key).or_else(|| observed.host.sysctls.get(key).cloned());
        if let Some(before) = before {
            journal.sysctls.insert(key.clone(), before);
        }
    }
}

fn problem(place: Option<config::Place>, message: String) -> Problem {
    Problem { message, place, label: String::new(), other: None, help: None }
}
