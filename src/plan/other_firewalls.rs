//! Getting through chains of others: which rules that takes, how they are written, and what is said where it fails.

use super::action::Action;
use super::addresses::inside_addresses;
use super::host_services;
use crate::model::gate::{Chain, Closed, Direction, FoundPass, Gate, Hook, Kind, RuleWriter, Split, Stop};
use crate::model::{ActiveNamespace, Code, Cure, Family, Finding, Observed, Pass, State, dnsaddr, numbers};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Notes in the state which passes it takes, and what a kill switch lets through.
pub(super) fn record_passes(state: &mut State, observed: &Observed) {
    let split = observed.gates.all.iter().find_map(|gate| gate.split.clone());
    state.split = split.filter(|_| !state.namespaces.is_empty());
    let needed = observed.gates.all.iter().filter(|gate| gate.closed.is_none());
    state.passes = needed.flat_map(|gate| passes_of(gate, state, observed)).collect();
}

/// The passes that packets of what is up take in a gate.
fn passes_of(gate: &Gate, state: &State, observed: &Observed) -> Vec<Pass> {
    let is_of = |family| move |address: &IpAddr| Family::of(*address) == family;
    let has = |family: &Family| {
        let mut namespaces = state.namespaces.values();
        namespaces.any(|one| inside_addresses(state, one, observed.features).iter().any(is_of(*family)))
    };
    let families: BTreeSet<Family> = Family::BOTH.into_iter().filter(has).collect();
    if !families.iter().any(|family| gate.chain.kind.sees(*family)) {
        return Vec::new();
    }
    let discovery = gate.no_neighbours && gate.chain.kind.sees(Family::V6) && families.contains(&Family::V6);
    let discovery = match (discovery, gate.chain.keeper) {
        (false, _) => &[][..],
        (true, RuleWriter::Nft) => &[Direction::Neighbours],
        // A rule of iptables is about one type of message.
        (true, _) => &[Direction::Neighbours, Direction::Advertisements],
    };
    let names = if asks_here(state, observed) { &Direction::NAMES[..] } else { &[] };
    let chosen = if reaches_loopback(gate, state) { &[Direction::Chosen][..] } else { &[] };
    let directions = match gate.hook {
        Hook::Prerouting => {
            let names = if is_rewritten(state) { &Direction::NAMES[..] } else { names };
            [&[Direction::Onward][..], discovery, names, chosen].concat()
        }
        Hook::Input => [discovery, names, chosen].concat(),
        Hook::Forward if is_split(gate, state) => Vec::new(),
        Hook::Forward | Hook::Postrouting => Direction::BOTH.to_vec(),
        Hook::Output => vec![Direction::In],
    };
    directions.into_iter().map(|direction| gate.pass(direction)).collect()
}

/// Whether a namespace asks chosen services on the host's loopback, which has IPv4 only here.
fn reaches_loopback(gate: &Gate, state: &State) -> bool {
    gate.chain.kind.sees(Family::V4) && state.namespaces.values().any(host_services::are_on_loopback)
}

/// Whether all flows of namespaces have the mark that a kill switch lets through.
fn is_split(gate: &Gate, state: &State) -> bool {
    let egress = |namespace: &ActiveNamespace| state.egresses.get(&namespace.egress);
    let marked = |split: &Split| {
        !state.namespaces.values().filter_map(egress).any(|egress| egress.is_in_tunnel_of(split))
    };
    gate.split.as_ref().is_some_and(marked)
}

/// Whether questions of a namespace are rewritten. Most programs ask a stub on loopback, and until its address is rewritten
/// such a question is one to the host.
fn is_rewritten(state: &State) -> bool {
    state
        .namespaces
        .values()
        .any(|namespace| !namespace.dns.servers.is_empty() || !namespace.dns.rewrites.is_empty())
}

/// Whether a namespace asks a resolver on the host itself.
fn asks_here(state: &State, observed: &Observed) -> bool {
    let own = |server: &IpAddr| observed.host.addresses.iter().any(|address| address.net.ip() == *server);
    let mut servers = state.namespaces.values().filter_map(|namespace| namespace.dns.host.as_ref()).flatten();
    servers.any(|server| server.is_loopback() || own(server))
}

/// The gates that packets of what is up come by.
fn concerned<'a>(state: &'a State, observed: &'a Observed) -> impl Iterator<Item = &'a Gate> {
    observed.gates.all.iter().filter(|gate| !passes_of(gate, state, observed).is_empty())
}

/// What is missing is added; what is there and not wanted, or there twice, goes.
pub(super) fn diff(out: &mut Vec<Action>, state: &State, observed: &Observed) {
    let mut kept = BTreeSet::new();
    for FoundPass { pass, handle } in &observed.gates.passes {
        if !state.passes.contains(pass) || !kept.insert(pass) {
            out.push(Action::RemovePass { pass: pass.clone(), handle: *handle });
        }
    }
    let missing = state.passes.iter().filter(|pass| !kept.contains(pass));
    out.extend(missing.map(|pass| Action::AddPass { pass: pass.clone() }));
}

/// What on this host stops packets of what is up, each with what helps.
pub fn reasons_stopped(state: &State, observed: &Observed) -> Vec<Finding> {
    let there: BTreeSet<&Pass> = observed.gates.passes.iter().map(|found| &found.pass).collect();
    let open = |gate: &&Gate| {
        gate.closed.is_none() && passes_of(gate, state, observed).iter().all(|pass| there.contains(pass))
    };
    concerned(state, observed).filter(|gate| !open(gate)).map(describe_gate).collect()
}

/// What stops namespaces, without what `up` repairs by itself.
pub fn closed(state: &State, observed: &Observed) -> Vec<Finding> {
    concerned(state, observed).filter(|gate| gate.closed.is_some()).map(describe_gate).collect()
}

fn describe_gate(gate: &Gate) -> Finding {
    let chain = &gate.chain;
    let stop = match &gate.stop {
        Stop::Policy => "policy drop".to_owned(),
        Stop::Rule { chain: inner, handle } if *inner == chain.name => format!("rule {handle}"),
        Stop::Rule { chain: inner, handle } => format!("rule {handle} of chain {inner}"),
    };
    let (code, why, cure) = match &gate.closed {
        None => (Code::FirewallDrops, String::new(), Cure::up("lets them through")),
        Some(closed) => {
            let (why, cure) = cure_of_gate(chain, closed);
            (Code::FirewallClosed, why, cure)
        }
    };
    let what = format!("packets are stopped by {chain} ({stop}){why}");
    // NF_IP_PRI_CONNTRACK: before it no rule can tell an answer from a question.
    let early = "a chain with a priority below -200 cannot tell answers: it needs a later one, too";
    let more = match &gate.closed {
        Some(Closed::Answers) => Some(early.to_owned()),
        Some(Closed::WithoutJson { program, version }) => Some(format!("{program} is nft {version}")),
        _ => None,
    };
    Finding::new(code, what, cure).shown_by([format!("{chain}, {stop}")]).shown_by(more)
}

/// Why nsnat cannot make an exception, where that is not plain, and what helps.
fn cure_of_gate(chain: &Chain, closed: &Closed) -> (String, Cure) {
    let firewalld = chain.table.starts_with("firewalld");
    let Chain { kind, table, name, .. } = chain;
    let (why, cure) = match closed {
        Closed::Everything if firewalld => {
            (": firewalld lets nothing through (panic mode)", Cure::command("firewall-cmd --panic-off"))
        }
        Closed::Everything => {
            (": it stops everything", Cure::command(format!("nft delete chain {kind} {table} {name}")))
        }
        Closed::Owned if firewalld => (
            ": only firewalld may change it",
            Cure::Commands(vec![
                "sed -i 's/^NftablesTableOwner=.*/NftablesTableOwner=no/' /etc/firewalld/firewalld.conf"
                    .into(),
                "firewall-cmd --reload".into(),
                "nsnat up".into(),
            ]),
        ),
        Closed::Owned => (
            ": only the program that made it may change it",
            Cure::person("let that program accept what is from and to nsn-*"),
        ),
        Closed::Without(program) => {
            let package = if *program == "nft" { "nftables" } else { "iptables" };
            let why = format!(": {program}, by which it is changed, is not on this host");
            return (why, Cure::person(format!("install the package {package}, then: nsnat up")));
        }
        Closed::WithoutJson { version, .. } => {
            let words = "install a newer nftables, one that takes JSON, then: nsnat up";
            let cure = Cure::person(words).checked_by("nft -j --version");
            return (format!(": nft {version}, by which it is changed, takes no JSON"), cure);
        }
        Closed::Answers => (
            ": it takes no answers",
            Cure::Commands(vec![
                format!("nft insert rule {kind} {table} {name} ct state established accept"),
                "nsnat up".into(),
            ]),
        ),
        Closed::Early => ("", Cure::person("let it accept what is from nsn-*, and the answers")),
        Closed::Unnamable => {
            (": nft cannot read its name", Cure::person("let it accept what is from and to nsn-*"))
        }
    };
    (why.to_owned(), cure)
}

/// The program that keeps a chain.
pub fn pass_program(chain: &Chain) -> &'static str {
    match (chain.keeper, chain.kind) {
        (RuleWriter::Nft, _) => "nft",
        (RuleWriter::IptablesNft, Kind::Ip6) => "ip6tables-nft",
        (RuleWriter::IptablesNft, _) => "iptables-nft",
        (RuleWriter::IptablesLegacy, Kind::Ip6) => "ip6tables-legacy",
        (RuleWriter::IptablesLegacy, _) => "iptables-legacy",
    }
}

/// What iptables is told; `verb`: `-I` or `-D`.
pub fn pass_arguments(pass: &Pass, verb: &str) -> Vec<String> {
    let (group, port) = (numbers::LINK_GROUP.to_string(), dnsaddr::PORT.to_string());
    let flag = if pass.direction == Direction::In { "--dst-group" } else { "--src-group" };
    let table = (pass.chain.table != "filter").then_some(["-t", &pass.chain.table]);
    let rule = [verb, &pass.chain.name, "-m", "devgroup", flag, &group];
    let only: &[&str] = match pass.direction {
        Direction::Out | Direction::In => &[],
        Direction::Onward => &["-m", "addrtype", "!", "--dst-type", "LOCAL"],
        Direction::Neighbours => &["-p", "icmpv6", "--icmpv6-type", "neighbour-solicitation"],
        Direction::Advertisements => &["-p", "icmpv6", "--icmpv6-type", "neighbour-advertisement"],
        Direction::Udp => &["-p", "udp", "--dport", &port],
        Direction::Tcp => &["-p", "tcp", "--dport", &port],
        Direction::Chosen => &["-d", "127.0.0.1", "-m", "conntrack", "--ctstate", "DNAT"],
    };
    let words = ["-w"].into_iter().chain(table.into_iter().flatten()).chain(rule).chain(only.iter().copied());
    let rest = ["-m", "comment", "--comment", pass.direction.comment(), "-j", "ACCEPT"];
    words.chain(rest).map(str::to_owned).collect()
}

/// What nft is told.
fn pass_text(pass: &Pass) -> String {
    let Chain { kind, table, name, .. } = &pass.chain;
    let key = if pass.direction == Direction::In { "oifgroup" } else { "iifgroup" };
    let only = match pass.direction {
        Direction::Out | Direction::In => String::new(),
        Direction::Onward => " fib daddr type != local".into(),
        Direction::Neighbours => " icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }".into(),
        Direction::Advertisements => " icmpv6 type nd-neighbor-advert".into(),
        Direction::Udp => format!(" udp dport {}", dnsaddr::PORT),
        Direction::Tcp => format!(" tcp dport {}", dnsaddr::PORT),
        Direction::Chosen => " ip daddr 127.0.0.1 ct status dnat".into(),
    };
    let (group, comment) = (numbers::LINK_GROUP, pass.direction.comment());
    format!("insert rule {kind} {table} {name} {key} {group}{only} accept comment \"{comment}\"")
}

/// The shell line that adds a pass.
pub(super) fn add_line(pass: &Pass) -> String {
    match pass.chain.keeper {
        RuleWriter::Nft => format!("nft '{}'", pass_text(pass)),
        RuleWriter::IptablesNft | RuleWriter::IptablesLegacy => iptables(pass, "-I"),
    }
}

/// The shell line that takes one out.
pub(super) fn remove_line(pass: &Pass, handle: u64) -> String {
    let Chain { keeper, kind, table, name } = &pass.chain;
    match keeper {
        RuleWriter::Nft => format!("nft delete rule {kind} {table} {name} handle {handle}"),
        RuleWriter::IptablesNft | RuleWriter::IptablesLegacy => iptables(pass, "-D"),
    }
}

fn iptables(pass: &Pass, verb: &str) -> String {
    let quoted = |word: String| if word.contains(' ') { format!("'{word}'") } else { word };
    let arguments: Vec<String> = pass_arguments(pass, verb).into_iter().map(quoted).collect();
    format!("{} {}", pass_program(&pass.chain), arguments.join(" "))
}
