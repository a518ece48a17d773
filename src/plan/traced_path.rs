//! What became of a probe: the steps of its way as people read them, and what went wrong on it.
//!
//! # Theory of operation
//!
//! A packet of a namespace comes by the hooks prerouting, forward and postrouting, and leaves by the device of its
//! way out. nsnat has chains in all three, so each hook that the probe reached is seen in the trace. Where the trace
//! ends before the packet left, the last rule or policy that dropped it is the culprit; where none did, the place
//! where it ends says which part of the kernel has it: between prerouting and forward is routing, after postrouting
//! come IPsec, traffic control and the neighbour. For these, what observation knows of the host (`known`: the
//! problems that `status` tells) names the cause.

use super::line::rule_text;
use super::rule_precedence;
use crate::model::gate::Hook;
use crate::model::trace::{Done, Event, Header, ProbeAnswer, Trace, TracedChain};
use crate::model::{Code, Egress, Family, Finding, Link, Observed, State, UplinkPath, numbers};
use serde::Serialize;
use std::net::SocketAddr;

/// Where a probe went, and whether that is right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TracedPath {
    /// What is told of each part of the way: its name, and the facts.
    pub steps: Vec<(&'static str, String)>,
    /// What is wrong; none: it went where it should.
    pub fault: Option<Fault>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Which kind of fault it is.
    pub code: Code,
    /// What happened to the probe.
    pub what: String,
    /// The rule or the chain that did it.
    pub culprit: Option<Suspect>,
    /// What helps.
    pub cure: String,
}

/// A rule or a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suspect {
    /// Where it is.
    pub spot: TracedChain,
    /// The base chain by which the packet came there, which may be the same.
    pub base: TracedChain,
    /// The rule's handle; none: the policy of the chain.
    pub rule: Option<u64>,
}

/// What the host is, and what is wrong with it as far as that can be seen without a packet.
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    /// What is up.
    pub state: &'a State,
    /// The egress of the namespace.
    pub egress: &'a Egress,
    /// What is.
    pub observed: &'a Observed,
    /// What is wrong with the namespace.
    pub known: &'a [Finding],
}

/// Follows a probe.
pub fn follow_probe(trace: &Trace, host: Host<'_>) -> TracedPath {
    let first = trace.events.first().map(|event| event.packet);
    let (own, answers): (Vec<&Event>, Vec<&Event>) =
        trace.events.iter().partition(|event| Some(event.packet) == first);
    let seen = SeenProbe { trace, own, answers, host };
    TracedPath { steps: seen.steps(), fault: seen.find_fault() }
}

struct SeenProbe<'a> {
    trace: &'a Trace,
    /// What happened to the probe itself.
    own: Vec<&'a Event>,
    /// What happened to what answered it.
    answers: Vec<&'a Event>,
    host: Host<'a>,
}

impl SeenProbe<'_> {
    fn steps(&self) -> Vec<(&'static str, String)> {
        let trace = self.trace;
        let from = trace.source.map_or_else(String::new, |source| format!("{source} → "));
        let mut out =
            vec![("probe", format!("{from}{}, for two hops: no further than the gateway", trace.goal))];
        if let Some(first) = self.headers().first()
            && let Some(last) = self.headers().last()
        {
            if first.to != last.to || first.ports.map(|p| p.1) != last.ports.map(|p| p.1) {
                out.push(("rewritten", format!("{} → {}", destination(first), destination(last))));
            }
            out.push(("mark", format!("{:#x}", self.host.state.mark_of(self.host.egress))));
        }
        out.extend(self.routed());
        for hook in [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Postrouting] {
            out.extend(self.chains(hook).map(|chains| (name(hook), chains)));
        }
        if let Some(source) = self.new_source() {
            out.push((
                "source",
                format!("{} → {source}", trace.source.map_or_else(String::new, |source| source.to_string())),
            ));
        }
        if !trace.left.is_empty() {
            out.push(("left by", trace.left.join(", ")));
        }
        if self.own.iter().any(|event| event.spot.hook == Some(Hook::Postrouting))
            || trace.heard != ProbeAnswer::Nothing
        {
            out.push(("answer", self.answer()));
        }
        out
    }

    fn headers(&self) -> Vec<&Header> {
        self.own.iter().filter_map(|event| event.header.as_ref()).collect()
    }

    fn routed(&self) -> Vec<(&'static str, String)> {
        let Some(route) = &self.trace.route else { return Vec::new() };
        let Host { state, egress, observed, .. } = self.host;
        let to = self.headers().last().map_or(self.trace.goal.address, |header| header.to);
        let rule = rule_precedence::rule_leading_to(route.table, to, state, egress, observed);
        let via = route.gateway.map_or_else(|| "directly".to_owned(), |gateway| format!("via {gateway}"));
        let dev = route.dev.as_deref().unwrap_or("no device");
        let mut out: Vec<_> = rule.map(|rule| ("rule", rule_text(rule))).into_iter().collect();
        out.push(("route", format!("table {}: {via}, {dev}", route.table)));
        out
    }

    /// The base chains of a hook that it came by, those of others by name.
    fn chains(&self, hook: Hook) -> Option<String> {
        let mut names: Vec<String> = Vec::new();
        for event in self.own.iter().filter(|event| event.spot.hook == Some(hook)) {
            let spot = &event.spot;
            let name = if spot.is_ours() {
                "nsnat".to_owned()
            } else {
                format!("{} {} {}", spot.kind, spot.table, spot.chain)
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        (!names.is_empty()).then(|| names.join(", "))
    }

    /// The source that it left with, where that is another than before.
    fn new_source(&self) -> Option<std::net::IpAddr> {
        let last = self.headers().last()?.from;
        (Some(last) != self.trace.source).then_some(last)
    }

    fn answer(&self) -> String {
        let by = self.trace.by.map_or_else(|| "an answer".to_owned(), |by| by.to_string());
        match self.trace.heard {
            ProbeAnswer::Nothing => match &self.trace.arrived {
                Some(dev) => format!("arrived by {dev}, and none was heard inside within 0.9 s"),
                None => "none within 0.9 s".into(),
            },
            ProbeAnswer::HopLimit => format!("{by}: the hop limit is used up; it got as far as it should"),
            ProbeAnswer::Answer => "the destination itself answers".into(),
            ProbeAnswer::Reset => "the connection was refused".into(),
            ProbeAnswer::Unreachable => format!("{by}: the destination cannot be reached"),
        }
    }

    fn find_fault(&self) -> Option<Fault> {
        if let Some(why) = &self.trace.unsent {
            return Some(self.known_fault(
                Code::PacketUnsent,
                format!("the namespace cannot send it: {why}"),
                "has it an address of that family? nsnat status",
            ));
        }
        if let Some(event) = self.own.iter().rfind(|event| matches!(event.done, Done::Dropped | Done::Taken))
        {
            return Some(self.fault_stopped(Code::PacketDropped, event, "the probe"));
        }
        let reached = |hook| self.own.iter().any(|event| event.spot.hook == Some(hook));
        if reached(Hook::Input) {
            return self.fault_caught();
        }
        if self.own.is_empty() {
            return Some(self.known_fault(
                Code::PacketLost,
                "nothing of it came in by the host's end of the namespace".into(),
                "look for tc(8) filters and netdev chains on that device",
            ));
        }
        if !reached(Hook::Forward) {
            // A packet that somebody gave to a socket (TPROXY) is never forwarded.
            let culprit = self.by_others(Hook::Prerouting);
            return Some(Fault {
                culprit,
                ..self.known_fault(Code::PacketLost, "the host did not route it".into(), UNROUTED)
            });
        }
        if !reached(Hook::Postrouting) {
            return Some(self.known_fault(
                Code::PacketLost,
                "it was lost after nsnat's guard let it through".into(),
                "nft cannot see the rules of iptables-legacy: iptables-legacy -L FORWARD -v",
            ));
        }
        if self.is_led_back() { None } else { self.fault_outside() }
    }

    /// Whether the namespace asked a port that it publishes itself, by an address of the host.
    fn is_led_back(&self) -> bool {
        self.headers().last().is_some_and(|last| Some(last.to) == self.trace.source)
    }

    /// The fault of a probe that passed all chains of nf_tables and still did not arrive.
    fn fault_outside(&self) -> Option<Fault> {
        let path = self.host.egress.part_of(Family::of(self.trace.goal.address))?;
        if self.trace.left.is_empty() {
            return Some(self.known_fault(
                Code::PacketLost,
                format!("nftables let it through, and it did not leave by {}", path.dev),
                "look for IPsec policies (ip xfrm policy), tc(8) filters and netdev chains on that device",
            ));
        }
        let only_queues = |dev: &String| self.host.observed.host.link(dev).is_some_and(Link::only_queues);
        if let Some(dev) = self.trace.left.iter().find(|dev| **dev != path.dev && !only_queues(dev)) {
            let what = format!("it left by {dev}, and its way out is {}", path.dev);
            let look = format!("look for what redirects there: tc filter show dev {} egress", path.dev);
            return Some(self.known_fault(Code::PacketStrayed, what, &look));
        }
        if let Some(fault) = self.foreign_source(path) {
            return Some(fault);
        }
        if self.trace.heard != ProbeAnswer::Nothing {
            return None;
        }
        if let Some(event) =
            self.answers.iter().find(|event| matches!(event.done, Done::Dropped | Done::Taken))
        {
            return Some(self.fault_stopped(Code::AnswerDropped, event, "the answer"));
        }
        if let Some(fault) = self.fault_untracked() {
            return Some(fault);
        }
        if self.trace.arrived.is_some() || !self.answers.is_empty() {
            return Some(self.known_fault(
                Code::AnswerLost,
                "an answer arrived, and it did not reach the namespace".into(),
                "look at rp_filter, tc(8) filters and netdev chains on the way back, and at nft list ruleset inside",
            ));
        }
        // A router may keep silent about hop limits; one that does not even answer ARP is known.
        (!self.host.known.is_empty())
            .then(|| self.known_fault(Code::NothingBehind, "nobody answered".into(), ""))
    }

    /// The host took the answer for one to itself, and a rule of others saw it before connection tracking, which would
    /// have known that it is for the namespace.
    fn fault_untracked(&self) -> Option<Fault> {
        let early = |event: &&Event| {
            let spot = &event.spot;
            let before = spot.priority.is_some_and(|priority| priority < CONNTRACK);
            event.rule.is_some() && !spot.is_ours() && spot.hook == Some(Hook::Prerouting) && before
        };
        self.answers.iter().find(|event| event.spot.hook == Some(Hook::Input))?;
        let culprit = suspect_of(&self.answers, self.answers.iter().rposition(early)?)?;
        Some(Fault {
            code: Code::AnswerUntracked,
            what: "an answer arrived, and connection tracking does not know it (notrack)".into(),
            culprit: Some(culprit),
            cure: "let it leave out what comes in by the device that the probe left by".into(),
        })
    }

    /// The fault of a probe whose source was rewritten by others.
    fn foreign_source(&self, path: &UplinkPath) -> Option<Fault> {
        let source = self.new_source()?;
        let on_device = |address: &crate::model::Address| address.net.ip() == source;
        let known = path.sources.contains(&source) || self.host.observed.host.addresses.iter().any(on_device);
        (!known).then(|| Fault {
            code: Code::SourceRewritten,
            what: format!("its source was rewritten to {source}, which is not an address of this host"),
            culprit: self.by_others(Hook::Postrouting),
            cure: "leave what comes from nsn-* devices out of that rule".into(),
        })
    }

    /// The fault of a probe that was delivered to the host itself.
    fn fault_caught(&self) -> Option<Fault> {
        let to = self.headers().last()?.to;
        let of_host = |address: &crate::model::Address| address.net.ip() == to;
        let local = to.is_loopback() || self.host.observed.host.addresses.iter().any(of_host);
        let chosen = to.is_loopback() && self.trace.goal.address == numbers::HOST_INSIDE;
        if to == self.trace.goal.address && local || chosen {
            return None;
        }
        let expected = |server: &SocketAddr| server.ip() == to;
        if self.namespaces().any(|namespace| {
            namespace.dns.servers.iter().any(expected)
                || namespace.dns.rewrites.iter().any(|r| r.new.ip() == to)
        }) {
            return None;
        }
        Some(Fault {
            code: Code::PacketCaught,
            what: format!("it was caught by a program on this host, and not sent to {}", self.trace.goal),
            culprit: self.by_others(Hook::Prerouting),
            cure: "leave what comes from nsn-* devices out of that rule".into(),
        })
    }

    /// The rule of others that took it in a hook: the last one before its addresses are others, or else the last one before its
    /// mark is another, or else the last one.
    fn by_others(&self, hook: Hook) -> Option<Suspect> {
        let suspect = |at: &usize| suspect_of(&self.own, *at);
        let is_theirs = |at: &usize| {
            let rule = self.own.get(*at).is_some_and(|event| event.rule.is_some() && !event.spot.is_ours());
            rule && suspect(at).is_some_and(|suspect| suspect.base.hook == Some(hook))
        };
        let theirs: Vec<usize> = (0..self.own.len()).filter(is_theirs).collect();
        let rewrites = |at: &&usize| self.is_rewritten_after(**at, hook);
        let marks = |at: &&usize| self.is_marked_by(**at);
        let last = theirs.iter().rfind(rewrites).or_else(|| theirs.iter().rfind(marks)).or(theirs.last())?;
        suspect(last)
    }

    /// Whether the address that a hook is about is another one in the next base chain than in that of an event.
    fn is_rewritten_after(&self, at: usize, hook: Hook) -> bool {
        let about = |header: &Header| match hook {
            Hook::Postrouting => (header.from, None),
            _ => (header.to, header.ports.map(|(_, to)| to)),
        };
        let headers = |events: &[&Event]| -> Vec<_> {
            events.iter().filter_map(|event| event.header.as_ref().map(about)).collect()
        };
        let before = self.own.get(..=at).map(headers).unwrap_or_default();
        let after = self.own.get(at + 1..).map(headers).unwrap_or_default();
        matches!((before.last(), after.first()), (Some(before), Some(after)) if before != after)
    }

    /// Whether a packet had another mark before an event.
    fn is_marked_by(&self, at: usize) -> bool {
        let mark = |at: usize| self.own.get(at).map(|event| event.mark);
        at.checked_sub(1).is_some_and(|before| mark(before) != mark(at))
    }

    fn namespaces(&self) -> impl Iterator<Item = &crate::model::ActiveNamespace> {
        self.host.state.namespaces_of(self.host.egress)
    }

    /// A rule or a policy ended it.
    fn fault_stopped(&self, code: Code, event: &Event, whom: &str) -> Fault {
        if event.spot.is_ours() {
            return self.fault_refused(event);
        }
        let how = match (event.done, event.rule) {
            (Done::Taken, _) => "was handed to a program",
            (_, Some(_)) => "was dropped by a rule",
            (_, None) => "was dropped by the policy of a chain",
        };
        let cure = match self.host.known.first() {
            Some(known) => known.to_string(),
            None => "let it accept what comes from, and goes to, devices of group 0x6e736e (nsn-*)".into(),
        };
        let what = format!("{whom} {how} that is not nsnat's");
        let events = if code == Code::AnswerDropped { &self.answers } else { &self.own };
        let at = events.iter().position(|one| std::ptr::eq(*one, event));
        let code = if event.done == Done::Taken { Code::PacketCaught } else { code };
        Fault { code, what, culprit: at.and_then(|at| suspect_of(events, at)), cure }
    }

    /// nsnat's own table refused it: which chain says why.
    fn fault_refused(&self, event: &Event) -> Fault {
        let before = self.own.iter().rfind(|own| own.spot.is_ours() && own.spot.chain != "refuse");
        let chain = before.map_or(event.spot.chain.as_str(), |before| before.spot.chain.as_str());
        let refused = REFUSALS.iter().find(|(name, ..)| *name == chain);
        let (what, cure) =
            refused.map_or(("nsnat's guard refused it", "nsnat status"), |(_, what, cure)| (what, cure));
        let by = event.oif.as_ref().map_or_else(String::new, |oif| format!(" (it would have left by {oif})"));
        let what = format!("{what}{by}");
        match self
            .by_others(Hook::Prerouting)
            .filter(|_| ["told_mapped", "arrivals", "mark_question"].contains(&chain))
        {
            Some(culprit) => {
                Fault { code: Code::PacketCaught, what, culprit: Some(culprit), cure: cure.to_owned() }
            }
            None => self.known_fault(Code::PacketRefused, what, cure),
        }
    }

    /// What observation says about it, or else where to look.
    fn known_fault(&self, code: Code, what: String, look: &str) -> Fault {
        let cure = self.host.known.first().map_or_else(|| look.to_owned(), ToString::to_string);
        Fault { code, what, culprit: None, cure }
    }
}

/// What is said of a packet that was not routed, where nothing is known that explains it.
pub(super) const UNROUTED: &str = "look for rules that refuse (ip rule), and at rp_filter and log_martians";

/// NF_IP_PRI_CONNTRACK: a packet is looked up in connection tracking; `notrack` has to come before.
pub(super) const CONNTRACK: i32 = -200;

/// A program of others has a socket for it.
const CAUGHT: &str = "a program on this host would have caught it (TPROXY)";

/// Chains of nsnat's table that refuse: why, and what helps.
const REFUSALS: [(&str, &str, &str); 11] = [
    ("strayed", "it would have left by a device that is not its own", "nsnat up"),
    ("tunnelled", "it would have left through a tunnel (an IPsec policy of others)", "nsnat up"),
    (
        "dns_every",
        "a DNS query that cannot be rewritten is refused, because this namespace asks its own servers only",
        "nsnat dns NAME set with a server of that family",
    ),
    (
        "watched",
        "the configuration refuses this kind of DNS",
        "take it out of block = [...] of this namespace, then: nsnat up",
    ),
    (
        "refuse_doh",
        "the configuration refuses DNS over HTTPS",
        "take \"doh\" out of block = [...] of this namespace, then: nsnat up",
    ),
    (
        "no_route",
        "there is no route by its way out at the moment",
        "is the device up, and has it an address? nsnat status",
    ),
    (
        "told_mapped",
        "NAT of others led it elsewhere",
        "leave what comes from nsn-* devices out of that rule, or load it at a later priority than -199",
    ),
    (
        "told_question",
        "a DNS query that was not rewritten is refused, because this namespace asks its own servers only",
        "nsnat up",
    ),
    ("arrivals", CAUGHT, "leave what comes from nsn-* devices out of that program's rules"),
    ("mark_question", CAUGHT, "leave what comes from nsn-* devices out of that program's rules"),
    (
        "outwards",
        "nsnat's guard refused it: that is not a way out of this namespace",
        "look for routes of others in its table (ip route show table all), and for rules before nsnat's (ip rule)",
    ),
];

/// Where an event of a packet happened. A chain that another one jumps to has no hook of its own; the base chain of the same
/// table that was met last leads there.
fn suspect_of(events: &[&Event], at: usize) -> Option<Suspect> {
    let event = events.get(at)?;
    let is_base = |one: &&&Event| one.spot.hook.is_some() && one.packet == event.packet;
    let base = events.get(..=at)?.iter().rfind(is_base).map_or(&event.spot, |base| &base.spot);
    Some(Suspect { spot: event.spot.clone(), base: base.clone(), rule: event.rule })
}

fn name(hook: Hook) -> &'static str {
    match hook {
        Hook::Prerouting => "prerouting",
        Hook::Input => "input",
        Hook::Forward => "forward",
        Hook::Output => "output",
        Hook::Postrouting => "postrouting",
    }
}

fn destination(header: &Header) -> String {
    match header.ports {
        Some((_, port)) => SocketAddr::new(header.to, port).to_string(),
        None => header.to.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chain_that_refuses_is_in_the_skeleton() {
        let text = crate::nft::skeleton::text(crate::model::nft::TableForm {
            mask: 0xff00_0000,
            without_ipsec: false,
        });
        for (chain, ..) in REFUSALS {
            assert!(text.contains(&format!("\tchain {chain} {{")), "{chain}");
        }
    }
}
