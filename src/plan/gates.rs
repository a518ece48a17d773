//! Getting through chains of others: which rules that takes, how they are written, and what is said where it fails.

use super::action::Action;
use super::desired;
use crate::model::gate::{COMMENT, Chain, Closed, Direction, Found, Gate, Keeper, Kind, Stop};
use crate::model::{Family, Journal, Observed, Pass, numbers};
use std::collections::BTreeSet;

/// Notes in the journal which passes it takes.
pub(super) fn note(journal: &mut Journal, observed: &Observed) {
    journal.passes = concerned(journal, observed).flat_map(Gate::passes).collect();
}

/// The gates that packets of what is up come by.
fn concerned<'a>(journal: &Journal, observed: &'a Observed) -> impl Iterator<Item = &'a Gate> {
    let addresses = desired::inside_addresses(journal, observed.features);
    let families: BTreeSet<Family> =
        addresses.values().flatten().map(|address| Family::of(*address)).collect();
    observed.gates.all.iter().filter(move |gate| families.iter().any(|family| gate.chain.kind.sees(*family)))
}

/// What is missing is added; what is there and not wanted, or there twice, goes.
pub(super) fn diff(out: &mut Vec<Action>, journal: &Journal, observed: &Observed) {
    let mut kept = BTreeSet::new();
    for Found { pass, handle } in &observed.gates.passes {
        if !journal.passes.contains(pass) || !kept.insert(pass) {
            out.push(Action::RemovePass { pass: pass.clone(), handle: *handle });
        }
    }
    let missing = journal.passes.iter().filter(|pass| !kept.contains(pass));
    out.extend(missing.map(|pass| Action::AddPass { pass: pass.clone() }));
}

/// What on this host stops packets of what is up, each with what helps.
pub fn stopped(journal: &Journal, observed: &Observed) -> Vec<String> {
    let there: BTreeSet<&Pass> = observed.gates.passes.iter().map(|found| &found.pass).collect();
    let open = |gate: &&Gate| gate.closed.is_none() && gate.passes().all(|pass| there.contains(&pass));
    concerned(journal, observed).filter(|gate| !open(gate)).map(told).collect()
}

/// The same without what `up` can help by itself.
pub fn closed(journal: &Journal, observed: &Observed) -> Vec<String> {
    concerned(journal, observed).filter(|gate| gate.closed.is_some()).map(told).collect()
}

fn told(gate: &Gate) -> String {
    let chain = &gate.chain;
    let stop = match &gate.stop {
        Stop::Policy => "policy drop".to_owned(),
        Stop::Rule { chain: inner, handle } if *inner == chain.name => format!("rule {handle}"),
        Stop::Rule { chain: inner, handle } => format!("rule {handle} of chain {inner}"),
    };
    let cure = match &gate.closed {
        None => "nsnat up lets them through".to_owned(),
        Some(closed) => cure(chain, closed),
    };
    format!("packets are stopped by {chain} ({stop}): {cure}")
}

fn cure(chain: &Chain, closed: &Closed) -> String {
    let firewalld = chain.table.starts_with("firewalld");
    match closed {
        Closed::Everything if firewalld => {
            "firewalld lets nothing through; firewall-cmd --panic-off ends its panic mode".into()
        }
        Closed::Everything => {
            format!("it stops everything; nft delete chain {} {} {}", chain.kind, chain.table, chain.name)
        }
        Closed::Owned if firewalld => {
            "only firewalld may change it; NftablesTableOwner=no in /etc/firewalld/firewalld.conf, then: firewall-cmd --reload; nsnat up".into()
        }
        Closed::Owned => "only the program that made it may change it; let it accept what is from and to nsn-*".into(),
        Closed::Without(program) => {
            format!("{program} is not on this host; install the package iptables, then: nsnat up")
        }
        Closed::Unnamable => "nft cannot read its name; let it accept what is from and to nsn-*".into(),
    }
}

/// The program that keeps a chain.
pub fn pass_program(chain: &Chain) -> &'static str {
    match (chain.keeper, chain.kind) {
        (Keeper::Nft, _) => "nft",
        (Keeper::IptablesNft, Kind::Ip6) => "ip6tables-nft",
        (Keeper::IptablesNft, _) => "iptables-nft",
        (Keeper::IptablesLegacy, Kind::Ip6) => "ip6tables-legacy",
        (Keeper::IptablesLegacy, _) => "iptables-legacy",
    }
}

/// What iptables is told; `verb`: `-I` or `-D`.
pub fn pass_arguments(pass: &Pass, verb: &str) -> Vec<String> {
    let group = numbers::LINK_GROUP.to_string();
    let flag = if pass.direction == Direction::Out { "--src-group" } else { "--dst-group" };
    let table = (pass.chain.table != "filter").then_some(["-t", &pass.chain.table]);
    let rule = [verb, &pass.chain.name, "-m", "devgroup", flag, &group];
    let rest = ["-m", "comment", "--comment", COMMENT, "-j", "ACCEPT"];
    let words = ["-w"].into_iter().chain(table.into_iter().flatten()).chain(rule).chain(rest);
    words.map(str::to_owned).collect()
}

/// What nft is told.
pub fn pass_text(pass: &Pass) -> String {
    let Chain { kind, table, name, .. } = &pass.chain;
    let key = if pass.direction == Direction::Out { "iifgroup" } else { "oifgroup" };
    format!("insert rule {kind} {table} {name} {key} {} accept comment \"{COMMENT}\"", numbers::LINK_GROUP)
}

/// The shell line that adds a pass.
pub(super) fn add_line(pass: &Pass) -> String {
    match pass.chain.keeper {
        Keeper::Nft => format!("nft '{}'", pass_text(pass)),
        Keeper::IptablesNft | Keeper::IptablesLegacy => iptables(pass, "-I"),
    }
}

/// The shell line that takes one out.
pub(super) fn remove_line(pass: &Pass, handle: u64) -> String {
    let Chain { keeper, kind, table, name } = &pass.chain;
    match keeper {
        Keeper::Nft => format!("nft delete rule {kind} {table} {name} handle {handle}"),
        Keeper::IptablesNft | Keeper::IptablesLegacy => iptables(pass, "-D"),
    }
}

fn iptables(pass: &Pass, verb: &str) -> String {
    format!("{} {}", pass_program(&pass.chain), pass_arguments(pass, verb).join(" "))
}
