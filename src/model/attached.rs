//! A network namespace that another program made, in which nsnat has an interface and nothing else.

use super::name::Name;
use super::published::{HostService, Publication};
use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// What is recorded of an attachment besides what any namespace has. Its network namespace is known by the numbers that
/// any namespace's record has ([`NamespaceRecord::inode`](super::NamespaceRecord::inode)), from before the first change on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// A file that leads to the network namespace, for as long as its maker keeps it.
    pub path: PathBuf,
    /// Name of nsnat's interface in it; of one that is handed over, its name on the host.
    pub ifname: String,
    /// By what it leaves.
    pub to: Destination,
    /// Ports that the other side of an uplink reaches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub publish: Vec<Publication>,
    /// Services of the host that it reaches, and no others; none: all that the host's own firewall lets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Vec<HostService>>,
    /// The network of a container runtime (CNI) that it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Another program has given it a way out before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Beside>,
    /// The engine takes the interface from the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed: Option<Handed>,
}

/// An interface that is made on the host and handed over: some engines tell of a container before it has a network
/// namespace. The engine moves the interface there, and gives it its name, its addresses and the routes by it. So nsnat knows
/// such an attachment by its host veth alone, which ends with the other end, and plans nothing inside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// The engine's number for the place of the container in the network.
    #[serde(default)]
    pub endpoint: String,
    /// The address that the engine chose; none: nsnat does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
}

/// What a network of a container engine gives its containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// By what they leave.
    #[serde(flatten)]
    pub to: Destination,
    /// Services of the host that they reach, and no others; none: all that the host's own firewall lets them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Vec<HostService>>,
    /// The uplinks by which their ports are asked; none: the one by which they leave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub publish_by: Vec<Name>,
}

impl Access {
    /// The ports of a container, as they are published in the network.
    pub fn publications(&self, ports: &[Publication]) -> Vec<Publication> {
        if self.publish_by.is_empty() {
            return ports.to_vec();
        }
        let by = |uplink: &Name, one: &Publication| Publication { port: one.port, by: Some(uplink.clone()) };
        let uplinks: BTreeSet<&Name> = self.publish_by.iter().collect();
        uplinks.into_iter().flat_map(|uplink| ports.iter().map(move |one| by(uplink, one))).collect()
    }
}

/// A way out that another program made, and that nsnat's comes before: what still goes there besides what has a route of
/// its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// What is sent from these addresses: answers to what came in by them.
    pub addresses: Vec<IpAddr>,
    /// What is sent to these networks.
    pub except: Vec<IpNetwork>,
    /// How the two belong together.
    #[serde(default, skip_serializing_if = "Bond::is_chained")]
    pub bond: Bond,
}

/// How nsnat's way and the other one belong together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bond {
    /// They are of one list of plugins, so that the other one's addresses are told. It has what it had when nsnat is told to go,
    /// and no more: the list is over then.
    #[default]
    Chained,
    /// They are of two networks, and nobody tells one of the other: its addresses are those that are there, and everything goes
    /// by it again when nsnat's network is taken away.
    Apart,
    /// The same, and nsnat's network is being taken away.
    Parting,
}

impl Bond {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it out so")]
    fn is_chained(&self) -> bool {
        *self == Self::Chained
    }
}

/// By what an attachment leaves, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Destination {
    /// As a declared namespace does, with its DNS.
    Namespace(Name),
    /// By these uplinks of the configuration, in this order.
    Uplinks(Vec<Name>),
    /// By these next hops.
    Gateways(Vec<IpAddr>),
}

impl Attached {
    /// An interface in a network namespace, and by what that leaves.
    pub fn new(path: PathBuf, ifname: String, to: Destination) -> Self {
        Self { path, ifname, to, publish: Vec::new(), host: None, network: None, beside: None, handed: None }
    }

    /// What the plugins before nsnat made, where they are of one list; the result of that list has their addresses.
    pub fn behind(&self) -> Option<&Beside> {
        self.beside.as_ref().filter(|beside| beside.bond == Bond::Chained)
    }

    /// An interface in a network namespace, with what a network gives it.
    pub fn in_network(path: PathBuf, ifname: String, access: Access) -> Self {
        Self { host: access.host, ..Self::new(path, ifname, access.to) }
    }

    /// Why a name cannot be that of an interface, as the kernel sees it (`dev_valid_name` in net/core/dev.c).
    pub fn problem_of_ifname(ifname: &str) -> Option<&'static str> {
        let is_bad = |c: char| c.is_whitespace() || c.is_control() || "/:%".contains(c);
        if ifname.is_empty() || ifname.len() > 15 {
            return Some("the name of an interface has 1 to 15 bytes");
        }
        if ["lo", ".", "..", "all", "default"].contains(&ifname) {
            return Some("that name is the kernel's own");
        }
        ifname
            .contains(is_bad)
            .then_some("a space, '/', ':' and '%' cannot be part of the name of an interface")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written down before attachments published ports is read, and is written as it was.
    #[test]
    fn what_an_earlier_nsnat_wrote_down_is_read() {
        let text = r#"{"path":"/run/netns/web","ifname":"eth0","to":{"namespace":"slow"}}"#;
        let attached: Attached = serde_json::from_str(text).unwrap();
        assert_eq!((&attached.publish[..], &attached.host), (&[][..], &None));
        assert_eq!(serde_json::to_string(&attached).unwrap(), text);
    }

    /// And so is what was written down before an attachment could be of a network beside another one.
    #[test]
    fn what_an_earlier_nsnat_wrote_down_of_another_way_is_read() {
        let text = r#"{"addresses":["10.88.0.2"],"except":["10.96.0.0/12"]}"#;
        let beside: Beside = serde_json::from_str(text).unwrap();
        assert_eq!(beside.bond, Bond::Chained);
        assert_eq!(serde_json::to_string(&beside).unwrap(), text);
    }

    /// What was written down of Docker's networks before they chose services of the host is read, and is written as it was.
    #[test]
    fn what_an_earlier_nsnat_wrote_down_of_a_network_is_read() {
        for (text, host) in [
            (r#"{"namespace":"slow"}"#, None),
            (r#"{"uplinks":["a","b"],"host":[]}"#, Some(vec![])),
            (r#"{"gateways":["192.0.2.1"],"host":["5432/tcp"]}"#, Some(vec!["5432".parse().unwrap()])),
        ] {
            let access: Access = serde_json::from_str(text).unwrap();
            assert_eq!(access.host, host);
            assert_eq!(serde_json::to_string(&access).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_name_of_an_interface() {
        for bad in ["", "lo", ".", "..", "all", "a b", "a/b", "a:b", "a%d", "a\n", "sixteen-letters!"] {
            assert!(Attached::problem_of_ifname(bad).is_some(), "{bad:?}");
        }
        for good in ["eth0", "net1", "fifteen-letters", "ä"] {
            assert_eq!(Attached::problem_of_ifname(good), None, "{good:?}");
        }
    }
}
