//! Where our block of rules stands: before every rule of somebody else that would take our packets.
//!
//! # Theory of operation
//!
//! The kernel asks rules in the order of their preferences. A rule that is added without one gets the preference before
//! the lowest that is there (`fib_default_rule_pref`, net/core/fib_rules.c). So a rule that comes later (wg-quick's, a
//! VPN's) precedes ours, wherever ours are; and where its selectors match a packet of a namespace, it takes that packet
//! to a table of its own. The guard keeps such a packet in, and the job stands still.
//!
//! Therefore each plan asks of every rule before ours what the kernel would: does it match a packet from a namespace
//! (its source, our mark, the host veth it comes in by, user 0), or one back to it, and is there a route in its table?
//! Where it does, the block moves: to just before the lowest such rule. Where none does, the block is at its usual
//! place. New rules are added before the old ones go, so a job notices nothing.
//!
//! A rule with a preference below the size of the block cannot be preceded, and one that only refuses need not be:
//! `status` names both.

use super::addresses::all_sources;
use super::line::rule_text;
use crate::model::numbers::preference;
use crate::model::ownership::{OurRules, is_our_table};
use crate::model::stack::overlap;
use crate::model::{Code, Cure, Egress, Family, Finding, Link, Observed, RouteKind, Rule, RuleAction, State};
use ipnetwork::IpNetwork;
use std::net::IpAddr;

/// A rule of somebody else that comes before ours and matches packets of an egress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrecedingRule {
    /// The rule.
    pub rule: Rule,
    /// The rule only refuses packets: nothing leaves by it.
    pub refuses: bool,
}

impl PrecedingRule {
    /// What is wrong, and what helps.
    pub fn finding(&self) -> Finding {
        let rule = rule_text(&self.rule);
        let (number, family) = (self.rule.preference, self.rule.family);
        let (code, does, cure) = if self.refuses {
            (Code::RuleRefuses, format!("refuses its packets ({family})"), self.move_behind())
        } else if number > preference::SIZE {
            let does = format!("comes first and takes its packets ({family})");
            (Code::RulePrecedes, does, Cure::up("puts nsnat's rules before it"))
        } else {
            let does = format!("takes its packets ({family}), and nothing can come before it");
            (Code::RuleUnpassable, does, self.move_behind())
        };
        Finding::new(code, format!("a rule that is not nsnat's {does}: {rule}"), cure).shown_by([rule])
    }

    /// The rule once more with a preference that lets nsnat's come first, and then not where it is.
    fn move_behind(&self) -> Cure {
        let preference = preference::FIRST + preference::SIZE;
        if self.rule.more.narrow {
            return Cure::person(format!("give it a preference above {preference}"));
        }
        let (six, rule) = (if self.rule.family == Family::V6 { " -6" } else { "" }, rule_text(&self.rule));
        let behind = rule_text(&Rule { preference: preference + 1, ..self.rule.clone() });
        let (add, del) = (format!("ip{six} rule add {behind}"), format!("ip{six} rule del {rule}"));
        Cure::Commands(vec![add, del, "nsnat up".into()])
    }

    /// Whether the next plan goes before it.
    pub fn is_passed_by_plan(&self) -> bool {
        !self.refuses && self.rule.preference > preference::SIZE
    }
}

/// Puts the block where nothing of others comes before it.
pub(super) fn place_rules(state: &mut State, observed: &Observed) {
    let ours = OurRules::of(&observed.state, &observed.host.rules);
    let comes_first = |rule: &&Rule| {
        let precedable = preference::SIZE + 1..preference::FIRST + preference::SIZE;
        precedable.contains(&rule.preference) && !ours.has(rule)
    };
    let takes = |rule: &&Rule| {
        let effect = |egress| effect_of(rule, state, egress, observed);
        state.egresses.values().any(|egress| effect(egress) == Some(RuleEffect::Takes))
    };
    let before_us = observed.host.rules.iter().filter(comes_first).filter(takes);
    let lowest = before_us.map(|rule| rule.preference).min();
    state.first = lowest.map_or(preference::FIRST, |lowest| lowest - preference::SIZE);
    let mut earlier = observed.state.earlier.clone();
    earlier.insert(observed.state.first);
    earlier.remove(&state.first);
    state.earlier = earlier;
}

/// What comes before our rules and matches what an egress sends or gets.
pub fn preceding_rules(state: &State, egress: &Egress, observed: &Observed) -> Vec<PrecedingRule> {
    let ours = OurRules::of(&observed.state, &observed.host.rules);
    let before = |rule: &&Rule| rule.preference < state.first + preference::SIZE && !ours.has(rule);
    let shadow = |rule: &Rule| {
        let refuses = effect_of(rule, state, egress, observed)? == RuleEffect::Refuses;
        Some(PrecedingRule { rule: rule.clone(), refuses })
    };
    observed.host.rules.iter().filter(before).filter_map(shadow).collect()
}

/// The rule that leads packets of an egress to a table, on their way to an address: the first one that matches them and
/// names it.
pub(super) fn rule_leading_to<'a>(
    table: u32,
    to: IpAddr,
    state: &State,
    egress: &Egress,
    observed: &'a Observed,
) -> Option<&'a Rule> {
    let family = Family::of(to);
    let mut sent = packets(family, state, egress);
    sent.retain(|packet| packet.from.is_some());
    for packet in &mut sent {
        packet.to = Some(to.into());
    }
    let leads = |rule: &&Rule| {
        let matches = |packet: &Packet<'_>| packet.matches(rule) != Match::Never;
        rule.family == family && rule.action == RuleAction::Lookup(table) && sent.iter().any(matches)
    };
    observed.host.rules.iter().filter(leads).min_by_key(|rule| rule.preference)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum RuleEffect {
    /// Some packets of ours end in its table.
    Takes,
    /// All packets of ours are refused by it.
    Refuses,
}

/// What a rule does to packets of an egress. The local table has the host's own addresses, and tables of ours lead by
/// a way of ours.
fn effect_of(rule: &Rule, state: &State, egress: &Egress, observed: &Observed) -> Option<RuleEffect> {
    if let RuleAction::Lookup(table) = rule.action
        && (table == u32::from(libc::RT_TABLE_LOCAL) || is_our_table(table))
    {
        return None;
    }
    let packets = packets(rule.family, state, egress);
    let matched: Vec<(&Packet<'_>, Match)> = packets
        .iter()
        .map(|packet| (packet, packet.matches(rule)))
        .filter(|(_, m)| *m != Match::Never)
        .collect();
    match rule.action {
        RuleAction::Lookup(table) => {
            let taken = matched.iter().any(|(packet, _)| is_routed(packet, table, rule, observed));
            taken.then_some(RuleEffect::Takes)
        }
        RuleAction::Goto(_) => (!matched.is_empty()).then_some(RuleEffect::Takes),
        RuleAction::Unreachable | RuleAction::Blackhole | RuleAction::Prohibit => {
            let all = |(packet, m): &(&Packet<'_>, Match)| packet.from.is_some() && *m == Match::Always;
            matched.iter().any(all).then_some(RuleEffect::Refuses)
        }
        RuleAction::Other => None,
    }
}

/// Whether a table has a route for such a packet.
fn is_routed(packet: &Packet<'_>, table: u32, rule: &Rule, observed: &Observed) -> bool {
    let ours = |dev: &str| observed.host.link(dev).is_some_and(Link::is_ours);
    observed.host.routes.iter().any(|route| {
        route.table == table
            && route.family() == rule.family
            && route.kind != RouteKind::Other
            && rule.suppress.is_none_or(|longest| route.to.prefix() > longest)
            && packet.to.is_none_or(|to| overlap(route.to, to))
            && !route.dev.as_deref().is_some_and(ours)
    })
}

/// Packets that are alike to a rule: what an egress sends, or what comes back to it. None: any.
struct Packet<'a> {
    from: Option<IpNetwork>,
    to: Option<IpNetwork>,
    mark: u32,
    /// Devices that they come in by.
    iifs: Vec<&'a str>,
}

fn packets<'a>(family: Family, state: &'a State, egress: &'a Egress) -> Vec<Packet<'a>> {
    let mark = state.mark_of(egress);
    let links: Vec<&str> = state.namespaces_of(egress).map(|namespace| namespace.link.as_str()).collect();
    // Answers come in by the uplink's device; what the host itself has to say to a job begins on its loopback.
    let back: Vec<&str> = egress.parts().map(|path| path.dev.as_str()).chain(["lo"]).collect();
    let both = |net: IpNetwork| {
        [
            Packet { from: Some(net), to: None, mark, iifs: links.clone() },
            Packet { from: None, to: Some(net), mark, iifs: back.clone() },
        ]
    };
    all_sources(state, egress, family).into_iter().flat_map(both).collect()
}

/// Whether packets match a selector, or a rule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    Never,
    Some,
    Always,
}

impl Packet<'_> {
    /// As `fib_rule_match` (net/core/fib_rules.c) and the families' own `match` do.
    fn matches(&self, rule: &Rule) -> Match {
        let (more, any) = (&rule.more, Match::Always);
        let iif = |name: &String| match &self.iifs[..] {
            [only] if only == name => Match::Always,
            several if several.contains(&name.as_str()) => Match::Some,
            _ => Match::Never,
        };
        let selectors = [
            rule.from.map_or(any, |net| match_network(self.from, net)),
            rule.to.map_or(any, |net| match_network(self.to, net)),
            rule.mark.map_or(any, |(mark, mask)| always_if((mark ^ self.mark) & mask == 0)),
            more.iif.as_ref().map_or(any, iif),
            // These are packets that come in by a device, and by none of a VRF.
            always_if(more.oif.is_none() && !more.l3mdev),
            more.uids.map_or(any, |(first, last)| always_if((first..=last).contains(&0))),
            if rule.port.is_some() || more.narrow { Match::Some } else { any },
        ];
        let all = selectors.into_iter().min().unwrap_or(any);
        match (more.invert, all) {
            (false, all) => all,
            (true, Match::Never) => Match::Always,
            (true, Match::Some) => Match::Some,
            (true, Match::Always) => Match::Never,
        }
    }
}

fn always_if(holds: bool) -> Match {
    if holds { Match::Always } else { Match::Never }
}

/// Whether addresses of packets are in a rule's network.
fn match_network(packets: Option<IpNetwork>, net: IpNetwork) -> Match {
    match packets {
        _ if net.prefix() == 0 => Match::Always,
        Some(own) if !overlap(own, net) => Match::Never,
        Some(own) if own.prefix() >= net.prefix() => Match::Always,
        None | Some(_) => Match::Some,
    }
}
