//! `[settings]`: pools and numbers.

use super::reader::{Key, Reader, Value, quoted};
use super::{Located, Problem, Settings, Span, net, schema};
use crate::model::numbers;
use std::collections::BTreeMap;

/// Fewest and most bits of a mask: 2 are 3 ways out, and 8 are the 255 of [`numbers::MAX_EGRESS`].
const BITS: std::ops::RangeInclusive<u32> = 2..=8;

/// The settings of all files.
#[derive(Default)]
pub(super) struct CollectedSettings {
    /// What was set.
    pub(super) settings: Settings,
    first: BTreeMap<&'static str, Span>,
}

impl CollectedSettings {
    /// Reads one file's `[settings]`.
    pub(super) fn read(&mut self, reader: &mut Reader<'_>, key: &Key<'_>, value: &Value<'_>) {
        let Some(section) = reader.section("", key, value, &schema::SETTINGS) else { return };
        for name in schema::SETTINGS.keys.iter().copied() {
            if let (Some(key), Some(value)) = (section.key(name), section.value_of(name)) {
                self.check_set_once(reader, name, key);
                self.set(reader, name, value);
            }
        }
    }

    fn set(&mut self, reader: &mut Reader<'_>, name: &str, value: &Value<'_>) {
        let settings = &mut self.settings;
        match name {
            "pool" => replace_if_read(&mut settings.pool, reader.parsed("`pool`", value, net::pool)),
            "pool6" => replace_if_read(&mut settings.pool6, reader.parsed("`pool6`", value, net::pool6)),
            _ => replace_if_read(&mut settings.fwmark_mask, mask(reader, value)),
        }
    }

    /// Two files that set the same thing would leave people guessing which one holds.
    fn check_set_once(&mut self, reader: &mut Reader<'_>, name: &'static str, key: &Key<'_>) {
        match self.first.get(name) {
            Some(first) => {
                let problem = Problem::at(reader.span_of(key), format!("`{name}` is set twice"))
                    .label("again")
                    .other(first.clone(), "the first time")
                    .help("keep one of them");
                reader.report(problem);
            }
            None => {
                self.first.insert(name, reader.span_of(key));
            }
        }
    }
}

fn replace_if_read<T>(setting: &mut Located<T>, read: Option<Located<T>>) {
    if let Some(read) = read {
        *setting = read;
    }
}

/// `fwmark-mask`: a hex text, or a number.
fn mask(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Located<u32>> {
    let (bits, shown) = if value.get_ref().is_integer() {
        let number = reader.integer("`fwmark-mask`", value)?;
        (u32::try_from(number).ok(), format!("{number:#x}"))
    } else {
        let text = reader.text("`fwmark-mask`", value)?;
        (hexadecimal(text), quoted(text))
    };
    if let Some(mask) = bits.filter(|mask| is_mask(*mask)) {
        return Some(reader.located(mask, value));
    }
    let problem = Problem::at(reader.span_of(value), format!("{shown} is not a valid mask for packet marks"));
    let help = format!(
        "{} to {} adjacent bits of 32, as in \"{:#x}\"",
        BITS.start(),
        BITS.end(),
        numbers::FWMARK_MASK
    );
    reader.report(problem.help(help));
    None
}

/// `0x…`, with underscores for the eye.
fn hexadecimal(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x")?.replace('_', "");
    // from_str_radix would take a sign.
    if digits.starts_with(['+', '-']) { None } else { u32::from_str_radix(&digits, 16).ok() }
}

/// The right number of ones, side by side.
fn is_mask(mask: u32) -> bool {
    let ones = mask.count_ones();
    BITS.contains(&ones) && mask.leading_zeros() + ones + mask.trailing_zeros() == u32::BITS
}
