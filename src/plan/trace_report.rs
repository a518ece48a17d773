//! What a probe has found, as `doctor` and `trace` tell it.

use super::traced_path::{Fault, TracedPath, UNROUTED};
use crate::model::gate::Hook;
use crate::model::trace::{Trace, TracedChain};
use crate::model::{Code, Cure, Finding, Name, numbers};

/// A probe, its way, and the text of the rule that stopped it.
#[derive(Clone, Debug)]
pub struct TraceReport {
    /// The namespace.
    pub name: Name,
    /// What was seen.
    pub trace: Trace,
    /// What it means.
    pub walk: TracedPath,
    /// The culprit's text, as nft lists it.
    pub rule: Option<String>,
}

impl TraceReport {
    /// What is wrong; none where nothing is.
    pub fn finding(&self) -> Option<Finding> {
        let Fault { code, what, cure, .. } = self.walk.fault.as_ref()?;
        let culprit = self.culprit();
        let by = culprit.as_ref().map(|culprit| format!(" by {culprit}")).unwrap_or_default();
        let what = format!("a packet to {}: {what}{by}", self.trace.goal);
        let steps = self.walk.steps.iter().map(|(name, text)| format!("{name}: {text}"));
        let cure = self
            .exception()
            .unwrap_or_else(|| Cure::advice(if cure.is_empty() { "nsnat status" } else { cure }));
        Some(Finding::new(*code, what, cure).shown_by(culprit).shown_by(steps))
    }

    /// A rule in the chain that drops packets of namespaces, or answers to them, which lets them through.
    fn exception(&self) -> Option<Cure> {
        let Fault { code, culprit, cure, .. } = self.walk.fault.as_ref()?;
        let TracedChain { kind, table, chain, hook, .. } = &culprit.as_ref()?.spot;
        let key = match (code, hook) {
            (Code::PacketDropped, _) => "iifgroup",
            // Where nothing else is known, what others changed there is why it was not routed.
            (Code::PacketLost, _) if cure == UNROUTED => "iifgroup",
            (Code::AnswerDropped, Some(Hook::Forward | Hook::Postrouting)) => "oifgroup",
            _ => return None,
        };
        let group = numbers::LINK_GROUP;
        let is_iptables = ["ip", "ip6"].contains(kind) && chain.chars().all(|c| c.is_ascii_uppercase());
        Some(Cure::command(if is_iptables {
            let program = if *kind == "ip" { "iptables" } else { "ip6tables" };
            let flag = if key == "iifgroup" { "--src-group" } else { "--dst-group" };
            format!("{program} -w -t {table} -I {chain} -m devgroup {flag} {group} -j ACCEPT")
        } else {
            format!("nft insert rule {kind} {table} {chain} {key} {group} accept")
        }))
    }

    /// The rule or the chain that did it, as people read it.
    pub fn culprit(&self) -> Option<String> {
        let suspect = self.walk.fault.as_ref()?.culprit.as_ref()?;
        let spot = &suspect.spot;
        Some(match (&self.rule, suspect.rule) {
            (Some(text), _) => format!("{spot}: {text}"),
            (None, Some(handle)) => format!("{spot}, rule {handle}"),
            (None, None) => format!("the policy of {spot}"),
        })
    }
}
