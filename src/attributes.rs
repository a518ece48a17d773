//! The attributes of netlink messages, written and read by hand (netlink(7)).

use std::net::IpAddr;

const NESTED: u16 = 0x8000;
const KIND: u16 = 0x3fff;

/// Length, type, value, padding to four bytes (netlink(7)).
pub(crate) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    of_parts(kind, value, &[])
}

/// The same of a value in two parts. Our table takes thousands of these, so each has all its room from the beginning.
fn of_parts(kind: u16, first: &[u8], second: &[u8]) -> Vec<u8> {
    let length = 4 + first.len() + second.len();
    let mut out = Vec::with_capacity(length.next_multiple_of(4));
    out.extend(u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend_from_slice(first);
    out.extend_from_slice(second);
    out.resize(length.next_multiple_of(4), 0);
    out
}

/// An attribute that holds attributes.
pub(crate) fn nested(kind: u16, body: &[u8]) -> Vec<u8> {
    attribute(kind | NESTED, body)
}

/// A text, ended by a zero byte.
pub(crate) fn text(kind: u16, text: &str) -> Vec<u8> {
    of_parts(kind, text.as_bytes(), &[0])
}

/// A number of nf_tables, which are in the network's byte order.
pub(crate) fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

/// Types and values of the attributes in a body.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?) & KIND;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The value of the first attribute of a type.
pub(crate) fn find(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(bytes).find_map(|(kind, value)| (kind == wanted).then_some(value))
}

/// A text up to its zero byte.
pub(crate) fn word(value: &[u8]) -> String {
    let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// The same as it lies there; nothing where it is no text. There may be thousands of them.
pub(crate) fn name(value: &[u8]) -> &str {
    let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
    std::str::from_utf8(text).unwrap_or_default()
}

/// The number that [`number`] writes.
pub(crate) fn big_endian(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|value| u32::from_be_bytes(*value))
}

/// A number in the host's byte order, as the other families of netlink have them.
pub(crate) fn native(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|value| u32::from_ne_bytes(*value))
}

/// An address of either family.
pub(crate) fn address(value: &[u8]) -> Option<IpAddr> {
    let four = || <[u8; 4]>::try_from(value).ok().map(IpAddr::from);
    <[u8; 16]>::try_from(value).ok().map(IpAddr::from).or_else(four)
}

/// The bytes of an address.
pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(ip) => ip.octets().into(),
        IpAddr::V6(ip) => ip.octets().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_that_are_cut_off_end_the_list() {
        let whole = [attribute(1, &[1, 2, 3]), text(2, "ab")].concat();
        assert_eq!(attributes(&whole).collect::<Vec<_>>(), [(1, &[1, 2, 3][..]), (2, &b"ab\0"[..])]);
        for end in 0..whole.len() {
            assert!(attributes(&whole[..end]).count() <= 2);
        }
        assert_eq!(attributes(&[0; 8]).count(), 0);
    }
}
