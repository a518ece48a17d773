//! The recorded state, made ready for a plan: without what is not nsnat's any more, and with what the host is like now.

use super::egress_key::is_choice_of;
use super::reachable_servers::Names;
use super::{attached, dns, held_sysctls, other_firewalls, rule_precedence, uplink_path};
use crate::config;
use crate::model::{Bond, DnsMode, Name, Netns, Observed, State, tuning};
use std::collections::BTreeSet;

/// The recorded state without namespaces that are not nsnat's any more: abandoned ephemeral ones, and namespaces whose
/// name belongs to another program's namespace now. Otherwise the plan would configure the other program's.
pub(super) fn remembered_state(observed: &Observed) -> State {
    let mut state = observed.state.clone();
    state.host = observed.cookie;
    inherit(&mut state, observed);
    forget_foreign(&mut state, observed);
    state.namespaces.retain(|name, _| !observed.abandoned.contains(name));
    // A namespace without an egress is left over from a removal that was cut off.
    let egresses = &state.egresses;
    state.namespaces.retain(|_, namespace| egresses.contains_key(&namespace.egress));
    // A run that was killed leaves the union of old and new: an egress in it that nobody uses may have passed its
    // number on.
    prune_egresses(&mut state);
    forget_identities(&mut state, observed);
    refresh(&mut state, observed);
    state
}

/// A namespace that was removed and whose name somebody else took is not up any more; nor is an attachment that is over.
pub fn forget_foreign(state: &mut State, observed: &Observed) {
    let is_foreign = |name: &Name| {
        observed.namespaces.get(name).is_some_and(|netns| exists(netns) && !observed.is_ours(name, netns))
    };
    state.namespaces.retain(|name, one| !is_foreign(name) && !attached::is_over(name, one, observed));
}

fn exists(netns: &Netns) -> bool {
    !matches!(netns, Netns::Stale)
}

/// A namespace that went away is made anew, and has neither inode number nor cookie until that is done.
fn forget_identities(state: &mut State, observed: &Observed) {
    let seen = state.namespaces.iter_mut().filter(|(name, _)| !observed.passed_by.contains(*name));
    for (name, namespace) in seen {
        let is_known = namespace.inode.is_some() || namespace.cookie.is_some();
        let is_kept = namespace.inode.is_some() && observed.namespaces.get(name).is_some_and(exists);
        if is_known && !is_kept {
            namespace.inode = None;
            namespace.cookie = None;
        }
    }
}

/// What the host is tuned to holds in all namespaces; what they did not take is left alone.
fn inherit(state: &mut State, observed: &Observed) {
    let host = &observed.host.sysctls;
    state.left_alone.retain(|key, value| host.get(key) == Some(value));
    let taken = |key: &&str| !state.left_alone.contains_key(*key);
    let value = |key: &str| Some((key.to_owned(), host.get(key)?.clone()));
    state.inherited = tuning::KEYS.iter().map(|(key, _)| *key).filter(taken).filter_map(value).collect();
}

/// A device that went down since, or lost an address, takes no routes: nobody else's change may fail on that.
pub fn refresh(state: &mut State, observed: &Observed) {
    for path in state.egresses.values_mut().filter_map(|egress| egress.path.as_mut()) {
        uplink_path::refresh(path, observed);
    }
}

/// The recorded state with each path as its device is now, and with the passes that chains of others need now.
pub fn refreshed(observed: &Observed) -> State {
    let mut state = observed.state.clone();
    refresh(&mut state, observed);
    other_firewalls::record_passes(&mut state, observed);
    state
}

/// The state without these namespaces.
pub fn state_without(observed: &Observed, gone: impl Fn(&Name) -> bool) -> State {
    let mut state = remembered_state(observed);
    state.namespaces.retain(|name, _| !gone(name));
    tidy_state(&mut state, observed);
    state
}

/// The state in which the other network of an attachment has everything back that goes by nsnat's.
pub fn state_parting(observed: &Observed, name: &Name) -> State {
    let mut state = remembered_state(observed);
    let attached = state.namespaces.get_mut(name).and_then(|namespace| namespace.attached.as_mut());
    if let Some(beside) = attached.and_then(|attached| attached.beside.as_mut()) {
        beside.bond = Bond::Parting;
    }
    state
}

/// The state in which a namespace's queries go elsewhere.
pub fn with_dns(observed: &Observed, name: &Name, dns: &config::Dns) -> State {
    let mut state = remembered_state(observed);
    if let Some(namespace) = state.namespaces.get_mut(name) {
        let mode = match dns {
            config::Dns::Rewrite { servers, rewrites, block } => dns::rewriting(servers, rewrites, block),
            config::Dns::Auto | config::Dns::Host => DnsMode::default(),
        };
        let path = state.egresses.get(&namespace.egress).and_then(|egress| egress.path.as_ref());
        namespace.dns = Names { path, ipv6: namespace.ipv6, observed }.complete(mode);
        namespace.dns_was_set = true;
    }
    tidy_state(&mut state, observed);
    state
}

/// After a change of namespaces: egresses that nobody makes use of go, and so do sysctls that are not needed any more, and
/// the identities of namespaces that do not exist.
pub fn tidy_state(state: &mut State, observed: &Observed) {
    prune_checks(state);
    prune_egresses(state);
    forget_identities(state, observed);
    held_sysctls::record_held(state, observed);
    rule_precedence::place_rules(state, observed);
    other_firewalls::record_passes(state, observed);
}

/// Where no namespace has a choice of that uplink any more, it is not checked either.
fn prune_checks(state: &mut State) {
    if state.namespaces.values().all(|namespace| namespace.checks.is_none()) {
        return;
    }
    let jobs = state.namespaces.values().filter(|namespace| namespace.checks.is_none());
    let keys: BTreeSet<String> = jobs.map(|namespace| namespace.egress.clone()).collect();
    let is_needed = |uplink: &Name| keys.iter().any(|key| is_choice_of(key, uplink));
    state.namespaces.retain(|_, namespace| namespace.checks.as_ref().is_none_or(is_needed));
}

/// Egresses that no namespace makes use of go.
fn prune_egresses(state: &mut State) {
    let used: BTreeSet<&String> = state.namespaces.values().flat_map(|one| one.egress_keys()).collect();
    state.egresses.retain(|key, _| used.contains(key));
}
