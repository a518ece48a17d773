//! Elements of our sets and maps, as messages hold them.

use super::change::{self, Change};
use super::datatype;
use super::numbers::{DATA_VALUE, ELEMENT_DATA, ELEMENT_KEY, ELEMENT_KEY_END};
use crate::attributes::{attribute, nested, octets};
use crate::model::nft::{Kind, LEARNED};
use crate::model::{Datum, Element, Set};
use std::collections::BTreeMap;

/// The kernel takes no list longer than an attribute (64 KiB); an element has less than 160 bytes.
const AT_ONCE: usize = 400;

/// An element that is a key and nothing else.
pub(super) fn key(bytes: &[u8]) -> Vec<u8> {
    data(ELEMENT_KEY, bytes)
}

fn data(kind: u16, bytes: &[u8]) -> Vec<u8> {
    nested(kind, &attribute(DATA_VALUE, bytes))
}

/// Takes elements out of their sets.
pub(super) fn delete(elements: &[Element]) -> Vec<Change> {
    of_each_set(elements, "delete", change::delete_elements)
}

/// The question for the element of a set that has the key of this one.
pub(super) fn question(element: &Element) -> Vec<u8> {
    change::list(element.set.name(), None, &[encode_key(element)])
}

/// Adds elements to their sets.
pub(super) fn add(elements: &[Element]) -> Vec<Change> {
    of_each_set(elements, "add", |set, some, line| change::add_elements(set, None, some, line))
}

/// Forgets what the packets told about the servers of a host veth: each element is added before it is deleted, because
/// to delete one that is not there is an error.
pub(super) fn forget_servers(link: &str) -> Vec<Change> {
    let families = [datatype::NF_PROTO.bytes("ipv4"), datatype::NF_PROTO.bytes("ipv6")];
    let one = |family: Vec<u8>| key(&[device(link), filled_up(family)].concat());
    let elements: Vec<Vec<u8>> = families.into_iter().flatten().map(one).collect();
    let both = |set| {
        let add = change::add_elements(set, None, &elements, format!("add element {set} {link}"));
        [add, change::delete_elements(set, &elements, format!("delete element {set} {link}"))]
    };
    LEARNED.into_iter().flat_map(both).collect()
}

fn of_each_set(
    elements: &[Element],
    verb: &str,
    make: impl Fn(&str, &[Vec<u8>], String) -> Change,
) -> Vec<Change> {
    let mut by_set: BTreeMap<Set, Vec<Vec<u8>>> = BTreeMap::new();
    for element in elements {
        by_set.entry(element.set).or_default().push(encode(element));
    }
    let one = |(set, all): (&Set, &Vec<Vec<u8>>)| {
        let line = format!("{verb} element {}", set.name());
        all.chunks(AT_ONCE).map(|some| make(set.name(), some, line.clone())).collect::<Vec<_>>()
    };
    by_set.iter().flat_map(one).collect()
}

fn encode(element: &Element) -> Vec<u8> {
    let value = bytes(&element.value, element.set.value(), false);
    let value = if value.is_empty() { value } else { data(ELEMENT_DATA, &value) };
    [encode_key(element), value].concat()
}

fn encode_key(element: &Element) -> Vec<u8> {
    let first = bytes(&element.key, element.set.key(), false);
    let last = bytes(&element.key, element.set.key(), true);
    let is_range = element.set.key().contains(&Kind::Network);
    let end = if is_range { data(ELEMENT_KEY_END, &last) } else { Vec::new() };
    [data(ELEMENT_KEY, &first), end].concat()
}

/// A key or a value: its parts one after the other. `last`: the end of each range.
fn bytes(data: &[Datum], kinds: &[Kind], last: bool) -> Vec<u8> {
    let ordered = kinds.contains(&Kind::Network);
    let parts = data.iter().map(|datum| part(datum, ordered, last));
    if data.len() > 1 { parts.flat_map(filled_up).collect() } else { parts.flatten().collect() }
}

/// Filled up to whole registers, as the parts of a concatenation are.
fn filled_up(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn part(datum: &Datum, ordered: bool, last: bool) -> Vec<u8> {
    match datum {
        Datum::Mark(mark) if ordered => mark.to_be_bytes().into(),
        Datum::Mark(mark) => mark.to_ne_bytes().into(),
        Datum::Device(name) => device(name),
        Datum::Address(address) => octets(*address),
        Datum::Network(net) if last => octets(net.broadcast()),
        Datum::Network(net) => octets(net.network()),
        Datum::Port(port) => port.to_be_bytes().into(),
        Datum::Protocol(number) => vec![*number],
    }
}

fn device(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(libc::IFNAMSIZ, 0);
    bytes
}
