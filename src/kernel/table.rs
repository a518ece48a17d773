//! Our nft table as it reads back, by dumps of nf_tables (include/uapi/linux/netfilter/nf_tables.h).
//!
//! Rules are not understood, only recognised: a digest of their bytes is compared with the one after loading. Where a chain
//! has more or fewer rules than were loaded there is no digest: another program may have taken some away before the
//! first look.
//! Elements are: a key or a value is its data one after the other, each padded to four bytes, as they lie in the
//! registers of the kernel's virtual machine (net/netfilter/nft_set_pipapo.c, `nft_data` of concatenations).

use super::netlink_socket::NetlinkSocket;
use crate::attributes::{address, attributes, big_endian, find, name, text, word};
use crate::error::Result;
use crate::model::{ActiveNamespace, Datum, Element, Family, OtherNamespaces, Set, Table, nft};
use crate::nft::numbers::{
    CHAIN_NAME, DATA_VALUE, ELEMENT_DATA, ELEMENT_KEY, ELEMENT_KEY_END, GENERATION, GET_CHAIN, GET_ELEMENTS,
    GET_GENERATION, GET_RULE, GET_SET, GET_TABLE, INET, LIST_ELEMENTS, LIST_SET, RULE_CHAIN, SET_NAME,
    TABLE_NAME,
};
use crate::nft::skeleton;
use ipnetwork::IpNetwork;
use std::collections::{BTreeMap, BTreeSet};

/// NFTA_CHAIN_NAME, _HOOK, _POLICY, _TYPE: what of a chain does not change by itself.
const CHAIN_PARTS: [u16; 4] = [3, 4, 5, 7];
/// NFTA_RULE_CHAIN, _EXPRESSIONS.
const RULE_PARTS: [u16; 2] = [2, 4];

/// Our table as it was read last. It takes the kernel milliseconds to say all of it, and a moment to say how many transactions
/// were made since. If these are the ones of this run, all is as it was, but for the elements that they changed, which are
/// asked for one by one, and for what packets add to sets, of which none is read.
///
/// The socket stays open: to close one waits until the kernel has freed what the last transaction took away, tens of
/// milliseconds (`nft_rcv_nl_event` in net/netfilter/nf_tables_api.c).
#[derive(Default)]
pub(super) struct LastTable {
    /// None after an error: what is left of an answer is for nobody.
    netlink: Option<NetlinkSocket>,
    /// The number of the latest transaction of nf_tables when the table was read.
    generation: Option<u32>,
    /// What was passed by.
    others: Others,
    table: Table,
    /// Transactions of this run since then. Each counts as one, because it changes something for certain.
    transactions: u32,
    /// Elements that they removed or added.
    touched: Vec<Element>,
}

/// So many elements are asked for one by one; of more, all are dumped.
const FEW: usize = 64;

/// Namespaces that are passed by.
type Others = Vec<ActiveNamespace>;

impl LastTable {
    /// Our table, without the elements that are about `others`. `known`: what may be there about the other namespaces, where
    /// that is known, and so each is asked for. `without_ipsec`: no rule of it asks about IPsec.
    pub(super) fn observe(
        &mut self,
        others: &OtherNamespaces<'_>,
        known: Option<&BTreeSet<Element>>,
        without_ipsec: bool,
    ) -> Result<Table> {
        let netlink = self.netlink.take().map_or_else(NetlinkSocket::for_netfilter, Ok)?;
        let passed_by: Others = others.namespaces.iter().map(|(_, namespace)| (*namespace).clone()).collect();
        let before = generation(&netlink)?;
        let expected = self.generation.map(|last| last.wrapping_add(self.transactions));
        let is_known = before.is_some() && before == expected && passed_by == self.others;
        let are_few = is_known && self.touched.len() <= FEW;
        let asked = are_few.then(|| self.ask_again(&netlink, others)).and_then(Result::ok);
        let table = asked.map_or_else(|| observe(&netlink, others, known, without_ipsec), Ok)?;
        // What changes meanwhile may have been read by half.
        let generation = before.filter(|before| generation(&netlink).ok() == Some(Some(*before)));
        *self = Self { netlink: Some(netlink), generation, others: passed_by, table, ..Self::default() };
        Ok(self.table.clone())
    }

    /// A transaction of this run removed or added these elements, and did nothing else that is read. One that is not noted here
    /// counts as another program's.
    pub(super) fn note_change<'e>(&mut self, touched: impl IntoIterator<Item = &'e Element>) {
        self.transactions += 1;
        self.touched.extend(touched.into_iter().cloned());
    }

    /// The last table with the elements that were touched as they are now.
    fn ask_again(&mut self, netlink: &NetlinkSocket, others: &OtherNamespaces<'_>) -> Result<Table> {
        let mut table = std::mem::take(&mut self.table);
        for element in &self.touched {
            table.elements.remove(element);
        }
        table.elements.extend(ask_for(netlink, &self.touched, others)?);
        Ok(table)
    }
}

/// What is there now by the keys of these elements.
fn ask_for<'e>(
    netlink: &NetlinkSocket,
    asked: impl IntoIterator<Item = &'e Element>,
    others: &OtherNamespaces<'_>,
) -> Result<Vec<Element>> {
    let mut out = Vec::new();
    for element in asked {
        if let Some(list) = netlink.get(GET_ELEMENTS, INET, &crate::nft::question(element))? {
            out.extend(elements(element.set, &list, others));
        }
    }
    Ok(out)
}

/// The number of the latest transaction of nf_tables.
pub(super) fn generation(netlink: &NetlinkSocket) -> Result<Option<u32>> {
    let answer = netlink.get(GET_GENERATION, 0, &[])?;
    Ok(answer.and_then(|row| big_endian(find(&row, GENERATION)?)))
}

fn observe(
    netlink: &NetlinkSocket,
    others: &OtherNamespaces<'_>,
    known: Option<&BTreeSet<Element>>,
    without_ipsec: bool,
) -> Result<Table> {
    let ours = text(TABLE_NAME, nft::TABLE);
    if netlink.ask(GET_TABLE, INET, &ours)? == libc::ENOENT {
        return Ok(Table::default());
    }
    let dump = |kind, body: &[u8]| netlink.dump(kind, INET, body).map(Option::unwrap_or_default);
    let mut out = Table { exists: true, ..Table::default() };
    for set in dump(GET_SET, &ours)? {
        let name = find(&set, SET_NAME).map(word).unwrap_or_default();
        if let Some(digest) = name.strip_prefix(skeleton::MARKER) {
            out.text = Some(digest.to_owned());
        }
        let is_read = |set: &Set| set.name() == name && !(known.is_some() && set.is_of_namespaces());
        if let Some(set) = Set::ALL.iter().copied().find(is_read) {
            for list in dump(GET_ELEMENTS, &[ours.clone(), text(LIST_SET, &name)].concat())? {
                out.elements.extend(elements(set, &list, others));
            }
        }
    }
    let asked = known.into_iter().flatten().filter(|element| element.set.is_of_namespaces());
    out.elements.extend(ask_for(netlink, asked, others)?);
    // The kernel gives the chains of all tables, whatever it is asked for (nf_tables_dump_chains).
    let is_ours = |row: &Vec<u8>| find(row, TABLE_NAME).map(word).as_deref() == Some(nft::TABLE);
    let chains: Vec<_> = dump(GET_CHAIN, &ours)?.into_iter().filter(is_ours).collect();
    let rules: Vec<_> = dump(GET_RULE, &ours)?.into_iter().filter(is_ours).collect();
    if has_all(&chains, &rules, without_ipsec) {
        let chains = chains.iter().map(|row| values(row, &CHAIN_PARTS));
        let rules = rules.iter().map(|row| values(row, &RULE_PARTS));
        out.rules = Some(crate::model::digest(chains.chain(rules).collect::<Vec<_>>().concat()));
    }
    Ok(out)
}

/// Whether each chain of the skeleton is there, with as many rules as it was loaded with, and no other.
fn has_all(chains: &[Vec<u8>], rules: &[Vec<u8>], without_ipsec: bool) -> bool {
    let name = |row: &Vec<u8>, kind| find(row, kind).map(word).unwrap_or_default();
    let mut counts: BTreeMap<String, usize> = chains.iter().map(|row| (name(row, CHAIN_NAME), 0)).collect();
    for row in rules {
        *counts.entry(name(row, RULE_CHAIN)).or_default() += 1;
    }
    let counts = counts.iter().map(|(chain, count)| (chain.as_str(), *count));
    counts.eq(skeleton::rules(without_ipsec))
}

/// The DNS servers of a namespace that are passed over at this moment, because they did not answer: by family, and by their
/// place among those of it.
pub fn servers_passed_over(link: &str) -> Result<Vec<(Family, usize)>> {
    let netlink = NetlinkSocket::for_netfilter()?;
    let mut out = Vec::new();
    for (place, set) in nft::PASSED_OVER.into_iter().enumerate() {
        let question = [text(TABLE_NAME, nft::TABLE), text(LIST_SET, set)].concat();
        for list in netlink.dump(GET_ELEMENTS, INET, &question)?.unwrap_or_default() {
            let elements = attributes(find(&list, LIST_ELEMENTS).unwrap_or_default());
            let keys = elements.filter_map(|(_, element)| find(find(element, ELEMENT_KEY)?, DATA_VALUE));
            let of_link = keys.filter(|key| word(key.get(..libc::IFNAMSIZ).unwrap_or_default()) == link);
            let families = of_link.filter_map(|key| match i32::from(*key.get(libc::IFNAMSIZ)?) {
                libc::NFPROTO_IPV4 => Some(Family::V4),
                libc::NFPROTO_IPV6 => Some(Family::V6),
                _ => None,
            });
            out.extend(families.map(|family| (family, place)));
        }
    }
    Ok(out)
}

/// The values of the wanted attributes, one after the other.
fn values(bytes: &[u8], wanted: &[u16]) -> Vec<u8> {
    let wanted = attributes(bytes).filter(|(kind, _)| wanted.contains(kind));
    wanted.map(|(_, value)| value).collect::<Vec<_>>().concat()
}

fn elements(set: Set, list: &[u8], others: &OtherNamespaces<'_>) -> Vec<Element> {
    let elements = find(list, LIST_ELEMENTS).unwrap_or_default();
    attributes(elements).filter_map(|(_, element)| read(set, element, others)).collect()
}

/// An element, unless it is about one of `others`: these may be thousands, and are not even taken apart.
fn read(set: Set, element: &[u8], others: &OtherNamespaces<'_>) -> Option<Element> {
    let value = |kind| find(element, kind).and_then(|data| find(data, DATA_VALUE));
    let key = value(ELEMENT_KEY).filter(|key| !is_about(others, set, set.key(), key))?;
    let last = value(ELEMENT_KEY_END).unwrap_or(key);
    let data = value(ELEMENT_DATA).unwrap_or_default();
    if is_about(others, set, set.value(), data) {
        return None;
    }
    Some(Element { set, key: split(set, set.key(), key, last)?, value: split(set, set.value(), data, data)? })
}

/// Whether a key or a value names a host veth of theirs, or in a set of such an address inside of them.
fn is_about(others: &OtherNamespaces<'_>, set: Set, kinds: &[nft::Kind], data: &[u8]) -> bool {
    let mut at = 0;
    kinds.iter().any(|kind| {
        let length = length(set, *kind);
        let datum = data.get(at..at + length).unwrap_or_default();
        at += length.next_multiple_of(4);
        match kind {
            nft::Kind::Device => others.have_link(name(datum)),
            nft::Kind::Address if set.is_of_addresses_inside() => {
                address(datum).is_some_and(|address| others.have_address(address))
            }
            _ => false,
        }
    })
}

/// Takes data apart; `last` is the end of an interval, place by place.
fn split(set: Set, kinds: &[nft::Kind], first: &[u8], last: &[u8]) -> Option<Vec<Datum>> {
    let mut at = 0;
    let mut out = Vec::new();
    for kind in kinds {
        let length = length(set, *kind);
        let (first, last) = (first.get(at..at + length)?, last.get(at..at + length)?);
        out.push(if *kind == nft::Kind::Mark { mark(first, kinds)? } else { datum(*kind, first, last)? });
        at += length.next_multiple_of(4);
    }
    Some(out)
}

/// Bytes that a datum takes.
fn length(set: Set, kind: nft::Kind) -> usize {
    match kind {
        nft::Kind::Device => libc::IFNAMSIZ,
        nft::Kind::Port => 2,
        nft::Kind::Protocol => 1,
        nft::Kind::Address | nft::Kind::Network if set.name().ends_with('6') => 16,
        nft::Kind::Address | nft::Kind::Network | nft::Kind::Mark => 4,
    }
}

/// Marks are in the host's byte order; but in sets with intervals, where order matters, in the network's
/// (nft puts a `byteorder` expression before the look-up).
fn mark(bytes: &[u8], kinds: &[nft::Kind]) -> Option<Datum> {
    let bytes = *bytes.first_chunk()?;
    let ordered = kinds.contains(&nft::Kind::Network);
    Some(Datum::Mark(if ordered { u32::from_be_bytes(bytes) } else { u32::from_ne_bytes(bytes) }))
}

/// Everything but marks is in the network's byte order.
fn datum(kind: nft::Kind, first: &[u8], last: &[u8]) -> Option<Datum> {
    Some(match kind {
        nft::Kind::Mark => return None,
        nft::Kind::Device => Datum::Device(word(first)),
        nft::Kind::Port => Datum::Port(u16::from_be_bytes(first.try_into().ok()?)),
        nft::Kind::Protocol => Datum::Protocol(*first.first()?),
        nft::Kind::Address => Datum::Address(address(first)?),
        nft::Kind::Network => {
            let same = first.iter().zip(last).map(|(a, b)| (a ^ b).leading_zeros());
            let prefix: u32 = same
                .scan(true, |whole, zeros| {
                    whole.then(|| {
                        *whole = zeros == 8;
                        zeros
                    })
                })
                .sum();
            Datum::Network(IpNetwork::new(address(first)?, prefix.try_into().ok()?).ok()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::{attribute, nested};

    #[test]
    fn an_interval_is_a_network() {
        let net = |a: [u8; 4], b: [u8; 4]| datum(nft::Kind::Network, &a, &b);
        let is = |text: &str| Some(Datum::Network(text.parse().unwrap()));
        assert_eq!(net([192, 168, 1, 0], [192, 168, 1, 255]), is("192.168.1.0/24"));
        assert_eq!(net([10, 0, 0, 0], [10, 255, 255, 255]), is("10.0.0.0/8"));
        assert_eq!(net([10, 0, 0, 4], [10, 0, 0, 7]), is("10.0.0.4/30"));
        assert_eq!(net([10, 0, 0, 4], [10, 0, 0, 4]), is("10.0.0.4/32"));
    }

    /// What Linux 6.18 answers for `0x1000000 . "eth0" . 192.168.1.0/24` in lan4.
    #[test]
    fn an_element_of_an_interval_set() {
        let device = [*b"eth0", [0; 4], [0; 4], [0; 4]].concat();
        let key = |last| [&[1, 0, 0, 0][..], &device, &[192, 168, 1, last]].concat();
        let data = |kind, last| nested(kind, &attribute(DATA_VALUE, &key(last)));
        let element = [data(ELEMENT_KEY, 0), data(ELEMENT_KEY_END, 255)].concat();
        let list = nested(LIST_ELEMENTS, &nested(1, &element));
        let read = elements(Set::Lan4, &list, &OtherNamespaces::default());
        let net = Datum::Network("192.168.1.0/24".parse().unwrap());
        let key = vec![Datum::Mark(0x0100_0000), Datum::Device("eth0".into()), net];
        assert_eq!(read, [Element { set: Set::Lan4, key, value: Vec::new() }]);
    }
}
