//! The way out of an egress, resolved: by one uplink, or by two while a router has lost one family only.

use super::name::Name;
use super::stack::{Family, is_link_local};
use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// A way out, resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UplinkPath {
    /// The uplink's name, where it has one.
    #[serde(default)]
    pub uplink: Option<Name>,
    /// Device.
    pub dev: String,
    /// The device was up, its next hops in reach; otherwise it takes no routes.
    pub up: bool,
    /// None of the uplinks lives: the path takes no routes, though its device is up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dead: bool,
    /// It is no uplink of the namespaces, but the default route of the host's main table.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub last_resort: bool,
    /// MTU of the device, in bytes.
    pub mtu: u32,
    /// Next hop of each family that it serves; a family that has none is unreachable, unless `direct`.
    pub gateways: Vec<IpAddr>,
    /// Families whose next hop is out of reach at the moment: the device has no address of theirs.
    #[serde(default)]
    pub waiting: Vec<Family>,
    /// Families that need no next hop.
    #[serde(default)]
    pub direct: Vec<Family>,
    /// Subnets directly on the device.
    #[serde(default)]
    pub subnets: Vec<IpNetwork>,
    /// Preferred sources of the host's own route by it, one a family, where masquerade might take another address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<IpAddr>,
    /// Other names of the device: it is known by them while it is away.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub altnames: BTreeSet<String>,
    /// Families in which no uplink answers, although the other family gets out: they are closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silent: Vec<Family>,
    /// By which the other family leaves, where that is another uplink. It has no such path itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apart: Option<Box<UplinkPath>>,
}

impl UplinkPath {
    /// The next hop of that family by this uplink.
    pub fn gateway(&self, family: Family) -> Option<IpAddr> {
        self.gateways.iter().copied().find(|g| Family::of(*g) == family)
    }

    /// Whether an address is on the link as far as the kernel can know: in a subnet of the device, or link-local.
    /// A next hop that is not takes `onlink`.
    pub fn is_near(&self, address: IpAddr) -> bool {
        is_link_local(address) || self.subnets.iter().any(|net| net.contains(address))
    }

    /// Whether packets of that family can leave by this uplink.
    pub fn serves(&self, family: Family) -> bool {
        let next_hop = self.gateway(family).is_some() && !self.waiting.contains(&family);
        next_hop || self.direct.contains(&family)
    }

    /// By each uplink of the path: this one, and the one of the other family where that is another one.
    pub fn parts(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.apart.as_deref())
    }

    /// By which uplink packets of that family leave.
    pub fn part_of(&self, family: Family) -> Option<&Self> {
        self.parts().find(|part| part.serves(family))
    }

    /// Whether packets of that family can leave, by whichever uplink.
    pub fn carries(&self, family: Family) -> bool {
        self.part_of(family).is_some()
    }

    /// Whether the families have different fates: they leave by different uplinks, or one of them is closed.
    pub fn is_split(&self) -> bool {
        self.apart.is_some() || !self.silent.is_empty()
    }

    /// Whether anything gets out.
    pub fn is_open(&self) -> bool {
        !self.dead && self.parts().any(|part| part.up)
    }

    /// The MTU that holds whichever part a packet leaves by.
    pub fn least_mtu(&self) -> u32 {
        self.parts().map(|part| part.mtu).min().unwrap_or(self.mtu)
    }

    /// The same for one family alone.
    #[must_use]
    pub fn only(&self, family: Family) -> Self {
        let mut path = self.clone();
        path.gateways.retain(|ip| Family::of(*ip) == family);
        path.waiting.retain(|other| *other == family);
        path.direct.retain(|other| *other == family);
        path.subnets.retain(|net| Family::of_net(*net) == family);
        path.sources.retain(|ip| Family::of(*ip) == family);
        path
    }
}
