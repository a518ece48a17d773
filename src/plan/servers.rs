//! What packets told about the DNS servers of namespaces that have several, and when that says nothing any more.
//!
//! A server that does not answer is passed over for a minute. That is wrong where others are in their places now, and where the
//! way to them was broken: they were asked in vain, and are as well as before. A repair ends what was learned meanwhile.

use super::action::{Action, Side};
use super::namespace_of_action::Owners;
use crate::model::{ActiveNamespace, Datum, Element, Observed, RuleAction, Set, State, dnsaddr};
use ipnetwork::IpNetwork;
use std::collections::BTreeSet;

/// Host veths and ports whose DNS elements an action changes.
pub(super) fn rewritten(action: &Action) -> Vec<(String, u16)> {
    let (remove, add) = match action {
        Action::Elements { remove, add } => (&remove[..], &add[..]),
        Action::LoadSkeleton { elements, .. } => (&[][..], &elements[..]),
        _ => return Vec::new(),
    };
    let one = |element: &Element| {
        let link = device(element).filter(|_| element.set.is_dns())?;
        let port = match element.key.last() {
            Some(Datum::Port(port)) => *port,
            _ => dnsaddr::PORT,
        };
        Some((link.to_owned(), port))
    };
    remove.iter().chain(add).filter_map(one).collect()
}

/// Host veths whose several servers are not the same any more, or can be asked again.
pub(super) fn stale(out: &[Action], state: &State, observed: &Observed) -> Vec<Action> {
    let several = |element: &&Element| [Set::DnsTwo4, Set::DnsTwo6].contains(&element.set);
    let several: BTreeSet<&str> = observed.table.elements.iter().filter(several).filter_map(device).collect();
    if several.is_empty() {
        return Vec::new();
    }
    let others: BTreeSet<String> = out.iter().flat_map(rewritten).map(|(link, _)| link).collect();
    let owners = Owners::new(state);
    let mends =
        |namespace: &ActiveNamespace| out.iter().any(|action| mends_way(action, namespace, state, &owners));
    let mended = state.namespaces.values().filter(|namespace| several.contains(namespace.link.as_str()));
    let mended = mended.filter(|namespace| mends(namespace)).map(|namespace| namespace.link.clone());
    let links: BTreeSet<String> = mended.chain(others).collect();
    let forget = |link: String| Action::ForgetServers { link };
    links.into_iter().filter(|link| several.contains(link.as_str())).map(forget).collect()
}

/// Whether an action makes a part of the way of a namespace's questions, or of their answers.
fn mends_way(action: &Action, namespace: &ActiveNamespace, state: &State, owners: &Owners<'_>) -> bool {
    let is_own = || owners.of(action).is_some_and(|name| state.namespaces.get(name) == Some(namespace));
    let egress = state.egresses.get(&namespace.egress);
    let is_by = |table: u32| egress.is_some_and(|egress| egress.table() == table);
    let is_to = |to: IpNetwork| {
        let slice6 = egress.and_then(|egress| egress.slice6).map(IpNetwork::from);
        to.contains(namespace.subnet.ip().into()) || slice6 == Some(to)
    };
    match action {
        Action::AddRule { place: Side::Host, rule } => {
            rule.to.is_some_and(is_to) || matches!(rule.action, RuleAction::Lookup(table) if is_by(table))
        }
        Action::AddRoute { place: Side::Host, route, .. } => is_by(route.table) || is_own(),
        Action::Elements { add, .. } => add.iter().any(|element| device(element) == Some(&*namespace.link)),
        Action::Sysctl { .. } => owners.of(action).is_none() || is_own(),
        Action::AddPass { .. } | Action::AddPolicy { .. } | Action::RemovePolicy { .. } => true,
        Action::ForgetFlows { .. } | Action::ForgetServers { .. } | Action::ResetConnections { .. } => false,
        _ => is_own(),
    }
}

fn device(element: &Element) -> Option<&str> {
    if let Some(Datum::Device(link)) = element.key.first() { Some(link) } else { None }
}
