//! An attachment whose namespace has a way out already: nsnat's comes before that, and takes nothing of it away.
//!
//! The other way stays as its maker made it, in the main table. What has a route of its own there goes by that; so do the
//! networks that are excepted, and answers by the addresses that the maker gave. Everything else goes by nsnat's table, and so
//! does, before all that, what answers by nsnat's own address where that publishes a port: whoever asks it may be in one of
//! those networks, and knows the address by which nsnat leaves. When
//! nsnat's interface is gone, that table is still there, and says that there is no way: nothing falls through to the other one.
//!
//! Two networks of one container know nothing of each other. The addresses of the other one are looked for inside then, and what
//! nsnat added there is taken away before its network is.

use crate::model::numbers::{self, preference as pref};
use crate::model::observed::Features;
use crate::model::stack::is_link_local;
use crate::model::{Attached, Beside, Bond, Family, Netns, Route, RouteKind, Rule, RuleAction, Stack};
use ipnetwork::IpNetwork;

/// The attachment with the addresses that the other way has in its namespace, where nobody has told them.
pub(super) fn with_addresses(attached: &Attached, netns: Option<&Netns>) -> Attached {
    let mut out = attached.clone();
    let Some(beside) = out.beside.as_mut().filter(|beside| beside.bond == Bond::Apart) else { return out };
    if let Some(Netns::Alive { stack, .. }) = netns {
        let is_of_the_other =
            |dev: &str| dev != attached.ifname && stack.link(dev).is_some_and(|link| !link.loopback);
        let others = stack.addresses.iter().filter(|address| is_of_the_other(&address.dev));
        let known = others.map(|address| address.net.ip()).filter(|address| !is_link_local(*address));
        beside.addresses = known.collect();
    }
    out
}

/// Moves the default routes of an attachment to a table of their own, and adds the rules that lead there. `answers`: nsnat's
/// own addresses, where others ask by these.
pub(super) fn put_before(out: &mut Stack, beside: &Beside, answers: &[IpNetwork], features: Features) {
    let moved = std::mem::take(&mut out.routes).into_iter();
    if beside.bond == Bond::Parting {
        return;
    }
    out.routes = moved.map(|route| Route { table: numbers::BESIDE_TABLE, ..route }).collect();
    for family in Family::BOTH {
        if family == Family::V6 && !features.ipv6 {
            continue;
        }
        out.routes.insert(Route {
            kind: RouteKind::Unreachable,
            metric: numbers::FLOOR_METRIC,
            ..Route::new(numbers::BESIDE_TABLE, family.everything(), numbers::INSIDE_PROTOCOL)
        });
        out.rules.extend(rules(beside, answers, family));
    }
}

fn rules(beside: &Beside, answers: &[IpNetwork], family: Family) -> Vec<Rule> {
    let rule = |place, table| Rule::new(family, place, RuleAction::Lookup(table), numbers::INSIDE_PROTOCOL);
    let main = u32::from(libc::RT_TABLE_MAIN);
    let except = beside.except.iter().filter(|net| Family::of_net(**net) == family);
    let addresses = beside.addresses.iter().filter(|address| Family::of(**address) == family);
    let mut out = vec![
        Rule { suppress: Some(0), ..rule(pref::BESIDE_OWN_ROUTE, main) },
        rule(pref::BESIDE_WAY, numbers::BESIDE_TABLE),
    ];
    out.extend(except.map(|net| Rule { to: Some(*net), ..rule(pref::BESIDE_EXCEPT, main) }));
    out.extend(addresses.map(|address| {
        let from = Some(IpNetwork::from(*address));
        Rule { from, ..rule(pref::BESIDE_ADDRESS, main) }
    }));
    let answers = answers.iter().filter(|address| Family::of_net(**address) == family);
    out.extend(answers.map(|address| {
        let from = Some(*address);
        Rule { from, ..rule(pref::BESIDE_ANSWERS, numbers::BESIDE_TABLE) }
    }));
    out
}
