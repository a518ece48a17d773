//! The nft skeleton: the text that is loaded, and the digest that it is recognised by.
//!
//! What nft reads is not what it prints, and what it prints changes between versions. So rules are never
//! compared with the text: the table holds an empty set whose name is the digest of the text it was loaded from.

use crate::model;
use std::collections::BTreeMap;

/// The skeleton, as a person would write it.
const TEXT: &str = concat!(include_str!("../../nft/sets.nft"), include_str!("../../nft/host.nft"));

/// What the name of the marker set begins with.
pub const MARKER: &str = "text_";

/// The text to load, with our bits of the mark in it, and the marker set.
pub fn text(mask: u32) -> String {
    let body = text_with_mask(mask);
    format!("{body}\nadd set inet {} {MARKER}{} {{ type mark; }}\n", model::nft::TABLE, model::digest(&body))
}

/// The digest that the marker set of [`text`] carries.
pub fn digest(mask: u32) -> String {
    model::digest(text_with_mask(mask))
}

/// How many rules each chain has. In the text each is a line.
pub fn rules() -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    let mut chain = None;
    for line in TEXT.lines().map(str::trim) {
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

fn text_with_mask(mask: u32) -> String {
    TEXT.replace("= 0xff000000 ", &format!("= {mask:#010x} "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_is_in_the_text() {
        assert!(text(0x00f0_0000).contains("define mask  = 0x00f00000 "));
        assert_ne!(digest(0x00f0_0000), digest(0xff00_0000));
    }
}
