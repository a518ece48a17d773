//! Transparent proxies of others that send by their clients' addresses (Squid's `tproxy`), and what nsnat costs these.
//!
//! What is sent back to such a proxy gets a mark, whose rule leads to the host itself: `local default dev lo`. The
//! check of the reverse path (`rp_filter`) asks how the host would send to the peer. It does not look at marks,
//! unless nsnat has it do so (`src_valid_mark`): then the answer is that the peer is the host itself, and the packet
//! is dropped (`__fib_validate_source`, net/ipv4/fib_frontend.c). The check knows one mark, the packet's, by which it
//! is routed, too. So nobody can have it see another one, and all that is left is to say so.

use super::{held_sysctls, line};
use crate::model::{Code, Cure, Egress, Family, Finding, Observed, RouteKind, Rule, RuleAction, State};

/// What is said of the namespaces of an egress on whose account such a proxy hears nothing; nothing is wrong with the
/// namespaces.
pub fn cut_off(egress: &Egress, state: &State, observed: &Observed) -> Option<Finding> {
    let dev = &egress.part_of(Family::V4)?.dev;
    let held = state.sysctls.get(&held_sysctls::valid_mark(dev)).filter(|held| held.before != held.now)?;
    let rule = observed.host.rules.iter().find(|rule| leads_to_the_host(rule, observed))?;
    let (rule, dev, now) = (line::rule_text(rule), line::quote(dev), &held.now);
    let what = format!(
        "a transparent proxy may get no answers by IPv4 on {dev}: for the sake of rp_filter, nsnat holds src_valid_mark={now} there, and its mark leads to the host itself ({rule})"
    );
    let off = format!("sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.{dev}.rp_filter=0");
    let cure = Cure::Commands(vec![off, "nsnat up".into()]);
    Some(Finding::new(Code::ProxyCutOff, what, cure).shown_by([rule]))
}

/// A rule by mark, in whose table every address is the host's own. (Of routes to a device that is `lo`, only local ones
/// have none of the kinds that are told apart.)
fn leads_to_the_host(rule: &Rule, observed: &Observed) -> bool {
    let RuleAction::Lookup(table) = rule.action else { return false };
    let marked = rule.mark.is_some_and(|(value, _)| value != 0) && !rule.more.invert;
    let mut routes = observed.host.routes.iter().filter(|route| route.table == table);
    let all = routes.any(|route| {
        let local = route.kind == RouteKind::Other && route.dev.as_deref() == Some("lo");
        local && route.to.prefix() == 0 && route.family() == Family::V4
    });
    rule.family == Family::V4 && marked && all
}
