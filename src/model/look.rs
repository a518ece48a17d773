//! What is looked at, and what is passed by.

use super::nft::{Datum, Element};
use super::stack::device_of;
use super::{ActiveNamespace, Egress, Name, Observed, State};
use foldhash::{HashSet, HashSetExt};
use ipnetwork::Ipv6Network;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::OnceLock;

/// What is looked at. Each names the namespaces that are looked for besides those that are up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look<'a> {
    /// The host, and every namespace of ours.
    Everything(&'a [&'a Name]),
    /// These namespaces, and of the host whatever does not belong to another namespace alone: what a run for one
    /// namespace costs grows slowly with the number of others.
    These(&'a [&'a Name]),
    /// What everybody may see: neither the namespaces nor nf_tables are looked into.
    Outside(&'a [&'a Name]),
}

impl<'a> Look<'a> {
    /// The namespaces that are looked for besides those that are up.
    pub fn names(self) -> &'a [&'a Name] {
        match self {
            Self::Everything(names) | Self::These(names) | Self::Outside(names) => names,
        }
    }

    /// The namespaces that are passed by with all that belongs to them. What was abandoned, or was being taken to
    /// pieces and so has no egress any more, or is an attachment that was being made, is not: every run completes that.
    pub fn others<'j>(self, state: &'j State, abandoned: &BTreeSet<Name>) -> OtherNamespaces<'j> {
        let Self::These(names) = self else { return OtherNamespaces::default() };
        let is_other = |(name, namespace): &(&Name, &ActiveNamespace)| {
            !names.contains(name)
                && !abandoned.contains(*name)
                && (namespace.attached.is_none() || namespace.inode.is_some() || namespace.is_handed())
                && state.egresses.contains_key(&namespace.egress)
        };
        OtherNamespaces::new(state, state.namespaces.iter().filter(is_other))
    }
}

/// Namespaces that are passed by: whatever belongs to them is taken for right.
#[derive(Default)]
pub struct OtherNamespaces<'a> {
    /// The namespaces that are passed by.
    pub namespaces: Vec<(&'a Name, &'a ActiveNamespace)>,
    /// Their devices on the host, once somebody asks for them.
    links: OnceLock<HashSet<&'a str>>,
    /// Parts of `pool6` of their egresses.
    slices6: BTreeMap<&'a str, Ipv6Network>,
    /// Their addresses inside, once somebody asks for them.
    addresses: OnceLock<HashSet<IpAddr>>,
}

impl<'a> OtherNamespaces<'a> {
    fn new(state: &'a State, namespaces: impl Iterator<Item = (&'a Name, &'a ActiveNamespace)>) -> Self {
        let part = |(key, egress): (&'a String, &Egress)| Some((key.as_str(), egress.slice6?));
        let slices6 = state.egresses.iter().filter_map(part).collect();
        Self { namespaces: namespaces.collect(), slices6, ..Self::default() }
    }

    /// Their devices on the host.
    fn links(&self) -> HashSet<&'a str> {
        let mut out = HashSet::with_capacity(self.namespaces.len());
        for (_, namespace) in &self.namespaces {
            out.insert(namespace.link.as_str());
            // Until the engine takes the other end, that is on the host, too.
            out.extend(Some(namespace.ifname()).filter(|_| namespace.is_handed()));
        }
        out
    }

    /// Their addresses inside: one of IPv4 each, and one of IPv6 that the same bits end.
    fn addresses(&self) -> HashSet<IpAddr> {
        let mut out = HashSet::with_capacity(2 * self.namespaces.len());
        for (_, namespace) in &self.namespaces {
            out.insert(namespace.address().into());
            let bits = u32::from(namespace.address());
            if let Some(slice) = self.slices6.get(namespace.egress.as_str()) {
                out.insert(Ipv6Addr::from(u128::from(slice.network()) | u128::from(bits)).into());
            }
        }
        out
    }

    /// Whether a link of the host is the end of one of them.
    pub fn have_link(&self, name: &str) -> bool {
        self.links.get_or_init(|| self.links()).contains(name)
    }

    /// Whether an address is one inside of one of them.
    pub fn have_address(&self, address: IpAddr) -> bool {
        self.addresses.get_or_init(|| self.addresses()).contains(&address)
    }

    /// Whether an element of our table is about one of them.
    pub fn have_element(&self, element: &Element) -> bool {
        element.key.iter().chain(&element.value).any(|datum| match datum {
            Datum::Device(name) => self.have_link(name),
            Datum::Address(address) => element.set.is_of_addresses_inside() && self.have_address(*address),
            _ => false,
        })
    }

    /// Takes everything of theirs out of what was observed, and says that nobody looked.
    pub fn hide_in(&self, observed: &mut Observed) {
        let host = &mut observed.host;
        host.links.retain(|link| !self.have_link(&link.name));
        host.addresses.retain(|address| !self.have_link(&address.dev));
        host.routes.retain(|route| !route.dev.as_deref().is_some_and(|dev| self.have_link(dev)));
        host.sysctls.retain(|key, _| !device_of(key).is_some_and(|dev| self.have_link(dev)));
        observed.table.elements.retain(|element| !self.have_element(element));
        observed.passed_by = self.names();
        let passed_by = &observed.passed_by;
        observed.namespaces.retain(|name, _| !passed_by.contains(name));
    }

    /// Their names.
    pub fn names(&self) -> HashSet<Name> {
        let mut out = HashSet::with_capacity(self.namespaces.len());
        out.extend(self.namespaces.iter().map(|(name, _)| (*name).clone()));
        out
    }
}
