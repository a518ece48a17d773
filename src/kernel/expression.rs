//! Expressions of rules of nf_tables: their names and attributes.

use crate::attributes::{big_endian, find, name};
use crate::nft::numbers::{CMP_DATA, CMP_OP, DATA_VALUE};

/// NFTA_MATCH_NAME and NFTA_TARGET_NAME.
const XT_NAME: u16 = 1;
/// NFTA_MATCH_INFO.
const XT_INFO: u16 = 3;

/// The name, and the attributes.
pub(super) type Expression<'a> = (&'a str, &'a [u8]);

/// Whether it lets every packet go on to the next one.
pub(super) fn is_no_condition(expression: &Expression<'_>) -> bool {
    let (name, data) = expression;
    let harmless = ["counter", "log", "immediate", "reject", "target"].contains(name);
    harmless || (*name == "match" && xt_name(data) == Some("comment"))
}

/// What a comparison for equality compares with.
pub(super) fn compared(data: &[u8]) -> Option<&[u8]> {
    big_endian(find(data, CMP_OP)?).filter(|operator| *operator == 0)?;
    find(find(data, CMP_DATA)?, DATA_VALUE)
}

/// What part of iptables it holds.
pub(super) fn xt_name(data: &[u8]) -> Option<&str> {
    find(data, XT_NAME).map(name)
}

/// The parameters of a part of iptables.
pub(super) fn xt_info(data: &[u8]) -> Option<&[u8]> {
    find(data, XT_INFO)
}
