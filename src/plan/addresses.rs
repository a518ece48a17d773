//! The addresses of namespaces, which follow from the state.

use crate::model::{ActiveNamespace, Egress, Family, Name, State, numbers, observed::Features};
use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses of both ends, by family; a family that the egress does not serve has none.
pub(super) struct Addresses {
    pub(super) ends: Vec<VethAddresses>,
}

pub(super) struct VethAddresses {
    pub(super) family: Family,
    pub(super) net: IpNetwork,
    pub(super) host: IpNetwork,
    pub(super) inside: IpNetwork,
    /// Both ends are in no common subnet, to which the kernel would add a route.
    pub(super) is_apart: bool,
}

impl Addresses {
    pub(super) fn new(egress: &Egress, namespace: &ActiveNamespace, features: Features) -> Self {
        let net6 = egress.slice6.filter(|_| namespace.ipv6 && features.serves_ipv6());
        if namespace.attached.is_some() {
            return Self::of_attachment(egress, namespace, net6);
        }
        let prefix = namespace.subnet.prefix();
        let first = u32::from(namespace.subnet.network());
        let v4 = |n: u32| Ipv4Network::new(Ipv4Addr::from(first + n), prefix).ok().map(IpNetwork::V4);
        let net6 = net6.and_then(|slice6| subnet6(slice6, namespace.subnet));
        let v6 = |n: u128| {
            let net = net6?;
            Ipv6Network::new(Ipv6Addr::from(u128::from(net.network()) + n), 126).ok().map(IpNetwork::V6)
        };
        let ends = |family, net: Option<IpNetwork>, host: Option<IpNetwork>, inside: Option<IpNetwork>| {
            Some(VethAddresses { family, net: net?, host: host?, inside: inside?, is_apart: false })
        };
        let v4 = ends(Family::V4, v4(0), v4(1), v4(2));
        let v6 = ends(Family::V6, v6(0), v6(1), v6(2));
        Self { ends: v4.into_iter().chain(v6).collect() }
    }

    /// One address, and the same next hop for all, so that a /24 is enough for 250.
    fn of_attachment(egress: &Egress, namespace: &ActiveNamespace, slice6: Option<Ipv6Network>) -> Self {
        let ends = |family, inside: IpAddr, host: IpAddr| {
            let (net, host) = (IpNetwork::from(inside), IpNetwork::from(host));
            VethAddresses { family, net, host, inside: net, is_apart: true }
        };
        let (v4, gateway) = (namespace.address(), gateway(egress, namespace));
        let ends6 = |slice6: Ipv6Network| {
            let first = u128::from(slice6.network());
            let inside = Ipv6Addr::from(first | u128::from(u32::from(v4)));
            ends(Family::V6, inside.into(), Ipv6Addr::from(first | 1).into())
        };
        let ends4 = ends(Family::V4, v4.into(), gateway.into());
        Self { ends: [ends4].into_iter().chain(slice6.map(ends6)).collect() }
    }

    pub(super) fn has(&self, family: Family) -> bool {
        self.ends.iter().any(|ends| ends.family == family)
    }
}

/// The next hop of an attachment. One that is handed over may come beside others of its kind, and an engine has a route to each
/// next hop; those of one container that leave by different ways have different ones.
fn gateway(egress: &Egress, namespace: &ActiveNamespace) -> Ipv4Addr {
    let [a, b, c, _] = numbers::ATTACHED_GATEWAY.octets();
    match u8::try_from(egress.number) {
        Ok(number) if namespace.is_handed() => Ipv4Addr::new(a, b, c, number),
        _ => numbers::ATTACHED_GATEWAY,
    }
}

/// The /126 that goes with a /30: the same 32 bits at the end of the egress's /64, so that it is unique as that
/// is, and known from it.
fn subnet6(slice6: Ipv6Network, subnet: Ipv4Network) -> Option<Ipv6Network> {
    let bits = u128::from(slice6.network()) | u128::from(u32::from(subnet.network()));
    Ipv6Network::new(Ipv6Addr::from(bits), 126).ok()
}

/// The addresses inside of a namespace of `state`; none where it has no egress.
pub(super) fn inside_addresses(
    state: &State,
    namespace: &ActiveNamespace,
    features: Features,
) -> Vec<IpAddr> {
    let egress = state.egresses.get(&namespace.egress);
    let ends = egress.map(|egress| Addresses::new(egress, namespace, features).ends);
    ends.into_iter().flatten().map(|ends| ends.inside.ip()).collect()
}

/// The addresses of an attachment, each with its next hop; none where it is not up.
pub fn attachment_addresses(state: &State, features: Features, name: &Name) -> Vec<(IpAddr, IpAddr)> {
    let namespace = state.namespaces.get(name);
    let egress = namespace.and_then(|namespace| state.egresses.get(&namespace.egress));
    let ends =
        namespace.zip(egress).map(|(namespace, egress)| Addresses::new(egress, namespace, features).ends);
    ends.into_iter().flatten().map(|ends| (ends.inside.ip(), ends.host.ip())).collect()
}

/// Where an egress's packets come from, as far as the host has that family.
pub(super) fn sources(state: &State, egress: &Egress, family: Family, features: Features) -> Vec<IpNetwork> {
    if family == Family::V6 && !features.serves_ipv6() {
        Vec::new()
    } else {
        all_sources(state, egress, family)
    }
}

/// Where an egress's packets come from: its slices, and the subnets that were chosen by hand.
pub(super) fn all_sources(state: &State, egress: &Egress, family: Family) -> Vec<IpNetwork> {
    match family {
        Family::V4 => {
            let own = state.namespaces_of(egress).filter(|one| one.own_subnet).map(|one| one.subnet);
            egress.slices.iter().copied().chain(own).map(IpNetwork::V4).collect()
        }
        Family::V6 => egress.slice6.map(IpNetwork::V6).into_iter().collect(),
    }
}
