//! What is.

use super::decode::{self, Names};
use super::netlink::Netlink;
use super::nexthop::NextHops;
use super::{Inside, Kernel, gates, ipsec, netns, resolver, sysctl, table};
use crate::error::{Context, Result};
use crate::model::{
    Depth, Gates, Journal, Member, Name, Netns, Observed, Stack, Table, numbers, observed::Features, tuning,
};
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::route::{RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType};
use netlink_packet_route::rule::RuleMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage as Message};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use std::collections::{BTreeMap, BTreeSet};

/// Sysctls of a namespace that we ever set.
const INSIDE_SYSCTLS: [&str; 6] = [
    "net/ipv4/conf/eth0/route_localnet",
    "net/ipv4/conf/eth0/accept_local",
    "net/ipv4/conf/eth0/rp_filter",
    "net/ipv6/conf/eth0/disable_ipv6",
    "net/ipv6/conf/eth0/accept_dad",
    "net/ipv6/conf/eth0/accept_ra",
];

/// Sysctls of a device of the host that we ever set, below `net/`.
const DEVICE_SYSCTLS: [(&str, &str); 9] = [
    ("ipv4", "route_localnet"),
    ("ipv4", "rp_filter"),
    ("ipv4", "src_valid_mark"),
    ("ipv4", "forwarding"),
    ("ipv6", "force_forwarding"),
    ("ipv6", "forwarding"),
    ("ipv6", "disable_ipv6"),
    ("ipv6", "accept_dad"),
    ("ipv6", "accept_ra"),
];

/// The sysctls of devices of the host, and of IPv6's `all` and `default`.
fn host_sysctls<'a>(devices: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    let of_device = |dev: &str| DEVICE_SYSCTLS.map(|(family, key)| format!("net/{family}/conf/{dev}/{key}"));
    let mut keys: Vec<String> = devices.flat_map(of_device).collect();
    let whole = ["all/forwarding", "default/forwarding", "default/accept_ra"];
    keys.extend(whole.map(|key| format!("net/ipv6/conf/{key}")));
    keys.extend(["net/ipv4/ip_forward", "net/ipv4/conf/all/rp_filter"].map(String::from));
    sysctl::read_all(&keys)
}

/// What the host is tuned to, as far as that matters to a namespace.
fn tuned(journal: &Journal, host: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let noted = |key: &str| journal.inherited.contains_key(key) || journal.left_alone.contains_key(key);
    let mut values = tuning::telling(noted, |key| host.get(key).cloned());
    // What cannot be said in this user namespace is left as it is.
    values.retain(|key, value| key != tuning::PING_GROUPS || sysctl::are_groups_known(value));
    values
}

/// All settings of the host that namespaces may get.
fn all_tuning() -> BTreeMap<String, String> {
    let one = |(key, _): (&str, _)| Some((key.to_owned(), sysctl::read(key)?));
    tuning::KEYS.into_iter().filter_map(one).collect()
}

impl Kernel {
    /// Observes the host, the namespaces of `journal` and those that `names` asks for; with [`Depth::Named`], those that
    /// are not named are not looked into.
    pub(super) fn look(&mut self, journal: &Journal, names: &[&Name], depth: Depth) -> Result<Observed> {
        let (mut host, names_by_index) = self.runtime.block_on(stack(&self.host, Some(NextHops::dump)))?;
        let seen = |name: &Name| match depth {
            Depth::All => true,
            Depth::Named => names.contains(&name),
            Depth::Outside => false,
        };
        let unseen_links: BTreeSet<&str> =
            journal.members.iter().filter(|(name, _)| !seen(name)).map(|(_, m)| m.link.as_str()).collect();
        let devices = host.links.iter().map(|link| link.name.as_str());
        host.sysctls = host_sysctls(devices.filter(|dev| !unseen_links.contains(dev)));
        let tuned = tuned(journal, self.tuning.get_or_insert_with(all_tuning));
        let mut wanted: BTreeSet<Name> =
            names.iter().copied().chain(journal.members.keys()).cloned().collect();
        wanted.extend(host.links.iter().filter_map(|link| named_by(link.alias.as_deref())));
        let mut namespaces = BTreeMap::new();
        for name in wanted {
            let found = if seen(&name) { self.namespace(&name, &tuned)? } else { unseen(&name, journal)? };
            namespaces.extend(found.map(|found| (name, found)));
        }
        host.sysctls.extend(tuned);
        let abandoned = abandoned(journal)?;
        let (nameservers, upstreams) = (resolver::nameservers(), resolver::upstreams(&names_by_index));
        let (gates, policies, table) = match depth {
            Depth::Outside => (Gates::default(), Vec::new(), Table::default()),
            Depth::All | Depth::Named => {
                (gates::observe(journal, &names_by_index)?, ipsec::observe()?, table::observe()?)
            }
        };
        Ok(Observed {
            host,
            gates,
            policies,
            cookie: self.cookie,
            namespaces,
            table,
            abandoned,
            journal: journal.clone(),
            features: features(),
            nameservers,
            upstreams,
            accounts: BTreeMap::new(),
        })
    }

    /// A namespace's state; none where `/run/netns` has nothing of that name. `tuned`: what else it may have of the
    /// host's.
    fn namespace(&mut self, name: &Name, tuned: &BTreeMap<String, String>) -> Result<Option<Netns>> {
        match netns::find(name)? {
            netns::Found::Nothing => {
                self.inside.remove(name);
                Ok(None)
            }
            netns::Found::Stale => {
                self.inside.remove(name);
                Ok(Some(Netns::Stale))
            }
            netns::Found::Alive { file, inode, adrift } => {
                self.enter(name, file, inode)?;
                let Some(inside) = self.inside.get(name) else { return Ok(None) };
                let (mut stack, _) = self.runtime.block_on(stack(&inside.netlink, None))?;
                let keys: Vec<String> =
                    INSIDE_SYSCTLS.map(String::from).into_iter().chain(tuned.keys().cloned()).collect();
                stack.sysctls =
                    netns::inside(&inside.file, move || Ok(sysctl::read_all(&keys))).what(|| name.clone())?;
                Ok(Some(Netns::Alive { inode, cookie: inside.cookie, stack: Box::new(stack), adrift }))
            }
        }
    }

    /// Opens a socket in a namespace, unless there is one already.
    pub(super) fn enter(&mut self, name: &Name, file: std::fs::File, inode: u64) -> Result<()> {
        if self.inside.get(name).is_some_and(|inside| inside.inode == inode) {
            return Ok(());
        }
        let (socket, cookie) = netns::inside(&file, || {
            let socket = Socket::new(NETLINK_ROUTE)?;
            let cookie = netns::cookie(&socket);
            Ok((socket, cookie))
        })
        .what(|| format!("namespace {name}"))?;
        let netlink = self.runtime.block_on(async { Netlink::from_socket(socket) })?;
        self.inside.insert(name.clone(), Inside { file, inode, cookie, netlink });
        Ok(())
    }
}

/// The name that a host end's alias carries.
fn named_by(alias: Option<&str>) -> Option<Name> {
    alias?.strip_prefix(numbers::ALIAS_PREFIX)?.parse().ok()
}

/// A namespace's state without looking into it. One that is up and lost its file is not for those to mend who want
/// something else.
fn unseen(name: &Name, journal: &Journal) -> Result<Option<Netns>> {
    let noted = journal.members.get(name).map(|member| member.inode.unwrap_or_default());
    Ok(match (netns::find(name)?, noted) {
        (netns::Found::Alive { inode, .. }, _) | (_, Some(inode)) => Some(Netns::Unseen { inode }),
        (netns::Found::Nothing, None) => None,
        (netns::Found::Stale, None) => Some(Netns::Stale),
    })
}

/// Throw-away namespaces whose owner ended and in which nobody is.
fn abandoned(journal: &Journal) -> Result<BTreeSet<Name>> {
    let mut out = BTreeSet::new();
    let ownerless = |member: &Member| member.owner.is_some_and(|owner| !super::is_alive(owner));
    for (name, _) in journal.members.iter().filter(|(_, member)| ownerless(member)) {
        if netns::identity(name)?.is_none_or(|netns| super::members(netns).is_empty()) {
            out.insert(name.clone());
        }
    }
    Ok(out)
}

fn features() -> Features {
    Features {
        force_forwarding: sysctl::read("net/ipv6/conf/all/force_forwarding").is_some(),
        ipv6: sysctl::read("net/ipv6/conf/all/disable_ipv6").is_some_and(|value| value == "0"),
    }
}

/// Links, addresses, routes and rules of one stack, one dump after the other (a socket has one at a time). `objects`
/// gives the next hops that are objects of their own, where a route names one; nothing of ours does inside.
async fn stack(netlink: &Netlink, objects: Option<fn() -> Result<NextHops>>) -> Result<(Stack, Names)> {
    let (mut out, mut names) = (Stack::default(), Names::new());
    for row in netlink.dump(Message::GetLink(LinkMessage::default())).await? {
        if let Some((index, link)) = decode::link(&row) {
            names.insert(index, link.name.clone());
            out.links.insert(link);
        }
    }
    let rows = netlink.dump(Message::GetAddress(AddressMessage::default())).await?;
    out.addresses = rows.iter().filter_map(|row| decode::address(row, &names)).collect();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let routes = netlink.dump(Message::GetRoute(all_routes(family))).await?;
        let objects = objects.filter(|_| routes.iter().any(|row| decode::by_object(row).is_some()));
        let objects = objects.map_or_else(|| Ok(NextHops::default()), |dump| dump())?;
        out.routes.extend(routes.iter().flat_map(|row| decode::routes(row, &names, &objects)));
        let mut rules = RuleMessage::default();
        rules.header.family = family;
        let rules = netlink.dump(Message::GetRule(rules)).await?;
        out.rules.extend(rules.iter().filter_map(decode::rule));
    }
    Ok((out, names))
}

fn all_routes(family: AddressFamily) -> RouteMessage {
    let mut out = RouteMessage::default();
    out.header = RouteHeader {
        address_family: family,
        table: RouteHeader::RT_TABLE_UNSPEC,
        protocol: RouteProtocol::Unspec,
        scope: RouteScope::Universe,
        kind: RouteType::Unspec,
        ..RouteHeader::default()
    };
    out
}
