//! Configuration → state: every namespace with its device, gateways, numbers and subnet found.

use super::attached::NO_RULES6;
use super::desired::mtu_by;
use super::egress_key::{carry_over, egress_key};
use super::link_name::link_name;
use super::reachable_servers::{self, Names};
use super::remembered::{remembered_state, tidy_state};
use super::selection::{Selection, attachments, selected};
use super::{alloc, attached, choice, dns, published};
use crate::config::{self, Config, Ipv6, Located, Namespace, Problem};
use crate::model::stack::{is_link_local, overlap};
use crate::model::{
    Account, ActiveNamespace, Allowed, Egress, Family, Name, NamespaceRecord, Netns, Observed, Owner,
    Publication, Published, PublishedBy, State, UplinkPath, numbers,
};
use ipnetwork::{IpNetwork, Ipv4Network};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

type Lookup<T> = Result<T, Vec<Problem>>;

/// The state in which the selected namespaces are up as `config` declares them, and everything else as it is.
pub fn resolve(config: &Config, selection: Selection<'_>, observed: &Observed) -> Lookup<State> {
    let (state, problems) = resolve_each(config, selection, observed);
    if problems.is_empty() { Ok(state) } else { Err(problems.into_values().flatten().collect()) }
}

/// The same with the problems of each namespace; those of none are of all of them.
pub(super) fn resolve_each(
    config: &Config,
    selection: Selection<'_>,
    observed: &Observed,
) -> (State, BTreeMap<Option<Name>, Vec<Problem>>) {
    let mut state = remembered_state(observed);
    let mut problems = BTreeMap::new();
    if let Err(found) = set_mask(&mut state, config) {
        problems.insert(None, found);
    }
    let taken = alloc::TakenNetworks::new(observed, config);
    let attachments = match attachments(config, selection, &state, observed) {
        Ok(attachments) => attachments,
        Err(found) => {
            problems.insert(None, found);
            return (state, problems);
        }
    };
    let selected = || selected(config, &attachments, selection);
    carry_over(&mut state, &selected().map(|(name, ns)| (name, egress_key(ns, observed))).collect());
    let moving = &selected().filter(|(_, one)| one.subnet.is_some()).map(|(name, _)| name).collect();
    let mut paths = BTreeMap::new();
    for (name, namespace) in selected() {
        let owner = selection.owner_of(name);
        // For the sake of a check alone, nothing is refused: what is wrong with its uplink, the namespaces say that have it.
        // An attachment stays as it is then, because nobody is asking for it who could be told.
        let is_new = matches!(selection, Selection::Attachment(only, _) if only == name);
        let is_check = namespace.checks.is_some() || (namespace.attached.is_some() && !is_new);
        let kept = is_check || matches!(selection, Selection::Kept(_));
        let resolver =
            NamespaceResolver { config, name, namespace, observed, taken: &taken, moving, owner, kept };
        if let Err(found) = resolver.resolve(&mut state, &mut paths)
            && !is_check
        {
            problems.insert(Some(name.clone()), found);
        }
        state.down.remove(name);
    }
    state.namespaces.retain(|name, namespace| namespace.checks.is_none() || config.checks.contains_key(name));
    tidy_state(&mut state, observed);
    (state, problems)
}

fn set_mask(state: &mut State, config: &Config) -> Lookup<()> {
    let mask = &config.settings.fwmark_mask;
    if state.namespaces.is_empty() {
        state.mask = mask.value;
    } else if state.mask != mask.value {
        let why = "the mark's mask cannot change while namespaces are up";
        return Err(vec![Problem::at(mask.place.clone(), why).help("nsnat down, then nsnat up")]);
    }
    Ok(())
}

/// Resolves one namespace of the configuration.
struct NamespaceResolver<'a> {
    config: &'a Config,
    name: &'a Name,
    namespace: &'a Namespace,
    observed: &'a Observed,
    taken: &'a alloc::TakenNetworks,
    /// Namespaces that the configuration gives a subnet. They leave the subnet that they had, so that one does not
    /// count as taken.
    moving: &'a BTreeSet<&'a Name>,
    owner: Option<Owner>,
    /// Nobody waits for an answer: what is not there yet may come later, and what was set at run time stays.
    kept: bool,
}

impl NamespaceResolver<'_> {
    /// Puts the namespace into the state. `paths`: what egresses were found to lead to, so that each is looked for
    /// once.
    fn resolve(&self, state: &mut State, paths: &mut BTreeMap<String, Option<UplinkPath>>) -> Lookup<()> {
        self.refuse_foreign()?;
        let key = self.way(self.namespace, state, paths)?;
        let ipv6 = self.ipv6(state, &key)?;
        let path = state.egresses.get(&key).and_then(|egress| egress.path.as_ref());
        let set = state.namespaces.get(self.name).filter(|old| self.kept && old.dns_was_set);
        let dns = match set {
            Some(old) => old.dns.clone(),
            None => dns::resolve(self.name, self.namespace, Names { path, ipv6, observed: self.observed })?,
        };
        let dns_was_set = set.is_some();
        let mtu = self.mtu(state.namespaces.get(self.name), path);
        self.servers(state, &key, ipv6)?;
        let subnet = self.subnet(state, &key)?;
        let published = self.published(state, &key, None)?;
        let published_by = self.published_by(state, paths)?;
        let old = state.namespaces.get(self.name);
        let (inode, cookie) = self.identity(old);
        let published_at = if published.is_empty() { Vec::new() } else { self.published_at(state, &key) };
        let namespace = NamespaceRecord {
            egress: key,
            link: old.map_or_else(|| link_name(self.name, state, self.observed), |old| old.link.clone()),
            subnet,
            own_subnet: self.namespace.subnet.is_some(),
            mtu,
            ipv6,
            dns,
            dns_was_set,
            inode,
            cookie,
            tuned: old.and_then(|old| old.tuned.clone()),
            allowed: self.allowed()?,
            published_at,
            published,
            published_by,
            host: self.namespace.host.clone(),
            proxy: self.namespace.proxy,
            checks: self.namespace.checks.clone(),
            owner: self.owner.or(old.and_then(|old| old.owner)),
            attached: self.namespace.attached.clone(),
        };
        state.namespaces.insert(self.name.clone(), namespace.into());
        Ok(())
    }

    fn problem_here(&self, message: impl Into<String>) -> Problem {
        Problem::at(self.namespace.place.clone(), message)
    }

    /// Finds the way by the uplinks of `namespace`, and the egress that leads there, by its key.
    fn way(
        &self,
        namespace: &Namespace,
        state: &mut State,
        paths: &mut BTreeMap<String, Option<UplinkPath>>,
    ) -> Lookup<String> {
        let key = egress_key(namespace, self.observed);
        if !paths.contains_key(&key) {
            let last = state.egresses.get(&key).and_then(|egress| egress.path.as_ref());
            let path = choice::choose_path(namespace, last, self.observed, self.kept)?;
            paths.insert(key.clone(), path);
        }
        let path = paths.get(&key).cloned().flatten();
        self.egress(state, &key, path)?;
        Ok(key)
    }

    /// The ports that are published by that uplink; `key`: the egress that leads there. A new one that another namespace has on
    /// the same device is refused, unless nobody could be told: then the first one by name has it (`plan::published`), as after
    /// a move that nobody asked for.
    fn published(&self, state: &State, key: &str, by: Option<&Name>) -> Lookup<Vec<Published>> {
        let path = state.egresses.get(key).and_then(|egress| egress.path.as_ref());
        let old = self.observed.state.namespaces.get(self.name);
        let had = |port: &Published| {
            old.is_some_and(|old| {
                let others = old.published_by.iter().map(|by| (&by.egress, &by.ports));
                let mut all = [(&old.egress, &old.published)].into_iter().chain(others);
                all.any(|(egress, ports)| egress == key && ports.contains(port))
            })
        };
        let conflict = |wanted: &Located<Publication>| {
            let port = wanted.value.port;
            let (holder, dev) = published::holder(port, self.name, path?, state)?;
            let why = format!("port {} of {dev} is published by {holder}", port.outside_name());
            Some(Problem::at(wanted.place.clone(), why).help("choose another port of the host"))
        };
        let wanted = || self.namespace.publish.iter().filter(|one| one.value.by.as_ref() == by);
        let is_new = |one: &&Located<Publication>| !self.kept && !had(&one.value.port);
        let problems: Vec<_> = wanted().filter(is_new).filter_map(conflict).collect();
        if problems.is_empty() { Ok(wanted().map(|one| one.value.port).collect()) } else { Err(problems) }
    }

    /// The ports that are asked by other uplinks than its own, with an egress for the answers.
    fn published_by(
        &self,
        state: &mut State,
        paths: &mut BTreeMap<String, Option<UplinkPath>>,
    ) -> Lookup<Vec<PublishedBy>> {
        let named: BTreeSet<&Name> =
            self.namespace.publish.iter().filter_map(|one| one.value.by.as_ref()).collect();
        let of_uplink = |uplink: &Name| {
            let namespace = self.config.answering_by(self.namespace, uplink)?;
            let egress = self.way(&namespace, state, paths)?;
            let ports = self.published(state, &egress, Some(uplink))?;
            let at = self.published_at(state, &egress);
            Ok(PublishedBy { uplink: uplink.clone(), egress, ports, at })
        };
        named.into_iter().map(of_uplink).collect()
    }

    /// The host's addresses on the devices by which an egress leaves.
    fn published_at(&self, state: &State, key: &str) -> Vec<IpAddr> {
        let Some(egress) = state.egresses.get(key) else { return Vec::new() };
        let addresses = self.observed.host.addresses.iter().filter(|address| {
            let ip = address.net.ip();
            let part = egress.path.as_ref().and_then(|path| path.part_of(Family::of(ip)));
            !is_link_local(ip) && part.is_some_and(|part| part.dev == address.dev)
        });
        addresses.map(|address| address.net.ip()).collect()
    }

    /// The numbers of its network namespace, where that is there already.
    fn identity(&self, old: Option<&ActiveNamespace>) -> (Option<u64>, Option<u64>) {
        match self.observed.namespaces.get(self.name).filter(|_| self.namespace.attached.is_some()) {
            Some(Netns::Alive { inode, cookie, .. }) => (Some(*inode), *cookie),
            _ => (old.and_then(|old| old.inode), old.and_then(|old| old.cookie)),
        }
    }

    /// MTU of its link, where that is not its uplink's at each moment. That of an interface which was handed over stays what it
    /// was made with: only one end of the two could change, and packets would be lost in between.
    fn mtu(&self, old: Option<&ActiveNamespace>, path: Option<&UplinkPath>) -> Option<u32> {
        if self.namespace.attached.as_ref().is_none_or(|attached| attached.handed.is_none()) {
            return self.namespace.mtu;
        }
        let first = || self.namespace.mtu.unwrap_or_else(|| mtu_by(path));
        Some(old.and_then(|old| old.mtu).unwrap_or_else(first))
    }

    /// A namespace of that name which is somebody else's is never touched.
    fn refuse_foreign(&self) -> Lookup<()> {
        let name = self.name;
        if let Some(attached) = &self.namespace.attached {
            let obstacle = attached::obstacle(name, attached, self.config, self.observed);
            return obstacle.map_or(Ok(()), |problem| Err(vec![problem]));
        }
        if self.observed.state.namespaces.get(name).is_some_and(|known| known.attached.is_some()) {
            let why = format!("an attachment is called {name}");
            return Err(vec![
                self.problem_here(why).help(format!("choose another name, or: nsnat detach {name}")),
            ]);
        }
        match self.observed.namespaces.get(name) {
            Some(netns @ Netns::Alive { .. })
                if !self.observed.is_ours(name, netns) || self.observed.is_taken(name) =>
            {
                Err(vec![
                    self.problem_here(format!(
                        "a network namespace named {name} exists and is not nsnat's; it is left alone"
                    ))
                    .help(format!("choose another name, or remove it yourself: ip netns del {name}")),
                ])
            }
            _ => Ok(()),
        }
    }

    /// The numbers of the users and groups that may enter besides root.
    fn allowed(&self) -> Lookup<Allowed> {
        let mut allowed = Allowed::default();
        let mut problems = Vec::new();
        for who in &self.namespace.allow {
            match (&who.value, self.observed.accounts.get(&who.value)) {
                (Account::User(_), Some(number)) => allowed.users.push(*number),
                (Account::Group(_), Some(number)) => allowed.groups.push(*number),
                (account, None) => problems.push(
                    Problem::at(who.place.clone(), format!("there is no {account}"))
                        .label("nobody")
                        .help("`allow` takes users of this host, and groups as \"@GROUP\""),
                ),
            }
        }
        if problems.is_empty() { Ok(allowed) } else { Err(problems) }
    }

    /// Whether the namespace gets IPv6. Once it has it, it keeps its address while its uplink has none: that may
    /// be a link that flaps, and programs still are refused at once.
    fn ipv6(&self, state: &State, key: &str) -> Lookup<bool> {
        let old = self.observed.state.namespaces.get(self.name);
        let had = old.is_some_and(|old| old.ipv6 && old.egress == key);
        let no_ipv6 = self.no_ipv6(state.egresses.get(key), had);
        if let Some((why, help)) = no_ipv6.filter(|(why, _)| *why == NO_RULES6 && self.names_ipv6_alone()) {
            let why = format!("namespace {}: it has gateways of IPv6 alone, but {why}", self.name);
            return Err(vec![self.problem_here(why).help(help)]);
        }
        match no_ipv6 {
            Some((why, help)) if self.namespace.ipv6 == Ipv6::Nat => {
                let why = format!("namespace {}: ipv6 = \"nat\", but {why}", self.name);
                Err(vec![self.problem_here(why).help(help)])
            }
            obstacle => Ok(obstacle.is_none() && self.namespace.ipv6 != Ipv6::Off),
        }
    }

    fn names_ipv6_alone(&self) -> bool {
        let mut uplinks = self.namespace.uplinks.iter().map(|uplink| &uplink.gateways);
        uplinks.all(|gateways| !gateways.is_empty() && gateways.iter().all(|gateway| gateway.value.is_ipv6()))
    }

    /// Servers that can never be asked are a mistake. Once the namespace is up, or where a next hop of their family is
    /// only out of reach at the moment, that is a passing condition and not a mistake of the configuration.
    fn servers(&self, state: &State, key: &str, ipv6: bool) -> Lookup<()> {
        let config::Dns::Rewrite { servers, .. } = &self.namespace.dns else { return Ok(()) };
        let path = state.egresses.get(key).and_then(|egress| egress.path.as_ref());
        let is_temporary = state.namespaces.contains_key(self.name)
            || path.map_or(self.kept, |path| !path.waiting.is_empty());
        let addresses: Vec<_> = servers.iter().map(|server| server.value).collect();
        let Some(why) = reachable_servers::unreachable(&addresses, ipv6, path).filter(|_| !is_temporary)
        else {
            return Ok(());
        };
        let place = servers.first().and_then(|server| server.place.clone());
        let problem =
            Problem::at(place, format!("namespace {}: {why}", self.name)).label("cannot be reached");
        Err(vec![problem.help("name a server of the other family, or give the uplink a gateway of this one")])
    }

    /// Why there can be no IPv6, and what to do about it.
    fn no_ipv6(&self, egress: Option<&Egress>, had: bool) -> Option<(&'static str, &'static str)> {
        const AUTO: &str = "or say ipv6 = \"auto\"";
        let path = egress.and_then(|egress| egress.path.as_ref());
        let mtu = self.namespace.mtu.or(path.map(UplinkPath::least_mtu));
        if !self.observed.features.ipv6 {
            return Some((
                "this host has IPv6 switched off",
                "sysctl -w net.ipv6.conf.all.disable_ipv6=0 where there is that, else boot without ipv6.disable=1; or say ipv6 = \"auto\"",
            ));
        }
        if self.observed.features.without_rules6 {
            return Some((
                NO_RULES6,
                "boot a kernel that was built with them, or use IPv4 alone: ipv6 = \"auto\"",
            ));
        }
        if egress.is_none_or(|egress| egress.slice6.is_none()) {
            return Some(("settings.pool6 is in use by others", "choose another settings.pool6"));
        }
        if mtu.is_some_and(|mtu| mtu < numbers::LEAST_MTU6) {
            return Some(("its MTU is less than IPv6's 1280 bytes", AUTO));
        }
        if !had && !path.is_some_and(|path| path.carries(Family::V6)) {
            return Some((
                "its uplink has no IPv6",
                "give the uplink an IPv6 gateway, or say ipv6 = \"auto\"",
            ));
        }
        None
    }

    /// Finds or makes the egress.
    fn egress(&self, state: &mut State, key: &str, path: Option<UplinkPath>) -> Lookup<()> {
        let egress = match state.egresses.remove(key) {
            Some(egress) => egress,
            None => self.new_egress(state)?,
        };
        state.egresses.insert(key.into(), Egress { path, lan: self.namespace.lan, ..egress });
        Ok(())
    }

    fn new_egress(&self, state: &State) -> Lookup<Egress> {
        let Some((number, slice6)) = alloc::number(state, &self.config.settings, self.taken) else {
            let why = format!("namespace {}: no mark and routing table are left", self.name);
            return Err(vec![
                self.problem_here(why).help("let namespaces share uplinks, or widen settings.fwmark-mask"),
            ]);
        };
        Ok(Egress { number, lan: true, path: None, slices: Vec::new(), slice6 })
    }

    fn subnet(&self, state: &mut State, key: &str) -> Lookup<Ipv4Network> {
        if let Some(own) = &self.namespace.subnet {
            return self.own_subnet(own, state, key);
        }
        let slices = state.egresses.get(key).map(|egress| egress.slices.clone()).unwrap_or_default();
        let keeps =
            |old: &&ActiveNamespace| !old.own_subnet && slices.iter().any(|slice| slice.overlaps(old.subnet));
        if let Some(old) = state.namespaces.get(self.name).filter(keeps) {
            return Ok(old.subnet);
        }
        let pool = &self.config.settings.pool;
        let prefix = if self.namespace.attached.is_some() { 32 } else { 30 };
        alloc::subnet(state, key, prefix, &self.config.settings, self.taken).ok_or_else(|| {
            let why = format!("namespace {}: the pool {} has no free block left", self.name, pool.value);
            let help = match self.taken.overlaps(IpNetwork::V4(pool.value)) {
                _ if pool.place.is_none() => {
                    "none of the other default pools has one either; choose a pool: settings.pool".into()
                }
                Some(net) => format!("{net} of this host overlaps it; choose another settings.pool"),
                None => "widen settings.pool".into(),
            };
            vec![Problem::at(pool.place.clone(), why).help(help)]
        })
    }

    /// A subnet that was chosen by hand must be nobody else's.
    fn own_subnet(&self, own: &Located<Ipv4Network>, state: &State, key: &str) -> Lookup<Ipv4Network> {
        let wanted = IpNetwork::V4(own.value);
        let stays = |name: &Name| name != self.name && !self.moving.contains(name);
        let others: Vec<(&Name, IpNetwork)> = state
            .namespaces
            .iter()
            .filter(|(name, _)| stays(name))
            .map(|(name, m)| (name, m.subnet.into()))
            .collect();
        // Rules by source are of one preference: a block in another egress's slice would be selected by both.
        let slices = state.egresses.iter().filter(|(other, _)| *other != key);
        let slices = slices.flat_map(|(_, egress)| egress.slices.iter().copied().map(IpNetwork::V4));
        let used = self.taken.overlapping(wanted).into_iter().chain(slices).map(|net| (None, net));
        let mut used = used.chain(others.into_iter().map(|(name, net)| (Some(name), net)));
        let Some((holder, other)) = used.find(|(_, net)| overlap(*net, wanted)) else {
            return Ok(own.value);
        };
        let problem = |why: String| Problem::at(own.place.clone(), why).label(format!("overlaps {other}"));
        Err(vec![match holder.filter(|name| !self.config.namespaces.contains_key(*name)) {
            Some(name) => problem(format!(
                "the subnet {wanted} is in use by namespace {name}, which is not declared any more"
            ))
            .help(format!("nsnat down {name}")),
            None => problem(format!("the subnet {wanted} is in use"))
                .help("choose another subnet, or leave it out: one is taken from settings.pool"),
        }])
    }
}
