//! DNS: which query goes where instead.

use crate::config::{self, Namespace, Problem};
use crate::model::{Datum, DnsMode, Element, Family, Observed, Rewrite, Set, Way};
use std::net::SocketAddr;

/// What happens to a namespace's queries, as declared.
pub(super) fn resolve(
    namespace: &Namespace,
    _way: Option<&Way>,
    _observed: &Observed,
) -> Result<DnsMode, Vec<Problem>> {
    Ok(match &namespace.dns {
        config::Dns::Auto | config::Dns::Host => DnsMode::default(),
        config::Dns::Rewrite { servers, rewrites } => DnsMode {
            servers: servers.iter().map(|server| server.value).collect(),
            rewrites: rewrites.iter().map(|(old, new)| Rewrite { old: old.value, new: new.value }).collect(),
        },
    })
}

/// Elements of the DNS maps for the namespace behind `link`.
pub(super) fn elements(link: &str, dns: &DnsMode) -> Vec<Element> {
    let device = || Datum::Device(link.into());
    let mut out = Vec::new();
    for rewrite in &dns.rewrites {
        let set = by_family(&rewrite.old, Set::DnsOne4, Set::DnsOne6);
        let key = [device()].into_iter().chain(place(&rewrite.old)).collect();
        out.push(Element { set, key, value: place(&rewrite.new).into() });
    }
    for family in Family::BOTH {
        let Some(server) = dns.servers.iter().find(|s| Family::of(s.ip()) == family) else { continue };
        let set = by_family(server, Set::DnsAll4, Set::DnsAll6);
        out.push(Element { set, key: vec![device()], value: place(server).into() });
    }
    out
}

fn by_family<T>(address: &SocketAddr, v4: T, v6: T) -> T {
    match Family::of(address.ip()) {
        Family::V4 => v4,
        Family::V6 => v6,
    }
}

fn place(address: &SocketAddr) -> [Datum; 2] {
    [Datum::Address(address.ip()), Datum::Port(address.port())]
}
