//! The types of values that rules compare and sets hold: their width, the order of their bytes, and their words.

use std::net::IpAddr;

/// A type of values. Its number and its words are those of nft(8) (include/datatype.h of nftables): with them `nft list`
/// shows a set as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Datatype {
    /// The name that declarations of sets have for it.
    pub(super) name: &'static str,
    pub(super) number: u32,
    /// In bytes.
    pub(super) length: usize,
    pub(super) order: Order,
    /// One bit a word: a comparison asks for any of the bits.
    pub(super) is_bits: bool,
    words: &'static [(&'static str, u32)],
}

/// The order of a value's bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Order {
    Host,
    Network,
}

const fn host(name: &'static str, number: u32, length: usize) -> Datatype {
    Datatype { name, number, length, order: Order::Host, is_bits: false, words: &[] }
}

const fn network(name: &'static str, number: u32, length: usize) -> Datatype {
    Datatype { name, number, length, order: Order::Network, is_bits: false, words: &[] }
}

const fn worded(of: Datatype, words: &'static [(&'static str, u32)]) -> Datatype {
    Datatype { words, ..of }
}

const fn bits(of: Datatype, words: &'static [(&'static str, u32)]) -> Datatype {
    Datatype { is_bits: true, words, ..of }
}

pub(super) const NF_PROTO: Datatype = worded(host("nf_proto", 2, 1), &[("ipv4", 2), ("ipv6", 10)]);
pub(super) const INTEGER: Datatype = network("integer", 4, 1);
pub(super) const IPV4: Datatype = network("ipv4_addr", 7, 4);
pub(super) const IPV6: Datatype = network("ipv6_addr", 8, 16);
pub(super) const INET_PROTO: Datatype =
    worded(network("inet_proto", 12, 1), &[("icmp", 1), ("tcp", 6), ("udp", 17), ("icmpv6", 58)]);
pub(super) const INET_SERVICE: Datatype = network("inet_service", 13, 2);
pub(super) const ICMP_TYPE: Datatype = worded(network("icmp_type", 14, 1), &[("destination-unreachable", 3)]);
pub(super) const TCP_FLAG: Datatype =
    bits(network("tcp_flag", 15, 1), &[("syn", 2), ("rst", 4), ("ack", 16)]);
pub(super) const MARK: Datatype = host("mark", 19, 4);
pub(super) const IFINDEX: Datatype = host("iface_index", 20, 4);
pub(super) const UID: Datatype = host("uid", 24, 4);
pub(super) const CT_STATE: Datatype = bits(
    host("ct_state", 26, 4),
    &[("invalid", 1), ("established", 2), ("related", 4), ("new", 8), ("untracked", 64)],
);
pub(super) const CT_DIRECTION: Datatype = worded(host("ct_dir", 27, 1), &[("original", 0), ("reply", 1)]);
pub(super) const CT_STATUS: Datatype = bits(host("ct_status", 28, 4), &[("snat", 16), ("dnat", 32)]);
pub(super) const ICMPV6_TYPE: Datatype =
    worded(network("icmpv6_type", 29, 1), &[("destination-unreachable", 1)]);
pub(super) const ICMP_CODE: Datatype = worded(network("icmp_code", 32, 1), &[("frag-needed", 4)]);
pub(super) const DEVGROUP: Datatype = host("devgroup", 35, 4);
pub(super) const FIB_ADDRTYPE: Datatype = worded(
    host("fib_addrtype", 38, 4),
    &[("unicast", 1), ("local", 2), ("broadcast", 3), ("anycast", 4), ("multicast", 5)],
);
pub(super) const BOOLEAN: Datatype = worded(host("boolean", 39, 1), &[("missing", 0), ("exists", 1)]);
/// Whether there is a route, in a whole register.
pub(super) const HAS_ROUTE: Datatype = worded(host("boolean", 39, 4), &[("missing", 0), ("exists", 1)]);
pub(super) const IFNAME: Datatype = host("ifname", 41, libc::IFNAMSIZ);
/// A zone of connection tracking, of which sets are without a name.
pub(super) const ZONE: Datatype = host("zone", 4, 2);
/// Bytes of a packet as they are.
pub(super) const BYTES: Datatype = network("bytes", 4, 0);

/// The types that declarations of sets name.
const NAMED: [Datatype; 8] = [NF_PROTO, IPV4, IPV6, INET_PROTO, INET_SERVICE, MARK, IFNAME, DEVGROUP];

/// The type of that name.
pub(super) fn named(name: &str) -> Option<&'static Datatype> {
    const ALL: &[Datatype] = &NAMED;
    ALL.iter().find(|datatype| datatype.name == name)
}

impl Datatype {
    /// The bytes of a value that is written so: a word or several, a number, an address.
    pub(super) fn bytes(&self, text: &str) -> Option<Vec<u8>> {
        if self.length == 0 {
            return hexadecimal(text);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            let octets = crate::attributes::octets(address);
            return (octets.len() == self.length).then_some(octets);
        }
        let numbers = text.split(',').map(|word| self.number_of(word));
        let all = numbers.reduce(|all, one| Some(all? | one?)).flatten()?;
        Some(self.bytes_of(all))
    }

    fn number_of(&self, word: &str) -> Option<u32> {
        let known = self.words.iter().find(|(known, _)| *known == word).map(|(_, number)| *number);
        known.or_else(|| match word.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => word.parse().ok(),
        })
    }

    /// The bytes of a number.
    pub(super) fn bytes_of(&self, number: u32) -> Vec<u8> {
        let big = number.to_be_bytes();
        let mut bytes = big.get(4_usize.saturating_sub(self.length)..).unwrap_or_default().to_vec();
        if self.order == Order::Host && cfg!(target_endian = "little") {
            bytes.reverse();
        }
        bytes
    }
}

/// The bytes that `0x…` stands for.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(byte).collect()
}
