//! The record of everything that nsnat made: `/run/nsnat/state.json`.
//!
//! # Theory of operation
//!
//! The state lists the namespaces that are up with everything about them *resolved*: their subnet, the
//! number of their egress, the devices and gateways found for it, their servers. What the kernel should hold
//! is a pure function of the state (`plan::desired`). Hence
//!
//! * `up` makes a new state out of the configuration and the old state, and applies the difference;
//! * `down NAME` is the same with a state that lacks NAME, and needs no configuration;
//! * what is up keeps its numbers, because they are in the state;
//! * undoing a failed `up` is applying the old state.
//!
//! The state is written *before* anything is changed (as the union of old and new), so that a kill at any moment
//! leaves nothing that is not in it.

use super::attached::Attached;
use super::gate::{Pass, Split};
use super::name::Name;
use super::numbers;
use super::proxy::Proxy;
use super::published::{HostService, Publication, Published};
use super::stack::Family;
use super::uplink_path::UplinkPath;
use ipnetwork::{Ipv4Network, Ipv6Network};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::Arc;

/// The directory of everything of ours that a reboot forgets.
pub const RUN: &str = "/run/nsnat";

/// The form of the state that is written. It changes where a conversion is needed, which
/// [`state_text`](super::state_text) makes: a field that is new has a default, and one that went is passed over.
pub const VERSION: u32 = 3;

/// All that is up, resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// [`VERSION`] of the nsnat that wrote it; 0 before there were versions.
    #[serde(default)]
    pub version: u32,
    /// Mask of our bits in a packet's mark.
    pub mask: u32,
    /// Cookie ([`NamespaceRecord::cookie`]) of the network namespace that is the host; before Linux 5.14 its inode number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<u64>,
    /// Settings of the host that namespaces get ([`super::tuning`]): path below `/proc/sys` → value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub inherited: BTreeMap<String, String>,
    /// Settings that a namespace refused. They are not tried again until the host has another value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub left_alone: BTreeMap<String, String>,
    /// Egresses by what they were declared as (their uplinks and `lan`).
    pub egresses: BTreeMap<String, Egress>,
    /// Namespaces.
    pub namespaces: BTreeMap<Name, ActiveNamespace>,
    /// In the text of a change: the namespaces that it takes away ([`state_text`](super::state_text)).
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub gone: BTreeSet<Name>,
    /// Declared namespaces that somebody took down while `nsnat watch` ran: it leaves them down.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub down: BTreeSet<Name>,
    /// Sysctls of the host that we hold, by path below `/proc/sys`; those of our own devices go with them.
    pub sysctls: BTreeMap<String, HeldSysctl>,
    /// Rules of ours in chains of others.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub passes: BTreeSet<Pass>,
    /// A kill switch that lets flows of a connection mark through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// `/run/netns` did not exist before.
    pub made_netns_dir: bool,
    /// Digest of the skeleton's rules as they read back after loading.
    pub skeleton: Option<String>,
    /// Why nothing gets out of any namespace, where somebody else on this host stops it, as `exec` was told last
    /// ([`ExecRecord::stopped`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// Preference of the first of our rules.
    pub first: u32,
    /// Where our rules began before: some may be there still.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub earlier: BTreeSet<u32>,
    /// Bridges among the devices that forward for our sake only.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub bridges: BTreeSet<String>,
    /// Besides what is written here, something may be there that it takes the place of: a run has begun that replaces it, or was
    /// killed, and nobody has looked at everything since.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
}

fn usual_first() -> u32 {
    numbers::preference::FIRST
}

impl Default for State {
    fn default() -> Self {
        Self {
            version: VERSION,
            mask: 0,
            host: None,
            inherited: BTreeMap::new(),
            left_alone: BTreeMap::new(),
            egresses: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            gone: BTreeSet::new(),
            down: BTreeSet::new(),
            sysctls: BTreeMap::new(),
            made_netns_dir: false,
            skeleton: None,
            stopped: None,
            first: usual_first(),
            earlier: BTreeSet::new(),
            bridges: BTreeSet::new(),
            passes: BTreeSet::new(),
            split: None,
            unfinished: false,
        }
    }
}

impl State {
    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        self.namespaces.is_empty() && self.down.is_empty()
    }

    /// The path by which a namespace leaves at the moment.
    pub fn path_of(&self, namespace: &ActiveNamespace) -> Option<&UplinkPath> {
        self.egresses.get(&namespace.egress)?.path.as_ref()
    }

    /// The mark of an egress: its number in our bits.
    pub fn mark_of(&self, egress: &Egress) -> u32 {
        egress.number << self.mask.trailing_zeros().min(31)
    }

    /// The namespaces of an egress.
    pub fn namespaces_of<'a>(&'a self, egress: &'a Egress) -> impl Iterator<Item = &'a ActiveNamespace> {
        let key = self.egresses.iter().find(|(_, known)| *known == egress).map(|(key, _)| key);
        self.namespaces.values().filter(move |namespace| Some(&namespace.egress) == key)
    }
}

/// A sysctl that we set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldSysctl {
    /// What it was before, and will be again.
    pub before: String,
    /// What it is while we need it.
    pub now: String,
    /// Number of the device that it is of, which may get another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<u32>,
}

/// What several namespaces share: a mark, a table, slices of the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Egress {
    /// 1 to 255; mark and table are made of it.
    pub number: u32,
    /// Whether the on-link subnets of the uplink stay directly reachable.
    pub lan: bool,
    /// Device and next hops of the first usable uplink. Without a path nothing gets out.
    pub path: Option<UplinkPath>,
    /// Parts of the pool out of which the subnets of its namespaces come.
    pub slices: Vec<Ipv4Network>,
    /// The egress's /64 of `pool6`, where it has IPv6.
    #[serde(default)]
    pub slice6: Option<Ipv6Network>,
}

impl Egress {
    /// Number of the egress's routing table.
    pub fn table(&self) -> u32 {
        numbers::TABLE_BASE + self.number
    }

    /// Whether it leaves by one of the tunnels of a kill switch.
    pub fn is_in_tunnel_of(&self, split: &Split) -> bool {
        self.parts().any(|path| split.tunnels.contains(&path.dev))
    }

    /// By which uplink a family leaves, or would if there were a way.
    pub fn part_of(&self, family: Family) -> Option<&UplinkPath> {
        let path = self.path.as_ref()?;
        path.part_of(family).or(Some(path))
    }

    /// The uplinks by which it leaves: mostly one, and two while its families leave by different ones.
    pub fn parts(&self) -> impl Iterator<Item = &UplinkPath> {
        self.path.iter().flat_map(UplinkPath::parts)
    }
}

/// A namespace that is up (or on its way up or down). A run has several states, and they differ in few of thousands of
/// namespaces: what is the same in two of them is there once, and changing it in one (`DerefMut`) leaves the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActiveNamespace(Arc<NamespaceRecord>);

impl From<NamespaceRecord> for ActiveNamespace {
    fn from(record: NamespaceRecord) -> Self {
        Self(Arc::new(record))
    }
}

impl Deref for ActiveNamespace {
    type Target = NamespaceRecord;
    fn deref(&self) -> &NamespaceRecord {
        &self.0
    }
}

impl DerefMut for ActiveNamespace {
    fn deref_mut(&mut self) -> &mut NamespaceRecord {
        Arc::make_mut(&mut self.0)
    }
}

/// What is recorded of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceRecord {
    /// Key of its egress.
    pub egress: String,
    /// Host veth's device name.
    pub link: String,
    /// The namespace's /30: the first address is the host veth's, the second the namespace's. An attachment has a single
    /// address.
    pub subnet: Ipv4Network,
    /// The subnet was chosen by hand: it lies in no slice.
    pub own_subnet: bool,
    /// Bytes; none: the uplink's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Has IPv6 (given that the way serves it).
    pub ipv6: bool,
    /// What happens to its queries.
    pub dns: DnsMode,
    /// This was said by `nsnat dns` and not by the declaration. It holds until the next `nsnat up`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dns_was_set: bool,
    /// Inode number of its network namespace, once it was made.
    #[serde(default)]
    pub inode: Option<u64>,
    /// The kernel's number for that very namespace, which no later one gets, as inode numbers are
    /// (`SO_NETNS_COOKIE`, Linux 5.14).
    #[serde(default)]
    pub cookie: Option<u64>,
    /// Digest ([`super::tuning::digest`]) of the host's settings that it was seen to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuned: Option<String>,
    /// Users and groups that may enter the namespace besides root.
    #[serde(default, skip_serializing_if = "Allowed::is_empty")]
    pub allowed: Allowed,
    /// What becomes of proxies that a job's environment names; none: they stay, and it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// Ports that the other side of its uplink reaches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<Published>,
    /// The host's addresses on the devices of its uplink, by which this side asks these ports; none where there are no ports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published_at: Vec<IpAddr>,
    /// Ports that the other side of other uplinks reaches, by uplink.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published_by: Vec<PublishedBy>,
    /// Services of the host that it reaches, and no others; none: all that the host's own firewall lets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Vec<HostService>>,
    /// The uplink whose targets are asked from here: it exists for the sake of a check, and not for jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<Name>,
    /// The process for whose sake it exists (ephemeral namespaces).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Another program made it, and nsnat has no more than an interface in it (attachments).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached: Option<Attached>,
}

/// Ports that are asked by another uplink than the one by which the namespace leaves. Answers leave by an egress of that
/// uplink, which may be nobody's way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedBy {
    /// The uplink.
    pub uplink: Name,
    /// Key of the egress by which answers leave.
    pub egress: String,
    /// The ports.
    pub ports: Vec<Published>,
    /// The host's addresses on the devices of that uplink, at which these ports are asked.
    pub at: Vec<IpAddr>,
}

impl NamespaceRecord {
    /// The keys of all egresses that it makes use of: its own, and those of the uplinks by which it answers.
    pub fn egress_keys(&self) -> impl Iterator<Item = &String> {
        [&self.egress].into_iter().chain(self.published_by.iter().map(|by| &by.egress))
    }

    /// Whether it publishes any port.
    pub fn publishes(&self) -> bool {
        !(self.published.is_empty() && self.published_by.is_empty())
    }

    /// The ports that are published, each with the uplink that was named.
    pub fn publications(&self) -> impl Iterator<Item = Publication> {
        let own = self.published.iter().map(|port| Publication::from(*port));
        let of_uplink = |by: &PublishedBy| {
            let uplink = by.uplink.clone();
            let named = move |port: &Published| Publication { port: *port, by: Some(uplink.clone()) };
            by.ports.iter().map(named).collect::<Vec<_>>()
        };
        own.chain(self.published_by.iter().flat_map(of_uplink))
    }

    /// Whether it is an attachment whose interface the engine takes from the host ([`Handed`](super::Handed)).
    pub fn is_handed(&self) -> bool {
        self.attached.as_ref().is_some_and(|attached| attached.handed.is_some())
    }

    /// Name of nsnat's interface inside.
    pub fn ifname(&self) -> &str {
        self.attached.as_ref().map_or(numbers::INSIDE_LINK, |attached| &attached.ifname)
    }

    /// Its address inside.
    pub fn address(&self) -> Ipv4Addr {
        let first = u32::from(self.subnet.network());
        Ipv4Addr::from(if self.attached.is_some() { first } else { first + 2 })
    }
}

/// Users and groups by number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Allowed {
    /// User numbers.
    pub users: Vec<u32>,
    /// Group numbers.
    pub groups: Vec<u32>,
}

impl Allowed {
    /// Nobody.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }

    /// Whether a user with these groups is among them.
    pub fn includes(&self, user: u32, groups: impl IntoIterator<Item = u32>) -> bool {
        self.users.contains(&user) || groups.into_iter().any(|group| self.groups.contains(&group))
    }
}

/// What happens to a namespace's DNS queries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DnsMode {
    /// Every query goes to these, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<SocketAddr>,
    /// Queries to OLD go to NEW.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rewrites: Vec<Rewrite>,
    /// Nothing else on port 53 gets out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub only: bool,
    /// Refused: IP protocol and port.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<(u8, u16)>,
    /// DNS over HTTPS of well-known resolvers is refused, and browsers are told not to use it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_doh: bool,
    /// The host's own servers are asked, by the host's own way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Vec<IpAddr>>,
    /// Servers of a resolv.conf of its own, where the host's names none that can be asked inside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<IpAddr>,
}

impl DnsMode {
    /// Whether queries for 127.0.0.0/8 have to reach the host.
    pub fn diverts_loopback(&self) -> bool {
        let rewritten = |old: &SocketAddr| old.is_ipv4() && old.ip().is_loopback();
        self.servers.iter().any(SocketAddr::is_ipv4)
            || self.rewrites.iter().any(|rewrite| rewritten(&rewrite.old))
            || self.stubs().next().is_some()
    }

    /// The servers of one family, in their order.
    pub fn servers_of(&self, family: Family) -> impl Iterator<Item = &SocketAddr> {
        self.servers.iter().filter(move |server| Family::of(server.ip()) == family)
    }

    /// The host's own servers that listen on its loopback.
    pub fn stubs(&self) -> impl Iterator<Item = IpAddr> {
        self.host.iter().flatten().copied().filter(|server| server.is_ipv4() && server.is_loopback())
    }

    /// The host's own servers that are elsewhere.
    pub fn host_servers(&self) -> impl Iterator<Item = IpAddr> {
        self.host.iter().flatten().copied().filter(|server| !server.is_loopback())
    }
}

/// A DNS destination that is replaced by another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rewrite {
    /// The destination that programs use.
    pub old: SocketAddr,
    /// Where the query goes instead.
    pub new: SocketAddr,
}

/// A process, told from a later one of the same number by its start time (proc(5), stat field 22).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Process number.
    pub pid: i32,
    /// Clock ticks after boot.
    pub start: u64,
    /// Inode number of the process-number space (`/proc/PID/ns/pid`) that the number is of.
    #[serde(default)]
    pub space: u64,
}

/// What `exec` needs to know of a namespace: `/run/nsnat/ns/NAME`, written last by `up`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecRecord {
    /// Sockets through which name resolution would escape are hidden.
    pub hide_resolvers: bool,
    /// Servers of a resolv.conf that is seen in place of the host's; none: the host's is seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<IpAddr>,
    /// Inode number of the namespace that `up` made; another one under this name is not entered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inode: Option<u64>,
    /// Cookie of the namespace: a later namespace may get the same inode number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<u64>,
    /// Where the namespace of an attachment is, which `exec` does not enter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attached: Option<PathBuf>,
    /// Users and groups that may enter the namespace besides root.
    #[serde(skip_serializing_if = "Allowed::is_empty")]
    pub allowed: Allowed,
    /// Why nothing gets out, where no uplink can be used, or another program on this host stops it; told before the
    /// command runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// What becomes of proxies that a job's environment names; none: they stay, and it is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
}
