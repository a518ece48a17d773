//! The form of a set or a map: what its keys and values are made of, and how it is declared to the kernel.

use super::datatype::{self, Datatype, Order};
use super::numbers::{DESCRIPTION_CONCATENATION, DESCRIPTION_SIZE, FIELD_LENGTH, LIST_ELEMENT};
use crate::attributes::{nested, number};

/// NFT_SET_ANONYMOUS, _CONSTANT, _INTERVAL, _MAP, _TIMEOUT, _EVAL, _CONCAT.
const ANONYMOUS: u32 = 1;
const CONSTANT: u32 = 2;
const INTERVAL: u32 = 4;
const MAP: u32 = 8;
const TIMEOUT: u32 = 0x10;
const EVAL: u32 = 0x20;
const CONCATENATION: u32 = 0x80;

/// The part of a key or a value before the next one, in bytes: registers are of four.
const REGISTER: usize = 4;
/// Bits of a type's number in that of a concatenation (TYPE_BITS of nftables).
const TYPE_BITS: u32 = 6;

/// What a set's keys and values are made of.
#[derive(Debug)]
pub(super) struct SetForm {
    pub(super) key: Vec<&'static Datatype>,
    /// Empty for a set that is no map.
    pub(super) value: Vec<&'static Datatype>,
    /// Its keys are ranges.
    pub(super) is_interval: bool,
    /// Packets add to it.
    is_dynamic: bool,
    /// How long an element stays, in milliseconds.
    pub(super) timeout: Option<u64>,
    /// The number of its elements, for a set that stands in a rule.
    size: Option<u32>,
}

impl SetForm {
    /// The form of a set that stands in a rule.
    pub(super) fn anonymous(of: &'static Datatype, size: u32) -> Self {
        let (key, value) = (vec![of], Vec::new());
        Self { key, value, is_interval: false, is_dynamic: false, timeout: None, size: Some(size) }
    }

    /// Reads what stands between the braces of a declaration: `type A . B : C; flags interval; timeout 60s;`.
    pub(super) fn read(declaration: &str) -> Option<Self> {
        let parts: Vec<&str> = declaration.split(';').map(str::trim).collect();
        let said = |word: &str| parts.iter().find_map(|part| part.strip_prefix(word)).map(str::trim);
        let types = said("type ")?;
        let (key, value) = types.split_once(" : ").unwrap_or((types, ""));
        let has = |flag| said("flags ").is_some_and(|flags| flags.split(',').any(|one| one.trim() == flag));
        let timeout = said("timeout ").map(milliseconds);
        let timeout = if let Some(read) = timeout { Some(read?) } else { None };
        Some(Self {
            key: types_of(key)?,
            value: if value.is_empty() { Vec::new() } else { types_of(value)? },
            is_interval: has("interval"),
            is_dynamic: has("dynamic"),
            timeout,
            size: None,
        })
    }

    pub(super) fn flags(&self) -> u32 {
        let flags = [
            (self.size.is_some(), ANONYMOUS | CONSTANT),
            (self.is_interval, INTERVAL),
            (self.is_interval && self.key.len() > 1, CONCATENATION),
            (!self.value.is_empty(), MAP),
            (self.timeout.is_some(), TIMEOUT),
            (self.is_dynamic, EVAL),
        ];
        flags.iter().filter(|(is, _)| *is).fold(0, |all, (_, flag)| all | flag)
    }

    pub(super) fn key_type(&self) -> u32 {
        type_number(&self.key)
    }

    /// In bytes.
    pub(super) fn key_length(&self) -> u32 {
        length(&self.key)
    }

    /// The type and the length of a map's values.
    pub(super) fn data(&self) -> Option<(u32, u32)> {
        (!self.value.is_empty()).then(|| (type_number(&self.value), length(&self.value)))
    }

    /// What the kernel has to know of the elements before it chooses how to keep them (NFTA_SET_DESC).
    pub(super) fn description(&self) -> Option<Vec<u8>> {
        let field = |one: &&Datatype| {
            nested(LIST_ELEMENT, &number(FIELD_LENGTH, u32::try_from(one.length).unwrap_or_default()))
        };
        let fields = || self.key.iter().map(field).collect::<Vec<_>>().concat();
        let size = self.size.map(|size| number(DESCRIPTION_SIZE, size));
        let is_concatenation = self.flags() & CONCATENATION != 0;
        size.or_else(|| is_concatenation.then(|| nested(DESCRIPTION_CONCATENATION, &fields())))
    }

    /// What nft(8) notes for itself, to list the set as it was written (NFTNL_UDATA_SET_… of libnftnl): type, length
    /// and value of each note, the values in the host's byte order.
    pub(super) fn userdata(&self) -> Vec<u8> {
        const KEY_ORDER: u8 = 0;
        const DATA_ORDER: u8 = 1;
        let note = |kind: u8, value: u32| [&[kind, 4][..], &value.to_ne_bytes()].concat();
        let data = if self.value.is_empty() { Vec::new() } else { note(DATA_ORDER, order(&self.value)) };
        [note(KEY_ORDER, order(&self.key)), data].concat()
    }
}

/// Whether a value is a number in an order that no comparison for less or more understands.
pub(super) fn turns(datatype: &Datatype) -> bool {
    datatype.order == Order::Host && datatype.length <= REGISTER && cfg!(target_endian = "little")
}

fn types_of(text: &str) -> Option<Vec<&'static Datatype>> {
    text.split(" . ").map(|name| datatype::named(name.trim())).collect()
}

fn type_number(types: &[&Datatype]) -> u32 {
    types.iter().fold(0, |all, one| all << TYPE_BITS | one.number)
}

fn length(types: &[&Datatype]) -> u32 {
    let length = match types {
        [only] => only.length,
        several => several.iter().map(|one| one.length.next_multiple_of(REGISTER)).sum(),
    };
    u32::try_from(length).unwrap_or_default()
}

/// BYTEORDER_HOST_ENDIAN, BYTEORDER_BIG_ENDIAN, or BYTEORDER_INVALID for several.
fn order(types: &[&Datatype]) -> u32 {
    match types {
        [only] if only.order == Order::Host => 1,
        [_] => 2,
        _ => 0,
    }
}

fn milliseconds(text: &str) -> Option<u64> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    let (number, unit) = units.iter().find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))?;
    Some(number.parse::<u64>().ok()? * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations() {
        let map = SetForm::read(" type ifname : ipv4_addr . inet_service; ").unwrap();
        assert_eq!((map.flags(), map.key_length(), map.data()), (8, 16, Some((0x1cd, 8))));
        let networks = SetForm::read("type mark . ifname . ipv4_addr; flags interval;").unwrap();
        assert_eq!((networks.flags(), networks.key_length()), (0x84, 24));
        let filled = SetForm::read("type ifname . nf_proto; flags dynamic,timeout; timeout 1900ms;").unwrap();
        assert_eq!((filled.flags(), filled.timeout), (0x30, Some(1900)));
        for wrong in ["", "type nothing;", "type mark : nothing;", "type mark; timeout soon;"] {
            assert!(SetForm::read(wrong).is_none(), "{wrong}");
        }
    }
}
