//! Attachments: the network namespaces of other programs in which nsnat has an interface.
//!
//! They are planned like namespaces. What is different: nobody declares them, so the recorded state says what is wanted;
//! their network namespace comes and goes without nsnat, and with it the attachment; and of what is inside, only nsnat's
//! own interface and the routes by it matter.

use super::egress_key::egress_key;
use super::{choice, uplink_path};
use crate::config::{Config, Namespace, Problem};
use crate::model::stack::Stack;
use crate::model::{ActiveNamespace, Attached, Family, Link, Name, Netns, Observed, Route, RouteKind, State};
use std::collections::BTreeMap;

/// Why a kernel lets no rule lead packets of IPv6.
pub(super) const NO_RULES6: &str =
    "this kernel has no rules of routing of IPv6 (CONFIG_IPV6_MULTIPLE_TABLES)";

/// The attachments of a state, each as a namespace with the same way out. One that leaves by what is not declared any more
/// is left out: it stays as it is.
pub(super) fn namespaces(config: &Config, state: &State) -> BTreeMap<Name, Namespace> {
    let one = |(name, namespace): (&Name, &ActiveNamespace)| {
        Some((name.clone(), config.attachment(namespace.attached.as_ref()?).ok()?))
    };
    state.namespaces.iter().filter_map(one).collect()
}

/// Why nothing would get out of a new attachment at the moment, if so.
pub fn closed_to(namespace: &Namespace, observed: &Observed) -> Option<String> {
    let key = egress_key(namespace, observed);
    let last = observed.state.egresses.get(&key).and_then(|egress| egress.path.as_ref());
    match choice::choose_path(namespace, last, observed, true) {
        Ok(path) => uplink_path::why_closed(path.as_ref()),
        Err(problems) => problems.into_iter().next().map(|problem| problem.message),
    }
}

/// Whether an entry of the state is an attachment that is over: its network namespace is gone, or another program has an
/// interface of that name there now.
pub(super) fn is_over(name: &Name, namespace: &ActiveNamespace, observed: &Observed) -> bool {
    if namespace.attached.is_none() || observed.passed_by.contains(name) {
        return false;
    }
    match observed.namespaces.get(name) {
        None | Some(Netns::Stale) => true,
        Some(netns @ (Netns::Unseen { .. } | Netns::Handed { .. })) => !observed.is_ours(name, netns),
        Some(netns @ Netns::Alive { stack, .. }) => {
            let is_foreign = |link: &Link| !link.is_ours();
            !observed.is_ours(name, netns) || stack.link(namespace.ifname()).is_some_and(is_foreign)
        }
    }
}

/// Why there can be no such attachment, if anything. `config`: names of namespaces are taken.
pub(super) fn obstacle(
    name: &Name,
    attached: &Attached,
    config: &Config,
    observed: &Observed,
) -> Option<Problem> {
    let problem = |why: String, help: &str| Some(Problem::at(None, why).help(help));
    let old = observed.state.namespaces.get(name).filter(|_| !observed.abandoned.contains(name));
    if config.namespaces.contains_key(name) || old.is_some_and(|old| old.attached.is_none()) {
        return problem(
            format!("a namespace is called {name}"),
            "choose another name for the attachment: --id",
        );
    }
    if let Some(old) = old.filter(|old| old.ifname() != attached.ifname) {
        let help = format!("nsnat detach {name} first, or choose another name: --id");
        return problem(format!("{name} has the interface {}", old.ifname()), &help);
    }
    let cannot_precede6 = observed.features.ipv6 && observed.features.without_rules6;
    if attached.beside.is_some() && cannot_precede6 {
        let why = format!("{name} cannot come before another way out of IPv6: {NO_RULES6}");
        return problem(
            why,
            "attach to a container that has no other network, or boot a kernel that was built with them",
        );
    }
    // Whose namespace it comes into, nobody knows yet.
    if attached.handed.is_some() {
        return None;
    }
    let path = attached.path.display();
    let (inode, cookie, stack) = match observed.namespaces.get(name) {
        Some(Netns::Alive { inode, cookie, stack, .. }) => (*inode, *cookie, stack),
        _ if observed.is_unseen(name) => return None,
        Some(Netns::Unseen { .. } | Netns::Handed { .. }) => return None,
        Some(Netns::Stale) | None => {
            return problem(format!("{path} leads to no network namespace"), "it may have ended meanwhile");
        }
    };
    if cookie.or(Some(inode)) == observed.cookie {
        return problem(
            format!("{path} is the network of the host itself"),
            "name the namespace of a container",
        );
    }
    if let Some(other) = old.filter(|old| old.inode != Some(inode)) {
        let there = other.attached.as_ref().map_or(path, |attached| attached.path.display());
        let help = format!("nsnat detach {name} first, or choose another name: --id");
        return problem(format!("{name} is attached to another namespace, {there}"), &help);
    }
    holder(name, inode, &attached.ifname, observed)
        .or_else(|| interface_of_others(old.is_some(), &attached.ifname, stack, &path.to_string()))
        .or_else(|| {
            default_of_others(&attached.ifname, stack, &path.to_string())
                .filter(|_| attached.beside.is_none())
        })
}

/// Nsnat itself has something in that network namespace.
fn holder(name: &Name, inode: u64, ifname: &str, observed: &Observed) -> Option<Problem> {
    let mut there = observed.state.namespaces.iter();
    let (other, namespace) = there.find(|(other, namespace)| {
        *other != name && namespace.inode == Some(inode) && !is_over(other, namespace, observed)
    })?;
    let problem = |why: String| Problem::at(None, why);
    Some(match &namespace.attached {
        None => problem(format!("{other} is a namespace of nsnat's own"))
            .help(format!("it has a way out already: nsnat exec {other}")),
        Some(attached) if attached.ifname == ifname => {
            problem(format!("{other} has the interface {ifname} there")).help(format!("nsnat detach {other}"))
        }
        Some(attached) => {
            problem(format!("{other} is the way out there already, by the interface {}", attached.ifname))
                .help(format!("a container leaves by one network of nsnat's: nsnat detach {other}"))
        }
    })
}

/// Another program has an interface of that name there.
fn interface_of_others(is_known: bool, ifname: &str, stack: &Stack, path: &str) -> Option<Problem> {
    stack.link(ifname).filter(|link| !is_known || !link.is_ours())?;
    let why = format!("there is an interface {ifname} in {path}, which is not nsnat's");
    Some(Problem::at(None, why).help("choose another name for nsnat's: --ifname"))
}

/// Another program has a default route there that is as good as nsnat's.
fn default_of_others(ifname: &str, stack: &Stack, path: &str) -> Option<Problem> {
    let is_default = |route: &&Route| {
        route.kind == RouteKind::Unicast
            && route.table == u32::from(libc::RT_TABLE_MAIN)
            && route.to.prefix() == 0
            && route.metric == super::desired::metric(Family::of_net(route.to))
            && route.dev.as_deref() != Some(ifname)
    };
    let other = stack.routes.iter().find(is_default)?;
    let by = other.dev.as_deref().unwrap_or("another interface");
    let why = format!("{path} has a default route by {by} already, with the metric {}", other.metric);
    Some(Problem::at(None, why).help("give that route a higher metric, or take it away"))
}
