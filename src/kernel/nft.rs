//! Our nft table: loading the skeleton, changing elements, reading back.
//!
//! `nft` is started once a transaction, with its errors captured (and iptables, see `gates`). Elements are built with
//! the `nftables` crate's types and sent as JSON. The skeleton, and elements that must come in the same transaction
//! with it, are text: the JSON of nft 1.0.6 drops comments and refuses maps with concatenated values (it makes a
//! plain set of them). What is there is read without nft: see `table`.

use crate::error::{Context, Error, Result};
use crate::model::{Datum, Element, nft as names};
use crate::plan::{element_text, forget_text};
use crate::skeleton;
use nftables::batch::Batch;
use nftables::expr::{Expression, NamedExpression, Prefix};
use nftables::schema::{self, NfListObject};
use nftables::types::NfFamily;
use std::borrow::Cow;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
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

/// Forgets what the packets told about a namespace's servers.
pub(super) fn forget_servers(link: &str) -> Result<()> {
    run(&["-f", "-"], &forget_text(link)).map(|_| ())
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
    find("nft").ok_or_else(|| {
        Error::new("nft", "not found on this host")
            .hint("install the package nftables (apt install nftables)")
    })
}

/// A program of the system's.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(SBIN.map(PathBuf::from));
    dirs.filter(|dir| dir.is_absolute()).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Runs nft, with its standard error in ours.
pub(super) fn run(arguments: &[&str], input: &str) -> Result<String> {
    run_program("nft", &program()?, arguments, input)
}

/// Runs a program of the system's, with its standard error in ours.
#[expect(
    clippy::disallowed_methods,
    reason = "nft(8) and iptables(8) are the programs that nsnat starts by itself"
)]
pub(super) fn run_program(name: &str, path: &Path, arguments: &[&str], input: &str) -> Result<String> {
    let what = || name;
    let mut command = Command::new(path);
    // A Ctrl-C is for nsnat, which stops or goes back between two transactions.
    command.process_group(0);
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
    let words: std::collections::BTreeSet<String> = String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter(|line| ["Error", "rror:", "tables"].iter().any(|word| line.contains(word)))
        .map(str::to_owned)
        .collect();
    let words = if words.is_empty() { output.status.to_string() } else { Vec::from_iter(words).join("; ") };
    Err(Error::new(name, words))
}
