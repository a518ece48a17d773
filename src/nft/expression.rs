//! Expressions of rules, as messages hold them (include/uapi/linux/netfilter/nf_tables.h).
//!
//! An expression puts something into registers, compares or changes what is in them, or acts on the packet. Registers
//! are 16 bytes each; the four quarters of each have numbers of their own.

use super::numbers as n;
use crate::attributes::{attribute, nested, number, text};

/// NFT_PAYLOAD_NETWORK_HEADER, NFT_PAYLOAD_TRANSPORT_HEADER.
pub(super) const NETWORK_HEADER: u32 = 1;
pub(super) const TRANSPORT_HEADER: u32 = n::TRANSPORT_HEADER;

/// What is put into a register.
#[derive(Clone, Copy, Debug)]
pub(super) enum Load {
    Meta(u32),
    /// Of a header, as long as the type says.
    Payload {
        base: u32,
        offset: u32,
    },
    Ct(u32),
    /// Of the flow's original direction.
    CtOriginal(u32),
    Fib {
        result: u32,
        flags: u32,
    },
    Route(u32),
    /// Whether there is such an option or extension header.
    HeaderIsThere {
        operation: u32,
        kind: u8,
    },
}

/// What a comparison asks for (NFT_CMP_…).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Compare {
    Equal = 0,
    NotEqual = 1,
    Less = 2,
    AtLeast = 5,
}

/// The register that begins so many bytes after the first one does.
pub(super) fn register(offset: usize) -> u32 {
    let offset = u32::try_from(offset).unwrap_or_default();
    if offset.is_multiple_of(16) { 1 + offset / 16 } else { 8 + offset / 4 }
}

fn expression(name: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    [text(n::EXPRESSION_NAME, name), nested(n::EXPRESSION_DATA, &attributes.concat())].concat()
}

fn data(kind: u16, bytes: &[u8]) -> Vec<u8> {
    nested(kind, &attribute(n::DATA_VALUE, bytes))
}

/// Puts something into a register; `length` in bytes.
pub(super) fn load(what: Load, length: usize, to: u32) -> Vec<u8> {
    let length = u32::try_from(length).unwrap_or_default();
    match what {
        Load::Meta(key) => expression("meta", &[number(n::META_DREG, to), number(n::META_KEY, key)]),
        Load::Payload { base, offset } => {
            let place = [number(n::PAYLOAD_BASE, base), number(n::PAYLOAD_OFFSET, offset)].concat();
            expression("payload", &[number(n::PAYLOAD_DREG, to), place, number(n::PAYLOAD_LENGTH, length)])
        }
        Load::Ct(key) => expression("ct", &[number(n::CT_DREG, to), number(n::CT_KEY, key)]),
        Load::CtOriginal(key) => {
            let original = attribute(n::CT_DIRECTION_OF, &[0]);
            expression("ct", &[number(n::CT_DREG, to), number(n::CT_KEY, key), original])
        }
        Load::Fib { result, flags } => expression(
            "fib",
            &[number(n::FIB_DREG, to), number(n::FIB_RESULT, result), number(n::FIB_FLAGS, flags)],
        ),
        Load::Route(key) => expression("rt", &[number(n::ROUTE_DREG, to), number(n::ROUTE_KEY, key)]),
        Load::HeaderIsThere { operation, kind } => {
            let field = [attribute(n::HEADER_TYPE, &[kind]), number(n::HEADER_OFFSET, 0)].concat();
            let length = number(n::HEADER_LENGTH, 1);
            let how =
                [number(n::HEADER_FLAGS, n::HEADER_PRESENT), number(n::HEADER_OPERATION, operation)].concat();
            expression("exthdr", &[number(n::HEADER_DREG, to), field, length, how])
        }
    }
}

/// Goes on with the rule only where a register holds what is asked for.
pub(super) fn compare(from: u32, how: Compare, bytes: &[u8]) -> Vec<u8> {
    expression("cmp", &[number(n::CMP_SREG, from), number(n::CMP_OP, how as u32), data(n::CMP_DATA, bytes)])
}

/// Keeps the bits of a mask in a register.
pub(super) fn mask(at: u32, mask: &[u8]) -> Vec<u8> {
    let length = number(n::BITWISE_LENGTH, u32::try_from(mask.len()).unwrap_or_default());
    let registers = [number(n::BITWISE_SREG, at), number(n::BITWISE_DREG, at)].concat();
    let values = [data(n::BITWISE_MASK, mask), data(n::BITWISE_XOR, &vec![0; mask.len()])].concat();
    expression("bitwise", &[registers, length, values])
}

/// Turns a number of the host's in a register into the network's order.
pub(super) fn to_network_order(at: u32, length: u32) -> Vec<u8> {
    let registers = [number(n::BYTEORDER_SREG, at), number(n::BYTEORDER_DREG, at)].concat();
    let sizes = [number(n::BYTEORDER_LENGTH, length), number(n::BYTEORDER_SIZE, length)].concat();
    expression("byteorder", &[registers, number(n::BYTEORDER_OP, n::HOST_TO_NETWORK), sizes])
}

/// Goes on where a set has what is in the registers, or where it has not. `id`: of a set that the transaction makes.
pub(super) fn is_in(set: &str, id: Option<u32>, from: u32, inverted: bool) -> Vec<u8> {
    let id = id.map(|id| number(n::LOOKUP_SET_ID, id)).unwrap_or_default();
    let flags = number(n::LOOKUP_FLAGS, u32::from(inverted));
    expression("lookup", &[text(n::LOOKUP_SET, set), id, number(n::LOOKUP_SREG, from), flags])
}

/// Puts the value that a map has for what is in the registers there; goes on where it has one.
pub(super) fn value_of(map: &str, from: u32, to: u32) -> Vec<u8> {
    expression(
        "lookup",
        &[text(n::LOOKUP_SET, map), number(n::LOOKUP_SREG, from), number(n::LOOKUP_DREG, to)],
    )
}

/// Adds what is in the registers to a set, or takes it out.
pub(super) fn change_set(set: &str, from: u32, delete: bool) -> Vec<u8> {
    let operation = if delete { n::DYNSET_DELETE } else { n::DYNSET_ADD };
    let what = [number(n::DYNSET_OP, operation), number(n::DYNSET_SREG, from)].concat();
    expression("dynset", &[text(n::DYNSET_NAME, set), what])
}

/// Puts bytes into a register.
pub(super) fn immediate(to: u32, bytes: &[u8]) -> Vec<u8> {
    expression("immediate", &[number(n::IMMEDIATE_DREG, to), data(n::IMMEDIATE_DATA, bytes)])
}

/// Decides about the packet, or goes on in another chain.
pub(super) fn verdict(code: i32, chain: Option<&str>) -> Vec<u8> {
    let chain = chain.map(|chain| text(n::VERDICT_CHAIN, chain)).unwrap_or_default();
    let verdict = nested(n::DATA_VERDICT, &[number(n::VERDICT_CODE, code.cast_unsigned()), chain].concat());
    expression("immediate", &[number(n::IMMEDIATE_DREG, 0), nested(n::IMMEDIATE_DATA, &verdict)])
}

/// Writes a register into the packet's mark.
pub(super) fn set_mark(from: u32) -> Vec<u8> {
    expression("meta", &[number(n::META_KEY, n::META_MARK), number(n::META_SREG, from)])
}

/// Writes a register into a field of the flow.
pub(super) fn set_ct(key: u32, is_original: bool, from: u32) -> Vec<u8> {
    let direction = if is_original { attribute(n::CT_DIRECTION_OF, &[0]) } else { Vec::new() };
    expression("ct", &[number(n::CT_KEY, key), direction, number(n::CT_SREG, from)])
}

/// Gives a flow another destination or source.
pub(super) fn nat(is_destination: bool, family: u8, address: u32, port: Option<u32>) -> Vec<u8> {
    let port = port.map(|port| number(n::NAT_PORT, port)).unwrap_or_default();
    let kind =
        [number(n::NAT_TYPE, u32::from(is_destination)), number(n::NAT_FAMILY, family.into())].concat();
    expression("nat", &[kind, number(n::NAT_ADDRESS, address), port])
}

/// Gives a flow the address of the device that it leaves by.
pub(super) fn masquerade() -> Vec<u8> {
    expression("masq", &[])
}

/// Ends a packet with an error to its sender: a reset of TCP's, or an ICMP error of the packet's family.
pub(super) fn reject(kind: u32, code: u8) -> Vec<u8> {
    expression("reject", &[number(n::REJECT_TYPE, kind), attribute(n::REJECT_CODE, &[code])])
}

/// Writes a register into the greatest segment that a side of TCP says it takes, if that was greater.
pub(super) fn clamp_segments(from: u32) -> Vec<u8> {
    /// TCPOPT_MAXSEG, where its value stands, and the bytes of that.
    const MAXIMUM_SEGMENT: u8 = 2;
    const VALUE: u32 = 2;
    let field = [attribute(n::HEADER_TYPE, &[MAXIMUM_SEGMENT]), number(n::HEADER_OFFSET, VALUE)].concat();
    let how = [number(n::HEADER_LENGTH, 2), number(n::HEADER_OPERATION, n::HEADER_TCP_OPTION)].concat();
    expression("exthdr", &[number(n::HEADER_SREG, from), field, how])
}
