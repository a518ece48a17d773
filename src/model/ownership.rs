//! What in the kernel is nsnat's: one question for each kind of object.
//!
//! An object is ours by a tag that the very message which makes it sets, so that no crash comes between the two: the
//! group of a link, the table or the protocol of a route, the first byte of a policy's index. Where others may have the
//! same tag, what ours always are besides that is asked, too. Routes and rules of the host carry the kernel's own
//! protocol (see [`HOST_PROTOCOL`]), so there their table and their place tell; inside a namespace they carry one that
//! is ours.

use super::ipsec::Effect;
use super::numbers::{self, ALIAS_PREFIX, ATTACHED_PREFIX, HOST_PROTOCOL, INSIDE_PROTOCOL, preference};
use super::{Family, Link, Name, NamespaceRecord, Policy, Route, Rule, RuleAction, State};
use std::collections::BTreeSet;

impl Link {
    /// Whether it is an end of one of our veth pairs.
    pub fn is_ours(&self) -> bool {
        [numbers::LINK_GROUP, numbers::DOOMED_GROUP].contains(&self.group)
            && self.kind.as_deref() == Some("veth")
    }

    /// The namespace that a host veth says it is of.
    pub fn namespace(&self) -> Option<Name> {
        self.alias.as_deref()?.strip_prefix(ALIAS_PREFIX)?.parse().ok()
    }
}

/// The `ifalias` of a namespace's host veth.
pub fn alias(name: &Name) -> String {
    format!("{ALIAS_PREFIX}{name}")
}

/// The same of a namespace or an attachment.
pub fn alias_of(name: &Name, namespace: &NamespaceRecord) -> String {
    match namespace.attached {
        Some(_) => format!("{ATTACHED_PREFIX}{name}"),
        None => alias(name),
    }
}

/// The namespace or attachment that an `ifalias` says a host veth is of.
pub fn named_by(alias: &str) -> Option<Name> {
    [ALIAS_PREFIX, ATTACHED_PREFIX].iter().find_map(|prefix| alias.strip_prefix(prefix))?.parse().ok()
}

/// Whether a table is of an egress.
pub fn is_our_table(table: u32) -> bool {
    (numbers::TABLE_BASE + 1..=numbers::TABLE_BASE + numbers::MAX_EGRESS).contains(&table)
}

impl Route {
    /// Whether a route of the host is ours.
    pub fn is_ours(&self) -> bool {
        is_our_table(self.table) && self.protocol == HOST_PROTOCOL
    }

    /// Whether a route inside a namespace is ours.
    pub fn is_ours_inside(&self) -> bool {
        self.protocol == INSIDE_PROTOCOL
    }
}

impl Rule {
    /// Whether a rule inside a namespace is ours, or is the kernel's for the local table, which moves when DNS is
    /// diverted.
    pub fn is_ours_inside(&self) -> bool {
        let is_kernels = self.preference == 0 && self.family == Family::V4;
        self.more.is_empty() && (self.protocol == INSIDE_PROTOCOL || is_kernels)
    }

    /// Whether a rule in the namespace of an attachment is ours.
    pub fn is_ours_beside(&self) -> bool {
        let places = preference::BESIDE_ANSWERS..=preference::BESIDE_WAY;
        self.more.is_empty() && self.protocol == INSIDE_PROTOCOL && places.contains(&self.preference)
    }
}

impl Policy {
    /// Whether it is ours.
    pub fn is_ours(&self) -> bool {
        self.index >> 24 == numbers::POLICY_INDEX >> 24
            && self.effect == Effect::Allow
            && self.priority == numbers::POLICY_PRIORITY
            && !self.sub
    }
}

/// The rules of the host that are ours: those in certain blocks of preferences, where there are, or may be, some.
pub struct OurRules(BTreeSet<u32>);

impl OurRules {
    /// The blocks that the state names; where the state file was lost, the blocks in which rules of ours are found.
    pub fn of(state: &State, rules: &BTreeSet<Rule>) -> Self {
        let mut firsts = BTreeSet::from([preference::FIRST, state.first]);
        firsts.extend(&state.earlier);
        let found = rules.iter().filter(|rule| is_way_out(rule) && rules.contains(&its_fallback(rule)));
        firsts.extend(found.filter_map(|rule| rule.preference.checked_sub(preference::MARK)));
        Self(firsts)
    }

    /// Whether a rule of the host is ours.
    pub fn has(&self, rule: &Rule) -> bool {
        let within = |first: &u32| (*first..first + preference::SIZE).contains(&rule.preference);
        rule.more.is_empty() && rule.protocol == HOST_PROTOCOL && self.0.iter().any(within)
    }
}

/// Two of our rules, at their distance, tell our block from a single rule of others with such a table.
fn is_way_out(rule: &Rule) -> bool {
    matches!(rule.action, RuleAction::Lookup(table) if is_our_table(table))
        && rule.mark.is_some()
        && rule.protocol == HOST_PROTOCOL
}

fn its_fallback(rule: &Rule) -> Rule {
    let preference = rule.preference.saturating_add(preference::MARK_FLOOR - preference::MARK);
    Rule { preference, action: RuleAction::Unreachable, ..rule.clone() }
}
