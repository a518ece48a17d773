//! The difference between what should be and what is, as actions in a safe order.
//!
//! # The order
//!
//! What protects comes before what it protects against, so that a run may be cut off anywhere: first the nft
//! elements and the guard, then the unreachable fallbacks and rules, then links, and the routes that let packets out last.
//! What goes is the other way round: links are cut first (also because their names and subnets may be given out
//! again in the same run), what guarded them goes last.

use super::action::{Action, Flows, LinkChange, Side};
use super::addresses::inside_addresses;
use super::desired::{Desired, metric};
use super::{handed, held_sysctls, host_services, ipsec, moved, other_firewalls, published, servers, source};
use crate::model::nft::TableForm;
use crate::model::ownership::OurRules;
use crate::model::stack::{device_of, is_link_local, overlap};
use crate::model::{
    ActiveNamespace, Address, Datum, DetachedNetns, Element, Link, Name, Netns, Observed, Route, RouteKind,
    Rule, Set, Stack, State, changes, numbers, tuning,
};
use ipnetwork::IpNetwork;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What has to be done to get from `observed` to `desired`, which follows from `state`.
pub fn diff(state: &State, desired: &Desired, observed: &Observed) -> Vec<Action> {
    let mut out = Vec::new();
    for (name, stack) in &desired.inside {
        diff_namespace(&mut out, state, name, stack, desired, observed);
    }
    out.extend(handed::missing_pairs(desired, observed));
    diff_host(&mut out, desired, observed);
    let back = held_sysctls::to_restore(&observed.state, &desired.host.sysctls, &observed.host.sysctls);
    let sysctl = |(key, value)| Action::Sysctl { place: Side::Host, key, value };
    out.extend(back.clone().into_iter().map(sysctl));
    diff_table(&mut out, state, desired, observed);
    forget_flows_of_changed_dns(&mut out, state, observed);
    forget_flows_of_released_addresses(&mut out, state, observed);
    out.extend(source::stale_flows(state, observed));
    out.extend(published::stale_flows(state, observed));
    out.extend(host_services::stale_flows(state, observed));
    out.extend(moved::lost_connections(state, observed));
    other_firewalls::diff(&mut out, state, observed);
    ipsec::diff(&mut out, state, observed);
    out.extend(servers::stale(&out, state, observed));
    gone_namespaces(&mut out, state, desired, observed);
    leave_to_the_kernel(&mut out);
    out.sort_by_key(|action| rank(action, &back));
    out
}

/// Host veths that are made by these actions.
fn made_links(actions: &[Action]) -> BTreeSet<String> {
    let made = |action: &Action| match action {
        Action::AddVeth { link, .. } | Action::AddPair { link, .. } => Some(link.clone()),
        _ => None,
    };
    actions.iter().filter_map(made).collect()
}

/// Earlier ranks are done first. `back`: sysctls that get their old value back.
fn rank(action: &Action, back: &BTreeMap<String, String>) -> u8 {
    match action {
        // Writing the switch for all devices makes the kernel change the settings of each device. So the settings of
        // devices are written before the switch is turned on, and restored after it is turned off.
        Action::Sysctl { place: Side::Host, key, .. } if back.contains_key(key) => {
            if key == held_sysctls::ALL6 { 29 } else { 30 }
        }
        Action::Sysctl { key, .. } if key == held_sysctls::ALL6 => 8,
        Action::Sysctl { .. } | Action::Tune { .. } => 7,
        // A link that goes may be in the way of one that comes: by its name, or by its peer (somebody renamed it).
        Action::RemoveLink { .. } => 2,
        Action::LoadSkeleton { .. } => 0,
        Action::Elements { add, .. } if !add.is_empty() => 1,
        // A policy that goes may be in the way of one that comes, by its selectors.
        Action::MakeNetns { .. } | Action::AttachNetns { .. } | Action::RemovePolicy { .. } => 3,
        Action::AddRule { place: Side::Host, .. } | Action::AddPolicy { .. } => 4,
        Action::AddRoute { place: Side::Host, route, .. } if route.kind == RouteKind::Unreachable => 4,
        Action::AddVeth { .. } | Action::AddPair { .. } => 5,
        Action::SetLink {
            change: LinkChange::Group(_) | LinkChange::Alias(_) | LinkChange::Mtu(_), ..
        } => 6,
        Action::AddAddress { .. } => 9,
        Action::SetLink { change: LinkChange::Up, .. } => 10,
        Action::AddRoute { .. } | Action::AddPass { .. } => 11,
        Action::AddRule { .. } => 12,
        Action::RemoveNetns { .. } => 21,
        // It goes when the address is gone and its flows are forgotten: no late answer takes the host's default route.
        Action::RemoveRule { rule, .. } if leads_answers_back(rule) => 26,
        Action::RemoveRule { .. } | Action::RemovePass { .. } => 22,
        Action::RemoveRoute { .. } => 23,
        Action::RemoveAddress { .. } => 24,
        Action::ForgetFlows { which: Flows::All, .. } => 25,
        Action::Elements { .. } => 27,
        Action::RemoveTable => 28,
        Action::ForgetFlows { .. } | Action::ForgetServers { .. } => 31,
        // Programs begin anew at once, and that has to go by the new way.
        Action::ResetConnections { .. } => 32,
    }
}

/// Whether a rule selects by destination only: it leads answers back to a namespace.
fn leads_answers_back(rule: &Rule) -> bool {
    rule.from.is_none() && rule.to.is_some()
}

/// A namespace and its end of the veth.
fn diff_namespace(
    out: &mut Vec<Action>,
    state: &State,
    name: &Name,
    want: &Stack,
    desired: &Desired,
    observed: &Observed,
) {
    let Some(namespace) = state.namespaces.get(name).filter(|_| !observed.is_unseen(name)) else { return };
    let place = Side::Inside(name.clone());
    let is_attached = namespace.attached.is_some();
    let mut is_tuned = is_attached;
    let mut have = match observed.namespaces.get(name) {
        Some(Netns::Alive { stack, adrift, tuned, .. }) => {
            let attach = |lost: &DetachedNetns| Action::AttachNetns {
                name: name.clone(),
                pid: lost.pid,
                stale: lost.stale,
            };
            out.extend(adrift.as_ref().filter(|adrift| !adrift.taken).map(attach));
            is_tuned |= *tuned;
            Cow::Borrowed(stack.as_ref())
        }
        // Its maker took it away since the look; the next one finds that.
        _ if is_attached => return,
        absent => {
            out.push(Action::MakeNetns { name: name.clone(), stale: absent.is_some() });
            Cow::Owned(Stack { sysctls: tuning::settings_when_new(&state.inherited), ..Stack::fresh() })
        }
    };
    let ifname = namespace.ifname();
    let mtu = desired.host.link(&namespace.link).map_or(1500, |link| link.mtu);
    let paired = observed.host.link(&namespace.link).is_some() && have.link(ifname).is_some();
    if !paired {
        let (link, ifname) = (namespace.link.clone(), ifname.to_owned());
        // The kernel removes the end that is inside together with the host's, also if somebody renamed it. So every link
        // inside that carries our tag counts as gone; but in the namespace of an attachment there may be other ones.
        let tagged = have.links.iter().filter(|link| link.is_ours() && !is_attached);
        let gone: BTreeSet<String> = tagged.map(|link| link.name.clone()).chain([ifname.clone()]).collect();
        forget_links(have.to_mut(), &gone);
        out.push(Action::AddVeth { name: name.clone(), link, mtu, ifname });
    }
    let have = have.as_ref();
    if !is_tuned {
        tune(out, name, state, have);
    }
    for link in &want.links {
        let new = Link { up: false, mtu, ..link.clone() };
        let loopback_down = Link { up: false, ..link.clone() };
        let now = have.link(&link.name).unwrap_or(if link.loopback { &loopback_down } else { &new });
        change_link(out, &place, link, now);
    }
    let ours = if is_attached { attachment_is_ours(have, ifname) } else { inside_is_ours(have) };
    diff_stack(out, &place, want, have, &ours);
}

/// What the host is tuned to, and the namespace is not.
fn tune(out: &mut Vec<Action>, name: &Name, state: &State, have: &Stack) {
    let differs = |(key, value): &(&String, &String)| have.sysctls.get(*key) != Some(*value);
    let values = state.inherited.iter().filter(differs);
    let mut values: Vec<_> = values.map(|(key, value)| (key.clone(), value.clone())).collect();
    tuning::put_in_order(&mut values, &have.sysctls);
    if !values.is_empty() {
        out.push(Action::Tune { name: name.clone(), values });
    }
}

/// What differs between a link and how it should be.
fn change_link(out: &mut Vec<Action>, place: &Side, want: &Link, have: &Link) {
    let mut set = |change| out.push(Action::SetLink { place: place.clone(), dev: want.name.clone(), change });
    if !want.loopback && want.mtu != have.mtu {
        set(LinkChange::Mtu(want.mtu));
    }
    if !want.loopback && want.group != have.group {
        set(LinkChange::Group(want.group));
    }
    if let Some(alias) = want.alias.as_ref().filter(|_| want.alias != have.alias) {
        set(LinkChange::Alias(alias.clone()));
    }
    if want.up && !have.up {
        set(LinkChange::Up);
    }
}

/// What of a stack is ours to remove.
struct OursToRemove<'a> {
    routes: Vec<&'a Route>,
    rules: Vec<&'a Rule>,
    addresses: Vec<&'a Address>,
}

/// Inside, what carries our protocol; addresses on the veth; and the kernel's own rule for the local table, which
/// moves when DNS is diverted.
fn inside_is_ours(have: &Stack) -> OursToRemove<'_> {
    OursToRemove {
        routes: have.routes.iter().filter(|route| route.is_ours_inside()).collect(),
        rules: have.rules.iter().filter(|rule| rule.is_ours_inside()).collect(),
        addresses: addresses_on_ours(have),
    }
}

/// In the namespace of an attachment: what is on our interface, and carries our protocol where that can be; and our table and
/// the rules that lead there, which exist beside another way out.
fn attachment_is_ours<'a>(have: &'a Stack, ifname: &str) -> OursToRemove<'a> {
    let is_on_ours = |route: &Route| route.dev.as_deref() == Some(ifname);
    let ours = |route: &&Route| {
        route.is_ours_inside() && (is_on_ours(route) || route.table == numbers::BESIDE_TABLE)
    };
    let mut addresses = addresses_on_ours(have);
    addresses.retain(|address| address.dev == ifname);
    let rules = have.rules.iter().filter(|rule| rule.is_ours_beside()).collect();
    OursToRemove { routes: have.routes.iter().filter(ours).collect(), rules, addresses }
}

/// On the host: routes of our tables and rules of our blocks, both of protocol "kernel", and the addresses of our
/// links. In the main table, what leads to an attachment; the kernel's own routes by our links lead to subnets, or to the
/// host's addresses of IPv6, and have another metric there.
fn host_is_ours<'a>(have: &'a Stack, rules: &OurRules) -> OursToRemove<'a> {
    let links = have.links.iter().filter(|link| link.is_ours());
    let devs: BTreeSet<&str> = links.map(|link| link.name.as_str()).collect();
    let leads_to_attachment = |route: &Route| {
        route.table == u32::from(libc::RT_TABLE_MAIN)
            && route.dev.as_deref().is_some_and(|dev| devs.contains(dev))
            && IpNetwork::from(route.to.ip()) == route.to
            && route.metric == metric(route.family())
    };
    OursToRemove {
        routes: have.routes.iter().filter(|route| route.is_ours() || leads_to_attachment(route)).collect(),
        rules: have.rules.iter().filter(|rule| rules.has(rule)).collect(),
        addresses: addresses_on_ours(have),
    }
}

/// The addresses of our links, but for link-local ones, which are the kernel's own.
fn addresses_on_ours(stack: &Stack) -> Vec<&Address> {
    let links = stack.links.iter().filter(|link| link.is_ours());
    let devs: BTreeSet<&str> = links.map(|link| link.name.as_str()).collect();
    let ours = |address: &&Address| devs.contains(address.dev.as_str()) && !is_link_local(address.net.ip());
    stack.addresses.iter().filter(ours).collect()
}

/// Addresses, routes, rules and sysctls: differences of sets.
fn diff_stack(out: &mut Vec<Action>, place: &Side, want: &Stack, have: &Stack, ours: &OursToRemove<'_>) {
    let place = || place.clone();
    for (key, value) in &want.sysctls {
        if have.sysctls.get(key) != Some(value) {
            out.push(Action::Sysctl { place: place(), key: key.clone(), value: value.clone() });
        }
    }
    out.extend(
        want.addresses
            .difference(&have.addresses)
            .map(|address| Action::AddAddress { place: place(), address: address.clone() }),
    );
    let gone = ours.addresses.iter().filter(|address| !want.addresses.contains(**address));
    out.extend(gone.map(|address| Action::RemoveAddress { place: place(), address: (*address).clone() }));
    let keys: BTreeSet<_> = want.routes.iter().map(Route::key).collect();
    let kept: BTreeSet<_> = have.routes.iter().map(Route::key).filter(|key| keys.contains(key)).collect();
    for route in want.routes.difference(&have.routes) {
        let replace = kept.contains(&route.key());
        out.push(Action::AddRoute { place: place(), route: route.clone(), replace });
    }
    let gone =
        ours.routes.iter().filter(|route| !want.routes.contains(**route) && !keys.contains(&route.key()));
    out.extend(gone.map(|route| Action::RemoveRoute { place: place(), route: (*route).clone() }));
    let add = want.rules.difference(&have.rules).cloned();
    out.extend(add.map(|rule| Action::AddRule { place: place(), rule }));
    let remove = ours.rules.iter().filter(|rule| !want.rules.contains(**rule));
    out.extend(remove.map(|rule| Action::RemoveRule { place: place(), rule: (*rule).clone() }));
}

/// The host's stack; links that are not wanted go, and links that lost their namespace are made anew.
fn diff_host(out: &mut Vec<Action>, desired: &Desired, observed: &Observed) {
    let have = &observed.host;
    let want = &desired.host;
    let made = made_links(out);
    let mut removed = BTreeSet::new();
    for link in have.links.iter().filter(|link| link.is_ours()) {
        let wanted = want.link(&link.name).is_some() || handed::waits(desired, &link.name, &made);
        if !wanted || made.contains(&link.name) {
            removed.insert(link.name.clone());
            out.push(Action::RemoveLink { link: link.name.clone() });
        }
    }
    for link in &want.links {
        let new = Link { up: false, alias: None, ..link.clone() };
        let now = have.link(&link.name).filter(|_| !made.contains(&link.name)).unwrap_or(&new);
        change_link(out, &Side::Host, link, now);
    }
    let mut have = Cow::Borrowed(have);
    if !removed.is_empty() {
        forget_links(have.to_mut(), &removed);
    }
    let ours = host_is_ours(&have, &OurRules::of(&observed.state, &observed.host.rules));
    diff_stack(out, &Side::Host, want, &have, &ours);
}

/// Takes out of a stack what goes with links.
fn forget_links(stack: &mut Stack, links: &BTreeSet<String>) {
    stack.links.retain(|link| !links.contains(&link.name));
    stack.addresses.retain(|address| !links.contains(&address.dev));
    stack.routes.retain(|route| route.dev.as_ref().is_none_or(|dev| !links.contains(dev)));
    stack.sysctls.retain(|key, _| device_of(key).is_none_or(|dev| !links.contains(dev)));
}

/// The nft table: the skeleton is identified by digests, only elements are compared.
fn diff_table(out: &mut Vec<Action>, state: &State, desired: &Desired, observed: &Observed) {
    let have = &observed.table;
    let is_up = |name: &Name| state.namespaces.contains_key(name);
    if !desired.has_namespaces() && !observed.unseen().any(is_up) {
        if have.exists {
            out.push(Action::RemoveTable);
        }
        return;
    }
    if !is_whole(state, observed) {
        let elements = desired.elements.iter().cloned().collect();
        out.push(Action::LoadSkeleton { form: table_form(state, observed), replace: have.exists, elements });
        return;
    }
    diff_elements(out, &desired.elements, &have.elements);
}

/// Whether the table is there, as it was loaded, and loaded from the text of today.
pub(super) fn is_whole(state: &State, observed: &Observed) -> bool {
    let have = &observed.table;
    let is_known = observed.state.skeleton.is_some();
    let same_rules = have.rules.is_some() && (!is_known || have.rules == observed.state.skeleton);
    let text = crate::nft::skeleton::digest(table_form(state, observed));
    have.exists && have.text.as_deref() == Some(&text) && same_rules
}

fn table_form(state: &State, observed: &Observed) -> TableForm {
    TableForm { mask: state.mask, without_ipsec: observed.features.without_ipsec }
}

/// New elements come early; old ones go late, but for those that the new ones take the place of (the same key, or
/// a network that overlaps), which change in the same transaction. Where a host veth is given a mark, the old elements
/// that let packets of this mark out go in that transaction, too: the namespace never left by them, and the routing table
/// of the mark may still lead there.
fn diff_elements(out: &mut Vec<Action>, want: &BTreeSet<Element>, have: &BTreeSet<Element>) {
    let add: Vec<Element> = want.difference(have).cloned().collect();
    let given = add.iter().filter(|element| element.set == Set::MarkOf);
    let given: BTreeSet<&Datum> = given.flat_map(|element| &element.value).collect();
    let is_way = |a: &Element| a.set.is_way() && a.key.first().is_some_and(|mark| given.contains(mark));
    let replaced = |a: &Element| is_way(a) || add.iter().any(|b| collide(a, b));
    let (change, remove): (Vec<_>, Vec<_>) = have.difference(want).cloned().partition(replaced);
    if !add.is_empty() {
        out.push(Action::Elements { remove: change, add });
    }
    if !remove.is_empty() {
        out.push(Action::Elements { remove, add: Vec::new() });
    }
}

/// Whether two elements cannot be in their set at the same time.
fn collide(a: &Element, b: &Element) -> bool {
    let same = |(a, b): (&Datum, &Datum)| match (a, b) {
        (Datum::Network(a), Datum::Network(b)) => overlap(*a, *b),
        (a, b) => a == b,
    };
    a.set == b.set && a.key.len() == b.key.len() && a.key.iter().zip(&b.key).all(same)
}

/// Flows of a namespace that was up already and whose DNS goes elsewhere now.
fn forget_flows_of_changed_dns(out: &mut Vec<Action>, state: &State, observed: &Observed) {
    let mut flows = BTreeSet::new();
    for (link, port) in out.iter().flat_map(servers::rewritten) {
        let namespaces = state.namespaces.iter().filter(|(_, namespace)| namespace.link == link);
        let before = namespaces.filter(|(name, _)| observed.state.namespaces.contains_key(*name));
        let sources = before.flat_map(|(name, one)| sources(name, one, state, observed));
        flows.extend(sources.map(|address| (address, port)));
    }
    let to = |(source, port)| Action::ForgetFlows { source, which: Flows::To(port) };
    out.extend(flows.into_iter().map(to));
}

/// The addresses from which a namespace asks. What is inside of one that was handed over is not looked at.
fn sources(name: &Name, namespace: &ActiveNamespace, state: &State, observed: &Observed) -> Vec<IpAddr> {
    if namespace.is_handed() {
        return inside_addresses(state, namespace, observed.features);
    }
    let there = observed.stack(name).into_iter().flat_map(|stack| &stack.addresses);
    there.filter(|address| address.dev == namespace.ifname()).map(|address| address.net.ip()).collect()
}

/// Flows of a namespace that goes or gets other addresses: the other side goes on sending, and conntrack would turn
/// that around towards an address that is nobody's.
fn forget_flows_of_released_addresses(out: &mut Vec<Action>, state: &State, observed: &Observed) {
    let addresses = |state, namespace: Option<&ActiveNamespace>| {
        namespace.map_or_else(Vec::new, |namespace| inside_addresses(state, namespace, observed.features))
    };
    let forget = |which: Flows| move |source| Action::ForgetFlows { source, which };
    for change in changes(&observed.state, state) {
        if !observed.is_unseen(change.name) {
            let mut gone = addresses(&observed.state, change.before);
            let kept = addresses(state, change.after);
            gone.retain(|address| !kept.contains(address));
            out.extend(gone.into_iter().map(forget(Flows::All)));
        }
    }
    // The table is made anew: what began while there was none was not masqueraded.
    if out.iter().any(|action| matches!(action, Action::LoadSkeleton { replace: false, .. })) {
        for (name, before) in &observed.state.namespaces {
            let mut kept = addresses(state, state.namespaces.get(name));
            let before = addresses(&observed.state, Some(before));
            kept.retain(|address| before.contains(address) && !observed.is_unseen(name));
            out.extend(kept.into_iter().map(forget(Flows::Plain)));
        }
    }
}

/// An MTU that is too small for IPv6 takes it off the device, with its addresses and routes; so does the switch.
fn leave_to_the_kernel(out: &mut Vec<Action>) {
    let off = |action: &Action| match action {
        Action::SetLink { place, dev, change: LinkChange::Mtu(mtu) } if *mtu < numbers::LEAST_MTU6 => {
            Some((place.clone(), dev.clone()))
        }
        Action::Sysctl { place, key, value } if value == "1" => {
            let dev = key.strip_prefix("net/ipv6/conf/")?.strip_suffix("/disable_ipv6")?;
            Some((place.clone(), dev.to_owned()))
        }
        _ => None,
    };
    let without: Vec<(Side, String)> = out.iter().filter_map(off).collect();
    let goes = |place: &Side, dev: &str| without.iter().any(|(p, d)| p == place && d == dev);
    out.retain(|action| match action {
        Action::RemoveAddress { place, address } => address.net.is_ipv4() || !goes(place, &address.dev),
        Action::RemoveRoute { place, route } => {
            route.to.is_ipv4() || !route.dev.as_ref().is_some_and(|dev| goes(place, dev))
        }
        _ => true,
    });
}

/// Namespaces of ours that should not be any more. That of an attachment is its maker's.
fn gone_namespaces(out: &mut Vec<Action>, state: &State, desired: &Desired, observed: &Observed) {
    let is_attachment = |name: &Name| {
        let known = [state, &observed.state].into_iter().filter_map(|state| state.namespaces.get(name));
        known.into_iter().any(|namespace| namespace.attached.is_some())
    };
    let stays = |name: &Name, netns: &Netns| match netns {
        Netns::Unseen { .. } => state.namespaces.contains_key(name),
        _ => desired.inside.contains_key(name),
    };
    let gone = observed
        .namespaces
        .iter()
        .filter(|(name, netns)| !stays(name, netns) && observed.is_ours(name, netns))
        .filter(|(name, _)| !observed.is_taken(name) && !is_attachment(name));
    out.extend(gone.map(|(name, _)| Action::RemoveNetns { name: name.clone() }));
}
