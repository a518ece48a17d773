//! What is.

use super::foreign::Foreign;
use super::handle::Kernel;
use super::inside::{self, KnownTuning};
use super::netlink_socket::NetlinkSocket;
use super::netns::AttachedNetns;
use super::processes::is_alive;
use super::routes::RouteRows;
use super::stack;
use super::sysctl::{self, Sysctls};
use super::threads::beside;
use super::{files, ipsec, netns, other_firewalls, resolver};
use crate::error::{Error, Result};
use crate::model::stack::DeviceNames;
use crate::model::{
    ActiveNamespace, Family, Gates, Link, Look, Name, Netns, Observed, OtherNamespaces, Stack, State,
    observed::Features, tap::Tap, tuning,
};
use crate::plan::desired::known_elements;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::channel;
use std::thread;

/// Sysctls of the host that are of no device.
const HOST_SYSCTLS: [&str; 5] = [
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/rp_filter",
    "net/ipv6/conf/all/forwarding",
    "net/ipv6/conf/default/forwarding",
    "net/ipv6/conf/default/accept_ra",
];

/// What the host is tuned to, as far as that matters to a namespace.
fn tuned(state: &State, host: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let noted = |key: &str| state.inherited.contains_key(key) || state.left_alone.contains_key(key);
    let mut values = tuning::settings_to_inherit(noted, |key| host.get(key).cloned());
    // What cannot be said in this user namespace is left as it is.
    values.retain(|key, value| key != tuning::PING_GROUPS || sysctl::are_groups_known(value));
    values
}

impl Kernel {
    /// Observes what is looked at; what does not depend on each other at the same time.
    pub(super) fn look(&mut self, state: &State, look: Look<'_>) -> Result<Observed> {
        self.learn_attached(state);
        let abandoned = find_abandoned(state)?;
        let others = look.others(state, &abandoned);
        let is_inside = !matches!(look, Look::Outside(_));
        let mut last_table = std::mem::take(&mut self.table);
        let features = features(&mut self.sysctls);
        let passed_by = others.names();
        let known = known_elements(state, &passed_by);
        let (tell_devices, devices_by_routes) = channel();
        let tables = || {
            let routes = RouteRows::dump(&NetlinkSocket::for_dumps()?, &resolver::all_servers())?;
            // Nobody may be asking.
            let _ = tell_devices.send(routes.devices());
            let mut table = || last_table.observe(&others, known.as_ref(), features.without_ipsec);
            let (table, policies) =
                if is_inside { (table()?, ipsec::observe()?) } else { Default::default() };
            Ok((table, policies, routes))
        };
        self.devices.passes_idle &= features.force_forwarding || !features.ipv6;
        let by_routes = || devices_by_routes.recv().ok().flatten();
        let stacks = || self.stacks(state, look, &others, by_routes);
        let ((table, policies, routes), view) = side_by_side(tables, stacks)?;
        let HostView { mut host, devices, idle_passed_by, namespaces, gates } = view;
        host.routes = routes.read(&devices, true)?;
        // Without rules there is one table alone: what is meant for ours would go into the host's own.
        if stack::has_no_rules(&host, Family::V4)? {
            return Err(Error::new("kernel", "it has no rules of routing"));
        }
        let without_rules6 = features.ipv6 && stack::has_no_rules(&host, Family::V6)?;
        self.table = last_table;
        Ok(Observed {
            host,
            gates,
            policies,
            cookie: self.cookie,
            namespaces,
            passed_by,
            idle_passed_by,
            table,
            abandoned,
            state: state.clone(),
            features: Features { without_rules6, ..features },
            health: files::health(),
            nameservers: resolver::nameservers(),
            upstreams: resolver::upstreams(&devices),
            accounts: BTreeMap::new(),
        })
    }

    /// The host's stack without its routes, and what is found by it. `by_routes`: the devices that routes lead by, where they are
    /// known.
    fn stacks(
        &mut self,
        state: &State,
        look: Look<'_>,
        others: &OtherNamespaces<'_>,
        by_routes: impl FnOnce() -> Option<BTreeSet<u32>>,
    ) -> Result<HostView> {
        let (keeps, sysctls) = (self.keeps_rulesets, &mut self.sysctls);
        let counted = !matches!(look, Look::These(_));
        let netlink = NetlinkSocket::for_dumps()?;
        let used = || {
            let addressed = stack::addressed(&netlink)?;
            Ok(by_routes().map(|by_routes| &addressed | &by_routes))
        };
        let asked = self.devices.ask_for(state, others, used)?;
        let (mut host, devices) = stack::observe(&netlink, asked.as_ref(), counted)?;
        host.sysctls.extend(sysctls.read_all(HOST_SYSCTLS));
        let all_tuning = || sysctls.read_all(tuning::KEYS.map(|(key, _)| key));
        let tuned = tuned(state, self.tuning.get_or_insert_with(all_tuning));
        let settled = KnownTuning::of(state, &tuned);
        let mut foreign = match look {
            Look::Outside(_) => None,
            Look::Everything(_) | Look::These(_) => Some(self.foreign.take().map_or_else(Foreign::open, Ok)?),
        };
        let are_few = asked.is_some() && devices.len() < stack::FEW;
        let gates = || match &mut foreign {
            Some(foreign) => {
                let foreign = &*foreign;
                foreign.look(keeps, || other_firewalls::observe(foreign, state, &devices, are_few))
            }
            None => Ok(Gates::default()),
        };
        let attached = &self.attached;
        let inside = || namespaces(state, look, others, &host, &settled, attached);
        let (gates, namespaces) = side_by_side(gates, inside)?;
        self.foreign = foreign;
        host.sysctls.extend(tuned);
        let idle_passed_by = asked.is_some_and(|asked| asked.without_idle);
        // Packets may go by an idle device, too.
        let led_by = gates.taps.iter().filter_map(Tap::target).filter(|_| idle_passed_by);
        for name in led_by.filter(|name| host.link(name).is_none()).collect::<BTreeSet<_>>() {
            host.links.extend(stack::link(&netlink, name, counted)?.map(|(link, _)| link));
        }
        Ok(HostView { host, devices, idle_passed_by, namespaces, gates })
    }
}

/// What depends on the host's stack, with it.
struct HostView {
    host: Stack,
    devices: DeviceNames,
    idle_passed_by: bool,
    namespaces: BTreeMap<Name, Netns>,
    gates: Gates,
}

/// The results of two jobs that are done at the same time.
fn side_by_side<A: Send, B>(
    one: impl FnOnce() -> Result<A> + Send,
    other: impl FnOnce() -> Result<B>,
) -> Result<(A, B)> {
    thread::scope(|scope| {
        let one = beside(scope, one)?;
        let other = other()?;
        let one = one.join().unwrap_or_else(|_| Err(Error::new("look", "a thread ended early")))?;
        Ok((one, other))
    })
}

/// The namespaces that the state knows, that are asked for, or that a host veth names.
fn namespaces(
    state: &State,
    look: Look<'_>,
    others: &OtherNamespaces<'_>,
    host: &Stack,
    settled: &KnownTuning<'_>,
    attached: &BTreeMap<Name, AttachedNetns>,
) -> Result<BTreeMap<Name, Netns>> {
    let is_no_other = |(_, namespace): &(&Name, &ActiveNamespace)| !others.have_link(&namespace.link);
    let known = state.namespaces.iter().filter(is_no_other).map(|(name, _)| name);
    let asked = look.names().iter().copied();
    let tagged = host.links.iter().filter_map(Link::namespace);
    let wanted: BTreeSet<Name> = known.chain(asked).cloned().chain(tagged).collect();
    let is_seen = |name: &&Name| match look {
        Look::Everything(_) => true,
        Look::These(names) => names.contains(name) || state.namespaces.contains_key(*name),
        Look::Outside(_) => false,
    };
    let is_handed = |name: &&Name| state.namespaces.get(*name).is_some_and(|known| known.is_handed());
    let (handed, wanted): (Vec<_>, Vec<_>) = wanted.iter().partition(is_handed);
    let (looked_into, passed_by): (Vec<_>, Vec<_>) = wanted.into_iter().partition(is_seen);
    let mut out = inside::look_into(&looked_into, settled, attached)?;
    for name in passed_by {
        out.extend(unseen_netns(name, state)?.map(|found| (name.clone(), found)));
    }
    for name in handed {
        out.extend(handed_netns(name, state, host).map(|found| (name.clone(), found)));
    }
    Ok(out)
}

/// The state of an attachment whose interface is handed over: there as long as its host veth is.
fn handed_netns(name: &Name, state: &State, host: &Stack) -> Option<Netns> {
    let namespace = state.namespaces.get(name)?;
    host.link(&namespace.link).filter(|link| link.is_ours())?;
    let path = namespace.attached.as_ref().map(|attached| attached.path.as_path());
    Some(Netns::Handed { inode: path.and_then(netns::inode_at) })
}

/// A namespace's state without looking into it.
fn unseen_netns(name: &Name, state: &State) -> Result<Option<Netns>> {
    let known = state.namespaces.get(name);
    let noted = known.map(|namespace| namespace.inode.unwrap_or_default());
    if let Some(inode) = noted.filter(|_| known.is_some_and(|known| known.attached.is_some())) {
        return Ok(Some(Netns::Unseen { inode }));
    }
    Ok(match (netns::find(name)?, noted) {
        (netns::NetnsFile::Alive { inode, .. }, _) | (_, Some(inode)) => Some(Netns::Unseen { inode }),
        (netns::NetnsFile::Nothing, None) => None,
        (netns::NetnsFile::Stale, None) => Some(Netns::Stale),
    })
}

/// Ephemeral namespaces whose owner ended and in which nobody is, and attachments whose network namespace is gone.
fn find_abandoned(state: &State) -> Result<BTreeSet<Name>> {
    let device = netns::device();
    let mut out: BTreeSet<Name> = state
        .namespaces
        .iter()
        .filter(|(name, namespace)| is_gone(name, namespace, device))
        .map(|(name, _)| name.clone())
        .collect();
    let ownerless = |namespace: &ActiveNamespace| namespace.owner.is_some_and(|owner| !is_alive(owner));
    for (name, _) in state.namespaces.iter().filter(|(_, namespace)| ownerless(namespace)) {
        if netns::identity(name)?.is_none_or(|netns| super::processes_in(netns).is_empty()) {
            out.insert(name.clone());
        }
    }
    Ok(out)
}

/// Whether it is an attachment to a network namespace that is certainly gone: it is not where it was, and nobody is in it. Each run
/// asks this of each attachment, so where the namespace is, one question is all. `device`: that of namespaces.
fn is_gone(name: &Name, namespace: &ActiveNamespace, device: Option<u64>) -> bool {
    if namespace.is_handed() {
        return nix::net::if_::if_nametoindex(namespace.link.as_str()).is_err();
    }
    let (Some(attached), Some(inode)) = (&namespace.attached, namespace.inode) else { return false };
    // A user may be forbidden to look there.
    if netns::leads_to(&attached.path, inode, device) || !nix::unistd::geteuid().is_root() {
        return false;
    }
    let place = AttachedNetns { path: attached.path.clone(), inode, cookie: namespace.cookie };
    matches!(netns::find_attached(name, &place), Ok(netns::NetnsFile::Nothing))
}

/// What the kernel can do, as far as its settings tell.
fn features(sysctls: &mut Sysctls) -> Features {
    Features {
        force_forwarding: sysctls.read("net/ipv6/conf/all/force_forwarding").is_some(),
        ipv6: sysctls.read("net/ipv6/conf/all/disable_ipv6").is_some_and(|value| value == "0"),
        without_ipsec: ipsec::is_missing(sysctls),
        ..Features::default()
    }
}
