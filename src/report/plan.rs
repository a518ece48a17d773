//! `nsnat plan`, for people: what would be made, changed and removed for each namespace, in a few lines each.

use crate::model::{Name, Route};
use crate::plan::{Action, Flows, LinkChange, Owners};
use anstyle::{AnsiColor, Style};
use std::fmt::Write as _;
use std::net::IpAddr;

/// What becomes of a thing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Make,
    Change,
    Remove,
}
use Verb::{Change, Make, Remove};

/// The signs of the verbs, and their colours.
fn sign(verb: Verb) -> (char, AnsiColor) {
    match verb {
        Make => ('+', AnsiColor::Green),
        Change => ('~', AnsiColor::Yellow),
        Remove => ('-', AnsiColor::Red),
    }
}

/// A part of an action: what is done, to which kind of thing (in the singular), to how many, and to which one.
#[derive(Clone)]
struct Step {
    verb: Verb,
    kind: &'static str,
    count: usize,
    which: String,
}

impl Step {
    fn line(&self, colour: bool) -> String {
        let (sign, shade) = sign(self.verb);
        let style = if colour { Style::new().fg_color(Some(shade.into())) } else { Style::new() };
        let what = match (self.count, self.which.as_str()) {
            (1, "") => self.kind.to_owned(),
            (1, which) => format!("{} {which}", self.kind),
            (count, _) => format!("{count} {}", plural(self.kind)),
        };
        format!("  {style}{sign}{style:#} {what}")
    }
}

/// The plural of a kind: that of its first noun.
fn plural(kind: &str) -> String {
    let end = [" of ", " from "].iter().filter_map(|word| kind.find(word)).min().unwrap_or(kind.len());
    let (noun, rest) = kind.split_at_checked(end).unwrap_or((kind, ""));
    match noun.strip_suffix('y') {
        Some(stem) => format!("{stem}ies{rest}"),
        None if noun.ends_with('s') => format!("{noun}es{rest}"),
        None => format!("{noun}s{rest}"),
    }
}

/// Steps of each namespace under its name, and of what several share; the same to several things of a kind in one line.
pub fn text(actions: &[Action], owners: &Owners<'_>, colour: bool) -> String {
    let mut groups: Vec<(Option<&Name>, Vec<Step>)> = Vec::new();
    for action in actions {
        let owner = owners.of(action);
        let at = groups.iter().position(|(known, _)| *known == owner).unwrap_or_else(|| {
            groups.push((owner, Vec::new()));
            groups.len() - 1
        });
        if let Some((_, group)) = groups.get_mut(at) {
            for step in steps(action) {
                gather(group, step);
            }
        }
    }
    let mut out = String::new();
    for (owner, steps) in &groups {
        let _ = writeln!(out, "{}", owner.map_or("host", |name| name.as_str()));
        for step in steps {
            let _ = writeln!(out, "{}", step.line(colour));
        }
    }
    let _ = write!(out, "nsnat plan --commands prints each step as the command that equals it");
    out
}

fn gather(group: &mut Vec<Step>, step: Step) {
    match group.iter_mut().find(|known| (known.verb, known.kind) == (step.verb, step.kind)) {
        Some(known) => known.count += step.count,
        None if step.count > 0 => group.push(step),
        None => {}
    }
}

/// What an action does, in the words of a person.
fn steps(action: &Action) -> Vec<Step> {
    let one = |verb, kind, which: String| vec![Step { verb, kind, count: 1, which }];
    match action {
        Action::MakeNetns { name, .. } => one(Make, "network namespace", name.to_string()),
        Action::AttachNetns { name, .. } => one(Make, "file", format!("/run/netns/{name}")),
        Action::RemoveNetns { name } => one(Remove, "network namespace", name.to_string()),
        Action::AddVeth { link, .. } | Action::AddPair { link, .. } => one(Make, "veth pair", link.clone()),
        Action::RemoveLink { link } => one(Remove, "veth pair", link.clone()),
        Action::SetLink { dev, change, .. } => one(Change, "attribute of links", attribute(dev, change)),
        Action::Sysctl { key, value, .. } => one(Change, "setting of the kernel", format!("{key} = {value}")),
        Action::Tune { values, .. } => many(Change, "setting of the kernel", values.len()),
        Action::AddAddress { address, .. } => {
            one(Make, "address", format!("{} on {}", address.net, address.dev))
        }
        Action::RemoveAddress { address, .. } => {
            one(Remove, "address", format!("{} on {}", address.net, address.dev))
        }
        Action::AddRoute { route, replace: true, .. } => one(Change, "route", shown(route)),
        Action::AddRoute { route, .. } => one(Make, "route", shown(route)),
        Action::RemoveRoute { route, .. } => one(Remove, "route", shown(route)),
        Action::AddRule { rule, .. } => one(Make, "rule of routing", rule.preference.to_string()),
        Action::RemoveRule { rule, .. } => one(Remove, "rule of routing", rule.preference.to_string()),
        Action::LoadSkeleton { replace, elements, .. } => {
            let table = one(if *replace { Change } else { Make }, "nftables table", "inet nsnat".into());
            [table, many(Make, ENTRY, elements.len())].concat()
        }
        Action::RemoveTable => one(Remove, "nftables table", "inet nsnat".into()),
        Action::Elements { remove, add } => {
            [many(Remove, ENTRY, remove.len()), many(Make, ENTRY, add.len())].concat()
        }
        Action::AddPass { .. } => one(Make, "exception from other firewalls", action.short_line()),
        Action::RemovePass { .. } => one(Remove, "exception from other firewalls", action.short_line()),
        Action::AddPolicy { .. } => one(Make, "policy of IPsec", action.short_line()),
        Action::RemovePolicy { .. } => one(Remove, "policy of IPsec", action.short_line()),
        Action::ForgetFlows { source, which } => one(Remove, "record of flows", flows(*source, *which)),
        Action::ResetConnections { name, .. } => {
            one(Remove, "connection of TCP", format!("that cannot go on in {name}"))
        }
        Action::ForgetServers { .. } => {
            one(Remove, "record of DNS servers that did not answer", String::new())
        }
    }
}

const ENTRY: &str = "entry of that table";

fn many(verb: Verb, kind: &'static str, count: usize) -> Vec<Step> {
    vec![Step { verb, kind, count, which: String::new() }]
}

fn shown(route: &Route) -> String {
    format!("{} in table {}", route.to, route.table)
}

fn flows(source: IpAddr, which: Flows) -> String {
    match which {
        Flows::All => format!("from {source}"),
        Flows::To(port) => format!("from {source} to port {port}"),
        Flows::Plain => format!("from {source} without masquerade"),
        Flows::Published => format!("to {source}"),
        Flows::ToAddress(address) => format!("from {source} to {address}"),
        Flows::LeavingWith(address) => format!("from {source} by {address}"),
    }
}

fn attribute(dev: &str, change: &LinkChange) -> String {
    match change {
        LinkChange::Alias(_) => format!("{dev}: alias"),
        LinkChange::Mtu(bytes) => format!("{dev}: MTU {bytes}"),
        LinkChange::Group(_) => format!("{dev}: group"),
        LinkChange::Up => format!("{dev}: up"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::State;

    #[test]
    fn alike_things_are_counted_and_a_single_one_is_named() {
        let set =
            |key: &str| Action::Sysctl { place: crate::plan::Side::Host, key: key.into(), value: "1".into() };
        let name: Name = "slow".parse().unwrap();
        let state = State::default();
        let told = |actions: &[Action]| text(actions, &Owners::new(&state), false);
        let one = told(&[Action::RemoveNetns { name }, set("net/a")]);
        assert!(
            one.starts_with("slow\n  - network namespace slow\nhost\n  ~ setting of the kernel net/a = 1\n"),
            "{one}"
        );
        let two = told(&[set("net/a"), Action::RemoveTable, set("net/b")]);
        assert!(
            two.starts_with("host\n  ~ 2 settings of the kernel\n  - nftables table inet nsnat\n"),
            "{two}"
        );
    }

    #[test]
    fn plurals() {
        for (one, several) in [
            ("address", "addresses"),
            ("entry of that table", "entries of that table"),
            ("exception from other firewalls", "exceptions from other firewalls"),
            ("route", "routes"),
        ] {
            assert_eq!(plural(one), several);
        }
    }
}
