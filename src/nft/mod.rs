//! nsnat's nf_tables table: its text, and the messages that make and change it. Pure: the kernel's room sends them.
//!
//! [`skeleton`] is the text as a person reads it, `compile` makes messages of it, one rule by `rule`, `selector` and
//! `expression`; `element` does elements of its sets. A message is a [`Change`], with the line that it stands for.

mod change;
mod compile;
mod datatype;
mod element;
mod expression;
pub(crate) mod numbers;
mod rule;
mod selector;
mod set;
pub mod skeleton;

pub(crate) use change::Change;

use crate::error::Result;
use crate::model::Element;
use crate::model::nft::TableForm;

/// Makes the table, with these elements. `replace`: in place of the one that is there.
pub(crate) fn load(form: TableForm, replace: bool, elements: &[Element]) -> Result<Vec<Change>> {
    let mut changes = if replace { vec![change::delete_table()] } else { Vec::new() };
    changes.extend(compile::changes(form)?);
    changes.extend(element::add(elements));
    Ok(changes)
}

/// Takes the table away. It is added first: to remove one that is gone already would be an error.
pub(crate) fn remove() -> Vec<Change> {
    vec![change::add_table(), change::delete_table()]
}

/// Removes and adds elements.
pub(crate) fn change(remove: &[Element], add: &[Element]) -> Vec<Change> {
    let mut changes = element::delete(remove);
    changes.extend(element::add(add));
    changes
}

/// The question for one element; of a range, for the one that it is in.
pub(crate) fn question(element: &Element) -> Vec<u8> {
    element::question(element)
}

/// Forgets what the packets told about a namespace's servers.
pub(crate) fn forget_servers(link: &str) -> Vec<Change> {
    element::forget_servers(link)
}

/// The table with one chain on a hook, and with a rule of one expression in it: whether a kernel takes that tells whether it
/// has them. `kind`: `filter` or `nat`.
pub(crate) fn sample(kind: &str, hook: u32, expression: Option<Vec<u8>>) -> Vec<Change> {
    /// Behind conntrack, where NAT may be.
    const PRIORITY: i32 = 100;
    let place = change::Hook { kind, number: hook, priority: PRIORITY };
    // What a kernel takes stays, and another chain of that name would be refused for that.
    let name = format!("{kind}{hook}");
    let mut changes = vec![change::add_table(), change::add_chain(&name, Some(&place))];
    changes.extend(expression.map(|expression| change::add_rule(&name, &[expression], "sample")));
    changes
}
