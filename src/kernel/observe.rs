//! What is.

use super::decode;
use super::netlink::Netlink;
use super::nexthop::NextHops;
use super::processes::is_alive;
use super::stacks::{Inside, Kernel};
use super::{devconf, gates, ipsec, netns, resolver, sysctl, table};
use crate::error::{Context, Result};
use crate::model::{
    Depth, Gates, Journal, Link, Member, Name, Netns, Observed, Stack, Table,
    observed::Features,
    stack::{DeviceNames, device_of},
    tuning,
};
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::route::{RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType};
use netlink_packet_route::rule::RuleMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage as Message};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use std::collections::{BTreeMap, BTreeSet};

/// Sysctls of the host that are of no device.
const HOST_SYSCTLS: [&str; 5] = [
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/rp_filter",
    "net/ipv6/conf/all/forwarding",
    "net/ipv6/conf/default/forwarding",
    "net/ipv6/conf/default/accept_ra",
];

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
        let features = features();
        let (mut host, names_by_index) =
            self.runtime.block_on(stack(&self.host, features, Some(NextHops::dump)))?;
        let seen = |name: &Name| match depth {
            Depth::All => true,
            Depth::Named => names.contains(&name),
            Depth::Outside => false,
        };
        let unseen_links: BTreeSet<&str> =
            journal.members.iter().filter(|(name, _)| !seen(name)).map(|(_, m)| m.link.as_str()).collect();
        host.sysctls.retain(|key, _| device_of(key).is_none_or(|dev| !unseen_links.contains(dev)));
        host.sysctls.extend(sysctl::read_all(&HOST_SYSCTLS.map(String::from)));
        let tuned = tuned(journal, self.tuning.get_or_insert_with(all_tuning));
        let settled = Settled::of(journal, &tuned);
        let mut wanted: BTreeSet<Name> =
            names.iter().copied().chain(journal.members.keys()).cloned().collect();
        wanted.extend(host.links.iter().filter_map(Link::namespace));
        let mut namespaces = BTreeMap::new();
        for name in wanted {
            let found = if seen(&name) {
                self.namespace(&name, features, &settled)?
            } else {
                unseen(&name, journal)?
            };
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
            features,
            nameservers,
            upstreams,
            accounts: BTreeMap::new(),
        })
    }

    /// A namespace's state; none where `/run/netns` has nothing of that name.
    fn namespace(&mut self, name: &Name, features: Features, settled: &Settled<'_>) -> Result<Option<Netns>> {
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
                let (mut stack, _) = self.runtime.block_on(stack(&inside.netlink, features, None))?;
                stack.sysctls.extend(settled.tuning(name, inside)?);
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

/// What namespaces have of the host's tuning. One that was seen to have it is not asked again: reading costs more with
/// every namespace ([`devconf`]), and whatever was written since inside of it, somebody there wrote on purpose.
struct Settled<'a> {
    journal: &'a Journal,
    /// What they should have now, and its digest.
    wanted: BTreeMap<String, String>,
    digest: String,
    /// What is read where that is not known: also what some did not take.
    keys: Vec<String>,
}

impl<'a> Settled<'a> {
    fn of(journal: &'a Journal, tuned: &BTreeMap<String, String>) -> Self {
        let mut wanted = tuned.clone();
        wanted.retain(|key, value| journal.left_alone.get(key) != Some(value));
        let digest = tuning::digest(&wanted);
        Self { journal, wanted, digest, keys: tuned.keys().cloned().collect() }
    }

    fn tuning(&self, name: &Name, inside: &Inside) -> Result<BTreeMap<String, String>> {
        let known = |member: &&Member| {
            member.inode == Some(inside.inode)
                && member.cookie == inside.cookie
                && member.tuned.as_ref() == Some(&self.digest)
        };
        if self.journal.members.get(name).is_some_and(|member| known(&member)) {
            return Ok(self.wanted.clone());
        }
        let keys = self.keys.clone();
        netns::inside(&inside.file, move || Ok(sysctl::read_all(&keys))).what(|| name.clone())
    }
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
    let ownerless = |member: &Member| member.owner.is_some_and(|owner| !is_alive(owner));
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
async fn stack(
    netlink: &Netlink,
    features: Features,
    objects: Option<fn() -> Result<NextHops>>,
) -> Result<(Stack, DeviceNames)> {
    let (mut out, mut names) = (Stack::default(), DeviceNames::new());
    for row in netlink.dump(Message::GetLink(LinkMessage::default())).await? {
        if let Some((index, link)) = decode::link(&row) {
            names.insert(index, link.name.clone());
            out.sysctls.extend(devconf::settings(&row, &link.name, features.force_forwarding));
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
