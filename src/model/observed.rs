//! What is: what the kernel holds and what nsnat recorded, as far as the plan needs them.

use super::gate::{FoundPass, Gate};
use super::numbers::INSIDE_LINK;
use super::tap::Tap;
use super::{Account, Element, Health, Link, Name, Stack, State, ownership};
use foldhash::HashSet;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// All that was observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Observed {
    /// The host's stack.
    pub host: Stack,
    /// The host's cookie ([`NamespaceRecord::cookie`](super::NamespaceRecord::cookie)); before Linux 5.14 its inode number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<u64>,
    /// Namespaces that the state or the configuration names, as far as `/run/netns` has them.
    pub namespaces: BTreeMap<Name, Netns>,
    /// Namespaces of the state that were passed by: whatever belongs to them is taken for right.
    #[serde(skip_serializing_if = "HashSet::is_empty")]
    pub passed_by: HashSet<Name>,
    /// The host has many devices, and those that no address and no route speaks of were passed by.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub idle_passed_by: bool,
    /// Our nft table.
    pub table: Table,
    /// What we remember.
    pub state: State,
    /// Ephemeral namespaces whose owner ended, and in which nobody is any more.
    pub abandoned: BTreeSet<Name>,
    /// What the kernel can do.
    pub features: Features,
    /// Servers behind the host's stubs, by device; under "" the servers that belong to no device.
    pub upstreams: BTreeMap<String, Vec<std::net::IpAddr>>,
    /// Numbers of the users and groups that the configuration names, as far as they exist.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub accounts: BTreeMap<Account, u32>,
    /// Chains of others that stop what they do not know.
    #[serde(skip_serializing_if = "Gates::is_empty")]
    pub gates: Gates,
    /// IPsec policies, the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<super::Policy>,
    /// Uplinks that are not well, as far as somebody looks after them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub health: BTreeMap<Name, Health>,
    /// Nameservers of the host's resolv.conf.
    pub nameservers: Vec<std::net::IpAddr>,
}

/// What the kernel can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is there or not, whatever the others are")]
pub struct Features {
    /// `net.ipv6.conf.IF.force_forwarding` exists (Linux 6.17 and later).
    pub force_forwarding: bool,
    /// IPv6 exists and is not switched off.
    pub ipv6: bool,
    /// The kernel has no rules of routing of IPv6: namespaces have IPv4 alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_rules6: bool,
    /// The kernel knows no IPsec: our table asks nothing about that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_ipsec: bool,
}

impl Features {
    /// Whether namespaces can have IPv6.
    pub fn serves_ipv6(self) -> bool {
        self.ipv6 && !self.without_rules6
    }
}

/// A file in `/run/netns`, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Netns {
    /// A plain file: its namespace went away, or was never mounted.
    Stale,
    /// A namespace that nobody looked into: whatever is in it is taken for right.
    Unseen {
        /// Inode number of the namespace.
        inode: u64,
    },
    /// That of an attachment whose interface is handed over ([`Handed`](super::Handed)): its host veth is there, and all that
    /// is inside is its engine's.
    Handed {
        /// Inode number of the namespace, where the path of the attachment leads to one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inode: Option<u64>,
    },
    /// A namespace.
    Alive {
        /// Inode number of the namespace.
        inode: u64,
        /// Cookie of the namespace ([`NamespaceRecord::cookie`](super::NamespaceRecord::cookie)), where the kernel has them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cookie: Option<u64>,
        /// Links, addresses, routes, rules and sysctls inside.
        stack: Box<Stack>,
        /// Set where the namespace lost its file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        adrift: Option<DetachedNetns>,
        /// The namespace has the settings that the host is tuned to. Otherwise its stack says which it has.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        tuned: bool,
    },
}

impl Netns {
    /// Inode number of the namespace, where there is one.
    pub fn inode(&self) -> Option<u64> {
        match self {
            Self::Stale => None,
            Self::Handed { inode } => *inode,
            Self::Unseen { inode } | Self::Alive { inode, .. } => Some(*inode),
        }
    }
}

/// A namespace of ours without its file: `ip netns del` takes that and nothing else as long as a process is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetachedNetns {
    /// A process inside.
    pub pid: i32,
    /// A plain file is in the place of its file.
    pub stale: bool,
    /// Another namespace is in the place of its file, and stays there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken: bool,
}

/// Our nft table as it reads back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Table {
    /// Whether the table exists.
    pub exists: bool,
    /// Digest of the text that it was loaded from, as its marker set names it.
    pub text: Option<String>,
    /// Digest of its rules as they read back; none, if these are not as many as were loaded.
    pub rules: Option<String>,
    /// Elements of our sets and maps.
    pub elements: BTreeSet<Element>,
}

/// The gates of a host, and the passes that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gates {
    /// Chains that stop every packet that no rule of them accepts.
    pub all: BTreeSet<Gate>,
    /// Rules that carry our comment: in base chains of others on hook forward, in
    /// [`DOCKER_USER`](super::gate::DOCKER_USER) and where the state says.
    pub passes: BTreeSet<FoundPass>,
    /// What others hang on devices.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub taps: BTreeSet<Tap>,
}

impl Gates {
    /// Nothing of the kind.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.passes.is_empty() && self.taps.is_empty()
    }
}

impl Observed {
    /// Whether the namespace was not looked into.
    pub fn is_unseen(&self, name: &Name) -> bool {
        self.passed_by.contains(name) || matches!(self.namespaces.get(name), Some(Netns::Unseen { .. }))
    }

    /// Whether the recorded state was lost. Then only the table knows the devices that forward for our sake.
    pub fn has_lost_its_state(&self) -> bool {
        self.state.is_empty() && self.table.exists
    }

    /// The namespaces that were not looked into.
    pub fn unseen(&self) -> impl Iterator<Item = &Name> {
        let unseen = |(_, netns): &(&Name, &Netns)| matches!(netns, Netns::Unseen { .. });
        self.passed_by.iter().chain(self.namespaces.iter().filter(unseen).map(|(name, _)| name))
    }

    /// Whether a namespace is ours: the state has it (and it is still that one), or its eth0 carries our tag
    /// and a host veth names it (the state file was lost). Of an attachment, whether it is still that namespace.
    pub fn is_ours(&self, name: &Name, netns: &Netns) -> bool {
        let noted = self.state.namespaces.get(name);
        if noted.is_some_and(|noted| noted.is_handed()) {
            return !matches!(netns, Netns::Stale);
        }
        if let Some(attachment) = noted.filter(|noted| noted.attached.is_some()) {
            return attachment.inode.is_some() && attachment.inode == netns.inode();
        }
        match netns {
            Netns::Stale => noted.is_some(),
            // No other kind is handed over.
            Netns::Handed { .. } => false,
            Netns::Unseen { inode } => self.is_noted(name, *inode),
            Netns::Alive { inode, stack, .. } => {
                let tagged = stack.link(INSIDE_LINK).is_some_and(Link::is_ours);
                match noted.map(|namespace| namespace.inode) {
                    Some(Some(noted)) if noted == *inode => true,
                    // Killed before the number was noted: then it holds our veth, or nothing yet.
                    Some(None) => tagged || stack.links.iter().all(|link| link.loopback && !link.up),
                    _ => tagged && self.host_end_names(name),
                }
            }
        }
    }

    /// Whether what is observed as the host is another network namespace than the one whose namespaces the state
    /// lists; and which of ours, if it is one.
    pub fn foreign_namespace(&self) -> Option<Option<&Name>> {
        let here = self.cookie.filter(|here| self.state.host.is_some_and(|host| host != *here))?;
        let ours = self
            .state
            .namespaces
            .iter()
            .find(|(_, namespace)| namespace.cookie.or(namespace.inode) == Some(here));
        Some(ours.map(|(name, _)| name))
    }

    /// Namespaces of ours that the state does not know: it was lost.
    pub fn orphans(&self) -> impl Iterator<Item = &Name> {
        let unknown = |name: &Name, netns: &Netns| {
            !self.state.namespaces.contains_key(name) && self.is_ours(name, netns)
        };
        self.namespaces.iter().filter(move |(name, netns)| unknown(name, netns)).map(|(name, _)| name)
    }

    /// Whether a namespace of ours lives on in its processes while somebody else's has its name.
    pub fn is_taken(&self, name: &Name) -> bool {
        let taken =
            |netns: &Netns| matches!(netns, Netns::Alive { adrift: Some(adrift), .. } if adrift.taken);
        self.namespaces.get(name).is_some_and(taken)
    }

    /// Notes the numbers of namespaces whose making was cut off before that: once it is written down whose they are,
    /// taking them to pieces may be cut off, too.
    pub fn note_numbers(&mut self) {
        let numbered = |(name, netns): (&Name, &Netns)| match netns {
            Netns::Alive { inode, .. } if self.is_ours(name, netns) => Some((name.clone(), *inode)),
            _ => None,
        };
        let numbers: Vec<_> = self.namespaces.iter().filter_map(numbered).collect();
        for (name, inode) in numbers {
            if let Some(namespace) =
                self.state.namespaces.get_mut(&name).filter(|noted| noted.inode.is_none())
            {
                namespace.inode = Some(inode);
            }
        }
    }

    /// The real DNS servers of a device, else of the host.
    pub fn upstreams(&self, dev: &str) -> &[std::net::IpAddr] {
        self.upstreams.get(dev).or_else(|| self.upstreams.get("")).map_or(&[], Vec::as_slice)
    }

    /// Whether the state has that very namespace.
    fn is_noted(&self, name: &Name, inode: u64) -> bool {
        self.state
            .namespaces
            .get(name)
            .is_some_and(|namespace| namespace.inode.is_none_or(|noted| noted == inode))
    }

    /// The stack of a namespace that is there.
    pub fn stack(&self, name: &Name) -> Option<&Stack> {
        match self.namespaces.get(name) {
            Some(Netns::Alive { stack, .. }) => Some(stack),
            Some(Netns::Stale | Netns::Unseen { .. } | Netns::Handed { .. }) | None => None,
        }
    }

    fn host_end_names(&self, name: &Name) -> bool {
        let alias = ownership::alias(name);
        self.host.links.iter().any(|link| link.alias.as_deref() == Some(&alias))
    }
}
