//! The nft skeleton: the text that is loaded, and the digest that it is recognised by.
//!
//! What nft reads is not what it prints, and what it prints changes between versions. So rules are never
//! compared with the text: the table holds an empty set whose name is the digest of the text it was loaded from.

use crate::model;
use crate::model::nft::TableForm;
use std::collections::BTreeMap;

/// The skeleton, as a person would write it.
const TEXT: &str = concat!(include_str!("../../nft/sets.nft"), include_str!("../../nft/host.nft"));

/// What the name of the marker set begins with.
pub const MARKER: &str = "text_";

/// What a rule says that asks about IPsec.
const OF_IPSEC: &str = " rt ipsec ";

/// The text to load, with our bits of the mark in it, and the marker set.
pub fn text(form: TableForm) -> String {
    let body = text_of(form);
    format!("{body}\nadd set inet {} {MARKER}{} {{ type mark; }}\n", model::nft::TABLE, model::digest(&body))
}

/// The digest that the marker set of [`text`] carries.
pub fn digest(form: TableForm) -> String {
    model::digest(text_of(form))
}

/// How many rules each chain has. In the text each is a line.
pub fn rules(without_ipsec: bool) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    let mut chain = None;
    for line in lines(without_ipsec).map(str::trim) {
        if let Some(name) = line.strip_prefix("chain ").and_then(|rest| rest.strip_suffix(" {")) {
            counts.insert(name, 0);
            chain = Some(name);
        } else if line == "}" {
            chain = None;
        } else if is_rule(line) {
            chain.and_then(|name| counts.get_mut(name)).into_iter().for_each(|count| *count += 1);
        }
    }
    counts
}

fn is_rule(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#') && !line.starts_with("type ")
}

fn lines(without_ipsec: bool) -> impl Iterator<Item = &'static str> {
    TEXT.split_inclusive('\n').filter(move |line| !(without_ipsec && line.contains(OF_IPSEC)))
}

fn text_of(form: TableForm) -> String {
    let text: String = lines(form.without_ipsec).collect();
    text.replace("= 0xff000000 ", &format!("= {:#010x} ", form.mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_is_in_the_text() {
        let form = |mask| TableForm { mask, without_ipsec: false };
        assert!(text(form(0x00f0_0000)).contains("define mask  = 0x00f00000 "));
        assert_ne!(digest(form(0x00f0_0000)), digest(form(0xff00_0000)));
    }

    #[test]
    fn without_ipsec_one_rule_is_missing() {
        let form = |without_ipsec| TableForm { mask: 1, without_ipsec };
        assert_ne!(digest(form(true)), digest(form(false)));
        let count = |without_ipsec| rules(without_ipsec).values().sum::<usize>();
        assert_eq!(count(true) + 1, count(false));
        assert!(rules(true).keys().eq(rules(false).keys()));
        let rules = |without_ipsec| {
            let text = text(form(without_ipsec));
            text.lines().filter(|line| line.contains("rt ipsec")).filter(|line| is_rule(line.trim())).count()
        };
        assert_eq!((rules(true), rules(false)), (0, 1));
    }
}
