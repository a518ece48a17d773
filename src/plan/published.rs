//! Ports that the other side of an uplink reaches: which elements say so.
//!
//! A port is published on the device by which a family of the namespace leaves, so that an answer leaves by the device by which
//! the question came. It moves with the namespace from uplink to uplink.
//!
//! A port may be asked by another uplink instead. It stays with that one, wherever the namespace leaves, and so do the answers:
//! they have the mark of an egress of that uplink. What tells them from all else is the address of the host that was asked, which
//! the flow knows. So such a port is published at the addresses of that uplink's device alone.

use super::action::{Action, Flows};
use super::addresses::{Addresses, VethAddresses, inside_addresses};
use crate::model::{
    ActiveNamespace, Datum, Egress, Element, Family, Name, Observed, Published, PublishedBy, Set, State,
    UplinkPath, changes, observed::Features,
};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The elements of the namespaces that are looked into. Where two of them want one port of a device, which a move to another
/// uplink can bring about, the first one by name has it.
pub(super) fn elements(state: &State, features: Features, is_seen: impl Fn(&Name) -> bool) -> Vec<Element> {
    let mut taken = BTreeSet::new();
    let publishing = state.namespaces.iter().filter(|(_, namespace)| namespace.publishes());
    let all = publishing.flat_map(|(name, namespace)| {
        ports(state, namespace, features).into_iter().map(move |port| (name, port))
    });
    let free = all.filter(|(_, port)| taken.insert(port.outside.clone()));
    free.filter(|(name, _)| is_seen(name)).flat_map(|(_, port)| [port.leads, port.others].concat()).collect()
}

/// The device by which the host's own programs reach what is the host's.
const LOOPBACK: &str = "lo";

/// The sets of a family.
struct Sets {
    publish: Set,
    published: Set,
    publish_at: Set,
    answer_by: Set,
}

fn sets(family: Family) -> Sets {
    match family {
        Family::V4 => Sets {
            publish: Set::Publish4,
            published: Set::Published4,
            publish_at: Set::PublishAt4,
            answer_by: Set::AnswerBy4,
        },
        Family::V6 => Sets {
            publish: Set::Publish6,
            published: Set::Published6,
            publish_at: Set::PublishAt6,
            answer_by: Set::AnswerBy6,
        },
    }
}

/// A port of the host in one family.
struct Port {
    /// What only one namespace can have: the device, the family, and the port with its protocol.
    outside: (String, Family, u8, u16),
    /// Where a question by that device goes: what came in by the port depends on that.
    leads: Vec<Element>,
    /// What else there is for the port.
    others: Vec<Element>,
}

/// The ports of a namespace: those of its own way out, and those of other uplinks.
fn ports(state: &State, namespace: &ActiveNamespace, features: Features) -> Vec<Port> {
    let Some(own) = state.egresses.get(&namespace.egress) else { return Vec::new() };
    let ends = Addresses::new(own, namespace, features).ends;
    let (ports, at) = (&namespace.published, &namespace.published_at);
    let at_home = Asked { namespace, egress: own, ports, at, mark: None };
    let others = namespace.published_by.iter().filter_map(|by| Asked::by_another(state, namespace, by));
    let asked: Vec<Asked<'_>> = [at_home].into_iter().chain(others).collect();
    let at_inside = |ends: &VethAddresses| {
        let inside = ends.inside.ip();
        asked.iter().flat_map(move |asked| asked.at_inside(inside))
    };
    ends.iter().flat_map(at_inside).collect()
}

/// Ports of a namespace that are asked by the uplink of an egress.
struct Asked<'a> {
    namespace: &'a ActiveNamespace,
    egress: &'a Egress,
    ports: &'a [Published],
    /// The host's addresses on the devices of that uplink.
    at: &'a [IpAddr],
    /// The mark of answers by another uplink than the namespace's own.
    mark: Option<u32>,
}

impl<'a> Asked<'a> {
    fn by_another(state: &'a State, namespace: &'a ActiveNamespace, by: &'a PublishedBy) -> Option<Self> {
        let egress = state.egresses.get(&by.egress)?;
        Some(Self { namespace, egress, ports: &by.ports, at: &by.at, mark: Some(state.mark_of(egress)) })
    }

    /// The ports of one family, where the uplink has that.
    fn at_inside(&self, inside: IpAddr) -> Vec<Port> {
        let path = self.egress.path.as_ref().and_then(|path| path.part_of(Family::of(inside)));
        let devices = path.iter().map(|path| path.dev.as_str());
        devices.flat_map(|dev| self.ports.iter().map(move |port| self.port(dev, inside, *port))).collect()
    }

    /// Where questions by the device of the uplink go; that they may; the same for questions of the host's own programs and of
    /// the namespace itself; and by which way answers leave, where that is not the namespace's own.
    fn port(&self, dev: &str, inside: IpAddr, port: Published) -> Port {
        let family = Family::of(inside);
        let Sets { publish, published, publish_at, answer_by } = sets(family);
        let link = self.namespace.link.as_str();
        let device = |dev: &str| Datum::Device(dev.to_owned());
        let [protocol, outside, target] =
            [Datum::Protocol(port.protocol), Datum::Port(port.outside), Datum::Port(port.inside)];
        let value = vec![Datum::Address(inside), target.clone()];
        let at_all = || {
            let key = vec![device(dev), protocol.clone(), outside.clone()];
            Element { set: publish, key, value: value.clone() }
        };
        let may_by = |dev: &str| {
            let key = vec![device(dev), Datum::Address(inside), protocol.clone(), target.clone()];
            Element { set: published, key, value: Vec::new() }
        };
        let at_one = |by: &str, at: IpAddr| {
            let key = vec![device(by), Datum::Address(at), protocol.clone(), outside.clone()];
            Element { set: publish_at, key, value: value.clone() }
        };
        let answered = |at: IpAddr, mark| {
            let key = vec![Datum::Address(inside), Datum::Address(at)];
            Element { set: answer_by, key, value: vec![Datum::Mark(mark)] }
        };
        let at = || self.at.iter().copied().filter(|at| at.is_ipv4() == inside.is_ipv4());
        let leads = match self.mark {
            None => vec![at_all()],
            Some(_) => at().map(|at| at_one(dev, at)).collect(),
        };
        let answers = self.mark.into_iter().flat_map(|mark| at().map(move |at| answered(at, mark)));
        let here = at().flat_map(|at| [LOOPBACK, link].map(|by| at_one(by, at)));
        let others = [may_by(dev), may_by(link)].into_iter().chain(here).chain(answers).collect();
        Port { outside: (dev.to_owned(), family, port.protocol, port.outside), leads, others }
    }
}

/// What publishes that port of the host on a device of `path`, other than the namespace `own`; and the device.
pub(super) fn holder<'a>(
    port: Published,
    own: &Name,
    path: &'a UplinkPath,
    state: &State,
) -> Option<(String, &'a str)> {
    state.namespaces.iter().filter(|(name, _)| *name != own).find_map(|(name, other)| {
        let has = |ports: &[Published]| ports.iter().any(|published| published.is_same_outside(&port));
        let others = other.published_by.iter().filter(|by| has(&by.ports)).map(|by| &by.egress);
        let mut keys = Some(&other.egress).filter(|_| has(&other.published)).into_iter().chain(others);
        let dev = keys.find_map(|key| shared_device(path, state.egresses.get(key)?.path.as_ref()?))?;
        let what = if other.attached.is_some() { "attachment" } else { "namespace" };
        Some((format!("{what} {name}"), dev))
    })
}

/// A device by which both leave.
fn shared_device<'a>(one: &'a UplinkPath, other: &UplinkPath) -> Option<&'a str> {
    let is_others = |dev: &str| other.parts().any(|part| part.dev == dev);
    one.parts().map(|part| part.dev.as_str()).find(|dev| is_others(dev))
}

/// Flows of those that asked a port which is not published any more, or by another device.
pub(super) fn stale_flows(state: &State, observed: &Observed) -> Vec<Action> {
    let mut sources = BTreeSet::new();
    for change in changes(&observed.state, state) {
        let Some(before) = change.before.filter(|before| before.publishes()) else { continue };
        let old = ports(&observed.state, before, observed.features);
        let new = change.after.map_or_else(Vec::new, |after| ports(state, after, observed.features));
        let is_kept = |lead| new.iter().any(|port| port.leads.contains(lead));
        if !old.iter().flat_map(|port| &port.leads).all(is_kept) {
            sources.extend(inside_addresses(&observed.state, before, observed.features));
        }
    }
    sources.into_iter().map(|source| Action::ForgetFlows { source, which: Flows::Published }).collect()
}
