//! What differs between two states.

use super::{ActiveNamespace, Egress, Name, State};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// A namespace that is not the same in two states.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Its name.
    pub name: &'a Name,
    /// What it was, where it was there.
    pub before: Option<&'a ActiveNamespace>,
    /// What it is, where it is there.
    pub after: Option<&'a ActiveNamespace>,
}

/// The namespaces that one of both states lacks, or that differ, by their record or by an egress of theirs. What is the same in
/// both is passed by without a look into it: states of thousands of namespaces differ in few.
pub fn changes<'a>(before: &'a State, after: &'a State) -> Vec<Change<'a>> {
    let egresses = changed_egresses(before, after);
    let is_same = |old: &ActiveNamespace, new: &ActiveNamespace| {
        old == new && !new.egress_keys().any(|key| egresses.contains(key))
    };
    let (mut olds, mut news) = (before.namespaces.iter().peekable(), after.namespaces.iter().peekable());
    let mut out = Vec::new();
    loop {
        let order = match (olds.peek(), news.peek()) {
            (None, None) => return out,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((old, _)), Some((new, _))) => old.cmp(new),
        };
        let old = if order.is_le() { olds.next() } else { None };
        let new = if order.is_ge() { news.next() } else { None };
        let Some((name, _)) = old.or(new) else { return out };
        let (before, after) = (old.map(|(_, old)| old), new.map(|(_, new)| new));
        if !before.zip(after).is_some_and(|(old, new)| is_same(old, new)) {
            out.push(Change { name, before, after });
        }
    }
}

/// The keys of egresses that differ.
fn changed_egresses<'a>(before: &'a State, after: &'a State) -> BTreeSet<&'a String> {
    let differs = |(key, egress): &(&'a String, &'a Egress)| {
        before.egresses.get(*key) != Some(*egress) || after.egresses.get(*key) != Some(*egress)
    };
    before.egresses.iter().chain(&after.egresses).filter(differs).map(|(key, _)| key).collect()
}
