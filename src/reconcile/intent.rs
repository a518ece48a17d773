//! What is written down before anything is changed: whatever a run that is killed has made is in it.

use crate::model::{
    ActiveNamespace, Allowed, DnsMode, Egress, Name, NamespaceRecord, Netns, Observed, State,
};
use crate::plan::Action;
use ipnetwork::Ipv4Network;
use std::net::Ipv4Addr;

/// The union of what is wanted and what is remembered of what was observed, while `actions` lead from one to the other.
pub(super) fn intent(goal: &State, observed: &Observed, actions: &[Action]) -> State {
    let mut out = forget_loaded(union_of(goal, &observed.state), actions);
    for (name, namespace) in orphaned_namespaces(observed) {
        out.namespaces.entry(name).or_insert(namespace);
    }
    out.unfinished |= replaces(goal, &observed.state);
    out
}

/// Whether something that both have is not the same in both: the union has one of the two, and the other one may be there.
fn replaces(goal: &State, before: &State) -> bool {
    let other_namespace =
        |(name, goal)| before.namespaces.get(name).is_some_and(|before: &ActiveNamespace| before != goal);
    let other_egress = |(key, goal)| before.egresses.get(key).is_some_and(|before: &Egress| before != goal);
    goal.mask != before.mask
        || goal.split != before.split
        || goal.egresses.iter().any(other_egress)
        || goal.namespaces.iter().any(other_namespace)
}

/// Namespaces that are known by their tags alone, and belong to no egress: nothing of them is wanted. Once they are
/// being taken to pieces, their numbers tell whose they are.
fn orphaned_namespaces(observed: &Observed) -> impl Iterator<Item = (Name, ActiveNamespace)> {
    observed.orphans().filter_map(|name| match observed.namespaces.get(name) {
        Some(Netns::Alive { inode, cookie, .. }) => Some((name.clone(), orphaned_namespace(*inode, *cookie))),
        _ => None,
    })
}

fn orphaned_namespace(inode: u64, cookie: Option<u64>) -> ActiveNamespace {
    let record = NamespaceRecord {
        egress: String::new(),
        link: String::new(),
        subnet: Ipv4Network::from(Ipv4Addr::UNSPECIFIED),
        own_subnet: false,
        mtu: None,
        ipv6: false,
        dns: DnsMode::default(),
        inode: Some(inode),
        cookie,
        dns_was_set: false,
        tuned: None,
        allowed: Allowed::default(),
        proxy: None,
        published: Vec::new(),
        published_at: Vec::new(),
        published_by: Vec::new(),
        host: None,
        checks: None,
        owner: None,
        attached: None,
    };
    record.into()
}

/// How a skeleton that these actions load reads back is not known yet.
pub(super) fn forget_loaded(state: State, actions: &[Action]) -> State {
    let loads = actions.iter().any(|action| matches!(action, Action::LoadSkeleton { .. }));
    State { skeleton: state.skeleton.filter(|_| !loads), ..state }
}

/// Both, the first one's entries where both have one. To the kernel an egress is its number: a namespace that only the
/// second has stays with that, whatever it is called in the first.
pub(super) fn union_of(first: &State, second: &State) -> State {
    let mut out = first.clone();
    for (key, egress) in &second.egresses {
        if !out.egresses.values().any(|other| other.number == egress.number) {
            let taken = out.egresses.contains_key(key);
            let key = if taken { format!("{key} #{}", egress.number) } else { key.clone() };
            out.egresses.insert(key, egress.clone());
        }
    }
    for (name, namespace) in
        second.namespaces.iter().filter(|(name, _)| !first.namespaces.contains_key(*name))
    {
        let mut namespace = namespace.clone();
        let known = |key: &String| {
            let number = second.egresses.get(key)?.number;
            out.egresses.iter().find(|(_, egress)| egress.number == number).map(|(key, _)| key)
        };
        if namespace.egress_keys().any(|key| known(key).is_some_and(|known| known != key)) {
            let rename = |key: &mut String| known(key).cloned().into_iter().for_each(|known| *key = known);
            rename(&mut namespace.egress);
            namespace.published_by.iter_mut().for_each(|by| rename(&mut by.egress));
        }
        out.namespaces.insert(name.clone(), namespace);
    }
    for (key, held) in &second.sysctls {
        out.sysctls.entry(key.clone()).or_insert_with(|| held.clone());
    }
    out.passes.extend(second.passes.iter().cloned());
    out.made_netns_dir |= second.made_netns_dir;
    out.earlier.extend(second.earlier.iter().chain([&second.first]));
    out.earlier.remove(&out.first);
    out
}
