//! The nft skeleton: the text that is loaded, and the digest that it is recognised by.
//!
//! What nft reads is not what it prints, and what it prints changes between versions. So rules are never
//! compared with the text: the table holds an empty set whose name is the digest of the text it was loaded from.

use crate::model;

/// The skeleton, as a person would write it.
const TEXT: &str = include_str!("../nft/host.nft");

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
