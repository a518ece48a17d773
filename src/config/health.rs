//! `check`, `prefer` and `last-resort`: whether an uplink lives, which of several is taken, and what else if there is none.

use super::reader::{InvalidValue, Key, Reader, Section, Value, parse_word, quoted};
use super::{Problem, schema};
use crate::model::stack::is_link_local;
use crate::model::{Check, CheckKind, LastResort, Prefer, dnsaddr};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::de::DeValue;

/// The words of `kind`.
const KINDS: [(&str, CheckKind); 5] = [
    ("gateway", CheckKind::Gateway),
    ("ping", CheckKind::Ping),
    ("tcp", CheckKind::Tcp),
    ("dns", CheckKind::Dns),
    ("none", CheckKind::None),
];

/// The words of `prefer`.
const PREFER: [(&str, Prefer); 2] = [("first", Prefer::First), ("sticky", Prefer::Sticky)];

/// The words of `last-resort`.
const LAST_RESORT: [(&str, LastResort); 2] =
    [("unreachable", LastResort::Unreachable), ("main", LastResort::Main)];

/// Units of time, in milliseconds.
const UNITS: [(&str, u64); 3] = [("ms", 1), ("s", 1000), ("m", 60_000)];

/// More than ten questions in a second tell nothing more, and less than one an hour tells nothing in time.
const TIMES: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);

/// How many questions may be counted.
const COUNTS: RangeInclusive<i128> = 1..=1000;

/// Reads `check`: a kind alone, or a table.
pub(super) fn check(reader: &mut Reader<'_>, key: &Key<'_>, value: &Value<'_>) -> Check {
    if let DeValue::String(_) = value.get_ref() {
        let kind = kind(reader, value);
        if kind.asks_host() {
            no_target(reader, value, kind);
        }
        return Check { kind, ..Check::default() };
    }
    if !value.get_ref().is_table() {
        reader.mistyped("`check`", value, "a word or a table", "{ kind = \"gateway\", interval = \"1s\" }");
        return Check::default();
    }
    let Some(section) = reader.section("", key, value, &schema::CHECK) else {
        return Check::default();
    };
    let usual = Check::default();
    let mut count = |name: &str, usual| {
        section.value_of(name).and_then(|value| count(reader, &format!("`{name}`"), value)).unwrap_or(usual)
    };
    let (fail, recover) = (count("fail", usual.fail), count("recover", usual.recover));
    let kind = section.value_of("kind").map_or(usual.kind, |value| kind(reader, value));
    let targets = targets(reader, &section, kind);
    let interval = time(reader, &section, "interval").unwrap_or(usual.interval);
    let timeout = time(reader, &section, "timeout");
    if timeout.is_some_and(|timeout| timeout > interval) {
        too_patient(reader, &section);
    }
    Check { kind, targets, interval, timeout: timeout.unwrap_or(usual.timeout.min(interval)), fail, recover }
}

/// Reads `prefer`.
pub(super) fn prefer(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Prefer> {
    reader.parsed("`prefer`", value, |text| parse_word(text, &PREFER)).map(|located| located.value)
}

/// Reads `last-resort`.
pub(super) fn last_resort(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<LastResort> {
    reader.parsed("`last-resort`", value, |text| parse_word(text, &LAST_RESORT)).map(|located| located.value)
}

fn kind(reader: &mut Reader<'_>, value: &Value<'_>) -> CheckKind {
    let kind = reader.parsed("`check`", value, |text| parse_word(text, &KINDS));
    kind.map(|located| located.value).unwrap_or_default()
}

/// Reads `target`: an address, or several, as its kind needs it.
fn targets(reader: &mut Reader<'_>, section: &Section<'_, '_>, kind: CheckKind) -> Vec<SocketAddr> {
    match (section.value_of("target"), section.value_of("kind")) {
        (Some(value), _) if kind.asks_host() => {
            let values = reader.list("`target`", value);
            let read = |value| reader.parsed("`target`", value, |text| target(text, kind));
            values.into_iter().filter_map(read).map(|located| located.value).collect()
        }
        (None, Some(value)) if kind.asks_host() => {
            no_target(reader, value, kind);
            Vec::new()
        }
        (Some(value), _) => {
            let problem = Problem::at(reader.span_of(value), "this kind of check asks no host");
            reader.report(problem.help("leave `target` out, or choose a kind: `ping`, `tcp`, `dns`"));
            Vec::new()
        }
        (None, _) => Vec::new(),
    }
}

fn no_target(reader: &mut Reader<'_>, value: &Value<'_>, kind: CheckKind) {
    let problem = Problem::at(reader.span_of(value), "this check has no target").label("asks whom?");
    let word = KINDS.iter().find(|(_, known)| *known == kind).map_or("", |(word, _)| word);
    reader.report(problem.help(format!("check = {{ kind = \"{word}\", target = \"{}\" }}", form_of(kind))));
}

/// How a target is written.
fn form_of(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Tcp => "ADDR:PORT",
        _ => "ADDR",
    }
}

/// An address of a host that can be behind an uplink.
fn target(text: &str, kind: CheckKind) -> Result<SocketAddr, InvalidValue> {
    let parsed = match kind {
        CheckKind::Dns => dnsaddr::parse(text).ok(),
        CheckKind::Tcp => text.parse().ok().filter(|target: &SocketAddr| target.port() != 0),
        _ => text.parse().ok().map(|address: IpAddr| SocketAddr::new(address, 0)),
    };
    let Some(target) = parsed else {
        let help = format!("`{}`; IPv6 with a port: `[ADDR]:PORT`", form_of(kind));
        return Err((format!("{} is not the address of a target", quoted(text)), Some(help)));
    };
    let address = target.ip();
    if address.is_loopback() || address.is_unspecified() || address.is_multicast() || is_link_local(address) {
        let help = "name a host behind the uplink, of which you know that it answers".to_owned();
        return Err((format!("{} is behind no uplink", quoted(text)), Some(help)));
    }
    Ok(target)
}

fn count(reader: &mut Reader<'_>, what: &str, value: &Value<'_>) -> Option<u32> {
    let count = reader.integer(what, value)?;
    if COUNTS.contains(&count) {
        return u32::try_from(count).ok();
    }
    let problem = Problem::at(reader.span_of(value), format!("{what} is not a valid number of questions"));
    reader.report(problem.help(format!("from {} to {}", COUNTS.start(), COUNTS.end())));
    None
}

fn time(reader: &mut Reader<'_>, section: &Section<'_, '_>, name: &str) -> Option<Duration> {
    let value = section.value_of(name)?;
    if value.get_ref().is_integer() {
        reader.mistyped(&format!("`{name}`"), value, "a time with its unit", "\"1s\", \"500ms\" or \"2m\"");
        return None;
    }
    reader.parsed(&format!("`{name}`"), value, duration).map(|located| located.value)
}

/// A whole number and its unit.
fn duration(text: &str) -> Result<Duration, InvalidValue> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = UNITS.iter().find(|(name, _)| *name == unit.trim()).map(|(_, length)| *length);
    let Some((number, unit)) = digits.parse::<u64>().ok().zip(unit) else {
        let help = "a whole number and its unit: \"1s\", \"500ms\" or \"2m\"";
        return Err((format!("{} is not a valid time", quoted(text)), Some(help.into())));
    };
    let time = Duration::from_millis(number.saturating_mul(unit));
    if TIMES.contains(&time) {
        return Ok(time);
    }
    Err((format!("{} is too long or too short", quoted(text)), Some("from \"100ms\" to \"60m\"".into())))
}

/// The next question would come before the answer to the one before.
fn too_patient(reader: &mut Reader<'_>, section: &Section<'_, '_>) {
    let Some(timeout) = section.value_of("timeout") else { return };
    let interval = section.value_of("interval").map(|interval| reader.span_of(interval));
    let problem = Problem::at(reader.span_of(timeout), "`timeout` is longer than `interval`")
        .label("still waiting when the next question is due")
        .other(interval, "from one question to the next")
        .help("make it as long as the interval at most (1s where none is given), or leave it out");
    reader.report(problem);
}
