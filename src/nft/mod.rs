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

/// Makes the table, with these elements. `replace`: in place of the one that is there.
pub(crate) fn load(mask: u32, replace: bool, elements: &[Element]) -> Result<Vec<Change>> {
    let mut changes = if replace { vec![change::delete_table()] } else { Vec::new() };
    changes.extend(compile::changes(mask)?);
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

/// Forgets what the packets told about a namespace's servers.
pub(crate) fn forget_servers(link: &str) -> Vec<Change> {
    element::forget_servers(link)
}
