//! What rules look at: the words of nft(8) for it, and where the kernel finds it.

use super::datatype as of;
use super::datatype::Datatype;
use super::expression::{Load, NETWORK_HEADER, TRANSPORT_HEADER};
use super::numbers as n;

/// Something of a packet, of its flow or of its route.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    words: &'static str,
    pub(super) load: Load,
    pub(super) datatype: &'static Datatype,
    /// What a packet must be to have it; nft compares these first.
    pub(super) needs: &'static [Need],
}

/// A condition for there to be something to look at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Need {
    /// The packet is of this family (NFPROTO_…).
    Family(u8),
    /// The packet is of this protocol (IPPROTO_…).
    Protocol(u8),
}

pub(super) const IPV4: u8 = 2;
pub(super) const IPV6: u8 = 10;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

const OF_IPV4: &[Need] = &[Need::Family(IPV4)];
const OF_IPV6: &[Need] = &[Need::Family(IPV6)];
const OF_TCP: &[Need] = &[Need::Protocol(TCP)];
const OF_UDP: &[Need] = &[Need::Protocol(UDP)];
const OF_ICMP: &[Need] = &[Need::Family(IPV4), Need::Protocol(ICMP)];
const OF_ICMPV6: &[Need] = &[Need::Family(IPV6), Need::Protocol(ICMPV6)];

const fn plain(words: &'static str, load: Load, datatype: &'static Datatype) -> Selector {
    Selector { words, load, datatype, needs: &[] }
}

const fn network(
    words: &'static str,
    offset: u32,
    datatype: &'static Datatype,
    needs: &'static [Need],
) -> Selector {
    Selector { words, load: Load::Payload { base: NETWORK_HEADER, offset }, datatype, needs }
}

const fn transport(
    words: &'static str,
    offset: u32,
    datatype: &'static Datatype,
    needs: &'static [Need],
) -> Selector {
    Selector { words, load: Load::Payload { base: TRANSPORT_HEADER, offset }, datatype, needs }
}

const fn header(words: &'static str, operation: u32, kind: u8, needs: &'static [Need]) -> Selector {
    Selector { words, load: Load::HeaderIsThere { operation, kind }, datatype: &of::BOOLEAN, needs }
}

/// Where one is the beginning of another, the longer one is meant.
static SELECTORS: &[Selector] = &[
    plain("iifname", Load::Meta(n::META_IIFNAME), &of::IFNAME),
    plain("oifname", Load::Meta(n::META_OIFNAME), &of::IFNAME),
    plain("iif", Load::Meta(n::META_IIF), &of::IFINDEX),
    plain("iifgroup", Load::Meta(n::META_IIFGROUP), &of::DEVGROUP),
    plain("oifgroup", Load::Meta(n::META_OIFGROUP), &of::DEVGROUP),
    plain("meta mark", Load::Meta(n::META_MARK), &of::MARK),
    plain("meta skuid", Load::Meta(n::META_SKUID), &of::UID),
    plain("meta nfproto", Load::Meta(n::META_NFPROTO), &of::NF_PROTO),
    plain("meta l4proto", Load::Meta(n::META_L4PROTO), &of::INET_PROTO),
    network("ip ttl", 8, &of::INTEGER, OF_IPV4),
    network("ip saddr", 12, &of::IPV4, OF_IPV4),
    network("ip daddr", 16, &of::IPV4, OF_IPV4),
    network("ip6 hoplimit", 7, &of::INTEGER, OF_IPV6),
    network("ip6 saddr", 8, &of::IPV6, OF_IPV6),
    network("ip6 daddr", 24, &of::IPV6, OF_IPV6),
    transport("th sport", 0, &of::INET_SERVICE, &[]),
    transport("th dport", 2, &of::INET_SERVICE, &[]),
    transport("tcp sport", 0, &of::INET_SERVICE, OF_TCP),
    transport("tcp dport", 2, &of::INET_SERVICE, OF_TCP),
    transport("tcp flags", 13, &of::TCP_FLAG, OF_TCP),
    transport("udp sport", 0, &of::INET_SERVICE, OF_UDP),
    transport("udp dport", 2, &of::INET_SERVICE, OF_UDP),
    transport("icmp type", 0, &of::ICMP_TYPE, OF_ICMP),
    transport("icmp code", 1, &of::ICMP_CODE, OF_ICMP),
    transport("icmpv6 type", 0, &of::ICMPV6_TYPE, OF_ICMPV6),
    header("ip option lsrr", n::HEADER_IPV4_OPTION, 131, OF_IPV4),
    header("ip option ssrr", n::HEADER_IPV4_OPTION, 137, OF_IPV4),
    header("exthdr rt", n::HEADER_IPV6, 43, OF_IPV6),
    plain("ct state", Load::Ct(n::CT_STATE), &of::CT_STATE),
    plain("ct status", Load::Ct(n::CT_STATUS), &of::CT_STATUS),
    plain("ct direction", Load::Ct(n::CT_DIRECTION), &of::CT_DIRECTION),
    plain("ct original zone", Load::CtOriginal(n::CT_ZONE), &of::ZONE),
    plain("ct original ip saddr", Load::CtOriginal(n::CT_SOURCE_IP), &of::IPV4),
    plain("ct original ip6 saddr", Load::CtOriginal(n::CT_SOURCE_IP6), &of::IPV6),
    plain("ct original ip daddr", Load::CtOriginal(n::CT_DESTINATION_IP), &of::IPV4),
    plain("ct original ip6 daddr", Load::CtOriginal(n::CT_DESTINATION_IP6), &of::IPV6),
    plain("ct original proto-dst", Load::CtOriginal(n::CT_PROTO_DST), &of::INET_SERVICE),
    plain("fib daddr type", Load::Fib { result: n::FIB_ADDRTYPE, flags: n::FIB_DADDR }, &of::FIB_ADDRTYPE),
    plain(
        "fib daddr . mark oif",
        Load::Fib { result: n::FIB_OIF, flags: n::FIB_DADDR | n::FIB_MARK | n::FIB_PRESENT },
        &of::HAS_ROUTE,
    ),
    plain("rt ip nexthop", Load::Route(n::ROUTE_NEXTHOP4), &of::IPV4),
    plain("rt ip6 nexthop", Load::Route(n::ROUTE_NEXTHOP6), &of::IPV6),
    plain("rt ipsec", Load::Route(n::ROUTE_IPSEC), &of::BOOLEAN),
];

/// The selector that the words begin with, and the words after it.
pub(super) fn leading<'a, 'b>(words: &'a [&'b str]) -> Option<(Selector, &'a [&'b str])> {
    let begins = |selector: &'static Selector| Some((selector, after(selector.words, words)?));
    // The longest leaves the fewest.
    let named = SELECTORS.iter().filter_map(begins).min_by_key(|(_, rest)| rest.len());
    let (first, rest) = words.split_first()?;
    named.map(|(selector, rest)| (selector.clone(), rest)).or_else(|| Some((bytes(first)?, rest)))
}

/// The words after a phrase, where they begin with it.
pub(super) fn after<'a, 'b>(phrase: &str, words: &'a [&'b str]) -> Option<&'a [&'b str]> {
    let (first, rest) = words.split_first()?;
    match phrase.strip_prefix(first)? {
        "" => Some(rest),
        more => after(more.strip_prefix(' ')?, rest),
    }
}

/// `@th,160,128`: bytes of the transport header and what follows it, or of the network header (`@nh`); where they begin and how many
/// they are, in bits.
fn bytes(word: &str) -> Option<Selector> {
    let (base, at) = word.split_once(',')?;
    let base = match base {
        "@nh" => NETWORK_HEADER,
        "@th" => TRANSPORT_HEADER,
        _ => return None,
    };
    let (offset, bits) = at.split_once(',')?;
    let (offset, bits): (u32, u32) = (offset.parse().ok()?, bits.parse().ok()?);
    let whole = offset % 8 == 0 && bits % 8 == 0;
    whole.then(|| plain("", Load::Payload { base, offset: offset / 8 }, &of::BYTES))
}
