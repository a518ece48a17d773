//! What a network stack (the host's or a namespace's) holds: links, addresses, routes, rules, sysctls.
//!
//! The same types describe what is, what should be, and what an action does, so that a difference is a
//! difference of sets. Fields that the kernel fills in and we do not choose (index, scope) are not here.

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Family {
    /// Both, in the order in which they are always handled.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// The family of a network.
    pub fn of_net(net: IpNetwork) -> Self {
        Self::of(net.ip())
    }

    /// `0.0.0.0/0` or `::/0`.
    pub fn everything(self) -> IpNetwork {
        match self {
            Self::V4 => IpNetwork::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            Self::V6 => IpNetwork::from(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        }
        .with_prefix(0)
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Self::V4 { "IPv4" } else { "IPv6" })
    }
}

/// Whether two networks share an address.
pub fn overlap(a: IpNetwork, b: IpNetwork) -> bool {
    match (a, b) {
        (IpNetwork::V4(a), IpNetwork::V4(b)) => a.overlaps(b),
        (IpNetwork::V6(a), IpNetwork::V6(b)) => a.overlaps(b),
        _ => false,
    }
}

/// Whether an address says nothing without a device: `fe80::/10` is on each of them alike. (Addresses of 169.254.0.0/16
/// are not meant: the kernel routes those as any other.)
pub fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// Sets the prefix length of a network.
trait WithPrefix {
    fn with_prefix(self, prefix: u8) -> Self;
}

impl WithPrefix for IpNetwork {
    fn with_prefix(self, prefix: u8) -> Self {
        Self::new(self.ip(), prefix).unwrap_or(self)
    }
}

/// A network device.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the kernel's, and independent")]
pub struct Link {
    /// Device name.
    pub name: String,
    /// Other names that it is known by (`ip link property add`).
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub altnames: BTreeSet<String>,
    /// The kernel's number for it, which it keeps when its name changes; 0 where that is not known.
    #[serde(skip_serializing_if = "is_zero")]
    pub index: u32,
    /// Kind as `ip -d link` shows it ("veth", "tun"), none for hardware.
    pub kind: Option<String>,
    /// Link group; ours is [`LINK_GROUP`](super::numbers::LINK_GROUP).
    pub group: u32,
    /// `ifalias`.
    pub alias: Option<String>,
    /// Bytes.
    pub mtu: u32,
    /// Administratively up.
    pub up: bool,
    /// Has a carrier (IFF_LOWER_UP); an up device without one sends nothing.
    pub carrier: bool,
    /// IFF_LOOPBACK.
    pub loopback: bool,
    /// IFF_POINTOPOINT, or IFF_NOARP without IFF_BROADCAST: needs no gateway.
    pub point_to_point: bool,
    /// Bytes received and sent, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<(u64, u64)>,
}

impl Link {
    /// Whether it is there for queues alone (ifb): packets come back from it to where they were, once they have waited.
    pub fn only_queues(&self) -> bool {
        self.kind.as_deref() == Some("ifb")
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it out so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// An address on a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Address {
    /// Device name.
    pub dev: String,
    /// Address and prefix length, host bits kept.
    pub net: IpNetwork,
}

/// What a route does with a packet (rtnetlink(7), `rtm_type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteKind {
    /// Forwards it.
    #[default]
    Unicast,
    /// Answers ICMP unreachable, or EHOSTUNREACH to a local program.
    Unreachable,
    /// A kind that nsnat never makes.
    Other,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Route {
    /// Routing table (254 is main).
    #[serde(default = "main_table")]
    pub table: u32,
    /// Destination; `/0` is the default route.
    pub to: IpNetwork,
    /// What it does.
    #[serde(default)]
    pub kind: RouteKind,
    /// Next hop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<IpAddr>,
    /// Outgoing device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<String>,
    /// Preferred source address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src: Option<IpAddr>,
    /// Priority; lower wins.
    #[serde(default)]
    pub metric: u32,
    /// The next hop need not be in a subnet of the device.
    #[serde(default)]
    pub onlink: bool,
    /// The program that made the route (rtm_protocol).
    #[serde(default)]
    pub protocol: u8,
}

fn main_table() -> u32 {
    u32::from(libc::RT_TABLE_MAIN)
}

impl Route {
    /// A route without any extras.
    pub fn new(table: u32, to: IpNetwork, protocol: u8) -> Self {
        let kind = RouteKind::Unicast;
        Self { table, to, kind, via: None, dev: None, src: None, metric: 0, onlink: false, protocol }
    }

    /// Its family.
    pub fn family(&self) -> Family {
        Family::of_net(self.to)
    }

    /// What the kernel tells routes apart by when one replaces another.
    pub fn key(&self) -> (u32, IpNetwork, u32) {
        (self.table, self.to, self.metric)
    }
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleAction {
    /// Looks in this table.
    Lookup(u32),
    /// Answers unreachable.
    Unreachable,
    /// Drops without a word.
    Blackhole,
    /// Answers that it is forbidden.
    Prohibit,
    /// Goes on with the rule of that preference.
    Goto(u32),
    /// An action that does not decide where a packet goes.
    Other,
}

/// Selectors of a rule that rules of ours never have. What the kernel has beyond these counts as `narrow`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Selectors {
    /// `not`: matches what the selectors together do not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub invert: bool,
    /// Device by which a packet comes in; `lo` for the host's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iif: Option<String>,
    /// Device that a socket of the host is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oif: Option<String>,
    /// Packets of devices that belong to a VRF.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub l3mdev: bool,
    /// First and last user number; forwarded packets have 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uids: Option<(u32, u32)>,
    /// Something that a part of the packets of any program has: protocol, ports, type of service.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub narrow: bool,
}

impl Selectors {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// IP protocol numbers (RFC 9293, RFC 768).
pub const TCP: u8 = 6;
/// See [`TCP`].
pub const UDP: u8 = 17;

/// Protocol and destination port that a rule can select by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Port {
    /// IP protocol number: [`TCP`] or [`UDP`] here.
    pub protocol: u8,
    /// Destination port.
    pub port: u16,
}

/// A rule of the policy-routing database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rule {
    /// Lower is asked first.
    pub preference: u32,
    /// IPv4 and IPv6 have a list each.
    pub family: Family,
    /// Source network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<IpNetwork>,
    /// Destination network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<IpNetwork>,
    /// Mark and mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<(u32, u32)>,
    /// Protocol and destination port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// What it does.
    pub action: RuleAction,
    /// A route that is found does not count when its prefix is not longer (`suppress_prefixlength`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppress: Option<u8>,
    /// The program that made the rule (FRA_PROTOCOL).
    #[serde(default)]
    pub protocol: u8,
    /// Selectors that we never use: certainly somebody else's.
    #[serde(default, skip_serializing_if = "Selectors::is_empty")]
    pub more: Selectors,
}

impl Rule {
    /// A rule that selects everything of a family.
    pub fn new(family: Family, preference: u32, action: RuleAction, protocol: u8) -> Self {
        Self {
            preference,
            family,
            from: None,
            to: None,
            mark: None,
            port: None,
            action,
            suppress: None,
            protocol,
            more: Selectors::default(),
        }
    }
}

/// Device names by the kernel's numbers.
pub type DeviceNames = BTreeMap<u32, String>;

/// The device that a sysctl is of, by its path below `/proc/sys`; none for what is of no device.
pub fn device_of(key: &str) -> Option<&str> {
    key.split_once("/conf/")?.1.rsplit_once('/').map(|(dev, _)| dev)
}

/// All that matters of one network stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stack {
    /// Devices.
    pub links: BTreeSet<Link>,
    /// Addresses, all families.
    pub addresses: BTreeSet<Address>,
    /// Routes of all tables but `local`.
    pub routes: BTreeSet<Route>,
    /// Rules, all families.
    pub rules: BTreeSet<Rule>,
    /// Sysctls that matter: path below `/proc/sys` → value.
    pub sysctls: BTreeMap<String, String>,
}

/// The loopback device as it should be.
pub fn loopback() -> Link {
    Link { name: "lo".into(), up: true, loopback: true, ..Link::default() }
}

impl Stack {
    /// A stack that was just made, as far as it matters: the kernel's own rule for the local table.
    pub fn fresh() -> Self {
        let local = RuleAction::Lookup(u32::from(libc::RT_TABLE_LOCAL));
        let rules = BTreeSet::from([Rule::new(Family::V4, 0, local, libc::RTPROT_KERNEL)]);
        Self { rules, ..Self::default() }
    }

    /// The device that somebody calls so, by its name or another one.
    pub fn link_called(&self, name: &str) -> Option<&Link> {
        self.link(name).or_else(|| self.links.iter().find(|link| link.altnames.contains(name)))
    }

    /// The device of that name.
    pub fn link(&self, name: &str) -> Option<&Link> {
        // Links are in the order of their names, and the default is the least of all links of a name.
        let first = Link { name: name.to_owned(), ..Link::default() };
        self.links.range(first..).next().filter(|link| link.name == name)
    }
}
