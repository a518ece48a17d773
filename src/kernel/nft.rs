//! Our nft table: loading the skeleton, changing elements, reading back.
//!
//! `nft` is started once a transaction, with its errors captured. Elements are built with the `nftables` crate's
//! types and sent as JSON. The skeleton, and elements that must come in the same transaction with it, are text:
//! the JSON of nft 1.0.6 drops comments and refuses maps with concatenated values (it makes a plain set of them).
//! Listings are read tolerantly, object by object: an expression of another version of nft must not hide ours.

use crate::error::{Context, Error, Result};
use crate::model::{Datum, Element, Set, Table, nft as names};
use crate::plan::element_text;
use crate::skeleton;
use ipnetwork::IpNetwork;
use nftables::batch::Batch;
use nftables::expr::{Expression, NamedExpression, Prefix};
use nftables::schema::{self, NfListObject};
use nftables::types::NfFamily;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where nft may be when PATH has no sbin (cron, for one).
const SBIN: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// Loads the skeleton with these elements, in place of what is there, in one transaction.
pub(super) fn load(mask: u32, replace: bool, elements: &[Element]) -> Result<()> {
    let before = if replace { format!("delete table inet {}\n", names::TABLE) } else { String::new() };
    let text = format!("{before}{}{}\n", skeleton::text(mask), element_text(&[], elements));
    run(&["-f", "-"], &text).map(|_| ())
}

/// Takes our table away.
pub(super) fn remove() -> Result<()> {
    // Adding it first makes the removal of a table that is already gone succeed; nft 1.0.6 has no `destroy`.
    let table = names::TABLE;
    run(&["-f", "-"], &format!("add table inet {table}\ndelete table inet {table}\n")).map(|_| ())
}

/// Removes and adds elements in one transaction.
pub(super) fn change(remove: &[Element], add: &[Element]) -> Result<()> {
    let mut batch = Batch::new();
    for element in remove {
        batch.delete(object(element));
    }
    for element in add {
        batch.add(object(element));
    }
    let json = serde_json::to_string(&batch.to_nftables()).what(|| "nft")?;
    run(&["-j", "-f", "-"], &json).map(|_| ())
}

/// Our table as it reads back.
pub(super) fn observe() -> Result<Table> {
    let listing = match run(&["-j", "list", "table", "inet", names::TABLE], "") {
        Ok(listing) => listing,
        Err(error) if error.to_string().contains("No such file or directory") => return Ok(Table::default()),
        Err(error) => return Err(error),
    };
    let listing: Value = serde_json::from_str(&listing).what(|| "read nft's listing")?;
    let objects = listing.get("nftables").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut out = Table { exists: true, ..Table::default() };
    let mut rules = String::new();
    for object in objects.iter().filter_map(Value::as_object).flat_map(|object| object.iter()) {
        match (object.0.as_str(), object.1) {
            ("set" | "map", set) => read_set(&mut out, set),
            ("chain" | "rule", rule) => rules.push_str(&comparable(rule)),
            _ => {}
        }
    }
    out.rules = Some(skeleton::hash(&rules));
    Ok(out)
}

/// A chain or rule without what changes by itself.
fn comparable(rule: &Value) -> String {
    let mut rule = rule.clone();
    if let Some(rule) = rule.as_object_mut() {
        rule.remove("handle");
    }
    rule.to_string()
}

fn read_set(out: &mut Table, set: &Value) {
    let Some(name) = set.get("name").and_then(Value::as_str) else { return };
    if let Some(text) = name.strip_prefix(skeleton::MARKER) {
        out.text = Some(text.into());
    }
    let Some(set_id) = Set::ALL.iter().copied().find(|set| set.name() == name) else { return };
    let elements = set.get("elem").and_then(Value::as_array).into_iter().flatten();
    out.elements.extend(elements.filter_map(|element| read_element(set_id, element)));
}

/// An element of a set is its key; one of a map is `[key, value]`.
fn read_element(set: Set, element: &Value) -> Option<Element> {
    let (key, value) = if set.value().is_empty() {
        (element, None)
    } else {
        let pair = element.as_array()?;
        (pair.first()?, pair.get(1))
    };
    let value = value.map_or(Some(Vec::new()), |value| read_data(set.value(), value))?;
    Some(Element { set, key: read_data(set.key(), key)?, value })
}

fn read_data(kinds: &[names::Kind], value: &Value) -> Option<Vec<Datum>> {
    // An element with a counter or a timeout is wrapped.
    let value = value.pointer("/elem/val").unwrap_or(value);
    match value.get("concat").and_then(Value::as_array) {
        Some(parts) if parts.len() == kinds.len() => {
            kinds.iter().zip(parts).map(|(kind, part)| read_datum(*kind, part)).collect()
        }
        _ => Some(vec![read_datum(*kinds.first()?, value)?]),
    }
}

fn read_datum(kind: names::Kind, value: &Value) -> Option<Datum> {
    let number = || value.as_u64();
    let text = || value.as_str();
    Some(match kind {
        names::Kind::Mark => Datum::Mark(number()?.try_into().ok()?),
        names::Kind::Port => Datum::Port(number()?.try_into().ok()?),
        names::Kind::Protocol => Datum::Protocol(read_protocol(value)?),
        names::Kind::Device => Datum::Device(text()?.into()),
        names::Kind::Address => Datum::Address(text()?.parse().ok()?),
        names::Kind::Network => Datum::Network(read_network(value)?),
    })
}

/// By name where the host has /etc/protocols, else by number.
fn read_protocol(value: &Value) -> Option<u8> {
    match value.as_str() {
        Some("tcp") => Some(6),
        Some("udp") => Some(17),
        Some(number) => number.parse().ok(),
        None => value.as_u64()?.try_into().ok(),
    }
}

fn read_network(value: &Value) -> Option<IpNetwork> {
    let Some(prefix) = value.get("prefix") else { return value.as_str()?.parse().ok() };
    let address = prefix.get("addr")?.as_str()?.parse().ok()?;
    IpNetwork::new(address, prefix.get("len")?.as_u64()?.try_into().ok()?).ok()
}

fn object(element: &Element) -> NfListObject<'static> {
    let key = expression(&element.key);
    let elem =
        if element.value.is_empty() { key } else { Expression::List(vec![key, expression(&element.value)]) };
    NfListObject::Element(schema::Element {
        family: NfFamily::INet,
        table: Cow::Borrowed(names::TABLE),
        name: Cow::Borrowed(element.set.name()),
        elem: Cow::Owned(vec![elem]),
    })
}

fn expression(data: &[Datum]) -> Expression<'static> {
    let text = |text: String| Expression::String(Cow::Owned(text));
    let one = |datum: &Datum| match datum {
        Datum::Mark(mark) => Expression::Number(*mark),
        Datum::Port(port) => Expression::Number(u32::from(*port)),
        Datum::Device(name) => text(name.clone()),
        Datum::Protocol(number) => Expression::Number(u32::from(*number)),
        Datum::Address(ip) => text(ip.to_string()),
        Datum::Network(net) => Expression::Named(NamedExpression::Prefix(Prefix {
            addr: Box::new(text(net.network().to_string())),
            len: net.prefix().into(),
        })),
    };
    match data {
        [only] => one(only),
        several => Expression::Named(NamedExpression::Concat(several.iter().map(one).collect())),
    }
}

/// Whether nft is on this host.
pub(super) fn check() -> Result<()> {
    program().map(|_| ())
}

fn program() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(SBIN.map(PathBuf::from));
    let mut candidates = dirs.filter(|dir| dir.is_absolute()).map(|dir| dir.join("nft"));
    candidates.find(|file| file.is_file()).ok_or_else(|| {
        Error::new("nft", "not found on this host")
            .hint("install the package nftables (apt install nftables)")
    })
}

/// Runs nft, with its standard error in ours.
#[expect(clippy::disallowed_methods, reason = "nft(8) is the one program that nsnat starts by itself")]
fn run(arguments: &[&str], input: &str) -> Result<String> {
    let what = || "nft";
    let mut command = Command::new(program()?);
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().what(what)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A pipe that breaks means that nft has given up: its own words follow.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().what(what)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words: BTreeSet<String> = String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter(|line| line.contains("Error") || line.contains("rror:"))
        .map(str::to_owned)
        .collect();
    let words = if words.is_empty() { output.status.to_string() } else { Vec::from_iter(words).join("; ") };
    Err(Error::new("nft", words))
}
