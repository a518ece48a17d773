//! What a rule of somebody else accepts, as far as it matters to a namespace and can be told from the rule alone.

use super::expression::{Expression, compared, is_no_condition};
use crate::attributes::{big_endian, find, native};
use crate::nft::numbers::{
    CT_DIRECTION, CT_KEY, CT_MARK, CT_STATE, META_KEY, META_L4PROTO, META_NFPROTO, META_OIF, PAYLOAD_BASE,
    PAYLOAD_OFFSET, TRANSPORT_HEADER,
};

/// NFT_META_IIF to NFT_META_OIFNAME.
const META_DEVICES: std::ops::RangeInclusive<u32> = 4..=7;
/// ICMPv6 is a protocol, and a question for a neighbour one of its types.
const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;

/// What a rule accepts from every sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Accepts {
    /// Flows of a connection mark.
    CtMark(u32),
    /// What leaves by a device of that number.
    LeavingBy(u32),
    /// Answers, or all that comes in by some devices.
    Answers,
    /// Neighbour discovery.
    Neighbours,
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
    if conditions.iter().all(answers) {
        return Some(Accepts::Answers);
    }
    conditions.iter().all(lets_neighbours).then_some(Accepts::Neighbours)
}

/// Whether a question for a neighbour fulfils a condition, whichever host asks. What is in a set is not known.
fn lets_neighbours(condition: &Condition<'_>) -> bool {
    let (name, data, value) = condition;
    let key = |kind| find(data, kind).and_then(big_endian);
    let is = |wanted| value.is_none_or(|value| value.first() == Some(&wanted));
    match *name {
        "meta" if key(META_KEY) == Some(META_L4PROTO) => is(ICMPV6),
        "meta" if key(META_KEY) == Some(META_NFPROTO) => true,
        "payload" if key(PAYLOAD_BASE) == Some(TRANSPORT_HEADER) && key(PAYLOAD_OFFSET) == Some(0) => {
            is(SOLICITATION)
        }
        _ => false,
    }
}

/// Loads, each with its comparison. None where there is something else.
fn conditions<'a>(expressions: &'a [Expression<'a>]) -> Option<Vec<Condition<'a>>> {
    let mut out: Vec<Condition<'a>> = Vec::new();
    for (name, data) in expressions.iter().filter(|one| !is_no_condition(one)) {
        match *name {
            "meta" | "ct" | "payload" => out.push((name, data, None)),
            "cmp" => out.last_mut()?.2 = compared(data),
            "lookup" | "bitwise" | "range" => {}
            _ => return None,
        }
    }
    Some(out)
}
