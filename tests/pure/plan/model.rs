//! A small model of the kernel: what one action does to an [`Observed`], and when the kernel refuses it.
//!
//! It refuses at least what the real one refuses (a route by a device that is down, an element that is there
//! already), so that a plan in the wrong order does not pass. The tests of the real kernel are elsewhere.

use nsnat::model::gate::FoundPass;
use nsnat::model::nft::{Kind, TableForm};
use nsnat::model::{
    Address, Datum, Element, Family, Link, Name, Netns, Observed, Pass, Policy, Route, RouteKind, Rule,
    RuleAction, Stack, Table, tuning,
};
use nsnat::nft::skeleton;
use nsnat::plan::{Action, LinkChange, Side};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Table "main", and who makes what the kernel makes by itself.
const MAIN: u32 = 254;
const KERNEL: u8 = 2;
/// RFC 8200 §5: below, the kernel takes IPv6 off a device.
const LEAST_MTU6: u32 = 1280;

/// The kernel: all of it, also the namespaces that nobody asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) observed: Observed,
    /// Host veth → the namespace that its peer is in, and the peer's name there.
    pub(crate) pairs: BTreeMap<String, (Name, String)>,
    /// Host veth → the attachment that it is of, and the other end, for an engine.
    pub(super) handed: BTreeMap<String, (Name, String)>,
    inode: u64,
}

const ALL_FORWARDING: &str = "net/ipv6/conf/all/forwarding";
pub(super) const DEFAULT_FORWARDING: &str = "net/ipv6/conf/default/forwarding";
const DEFAULT_ACCEPT_RA: &str = "net/ipv6/conf/default/accept_ra";

pub(super) type Result = std::result::Result<(), String>;

pub(super) fn no(why: impl Into<String>) -> Result {
    Err(why.into())
}

impl Model {
    pub(crate) fn new(mut observed: Observed) -> Self {
        for link in observed.host.links.clone() {
            let settings = host_sysctls(observed.features.force_forwarding);
            sysctls_of(&mut observed.host.sysctls, &link.name, &settings);
        }
        for (key, value) in [(ALL_FORWARDING, "0"), (DEFAULT_FORWARDING, "0"), (DEFAULT_ACCEPT_RA, "1")] {
            observed.host.sysctls.entry(key.into()).or_insert_with(|| value.into());
        }
        Self { observed, pairs: BTreeMap::new(), handed: BTreeMap::new(), inode: 4_026_532_000 }
    }

    /// Does one action, or says why the kernel refuses.
    pub(crate) fn apply(&mut self, action: &Action) -> Result {
        match action {
            Action::MakeNetns { name, stale } => self.make_netns(name, *stale),
            Action::AttachNetns { name, stale, .. } => self.attach_netns(name, *stale),
            Action::RemoveNetns { name } => self.remove_netns(name),
            Action::LoadSkeleton { form, replace, elements } => self.load(*form, *replace, elements),
            Action::RemoveTable => {
                self.observed.table = Table::default();
                Ok(())
            }
            Action::Elements { remove, add } => self.elements(remove, add),
            Action::ForgetFlows { .. } | Action::ForgetServers { .. } | Action::ResetConnections { .. } => {
                Ok(())
            }
            Action::AddVeth { name, link, mtu, ifname } => self.add_veth(name, link, *mtu, ifname),
            Action::AddPair { name, link, mtu, peer } => self.add_pair(name, link, *mtu, peer),
            Action::RemoveLink { link } => {
                self.remove_link(link);
                Ok(())
            }
            Action::SetLink { place, dev, change } => self.set_link(place, dev, change),
            Action::Sysctl { place, key, value } => {
                let stack = self.stack(place)?;
                let off =
                    key.strip_prefix("net/ipv6/conf/").and_then(|key| key.strip_suffix("/disable_ipv6"));
                if let Some(dev) = off.filter(|_| value == "1") {
                    take_ipv6_off(stack, dev);
                }
                let sysctls = &mut stack.sysctls;
                sysctls.get_mut(key).ok_or_else(|| format!("no sysctl {key}"))?.clone_from(value);
                // One switch for all devices, which writes each one's (addrconf_fixup_forwarding).
                let swept = |one: &str| one.starts_with("net/ipv6/") && one.ends_with("/forwarding");
                if key == ALL_FORWARDING {
                    sysctls
                        .iter_mut()
                        .filter(|(one, _)| swept(one))
                        .for_each(|(_, now)| now.clone_from(value));
                }
                Ok(())
            }
            Action::Tune { name, values } => {
                self.stack(&Side::Inside(name.clone()))?.sysctls.extend(values.iter().cloned());
                Ok(())
            }
            Action::AddAddress { place, address } => self.add_address(place, address),
            Action::RemoveAddress { place, address } => {
                let stack = self.stack(place)?;
                stack.addresses.remove(address);
                let goes = connected(address);
                stack.routes.retain(|route| Some(route) != goes.as_ref());
                Ok(())
            }
            Action::AddRoute { place, route, replace } => self.add_route(place, route, *replace),
            Action::RemoveRoute { place, route } => {
                self.stack(place)?.routes.remove(route);
                Ok(())
            }
            Action::AddRule { place, rule } => self.add_rule(place, rule),
            Action::RemoveRule { place, rule } => {
                self.stack(place)?.rules.remove(rule);
                Ok(())
            }
            Action::AddPass { pass } => self.add_pass(pass),
            Action::AddPolicy { policy } => self.add_policy(policy),
            Action::RemovePolicy { policy } => {
                let before = self.observed.policies.len();
                self.observed.policies.retain(|other| other != policy);
                if self.observed.policies.len() < before { Ok(()) } else { no("no such policy") }
            }
            Action::RemovePass { pass, handle } => {
                let found = FoundPass { pass: pass.clone(), handle: *handle };
                let there = self.observed.gates.passes.remove(&found);
                if there { Ok(()) } else { no("no such rule") }
            }
        }
    }

    pub(super) fn stack(&mut self, place: &Side) -> std::result::Result<&mut Stack, String> {
        match place {
            Side::Host => Ok(&mut self.observed.host),
            Side::Inside(name) => match self.observed.namespaces.get_mut(name) {
                Some(Netns::Alive { stack, .. }) => Ok(stack),
                _ => Err(format!("no namespace {name}")),
            },
        }
    }

    /// One for each selector and mark, and the newest first, as the kernel tells them.
    fn add_policy(&mut self, policy: &Policy) -> Result {
        let policies = &mut self.observed.policies;
        let place = |one: &Policy| (one.direction, one.from, one.to, one.mark, one.sub);
        if policies.iter().any(|other| place(other) == place(policy)) {
            return no("File exists");
        }
        if policies.iter().any(|other| other.index == policy.index) {
            return no("the kernel would choose another index");
        }
        policies.insert(0, policy.clone());
        Ok(())
    }

    /// Whoever adds a rule to a chain is not asked whether it is there already.
    fn add_pass(&mut self, pass: &Pass) -> Result {
        let passes = &mut self.observed.gates.passes;
        if passes.iter().any(|found| found.pass == *pass) {
            return no("twice");
        }
        let handle = passes.iter().map(|found| found.handle + 1).max().unwrap_or(7);
        passes.insert(FoundPass { pass: pass.clone(), handle });
        Ok(())
    }

    pub(crate) fn make_netns(&mut self, name: &Name, stale: bool) -> Result {
        let there = self.observed.namespaces.get(name);
        match (there, stale) {
            (Some(Netns::Alive { .. }), _) => return no("File exists"),
            (Some(Netns::Stale), false) | (None, true) => {
                return no("a stale file, or none, against the plan");
            }
            _ => {}
        }
        self.inode += 1;
        let mut stack = Stack::fresh();
        let lo = Link { name: "lo".into(), loopback: true, mtu: 65_536, ..Link::default() };
        stack.links.insert(lo);
        stack.rules.extend(kernels_rules());
        let known = |key: &String| self.observed.host.sysctls.contains_key(key);
        stack.sysctls = tuning::settings_when_new(&self.observed.host.sysctls)
            .into_iter()
            .filter(|(key, _)| known(key))
            .collect();
        let (inode, stack) = (self.inode, Box::new(stack));
        let alive = Netns::Alive { inode, cookie: None, stack, adrift: None, tuned: false };
        self.observed.namespaces.insert(name.clone(), alive);
        Ok(())
    }

    fn attach_netns(&mut self, name: &Name, stale: bool) -> Result {
        let Some(Netns::Alive { adrift, .. }) = self.observed.namespaces.get_mut(name) else {
            return no("No such process");
        };
        match adrift.take() {
            None => no("File exists"),
            Some(lost) if lost.stale != stale => no("a stale file, or none, against the plan"),
            Some(_) => Ok(()),
        }
    }

    /// The file goes, and with it the namespace: nobody is inside of a model.
    pub(crate) fn remove_netns(&mut self, name: &Name) -> Result {
        let Some(_) = self.observed.namespaces.remove(name) else { return no("No such file or directory") };
        let links: Vec<String> =
            self.pairs.iter().filter(|(_, (n, _))| n == name).map(|(l, _)| l.clone()).collect();
        for link in &links {
            self.remove_link(link);
        }
        Ok(())
    }

    fn load(&mut self, form: TableForm, replace: bool, elements: &[Element]) -> Result {
        if self.observed.features.without_ipsec != form.without_ipsec {
            return no("the kernel knows no IPsec, or does, against the plan");
        }
        if replace != self.observed.table.exists {
            return no("the table is there, or is not, against the plan");
        }
        let text = skeleton::digest(form);
        let rules = Some(format!("rules of {text}"));
        self.observed.table = Table { exists: true, text: Some(text), rules, elements: BTreeSet::new() };
        self.elements(&[], elements)
    }

    fn elements(&mut self, remove: &[Element], add: &[Element]) -> Result {
        if !self.observed.table.exists {
            return no("no table");
        }
        let mut elements = self.observed.table.elements.clone();
        for element in remove {
            if !elements.remove(element) {
                return no(format!("element is not there: {element:?}"));
            }
        }
        for element in add {
            if may_conflict(&elements, element).any(|other| conflict(other, element)) {
                return no(format!("element is there already, or overlaps: {element:?}"));
            }
            elements.insert(element.clone());
        }
        self.observed.table.elements = elements;
        Ok(())
    }

    /// Somebody gives a device another name; routes and addresses go along.
    pub(crate) fn rename(&mut self, link: &str, new: &str) {
        let host = &mut self.observed.host;
        if host.link(new).is_some() || change_link(host, link, |link| link.name = new.into()).is_err() {
            return;
        }
        let dev = |dev: String| if dev == link { new.to_owned() } else { dev };
        host.addresses = std::mem::take(&mut host.addresses)
            .into_iter()
            .map(|a| Address { dev: dev(a.dev), ..a })
            .collect();
        host.routes = std::mem::take(&mut host.routes)
            .into_iter()
            .map(|r| Route { dev: r.dev.map(dev), ..r })
            .collect();
        let (from, to) = (format!("/conf/{link}/"), format!("/conf/{new}/"));
        host.sysctls =
            std::mem::take(&mut host.sysctls).into_iter().map(|(k, v)| (k.replace(&from, &to), v)).collect();
        if let Some(peer) = self.pairs.remove(link) {
            self.pairs.insert(new.into(), peer);
        }
    }

    fn set_link(&mut self, place: &Side, dev: &str, change: &LinkChange) -> Result {
        if *change == LinkChange::Up {
            return self.link_up(place, dev);
        }
        let stack = self.stack(place)?;
        change_link(stack, dev, |link| match change {
            LinkChange::Alias(alias) => link.alias = Some(alias.clone()),
            LinkChange::Mtu(mtu) => link.mtu = *mtu,
            LinkChange::Group(group) => link.group = *group,
            LinkChange::Up => {}
        })?;
        if matches!(change, LinkChange::Mtu(mtu) if *mtu < LEAST_MTU6) {
            take_ipv6_off(stack, dev);
        }
        Ok(())
    }

    pub(crate) fn link_up(&mut self, place: &Side, dev: &str) -> Result {
        let stack = self.stack(place)?;
        change_link(stack, dev, |link| link.up = true)?;
        let on_dev: Vec<Address> = stack.addresses.iter().filter(|a| a.dev == dev).cloned().collect();
        stack.routes.extend(on_dev.iter().filter_map(connected));
        self.carrier(place, dev);
        Ok(())
    }

    /// The kernel takes the routes of a device that goes down along.
    pub(crate) fn link_down(&mut self, place: &Side, dev: &str) -> Result {
        let stack = self.stack(place)?;
        change_link(stack, dev, |link| link.up = false)?;
        stack.routes.retain(|route| route.dev.as_deref() != Some(dev));
        self.carrier(place, dev);
        Ok(())
    }

    /// A device loses its IPv4 addresses, and with the last of them its routes, or gets these.
    pub(crate) fn readdress(&mut self, dev: &str, addresses: &[Address]) {
        let host = &mut self.observed.host;
        host.addresses.retain(|a| a.dev != dev || a.net.is_ipv6());
        host.routes.retain(|r| r.dev.as_deref() != Some(dev) || r.family() == Family::V6);
        host.addresses.extend(addresses.iter().cloned());
        if host.link(dev).is_some_and(|link| link.up) {
            host.routes.extend(addresses.iter().filter_map(connected));
        }
    }

    /// A veth has a carrier when both its ends are up.
    fn carrier(&mut self, place: &Side, dev: &str) {
        let is_end = |(link, (name, ifname)): &(&String, &(Name, String))| match place {
            Side::Host => *link == dev,
            Side::Inside(inside) => name == inside && ifname == dev,
        };
        let Some((link, (name, ifname))) = self.pairs.iter().find(is_end) else { return };
        let (link, inside, ifname) = (link.clone(), Side::Inside(name.clone()), ifname.clone());
        let up = |stack: &Stack, dev: &str| stack.link(dev).is_some_and(|link| link.up);
        let far = self.stack(&inside).is_ok_and(|stack| up(stack, &ifname));
        let both = far && up(&self.observed.host, &link);
        let _ = change_link(&mut self.observed.host, &link, |link| link.carrier = both);
        if let Ok(stack) = self.stack(&inside) {
            let _ = change_link(stack, &ifname, |link| link.carrier = both);
        }
    }

    fn add_address(&mut self, place: &Side, address: &Address) -> Result {
        let ipv6 = self.observed.features.ipv6;
        let stack = self.stack(place)?;
        let Some(link) = stack.link(&address.dev) else { return no(format!("no device {}", address.dev)) };
        if address.net.is_ipv6() && (!ipv6 || link.mtu < LEAST_MTU6) {
            return no("IPv6 is disabled on this device");
        }
        let route = connected(address).filter(|_| link.up);
        if !stack.addresses.insert(address.clone()) {
            return no("Address already assigned");
        }
        stack.routes.extend(route);
        Ok(())
    }

    fn add_route(&mut self, place: &Side, route: &Route, replace: bool) -> Result {
        if route.family() == Family::V6 && !self.observed.features.ipv6 {
            return no("Operation not supported");
        }
        if route.family() == Family::V6 && self.observed.features.without_rules6 && route.table != MAIN {
            return no("such a kernel has one table of IPv6 only, and puts it there");
        }
        let stack = self.stack(place)?;
        if let Some(dev) = &route.dev {
            match stack.link(dev) {
                None => return no(format!("no device {dev}")),
                Some(link) if !link.up => return no(format!("{dev}: Device for nexthop is not up")),
                Some(_) => {}
            }
            if route.via.is_some_and(|via| !route.onlink && !is_near(stack, dev, via)) {
                return no(format!("Nexthop has invalid gateway: {route:?}"));
            }
        } else if route.kind == RouteKind::Unicast {
            return no("a route needs a device");
        }
        if route.src.is_some_and(|src| !stack.addresses.iter().any(|a| a.net.ip() == src)) {
            return no("Invalid prefsrc address");
        }
        let same: Vec<Route> = stack.routes.iter().filter(|r| r.key() == route.key()).cloned().collect();
        match (same.first(), replace) {
            (Some(_), false) => return no(format!("File exists: {route:?}")),
            (Some(first), true) => _ = stack.routes.remove(first),
            (None, _) => {}
        }
        stack.routes.insert(route.clone());
        Ok(())
    }

    fn add_rule(&mut self, place: &Side, rule: &Rule) -> Result {
        if rule.family == Family::V6 && !self.observed.features.serves_ipv6() {
            return no("Address family not supported");
        }
        if !self.stack(place)?.rules.insert(rule.clone()) {
            return no("File exists");
        }
        Ok(())
    }
}

/// What every stack has from the start, but for the rule that [`Stack::fresh`] knows.
fn kernels_rules() -> Vec<Rule> {
    let rule = |family, preference, table| Rule::new(family, preference, RuleAction::Lookup(table), KERNEL);
    vec![
        rule(Family::V4, 32_766, MAIN),
        rule(Family::V4, 32_767, 253),
        rule(Family::V6, 0, 255),
        rule(Family::V6, 32_766, MAIN),
    ]
}

pub(super) const INSIDE_SYSCTLS: [(&str, &str); 6] = [
    ("ipv4/route_localnet", "0"),
    ("ipv4/accept_local", "0"),
    ("ipv4/rp_filter", "0"),
    ("ipv6/disable_ipv6", "0"),
    ("ipv6/accept_dad", "1"),
    ("ipv6/accept_ra", "1"),
];

pub(super) fn host_sysctls(force_forwarding: bool) -> Vec<(&'static str, &'static str)> {
    let mut out = vec![("ipv4/forwarding", "0"), ("ipv6/forwarding", "0")];
    out.extend(INSIDE_SYSCTLS);
    if force_forwarding {
        out.push(("ipv6/force_forwarding", "0"));
    }
    out
}

fn take_ipv6_off(stack: &mut Stack, dev: &str) {
    stack.addresses.retain(|address| address.dev != dev || address.net.is_ipv4());
    stack.routes.retain(|route| route.dev.as_deref() != Some(dev) || route.family() == Family::V4);
}

pub(super) fn sysctls_of(sysctls: &mut BTreeMap<String, String>, dev: &str, known: &[(&str, &str)]) {
    for (key, value) in known {
        let (family, key) = key.split_once('/').unwrap();
        sysctls.entry(format!("net/{family}/conf/{dev}/{key}")).or_insert_with(|| (*value).into());
    }
}

pub(super) fn drop_link(stack: &mut Stack, dev: &str) {
    stack.links.retain(|link| link.name != dev);
    stack.addresses.retain(|address| address.dev != dev);
    stack.routes.retain(|route| route.dev.as_deref() != Some(dev));
    stack.sysctls.retain(|key, _| !key.contains(&format!("/conf/{dev}/")));
}

fn change_link(stack: &mut Stack, dev: &str, change: impl FnOnce(&mut Link)) -> Result {
    let Some(mut link) = stack.link(dev).cloned() else { return no(format!("no device {dev}")) };
    stack.links.remove(&link);
    change(&mut link);
    stack.links.insert(link);
    Ok(())
}

/// The route to its own subnet that the kernel adds for an address on a device that is up.
fn connected(address: &Address) -> Option<Route> {
    let net = ipnetwork::IpNetwork::new(address.net.network(), address.net.prefix()).ok()?;
    let single = net.prefix() == if net.is_ipv4() { 32 } else { 128 };
    let route = Route {
        dev: Some(address.dev.clone()),
        src: net.is_ipv4().then(|| address.net.ip()),
        metric: if net.is_ipv4() { 0 } else { 256 },
        ..Route::new(MAIN, net, KERNEL)
    };
    (!single).then_some(route)
}

/// Whether a next hop is in a subnet of the device.
fn is_near(stack: &Stack, dev: &str, via: IpAddr) -> bool {
    let link_local = matches!(via, IpAddr::V6(ip) if ip.is_unicast_link_local());
    link_local || stack.addresses.iter().any(|a| a.dev == dev && a.net.contains(via))
}

/// The elements among which one is that conflicts with this one: those of its set, or of sets without networks the one after its
/// key, which is the least of all with that key.
fn may_conflict<'a>(
    elements: &'a BTreeSet<Element>,
    new: &Element,
) -> impl Iterator<Item = &'a Element> + use<'a> {
    let (set, has_networks) = (new.set, new.set.key().contains(&Kind::Network));
    let key = if has_networks { Vec::new() } else { new.key.clone() };
    let from = elements.range(Element { set, key, value: Vec::new() }..);
    from.take_while(move |other| other.set == set).take(if has_networks { usize::MAX } else { 1 })
}

/// Whether two elements cannot both be in one set: the same key, or networks that overlap.
fn conflict(a: &Element, b: &Element) -> bool {
    let overlap = |pair: (&Datum, &Datum)| match pair {
        (Datum::Network(a), Datum::Network(b)) => a.contains(b.ip()) || b.contains(a.ip()),
        (a, b) => a == b,
    };
    a.set == b.set && a.key.len() == b.key.len() && a.key.iter().zip(&b.key).all(overlap)
}
