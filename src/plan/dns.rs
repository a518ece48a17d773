//! DNS: which query goes where instead.

use super::reachable_servers::{Names, never_leaves};
use crate::config::{self, Block, Located, Namespace, Problem};
use crate::model::dnsaddr::{HTTPS_PORT, PRIVATE_PORT};
use crate::model::stack::{TCP, UDP};
use crate::model::{
    Datum, DnsMode, Element, Family, Name, Port, Rewrite, Rule, RuleAction, Set, dnsaddr, doh, numbers,
};
use ipnetwork::IpNetwork;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// Maps for the first, second and third server, by family.
const SERVERS: [(Set, Set); 3] =
    [(Set::DnsFirst4, Set::DnsFirst6), (Set::DnsSecond4, Set::DnsSecond6), (Set::DnsThird4, Set::DnsThird6)];

/// What says how many servers there are, by the same order.
const COUNTS: [Option<(Set, Set)>; 3] =
    [None, Some((Set::DnsTwo4, Set::DnsTwo6)), Some((Set::DnsThree4, Set::DnsThree6))];

/// What happens to a namespace's queries, as declared and as the host is.
pub(super) fn resolve(name: &Name, namespace: &Namespace, names: Names<'_>) -> Result<DnsMode, Vec<Problem>> {
    if namespace.checks.is_some() {
        return Ok(DnsMode::default());
    }
    let dns = match &namespace.dns {
        config::Dns::Auto => auto(names),
        config::Dns::Host => host(name, namespace, names)?,
        config::Dns::Rewrite { servers, rewrites, block } if servers.is_empty() && rewrites.is_empty() => {
            auto_but(names, block)
        }
        config::Dns::Rewrite { servers, rewrites, block } => rewriting(servers, rewrites, block),
    };
    Ok(names.complete(dns))
}

/// These rewrites and refusals.
pub(super) fn rewriting(
    servers: &[Located<SocketAddr>],
    rewrites: &[(Located<SocketAddr>, Located<SocketAddr>)],
    block: &[Block],
) -> DnsMode {
    DnsMode {
        servers: servers.iter().map(|server| server.value).collect(),
        rewrites: rewrites.iter().map(|(old, new)| Rewrite { old: old.value, new: new.value }).collect(),
        // Where every query is rewritten, one that cannot be (of the other family) is refused.
        only: !servers.is_empty() || block.contains(&Block::Foreign),
        refused: block.iter().filter_map(|block| refused(*block)).collect(),
        no_doh: block.contains(&Block::Doh),
        ..DnsMode::default()
    }
}

fn refused(block: Block) -> Option<(u8, u16)> {
    match block {
        Block::Dot => Some((TCP, PRIVATE_PORT)),
        Block::Doq => Some((UDP, PRIVATE_PORT)),
        Block::Doh | Block::Foreign => None,
    }
}

/// Servers that a namespace reaches are left alone; of those that it cannot reach, which would ask by the host's way or
/// nobody, the uplink's own servers take the place.
fn auto(names: Names<'_>) -> DnsMode {
    let stub = |server: &&IpAddr| !never_leaves(**server) && names.is_stub(**server);
    let rewrite = |old: &IpAddr| {
        let new = names.upstreams().find(|new| Family::of(*new) == Family::of(*old))?;
        Some(Rewrite { old: dns(*old), new: dns(new) })
    };
    DnsMode {
        rewrites: names.observed.nameservers.iter().filter(stub).filter_map(rewrite).collect(),
        ..DnsMode::default()
    }
}

/// `dns = "auto"` with refusals. Where every other server is refused, the servers that are asked are rewritten to
/// themselves.
fn auto_but(names: Names<'_>, block: &[Block]) -> DnsMode {
    let auto = auto(names);
    let refusals = rewriting(&[], &[], block);
    let mut rewrites = auto.rewrites.clone();
    if refusals.only {
        let plain = |server: &&IpAddr| auto.rewrites.iter().all(|rewrite| rewrite.old.ip() != **server);
        let asked =
            names.named().iter().filter(plain).filter(|server| names.leads_somewhere(&auto, **server));
        rewrites.extend(asked.map(|server| Rewrite { old: dns(*server), new: dns(*server) }));
    }
    DnsMode { rewrites, ..refusals }
}

/// The host's own servers, by the host's own way. A stub that cannot be reached stands for the servers behind it.
fn host(name: &Name, namespace: &Namespace, names: Names<'_>) -> Result<DnsMode, Vec<Problem>> {
    let hosts = names.observed.nameservers.iter().copied().filter(|server| !never_leaves(*server));
    let mut servers: Vec<IpAddr> = hosts.collect();
    if servers.is_empty() {
        servers.extend(names.upstreams());
    }
    if servers.is_empty() {
        let why =
            format!("namespace {name}: dns = \"host\", but /etc/resolv.conf names no server that it reaches");
        let help = "name the server: dns = \"ADDR\"";
        return Err(vec![Problem::at(namespace.place.clone(), why).help(help)]);
    }
    Ok(DnsMode { host: Some(servers), ..DnsMode::default() })
}

fn dns(ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, dnsaddr::PORT)
}

/// Elements of the DNS maps for the namespace behind `link`.
pub(super) fn elements(link: &str, dns: &DnsMode) -> Vec<Element> {
    let element = |set, key: &[Datum], value: &[Datum]| {
        let key = [&[Datum::Device(link.into())], key].concat();
        Element { set, key, value: value.to_vec() }
    };
    let mut out = Vec::new();
    for rewrite in &dns.rewrites {
        let set = by_family(rewrite.old.ip(), Set::DnsOne4, Set::DnsOne6);
        out.push(element(set, &address_and_port(&rewrite.old), &address_and_port(&rewrite.new)));
    }
    for family in Family::BOTH {
        for ((server, (four, six)), count) in dns.servers_of(family).zip(SERVERS).zip(COUNTS) {
            out.push(element(by_family(server.ip(), four, six), &[], &address_and_port(server)));
            out.extend(count.map(|(four, six)| element(by_family(server.ip(), four, six), &[], &[])));
        }
    }
    let several = |ip| dns.servers_of(Family::of(ip)).count() > 1;
    let among = |old: &&SocketAddr| old.port() == dnsaddr::PORT && several(old.ip());
    for old in dns.rewrites.iter().map(|rewrite| &rewrite.old).filter(among) {
        let set = by_family(old.ip(), Set::DnsBut4, Set::DnsBut6);
        out.push(element(set, &[Datum::Address(old.ip())], &[]));
    }
    out.extend(resolver_elements(link, dns));
    for server in dns.host_servers() {
        out.push(element(by_family(server, Set::DnsHost4, Set::DnsHost6), &[Datum::Address(server)], &[]));
    }
    if dns.only {
        out.push(element(Set::DnsOnly, &[], &[]));
    }
    if dns.no_doh {
        out.push(element(Set::NoDoh, &[], &[]));
    }
    let refused = |(protocol, port): &(u8, u16)| [Datum::Protocol(*protocol), Datum::Port(*port)];
    out.extend(dns.refused.iter().map(|what| element(Set::DnsRefused, &refused(what), &[])));
    out
}

/// Elements that namespaces with these modes share.
pub(super) fn shared_elements(modes: &[&DnsMode]) -> Vec<Element> {
    // Mostly many have the same one after another.
    let modes = modes.chunk_by(|one, next| one == next).filter_map(<[_]>::first);
    let ports: BTreeSet<u16> = modes.clone().flat_map(|dns| watched_ports(dns)).collect();
    let is_doh_refused = modes.clone().any(|dns| dns.no_doh);
    let resolvers = is_doh_refused.then(|| doh::addresses().map(resolver)).into_iter().flatten();
    ports.into_iter().map(watched).chain(resolvers).collect()
}

/// The ports whose packets the guard holds against the sets above; all others are let by before.
fn watched_ports(dns: &DnsMode) -> BTreeSet<u16> {
    let questions = (dns.only || dns.no_doh).then_some(dnsaddr::PORT);
    let https = dns.no_doh.then_some(HTTPS_PORT);
    let old = dns.rewrites.iter().map(|rewrite| rewrite.old.port());
    let refused = dns.refused.iter().map(|(_, port)| *port);
    questions.into_iter().chain(https).chain(old).chain(refused).collect()
}

fn watched(port: u16) -> Element {
    Element { set: Set::WatchedPorts, key: vec![Datum::Port(port)], value: Vec::new() }
}

/// A resolver that answers DNS over HTTPS; the same for all namespaces.
fn resolver(address: IpAddr) -> Element {
    let set = by_family(address, Set::Doh4, Set::Doh6);
    Element { set, key: vec![Datum::Address(address)], value: Vec::new() }
}

/// What the guard holds questions against: where they may go, and which servers' questions go elsewhere.
fn resolver_elements(link: &str, dns: &DnsMode) -> BTreeSet<Element> {
    let element = |(four, six), server: &SocketAddr| {
        let key = [&[Datum::Device(link.into())], &address_and_port(server)[..]].concat();
        Element { set: by_family(server.ip(), four, six), key, value: Vec::new() }
    };
    let new = dns.servers.iter().chain(dns.rewrites.iter().map(|rewrite| &rewrite.new));
    let new = new.map(|server| element((Set::ToldTo4, Set::ToldTo6), server));
    let old = dns.rewrites.iter().map(|rewrite| element((Set::ToldOld4, Set::ToldOld6), &rewrite.old));
    new.chain(old).collect()
}

/// Rules that send a namespace's queries, and nothing else, to the host's own servers by the host's own way.
pub(super) fn rules(
    dns: &DnsMode,
    first: u32,
    mark: (u32, u32),
    subnets: impl Iterator<Item = IpNetwork>,
) -> Vec<Rule> {
    let main = RuleAction::Lookup(u32::from(libc::RT_TABLE_MAIN));
    let subnets: Vec<IpNetwork> = subnets.collect();
    let one = |(server, protocol): (IpAddr, u8)| {
        let family = Family::of(server);
        let from = subnets.iter().copied().find(|net| Family::of_net(*net) == family)?;
        let preference = first + numbers::preference::HOST_DNS;
        let rule = Rule::new(family, preference, main, numbers::HOST_PROTOCOL);
        let port = Some(Port { protocol, port: dnsaddr::PORT });
        let (from, to) = (Some(from), Some(IpNetwork::from(server)));
        Some(Rule { from, to, port, mark: Some(mark), ..rule })
    };
    dns.host_servers().flat_map(|server| [(server, TCP), (server, UDP)]).filter_map(one).collect()
}

fn by_family<T>(address: IpAddr, v4: T, v6: T) -> T {
    match Family::of(address) {
        Family::V4 => v4,
        Family::V6 => v6,
    }
}

fn address_and_port(address: &SocketAddr) -> [Datum; 2] {
    [Datum::Address(address.ip()), Datum::Port(address.port())]
}
