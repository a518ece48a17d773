//! The numbers that are ours, and why these.

use ipnetwork::{Ipv4Network, Ipv6Network};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Link group of both ends of our veth pairs, set by the very message that creates them: the ownership tag that
/// a crash cannot separate from the link, and what the nft skeleton matches. "nsn" in ASCII; groups are 32 bits
/// and nobody registers them.
pub const LINK_GROUP: u32 = 0x006e_736e;

/// Group to which links that are about to be deleted are moved, so that one message deletes them all
/// (each single deletion waits about 20 ms for an RCU grace period).
pub const DOOMED_GROUP: u32 = 0x006e_736f;

/// Prefix of a host veth's device name. Names of devices have at most 15 bytes (IFNAMSIZ − 1).
pub const LINK_PREFIX: &str = "nsn-";

/// Name of the interface in a namespace that nsnat made.
pub const INSIDE_LINK: &str = "eth0";

/// `ifalias` of a host veth is this and the namespace's name: for people, and for finding the name again.
pub const ALIAS_PREFIX: &str = "nsnat:";

/// The same for an attachment. It is another prefix because a namespace that nsnat made is known by the one above where
/// the state file was lost, and is removed; the namespace of an attachment never is.
pub const ATTACHED_PREFIX: &str = "nsnat-attached:";

/// Next hop of every attachment: the address that its host veth has towards it; in the place of the last byte there is the
/// number of the egress where an interface is handed over. Of the block that no router forwards
/// (RFC 3927), with 213 in it like the pool, and far from what clouds use there (169.254.169.254).
pub const ATTACHED_GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 213, 1);

/// By this address every namespace and every attachment reaches the services of the host that were chosen for it: the same
/// one, which the skeleton calls `here`.
pub const HOST_INSIDE: Ipv4Addr = ATTACHED_GATEWAY;

/// Routing protocol of our rules and routes on the host: "kernel", because systemd-networkd removes every rule
/// and route of other protocols when it restarts (`ManageForeignRoutes=`, networkd.conf(5)) — which happens in
/// the middle of the very upgrade that a job in a namespace may be running. They are told from the kernel's own
/// by their preference and their table.
pub const HOST_PROTOCOL: u8 = libc::RTPROT_KERNEL;

/// Routing protocol of our rules and routes inside a namespace, where no such manager runs. Not in
/// iproute2's rt_protos.
pub const INSIDE_PROTOCOL: u8 = 213;

/// Preferences of our rules on the host: places in a block, which begins at [`FIRST`](preference::FIRST) or, where
/// rules of others come before that and would take our packets, before those (`plan::precedence`).
pub mod preference {
    /// Where the block begins by default: below Tailscale's rules (5210) and far below main's (32766).
    pub const FIRST: u32 = 4207;
    /// `to SLICE lookup main suppress_prefixlength N`: the way back to the namespaces that are there, also for the
    /// kernel's own ICMPv6 errors, which it sends from an address in the slice.
    pub const BACK: u32 = 0;
    /// `to SLICE blackhole`: what is meant for a namespace whose link is gone (an answer that conntrack turned
    /// around, the host's own) would otherwise leave by the host's default route. Silent, because an error would
    /// leave by that, too.
    pub const BACK_FLOOR: u32 = 1;
    /// `from SUBNET to SERVER fwmark V/MASK ipproto P dport 53 lookup main`: DNS servers that a namespace asks by the
    /// host's own way.
    pub const HOST_DNS: u32 = 2;
    /// `fwmark V/MASK lookup T`. By the mark alone: while the nft table is gone, and with it marks, masquerade and the
    /// rewriting of DNS, nothing leaves.
    pub const MARK: u32 = 3;
    /// `fwmark V/MASK unreachable`: when the table was flushed by somebody.
    pub const MARK_FLOOR: u32 = 5;
    /// `from SLICE unreachable`: without a mark nothing gets out.
    pub const SOURCE_FLOOR: u32 = 6;
    /// How many preferences the block takes.
    pub const SIZE: u32 = 7;
    /// Inside a namespace: DNS to loopback is diverted before the local table is asked.
    pub const INSIDE_DNS: u32 = 10;
    /// Inside a namespace: the local table's new place (0 is the kernel's).
    pub const INSIDE_LOCAL: u32 = 100;
    /// In an attachment beside another way out: answers to what came in by nsnat's own address, which is published.
    pub const BESIDE_ANSWERS: u32 = 21_299;
    /// The same: networks that are reached by the other way.
    pub const BESIDE_EXCEPT: u32 = 21_300;
    /// The same: addresses that answer by the other way.
    pub const BESIDE_ADDRESS: u32 = 21_301;
    /// The same: whatever has a route of its own.
    pub const BESIDE_OWN_ROUTE: u32 = 21_302;
    /// The same: all else goes out by nsnat's way.
    pub const BESIDE_WAY: u32 = 21_303;
}

/// Table of the egress with number 0; numbers start at 1. 213 like the pool, far above what people number by hand.
pub const TABLE_BASE: u32 = 213_000;

/// Table inside a namespace that sends DNS for loopback addresses out.
pub const INSIDE_DNS_TABLE: u32 = 53;

/// Table in an attachment beside another way out: nsnat's way.
pub const BESIDE_TABLE: u32 = 213;

/// Highest number of an egress: a mark of 8 bits that is not zero.
pub const MAX_EGRESS: u32 = 255;

/// Metric of the unreachable default route under the real one: the kernel's own choice for "after everything
/// else" (systemd uses it too); a real route always has a lower one.
pub const FLOOR_METRIC: u32 = 4_278_198_272;

/// Metric of the routes that lead out by an egress: just before that. Programs that look for their way in all tables,
/// whatever the rules say (strongSwan for its peer), compare metrics, and have to find the host's own route first.
pub const WAY_METRIC: u32 = FLOOR_METRIC - 1;

/// Indexes of our IPsec policies begin with this byte ("n"): the ownership tag, which the message that adds a policy
/// sets. The kernel counts its own up from 8, by 8, and would get there after 230 million policies.
pub const POLICY_INDEX: u32 = 0x6e00_0000;

/// Priority of our IPsec policies: the first. Of two that have it the kernel takes the older one.
pub const POLICY_PRIORITY: u32 = 0;

/// Smallest MTU of a device that IPv6 works on (RFC 8200 §5).
pub const LEAST_MTU6: u32 = 1280;

/// Default of `settings.fwmark-mask`: the top byte, which Docker, Kubernetes, Tailscale and Mullvad leave alone
/// or use with values that the scan sees.
pub const FWMARK_MASK: u32 = 0xff00_0000;

/// Where subnets come from unless `settings.pool` says it. The first that nothing of the host's overlaps is taken, in
/// this order; nobody but the host ever sees these addresses.
pub const POOLS: [(Ipv4Addr, u8); 4] = [
    // In the largest private block (RFC 1918), far from its ends, where people begin to number.
    (Ipv4Addr::new(10, 213, 0, 0), 16),
    // For hosts whose VPN takes all of 10.0.0.0/8: the block that homes use least. Docker gives 172.17 to 172.31 away,
    // from the front, and leaves out what it finds in use.
    (Ipv4Addr::new(172, 30, 0, 0), 16),
    // For those that take all private blocks: set aside for measurements between laboratories' devices (RFC 2544), so
    // nobody routes it. Its first half is where proxies (Clash, sing-box) like to invent addresses.
    (Ipv4Addr::new(198, 19, 0, 0), 16),
    // A network at home at most: least of all, because guests come to networks of that block.
    (Ipv4Addr::new(192, 168, 213, 0), 24),
];

/// The same for `settings.pool6`: unique local addresses (RFC 4193). Nobody routes one of these blocks by accident,
/// only all of `fc00::/7`.
pub const POOLS6: [(Ipv6Addr, u8); 2] = [
    // Spells "nsnat".
    (Ipv6Addr::new(0xfd6e, 0x736e, 0x6174, 0, 0, 0, 0, 0), 48),
    // Chosen at random, as the RFC wants it: for a host whose own network is the first one.
    (Ipv6Addr::new(0xfdb5, 0x1a0c, 0x97e3, 0, 0, 0, 0, 0), 48),
];

/// Longest first slice of an egress: /24, room for 64 namespaces of /30.
pub const SLICE_PREFIX: u8 = 24;

/// A block of [`POOLS`] as a network.
pub fn pool((address, prefix): (Ipv4Addr, u8)) -> Ipv4Network {
    Ipv4Network::new_checked(address, prefix).unwrap_or_else(|| Ipv4Network::from(address))
}

/// A block of [`POOLS6`] as a network.
pub fn pool6((address, prefix): (Ipv6Addr, u8)) -> Ipv6Network {
    Ipv6Network::new_checked(address, prefix).unwrap_or_else(|| Ipv6Network::from(address))
}
