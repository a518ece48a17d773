//! Which servers a resolver inside asks, and whether that can work.

use crate::model::stack::is_link_local;
use crate::model::{DnsMode, Family, Observed, UplinkPath, dnsaddr};
use std::net::{IpAddr, SocketAddr};

/// Why none of a namespace's servers can be asked, where that is so and its way is up.
pub fn unreachable(servers: &[SocketAddr], ipv6: bool, path: Option<&UplinkPath>) -> Option<&'static str> {
    let path = path.filter(|path| path.up)?;
    let served = |family| path.carries(family) && (ipv6 || family == Family::V4);
    let of = |family| servers.iter().any(|server| Family::of(server.ip()) == family);
    match (of(Family::V4), of(Family::V6)) {
        (true, false) if !served(Family::V4) => {
            Some("its DNS servers are IPv4 only, and its way out has no IPv4")
        }
        (false, true) if !served(Family::V6) => Some("its DNS servers are IPv6 only, and it has no IPv6"),
        (true, true) if !Family::BOTH.into_iter().any(served) => {
            Some("none of its DNS servers can be reached")
        }
        _ => None,
    }
}

/// Why names do not resolve inside, where that can be known and its way is up.
pub fn unresolvable(
    dns: &DnsMode,
    ipv6: bool,
    path: Option<&UplinkPath>,
    observed: &Observed,
) -> Option<&'static str> {
    let names = Names { path: Some(path.filter(|path| path.up)?), ipv6, observed };
    let works = named_servers(dns, observed).iter().any(|server| names.leads_somewhere(dns, *server));
    (!works).then_some("names do not resolve inside: no server that its resolv.conf names can be asked there")
}

/// The servers that a namespace's resolv.conf names: those of its own, or the host's.
pub fn named_servers<'a>(dns: &'a DnsMode, observed: &'a Observed) -> &'a [IpAddr] {
    if dns.nameservers.is_empty() { named_by_host(observed) } else { &dns.nameservers }
}

fn named_by_host(observed: &Observed) -> &[IpAddr] {
    if observed.nameservers.is_empty() { &[dnsaddr::DEFAULT] } else { &observed.nameservers }
}

/// What decides which servers a namespace can ask.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) path: Option<&'a UplinkPath>,
    pub(super) ipv6: bool,
    pub(super) observed: &'a Observed,
}

impl<'a> Names<'a> {
    /// Gives the namespace a resolv.conf of its own where the host's does not do: it names no server that can be asked
    /// inside, or none of a family that has servers, so that these would never be.
    pub(super) fn complete(self, dns: DnsMode) -> DnsMode {
        let asked = |family: &Family| {
            self.named()
                .iter()
                .any(|server| Family::of(*server) == *family && self.leads_somewhere(&dns, *server))
        };
        let served = |family: &Family| self.reaches(*family) && dns.servers_of(*family).next().is_some();
        let does =
            Family::BOTH.iter().any(asked) && Family::BOTH.iter().filter(|family| served(family)).all(asked);
        let nameservers = if does { Vec::new() } else { self.own_servers(&dns) };
        DnsMode { nameservers, ..dns }
    }

    /// The servers themselves, or what is rewritten to them, or the host's, or the uplink's.
    fn own_servers(self, dns: &DnsMode) -> Vec<IpAddr> {
        let servers = dns.servers.iter().map(SocketAddr::ip);
        let olds = dns.rewrites.iter().map(|rewrite| rewrite.old.ip());
        let all = [
            servers.collect::<Vec<_>>(),
            olds.collect(),
            dns.host.clone().unwrap_or_default(),
            self.upstreams().collect(),
        ];
        let works = |some: Vec<IpAddr>| {
            some.into_iter().filter(|one| self.leads_somewhere(dns, *one)).collect::<Vec<_>>()
        };
        let mut first = all.into_iter().map(works).find(|some| !some.is_empty()).unwrap_or_default();
        let mut seen = std::collections::BTreeSet::new();
        first.retain(|server| seen.insert(*server));
        first
    }

    /// What the host's resolv.conf names.
    pub(super) fn named(self) -> &'a [IpAddr] {
        named_by_host(self.observed)
    }

    /// The uplinks by which it leaves.
    fn parts(self) -> impl Iterator<Item = &'a UplinkPath> {
        self.path.into_iter().flat_map(UplinkPath::parts)
    }

    /// Servers that the namespace can ask in place of unreachable ones.
    pub(super) fn upstreams(self) -> impl Iterator<Item = IpAddr> {
        let servers = self.parts().flat_map(|path| self.observed.upstreams(&path.dev));
        servers.copied().filter(move |server| self.is_elsewhere(*server) == Some(false))
    }

    /// Whether a query to this server gets somewhere.
    pub(super) fn leads_somewhere(self, dns: &DnsMode, server: IpAddr) -> bool {
        let family = Family::of(server);
        let at = SocketAddr::new(server, dnsaddr::PORT);
        if never_leaves(server) {
            return false;
        }
        if dns.rewrites.iter().any(|rewrite| rewrite.old == at) || dns.servers_of(family).next().is_some() {
            return self.reaches(family);
        }
        if dns.host.as_ref().is_some_and(|servers| servers.contains(&server)) {
            return true;
        }
        !dns.only && !self.is_stub(server) && self.reaches(family)
    }

    /// What a namespace cannot ask although the host can: a server on the host's loopback; and, where the way has
    /// servers of its own, one that is the host itself or beside another device of it. To send a query there by the
    /// way would tell strangers the name, and get no answer.
    pub(super) fn is_stub(self, server: IpAddr) -> bool {
        let own = || self.parts().any(|path| self.observed.upstreams.contains_key(&path.dev));
        server.is_loopback() || (self.is_elsewhere(server) == Some(true) && own())
    }

    /// Whether a server is the host itself, or in a subnet of another device than the way's. None: not out there at
    /// all.
    fn is_elsewhere(self, server: IpAddr) -> Option<bool> {
        if never_leaves(server) || server.is_loopback() {
            return None;
        }
        let host = &self.observed.host;
        let foreign = |dev: &str| host.link(dev).is_none_or(|link| !link.is_ours());
        let near: Vec<_> =
            host.addresses.iter().filter(|a| a.net.contains(server) && foreign(&a.dev)).collect();
        let on_way = |dev: &str| self.path.is_none() || self.parts().any(|path| path.dev == dev);
        let itself = near.iter().any(|address| address.net.ip() == server);
        Some(itself || (!near.is_empty() && !near.iter().any(|address| on_way(&address.dev))))
    }

    /// Whether packets of that family get out. That there is no path at the moment is a passing condition, and does not count.
    fn reaches(self, family: Family) -> bool {
        let path = self.path.filter(|path| path.up);
        path.is_none_or(|path| path.carries(family) && (self.ipv6 || family == Family::V4))
    }
}

/// `::1` never leaves a namespace, and a link-local address is on the link that its zone names, which is the host's.
pub(super) fn never_leaves(server: IpAddr) -> bool {
    server.is_ipv6() && server.is_loopback() || is_link_local(server)
}
