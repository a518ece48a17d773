//! What a rule of somebody else accepts, as far as it matters to a namespace and can be told from the rule alone.

use super::expression::{Expression, compared, is_no_condition, xt_info, xt_name};
use crate::attributes::{big_endian, find, native};
use crate::nft::numbers::{
    CT_DIRECTION, CT_KEY, CT_MARK, CT_STATE, META_KEY, META_L4PROTO, META_NFPROTO, META_OIF, PAYLOAD_BASE,
    PAYLOAD_OFFSET, TRANSPORT_HEADER,
};
use serde::{Deserialize, Serialize};

/// NFT_META_IIF to NFT_META_OIFNAME.
const META_DEVICES: std::ops::RangeInclusive<u32> = 4..=7;
/// ICMPv6 is a protocol, and a question for a neighbour one of its types.
const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const NFPROTO_IPV6: u8 = 10;
const ANY: u8 = 255;

/// What a rule accepts from every sender.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Accepts {
    /// Flows of a connection mark.
    CtMark(u32),
    /// What leaves by a device of that number.
    LeavingBy(u32),
    /// Answers, or all that comes in by some devices.
    Answers,
}

/// What is loaded, and what it is compared with; nothing where it is looked up in a set, or as a range.
type Condition<'a> = (&'a str, &'a [u8], Option<&'a [u8]>);

/// What the expressions of a rule that accepts say.
pub(super) fn read(expressions: &[Expression<'_>]) -> Option<Accepts> {
    let conditions = conditions(expressions)?;
    let key = |(_, data, _): &Condition<'_>, kind| find(data, kind).and_then(big_endian);
    if let [one @ (name, _, value)] = &conditions[..] {
        let value = value.and_then(native);
        match (*name, key(one, META_KEY), value) {
            ("ct", Some(CT_MARK), Some(mark)) => return Some(Accepts::CtMark(mark)),
            ("meta", Some(META_OIF), Some(index)) => return Some(Accepts::LeavingBy(index)),
            _ => {}
        }
    }
    let answers = |one: &Condition<'_>| match one.0 {
        "ct" => key(one, CT_KEY).is_some_and(|key| [CT_STATE, CT_DIRECTION].contains(&key)),
        "meta" => key(one, META_KEY).is_some_and(|key| META_DEVICES.contains(&key)),
        _ => false,
    };
    conditions.iter().all(answers).then_some(Accepts::Answers)
}

/// Whether a question for a neighbour fulfils all conditions of a rule, whichever host asks.
pub(super) fn is_for_neighbours(expressions: &[Expression<'_>]) -> bool {
    conditions(expressions).is_some_and(|conditions| conditions.iter().all(lets_neighbours))
}

/// Whether it fulfils one of them. What is in a set is not known.
fn lets_neighbours(condition: &Condition<'_>) -> bool {
    let (name, data, value) = condition;
    let key = |kind| find(data, kind).and_then(big_endian);
    let is = |wanted| value.is_none_or(|value| value.first() == Some(&wanted));
    match *name {
        "meta" if key(META_KEY) == Some(META_L4PROTO) => is(ICMPV6),
        "meta" if key(META_KEY) == Some(META_NFPROTO) => is(NFPROTO_IPV6),
        "payload" if key(PAYLOAD_BASE) == Some(TRANSPORT_HEADER) && key(PAYLOAD_OFFSET) == Some(0) => {
            is(SOLICITATION)
        }
        "match" => xt_info(data).is_some_and(|info| xt_lets_neighbours(xt_name(data), info)),
        _ => false,
    }
}

/// The same of a part of iptables: `struct ip6t_icmp` (a type, of which 255 is any; two codes; flags that turn it around)
/// and `struct ip6t_hl_info` (the comparison, of which 0 is for equality; a hop limit, which is 255 in neighbour discovery).
fn xt_lets_neighbours(name: Option<&str>, info: &[u8]) -> bool {
    match (name, info) {
        (Some("icmp6"), [kind, _, _, inverted, ..]) => [SOLICITATION, ANY].contains(kind) && *inverted == 0,
        (Some("hl"), [comparison, limit, ..]) => (*comparison, *limit) == (0, 255),
        _ => false,
    }
}

/// Loads, each with its comparison. None where there is something else.
fn conditions<'a>(expressions: &'a [Expression<'a>]) -> Option<Vec<Condition<'a>>> {
    let mut out: Vec<Condition<'a>> = Vec::new();
    for (name, data) in expressions.iter().filter(|one| !is_no_condition(one)) {
        match *name {
            "meta" | "ct" | "payload" | "match" => out.push((name, data, None)),
            "cmp" => out.last_mut()?.2 = compared(data),
            "lookup" | "bitwise" | "range" => {}
            _ => return None,
        }
    }
    Some(out)
}
