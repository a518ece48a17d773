//! Chains of others that stop packets of namespaces, and the rules of ours that let them through, as they are.
//!
//! Which program a rule takes depends on the program that made the chain, not on which is installed: a native rule in
//! a table of iptables makes iptables refuse that table, and with it breaks Docker and ufw.

use super::accepts::Accepts;
use super::devices::name_among;
use super::foreign::{self, Foreign};
use super::foreign_chains::{Base, Rule, Verdict};
use super::{legacy, nft, taps};
use crate::error::Result;
use crate::model::gate::{
    Chain, Closed, DOCKER_USER, Direction, FoundPass, Gate, Hook, Kind, RuleWriter, Split,
};
use crate::model::stack::{DeviceNames, Family};
use crate::model::{Gates, Pass, State};
use crate::plan::pass_program;
use std::collections::BTreeSet;

/// The table that firewalld makes for as long as it is to let nothing through, in panic mode and while it reloads.
const PANIC: &str = "firewalld_policy_drop";

/// The table of Mullvad's kill switch. It is loaded anew with each change of the tunnel, and our rules in it are gone
/// then; a connection mark that it accepts is not.
const SPLIT: &str = "mullvad";

/// The gates of this host, and our rules in them. `names`: its devices, by number, or the few of them that
/// are asked about (`are_few`).
pub(super) fn observe(foreign: &Foreign, state: &State, names: &DeviceNames, are_few: bool) -> Result<Gates> {
    let mut out = Gates::default();
    let mut looked = BTreeSet::new();
    let chains = foreign.chains()?;
    out.taps = taps::observe(foreign, chains.edges, state, names, are_few)?;
    for base in chains.bases {
        let Some(kind) = kind(base.family) else { continue };
        look(foreign, kind, &base, names, &mut out, &mut looked)?;
    }
    // Where there was a gate once, there may be a rule of ours still.
    let noted = state.passes.iter().map(|pass| &pass.chain);
    let noted = noted.filter(|chain| chain.keeper != RuleWriter::IptablesLegacy);
    for chain in noted.cloned().collect::<BTreeSet<_>>().difference(&looked) {
        let rules = foreign.rules(family(chain.kind), &chain.table, &chain.name)?;
        out.passes.extend(found(chain, &rules));
    }
    for kind in [Kind::Ip, Kind::Ip6] {
        observe_legacy(kind, &mut out);
    }
    Ok(out)
}

/// Observes one base chain, and Docker's chain in the same table.
fn look(
    foreign: &Foreign,
    kind: Kind,
    base: &Base,
    names: &DeviceNames,
    out: &mut Gates,
    looked: &mut BTreeSet<Chain>,
) -> Result<()> {
    let rules = foreign.rules(base.family, &base.table, &base.name)?;
    let iptables = foreign::is_of_iptables(base, &rules, || nft::find("iptables-nft").is_some());
    let keeper = if iptables { RuleWriter::IptablesNft } else { RuleWriter::Nft };
    let chain = Chain { keeper, kind, table: base.table.clone(), name: base.name.clone() };
    out.passes.extend(found(&chain, &rules));
    let mut place = base.name.clone();
    if base.hook == Hook::Forward && iptables && foreign::asks_docker_user(&rules) {
        place = DOCKER_USER.into();
        let docker = Chain { name: place.clone(), ..chain.clone() };
        out.passes.extend(found(&docker, &foreign.rules(base.family, &base.table, &place)?));
        looked.insert(docker);
    }
    looked.insert(chain.clone());
    let Some(stop) = foreign.find_stop(base, &rules)? else { return Ok(()) };
    let closed = why_closed(foreign, base, &chain, &place, &rules)?;
    let split = (base.hook == Hook::Forward && kind == Kind::Inet && base.table == SPLIT)
        .then(|| split(&rules, names));
    let no_neighbours = stops_neighbours(foreign, kind, base, &rules)?;
    out.all.insert(Gate {
        chain,
        stop,
        place,
        closed,
        hook: base.hook,
        no_neighbours,
        split: split.flatten(),
    });
    Ok(())
}

/// The mark of what a kill switch lets through, and the devices by which it does not.
fn split(rules: &[Rule], names: &DeviceNames) -> Option<Split> {
    let accepted = || rules.iter().filter_map(|rule| rule.accepts.as_ref());
    let mark = accepted()
        .find_map(|accepts| if let Accepts::CtMark(mark) = accepts { Some(*mark) } else { None })?;
    let tunnel = |accepts: &Accepts| {
        if let Accepts::LeavingBy(index) = accepts { name_among(names, *index) } else { None }
    };
    Some(Split { mark, tunnels: accepted().filter_map(tunnel).collect() })
}

/// Whether neighbour discovery by a namespace is stopped, too.
fn stops_neighbours(foreign: &Foreign, kind: Kind, base: &Base, rules: &[Rule]) -> Result<bool> {
    let is_asked = [Hook::Prerouting, Hook::Input].contains(&base.hook) && kind.sees(Family::V6);
    Ok(is_asked && !foreign.accepts_neighbours(base, rules)?)
}

/// Whether answers to the host are accepted, as far as the rules say.
fn has_answers(rules: &[Rule]) -> bool {
    rules.iter().any(|rule| leads_elsewhere(rule) || rule.accepts == Some(Accepts::Answers))
}

fn leads_elsewhere(rule: &Rule) -> bool {
    matches!(rule.verdict, Verdict::Jump(_) | Verdict::Goto(_) | Verdict::Map)
}

fn why_closed(
    foreign: &Foreign,
    base: &Base,
    chain: &Chain,
    place: &str,
    rules: &[Rule],
) -> Result<Option<Closed>> {
    let around = [Hook::Prerouting, Hook::Postrouting].contains(&base.hook);
    // What stops everything before routing or after it is meant to.
    if around && rules.is_empty() || base.table == PANIC {
        return Ok(Some(Closed::Everything));
    }
    if around && chain.keeper != RuleWriter::Nft {
        return Ok(Some(Closed::Early));
    }
    if base.hook == Hook::Prerouting && !has_answers(rules) {
        return Ok(Some(Closed::Answers));
    }
    if foreign.is_owned(base.family, &base.table)? {
        return Ok(Some(Closed::Owned));
    }
    if chain.keeper == RuleWriter::Nft {
        let plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
        if !plain(&base.table) || !plain(place) {
            return Ok(Some(Closed::Unnamable));
        }
    }
    let program = pass_program(chain);
    let Some(path) = nft::find(program) else { return Ok(Some(Closed::Without(program.into()))) };
    // What added our rules once need not be asked.
    let is_asked = chain.keeper == RuleWriter::Nft && rules.iter().all(|rule| rule.pass.is_none());
    let without_json = |version| Closed::WithoutJson { program: path.display().to_string(), version };
    Ok(is_asked.then(|| nft::version_without_json(&path)).flatten().map(without_json))
}

fn found(chain: &Chain, rules: &[Rule]) -> Vec<FoundPass> {
    let one = |rule: &Rule| {
        let pass = Pass { chain: chain.clone(), direction: rule.pass? };
        Some(FoundPass { pass, handle: rule.handle })
    };
    rules.iter().filter_map(one).collect()
}

fn kind(family: u8) -> Option<Kind> {
    match i32::from(family) {
        libc::NFPROTO_INET => Some(Kind::Inet),
        libc::NFPROTO_IPV4 => Some(Kind::Ip),
        libc::NFPROTO_IPV6 => Some(Kind::Ip6),
        _ => None,
    }
}

pub(super) fn family(kind: Kind) -> u8 {
    let family = match kind {
        Kind::Inet => libc::NFPROTO_INET,
        Kind::Ip => libc::NFPROTO_IPV4,
        Kind::Ip6 => libc::NFPROTO_IPV6,
    };
    u8::try_from(family).unwrap_or_default()
}

/// Tables of iptables that are not nf_tables': the kernel says whether there are any, iptables what is in them.
fn observe_legacy(kind: Kind, out: &mut Gates) {
    let names = if kind == Kind::Ip { "ip_tables_names" } else { "ip6_tables_names" };
    // /proc/net is of the process's main thread, wherever that is.
    let names = std::fs::read_to_string(format!("/proc/thread-self/net/{names}")).unwrap_or_default();
    if !names.lines().any(|name| name == "filter") {
        return;
    }
    let Some(table) = list(&legacy_chain(kind, "FORWARD")) else { return };
    for (hook, name) in [(Hook::Input, "INPUT"), (Hook::Forward, "FORWARD"), (Hook::Output, "OUTPUT")] {
        let chain = legacy_chain(kind, name);
        out.passes.extend(legacy_passes(&chain, &table));
        let mut place = chain.name.clone();
        if hook == Hook::Forward && legacy::jumps_to(&table, name, DOCKER_USER) {
            place = DOCKER_USER.into();
            out.passes.extend(legacy_passes(&legacy_chain(kind, DOCKER_USER), &table));
        }
        let Some(stop) = legacy::find_stop(&table, name) else { continue };
        let no_neighbours =
            kind == Kind::Ip6 && hook == Hook::Input && !legacy::accepts_neighbours(&table, name);
        out.all.insert(Gate { chain, stop, place, closed: None, hook, no_neighbours, split: None });
    }
}

fn legacy_chain(kind: Kind, name: &str) -> Chain {
    Chain { keeper: RuleWriter::IptablesLegacy, kind, table: "filter".into(), name: name.into() }
}

/// The rules of a chain's table, as `iptables -S` writes them; none where that cannot be had.
pub(super) fn list(chain: &Chain) -> Option<String> {
    let program = pass_program(chain);
    nft::run_program(program, &nft::find(program)?, &["-w", "-S"], "").ok()
}

pub(super) fn legacy_passes(chain: &Chain, rules: &str) -> Vec<FoundPass> {
    let there = |direction: &Direction| legacy::has_pass(rules, &chain.name, *direction);
    let found = |direction| FoundPass { pass: Pass { chain: chain.clone(), direction }, handle: 0 };
    Direction::ALL.into_iter().filter(there).map(found).collect()
}
