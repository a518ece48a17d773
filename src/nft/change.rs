//! One change of nf_tables: the message that the kernel gets, and the line of nft that it stands for.

use super::numbers::{
    CHAIN_HOOK, CHAIN_NAME, CHAIN_POLICY, CHAIN_TYPE, DELETE_ELEMENTS, DELETE_TABLE, HOOK_NUMBER,
    HOOK_PRIORITY, LIST_ELEMENT, LIST_ELEMENTS, LIST_SET, LIST_SET_ID, NEW_CHAIN, NEW_ELEMENTS, NEW_RULE,
    NEW_SET, NEW_TABLE, RULE_CHAIN, RULE_EXPRESSIONS, SET_DATA_LENGTH, SET_DATA_TYPE, SET_DESCRIPTION,
    SET_FLAGS, SET_ID, SET_KEY_LENGTH, SET_KEY_TYPE, SET_NAME, SET_TIMEOUT, SET_USERDATA, TABLE_FLAGS,
    TABLE_NAME,
};
use super::set::SetForm;
use crate::attributes::{attribute, nested, number, text};
use crate::model::nft::TABLE;

/// NLM_F_CREATE.
const CREATE: u16 = 0x400;
/// NLM_F_CREATE and NLM_F_APPEND.
const APPEND: u16 = 0xc00;

/// A message of nf_tables that changes something.
pub(crate) struct Change {
    pub(crate) kind: u16,
    /// Flags of the netlink header.
    pub(crate) flags: u16,
    /// What follows nfgenmsg.
    pub(crate) body: Vec<u8>,
    /// What it does, as a person would write it.
    pub(crate) line: String,
}

fn of_table(body: &[Vec<u8>]) -> Vec<u8> {
    [text(TABLE_NAME, TABLE), body.concat()].concat()
}

/// Makes our table, if there is none.
pub(super) fn add_table() -> Change {
    let line = format!("add table inet {TABLE}");
    Change { kind: NEW_TABLE, flags: CREATE, body: of_table(&[number(TABLE_FLAGS, 0)]), line }
}

/// Takes our table away with all that is in it.
pub(super) fn delete_table() -> Change {
    Change { kind: DELETE_TABLE, flags: 0, body: of_table(&[]), line: format!("delete table inet {TABLE}") }
}

/// Where a base chain stands: `filter` or `nat`, the number of the hook, the priority.
pub(super) struct Hook<'a> {
    pub(super) kind: &'a str,
    pub(super) number: u32,
    pub(super) priority: i32,
}

/// Makes a chain.
pub(super) fn add_chain(name: &str, hook: Option<&Hook<'_>>) -> Change {
    /// NF_ACCEPT.
    const ACCEPT: u32 = 1;
    let base = hook.map(|hook| {
        let priority = hook.priority.cast_unsigned();
        let place = [number(HOOK_NUMBER, hook.number), number(HOOK_PRIORITY, priority)].concat();
        [nested(CHAIN_HOOK, &place), number(CHAIN_POLICY, ACCEPT), text(CHAIN_TYPE, hook.kind)].concat()
    });
    let body = of_table(&[text(CHAIN_NAME, name), base.unwrap_or_default()]);
    Change { kind: NEW_CHAIN, flags: CREATE, body, line: format!("add chain inet {TABLE} {name}") }
}

/// Makes a set or a map. `id` tells it from the other new sets of the transaction.
pub(super) fn add_set(name: &str, id: u32, form: &SetForm) -> Change {
    let data =
        form.data().map(|(kind, length)| [number(SET_DATA_TYPE, kind), number(SET_DATA_LENGTH, length)]);
    let timeout = form.timeout.map(|milliseconds| attribute(SET_TIMEOUT, &milliseconds.to_be_bytes()));
    let body = of_table(&[
        text(SET_NAME, name),
        number(SET_FLAGS, form.flags()),
        number(SET_KEY_TYPE, form.key_type()),
        number(SET_KEY_LENGTH, form.key_length()),
        data.map(|data| data.concat()).unwrap_or_default(),
        number(SET_ID, id),
        form.description().map(|description| nested(SET_DESCRIPTION, &description)).unwrap_or_default(),
        timeout.unwrap_or_default(),
        attribute(SET_USERDATA, &form.userdata()),
    ]);
    Change { kind: NEW_SET, flags: CREATE, body, line: format!("add set inet {TABLE} {name}") }
}

/// Adds elements to a set, each a body of its own. `id`: of a set that the same transaction makes.
pub(super) fn add_elements(set: &str, id: Option<u32>, elements: &[Vec<u8>], line: String) -> Change {
    Change { kind: NEW_ELEMENTS, flags: CREATE, body: list(set, id, elements), line }
}

/// Takes elements out of a set.
pub(super) fn delete_elements(set: &str, elements: &[Vec<u8>], line: String) -> Change {
    Change { kind: DELETE_ELEMENTS, flags: 0, body: list(set, None, elements), line }
}

/// A list of elements of a set.
pub(super) fn list(set: &str, id: Option<u32>, elements: &[Vec<u8>]) -> Vec<u8> {
    let elements: Vec<_> = elements.iter().map(|element| nested(LIST_ELEMENT, element)).collect();
    let id = id.map(|id| number(LIST_SET_ID, id)).unwrap_or_default();
    of_table(&[text(LIST_SET, set), id, nested(LIST_ELEMENTS, &elements.concat())])
}

/// Adds a rule at the end of a chain. `line`: as it stands in the skeleton.
pub(super) fn add_rule(chain: &str, expressions: &[Vec<u8>], line: &str) -> Change {
    let expressions: Vec<_> = expressions.iter().map(|one| nested(LIST_ELEMENT, one)).collect();
    let body = of_table(&[text(RULE_CHAIN, chain), nested(RULE_EXPRESSIONS, &expressions.concat())]);
    Change { kind: NEW_RULE, flags: APPEND, body, line: format!("add rule inet {TABLE} {chain} {line}") }
}
