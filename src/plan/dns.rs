//! DNS: which query goes where instead.

use crate::config::{self, Block, Located, Namespace, Problem};
use crate::model::{
    Datum, DnsMode, Element, Family, Name, Observed, Port, Rewrite, Rule, RuleAction, Set, Way, numbers,
};
use ipnetwork::IpNetwork;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// DNS over TLS and over QUIC.
const PRIVATE_PORT: u16 = 853;

/// Maps for the first, second and third server, by family.
const SERVERS: [(Set, Set); 3] =
    [(Set::DnsFirst4, Set::DnsFirst6), (Set::DnsSecond4, Set::DnsSecond6), (Set::DnsThird4, Set::DnsThird6)];

/// What says how many servers there are, by the same order.
const COUNTS: [Option<(Set, Set)>; 3] =
    [None, Some((Set::DnsTwo4, Set::DnsTwo6)), Some((Set::DnsThree4, Set::DnsThree6))];

/// What happens to a namespace's queries, as declared and as the host is.
pub(super) fn resolve(
    name: &Name,
    namespace: &Namespace,
    way: Option<&Way>,
    observed: &Observed,
) -> Result<DnsMode, Vec<Problem>> {
    let dns = match &namespace.dns {
        config::Dns::Auto => auto(way, observed),
        config::Dns::Host => host(name, namespace, observed)?,
        config::Dns::Rewrite { servers, rewrites, block } => rewriting(servers, rewrites, block),
    };
    Ok(with_nameservers(dns, way, observed))
}

/// Why none of a namespace's servers can be asked, where that is so and its way is up.
pub fn unreachable(servers: &[SocketAddr], ipv6: bool, way: Option<&Way>) -> Option<&'static str> {
    let way = way.filter(|way| way.up)?;
    let served = |family| way.serves(family) && (ipv6 || family == Family::V4);
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

/// Gives the namespace a resolv.conf of its own where the host's names no server that can be asked inside.
pub(super) fn with_nameservers(dns: DnsMode, way: Option<&Way>, observed: &Observed) -> DnsMode {
    // What a resolver asks that finds no server in resolv.conf (resolv.conf(5)).
    let default = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let named = if observed.nameservers.is_empty() { &default[..] } else { &observed.nameservers };
    let can_be_asked = named.iter().any(|server| can_be_asked(&dns, *server));
    let nameservers = if can_be_asked { Vec::new() } else { own_nameservers(&dns, way, observed) };
    DnsMode { nameservers, ..dns }
}

/// Not `::1`, which never leaves a namespace, and not what is refused.
fn can_be_asked(dns: &DnsMode, server: IpAddr) -> bool {
    let rewritten = dns.rewrites.iter().any(|rewrite| rewrite.old == self::dns(server));
    let of_family = |other: &SocketAddr| Family::of(other.ip()) == Family::of(server);
    server != IpAddr::V6(Ipv6Addr::LOCALHOST) && (rewritten || !dns.only || dns.servers.iter().any(of_family))
}

/// The servers themselves, or what is rewritten to them, or the uplink's.
fn own_nameservers(dns: &DnsMode, way: Option<&Way>, observed: &Observed) -> Vec<IpAddr> {
    let servers = dns.servers.iter().map(SocketAddr::ip);
    let olds = dns.rewrites.iter().map(|rewrite| rewrite.old.ip());
    let upstreams = way.iter().flat_map(|way| {
        let usable = |server: &&IpAddr| !server.is_loopback() && way.serves(Family::of(**server));
        observed.upstreams(&way.dev).iter().filter(usable).copied()
    });
    let all = [servers.collect::<Vec<_>>(), olds.collect(), upstreams.collect()];
    let mut first = all.into_iter().find(|some| !some.is_empty()).unwrap_or_default();
    first.dedup();
    first
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
        ..DnsMode::default()
    }
}

fn refused(block: Block) -> Option<(u8, u16)> {
    match block {
        Block::Dot => Some((TCP, PRIVATE_PORT)),
        Block::Doq => Some((UDP, PRIVATE_PORT)),
        Block::Foreign => None,
    }
}

/// Servers that a namespace reaches are left alone; those on the host's loopback it cannot reach, and they would
/// ask by the host's way: the uplink's own servers take their place.
fn auto(way: Option<&Way>, observed: &Observed) -> DnsMode {
    let upstreams = way.map(|way| observed.upstreams(&way.dev)).unwrap_or_default();
    let stubs = observed.nameservers.iter().filter(|server| server.is_loopback() && server.is_ipv4());
    let upstream = upstreams.iter().find(|upstream| upstream.is_ipv4() && !upstream.is_loopback());
    let rewrite = |old: &IpAddr| Some(Rewrite { old: dns(*old), new: dns(*upstream?) });
    DnsMode { rewrites: stubs.filter_map(rewrite).collect(), ..DnsMode::default() }
}

/// The host's own servers, by the host's own way.
fn host(name: &Name, namespace: &Namespace, observed: &Observed) -> Result<DnsMode, Vec<Problem>> {
    let reached = |server: &IpAddr| server.is_ipv4() || !server.is_loopback();
    let servers: Vec<IpAddr> = observed.nameservers.iter().copied().filter(reached).collect();
    if servers.is_empty() {
        let why =
            format!("namespace {name}: dns = \"host\", but /etc/resolv.conf names no server that it reaches");
        let help = "name the server: dns = \"ADDR\"";
        return Err(vec![Problem::at(namespace.place.clone(), why).help(help)]);
    }
    Ok(DnsMode { host: Some(servers), ..DnsMode::default() })
}

fn dns(ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, crate::model::dnsaddr::PORT)
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
        out.push(element(set, &place(&rewrite.old), &place(&rewrite.new)));
    }
    for family in Family::BOTH {
        for ((server, (four, six)), count) in dns.servers_of(family).zip(SERVERS).zip(COUNTS) {
            out.push(element(by_family(server.ip(), four, six), &[], &place(server)));
            out.extend(count.map(|(four, six)| element(by_family(server.ip(), four, six), &[], &[])));
        }
    }
    let several = |ip| dns.servers_of(Family::of(ip)).count() > 1;
    let among = |old: &&SocketAddr| old.port() == crate::model::dnsaddr::PORT && several(old.ip());
    for old in dns.rewrites.iter().map(|rewrite| &rewrite.old).filter(among) {
        let set = by_family(old.ip(), Set::DnsBut4, Set::DnsBut6);
        out.push(element(set, &[Datum::Address(old.ip())], &[]));
    }
    for server in dns.host_servers() {
        out.push(element(by_family(server, Set::DnsHost4, Set::DnsHost6), &[Datum::Address(server)], &[]));
    }
    if dns.only {
        out.push(element(Set::DnsOnly, &[], &[]));
    }
    let refused = |(protocol, port): &(u8, u16)| [Datum::Protocol(*protocol), Datum::Port(*port)];
    out.extend(dns.refused.iter().map(|what| element(Set::DnsRefused, &refused(what), &[])));
    out
}

/// Rules that send a namespace's queries, and nothing else, to the host's own servers by the host's own way.
pub(super) fn rules(dns: &DnsMode, subnets: impl Iterator<Item = IpNetwork>) -> Vec<Rule> {
    let main = RuleAction::Lookup(u32::from(libc::RT_TABLE_MAIN));
    let subnets: Vec<IpNetwork> = subnets.collect();
    let one = |(server, protocol): (IpAddr, u8)| {
        let family = Family::of(server);
        let from = subnets.iter().copied().find(|net| Family::of_net(*net) == family)?;
        let rule = Rule::new(family, numbers::preference::HOST_DNS, main, numbers::HOST_PROTOCOL);
        let port = Some(Port { protocol, port: crate::model::dnsaddr::PORT });
        Some(Rule { from: Some(from), to: Some(IpNetwork::from(server)), port, ..rule })
    };
    dns.host_servers().flat_map(|server| [(server, TCP), (server, UDP)]).filter_map(one).collect()
}

fn by_family<T>(address: IpAddr, v4: T, v6: T) -> T {
    match Family::of(address) {
        Family::V4 => v4,
        Family::V6 => v6,
    }
}

fn place(address: &SocketAddr) -> [Datum; 2] {
    [Datum::Address(address.ip()), Datum::Port(address.port())]
}
