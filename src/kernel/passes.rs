//! Our rules in chains of others: adding them, and taking them out.
//!
//! The program that keeps the chain does it: iptables, or nft(8), which gets its JSON, made of the `nftables` crate's types.

use super::foreign::Foreign;
use super::nft;
use super::other_firewalls::{family, legacy_passes, list};
use crate::error::{Context, Error, Result};
use crate::model::gate::{Chain, Direction, Kind, RuleWriter};
use crate::model::{Pass, dnsaddr, numbers};
use crate::plan::{pass_arguments, pass_program};
use nftables::batch::Batch;
use nftables::expr::{
    CT, Expression, Fib, FibFlag, FibResult, Meta, MetaKey, NamedExpression, Payload, PayloadField, SetItem,
};
use nftables::schema::{self, NfCmd, NfListObject};
use nftables::stmt::{Match, Operator, Statement};
use nftables::types::NfFamily;
use std::borrow::Cow;

/// Adds a pass.
pub(super) fn add(pass: &Pass) -> Result<()> {
    match pass.chain.keeper {
        RuleWriter::Nft => {
            let mut batch = Batch::new();
            batch.add_cmd(NfCmd::Insert(NfListObject::Rule(rule(pass))));
            let json = serde_json::to_string(&batch.to_nftables()).what(|| "nft")?;
            nft::run(&["-j", "-f", "-"], &json).map(|_| ())
        }
        RuleWriter::IptablesNft | RuleWriter::IptablesLegacy => iptables(pass, "-I"),
    }
}

/// Takes a pass out; what is gone already, with its chain or without, needs nothing.
pub(super) fn remove(pass: &Pass, handle: u64) -> Result<()> {
    match pass.chain.keeper {
        RuleWriter::Nft if is_there(pass, handle)? => {
            let Chain { kind, table, name, .. } = &pass.chain;
            // As an argument: an old nft does nothing with what it is to read from a pipe, and does not say so.
            nft::run(&[&format!("delete rule {kind} {table} {name} handle {handle}")], "").map(|_| ())
        }
        RuleWriter::IptablesNft if is_there(pass, handle)? => iptables(pass, "-D"),
        RuleWriter::Nft | RuleWriter::IptablesNft => Ok(()),
        RuleWriter::IptablesLegacy => {
            let rules = list(&pass.chain).unwrap_or_default();
            let there = legacy_passes(&pass.chain, &rules).iter().any(|found| found.pass == *pass);
            if there { iptables(pass, "-D") } else { Ok(()) }
        }
    }
}

/// The rule that lets packets through, as `plan::pass_text` writes it.
fn rule(pass: &Pass) -> schema::Rule<'static> {
    let Chain { kind, table, name, .. } = &pass.chain;
    let family = match kind {
        Kind::Inet => NfFamily::INet,
        Kind::Ip => NfFamily::IP,
        Kind::Ip6 => NfFamily::IP6,
    };
    schema::Rule {
        family,
        table: Cow::Owned(table.clone()),
        chain: Cow::Owned(name.clone()),
        expr: Cow::Owned(statements(pass.direction)),
        comment: Some(Cow::Borrowed(pass.direction.comment())),
        ..schema::Rule::default()
    }
}

fn statements(direction: Direction) -> Vec<Statement<'static>> {
    let key = if direction == Direction::In { MetaKey::Oifgroup } else { MetaKey::Iifgroup };
    let group = NamedExpression::Meta(Meta { key });
    let of_group = equals(group, Expression::Number(numbers::LINK_GROUP));
    let port = |protocol| equals(field(protocol, "dport"), Expression::Number(dnsaddr::PORT.into()));
    let only = match direction {
        Direction::Out | Direction::In => Vec::new(),
        Direction::Onward => vec![onward()],
        Direction::Neighbours => vec![neighbours(&["nd-neighbor-solicit", "nd-neighbor-advert"])],
        Direction::Advertisements => vec![neighbours(&["nd-neighbor-advert"])],
        Direction::Udp => vec![port("udp")],
        Direction::Tcp => vec![port("tcp")],
        Direction::Chosen => chosen().into(),
    };
    std::iter::once(of_group).chain(only).chain([Statement::Accept(None)]).collect()
}

fn chosen() -> [Statement<'static>; 2] {
    let status = NamedExpression::CT(CT { key: Cow::Borrowed("status"), family: None, dir: None });
    let word = |word| Expression::String(Cow::Borrowed(word));
    [equals(field("ip", "daddr"), word("127.0.0.1")), compares(status, word("dnat"), Operator::IN)]
}

fn onward() -> Statement<'static> {
    let kind = Fib { result: FibResult::Type, flags: [FibFlag::Daddr].into() };
    let local = Expression::String(Cow::Borrowed("local"));
    compares(NamedExpression::Fib(kind), local, Operator::NEQ)
}

fn neighbours(types: &[&'static str]) -> Statement<'static> {
    let one = |word: &&'static str| SetItem::Element(Expression::String(Cow::Borrowed(*word)));
    let set = NamedExpression::Set(types.iter().map(one).collect());
    equals(field("icmpv6", "type"), Expression::Named(set))
}

fn field(protocol: &'static str, field: &'static str) -> NamedExpression<'static> {
    let (protocol, field) = (Cow::Borrowed(protocol), Cow::Borrowed(field));
    NamedExpression::Payload(Payload::PayloadField(PayloadField { protocol, field }))
}

fn equals(left: NamedExpression<'static>, right: Expression<'static>) -> Statement<'static> {
    compares(left, right, Operator::EQ)
}

fn compares(left: NamedExpression<'static>, right: Expression<'static>, op: Operator) -> Statement<'static> {
    Statement::Match(Match { left: Expression::Named(left), right, op })
}

/// Whether the rule with that handle is still ours: a table that was loaded anew begins to number again.
fn is_there(pass: &Pass, handle: u64) -> Result<bool> {
    let Chain { kind, table, name, .. } = &pass.chain;
    let rules = Foreign::open()?.rules(family(*kind), table, name)?;
    Ok(rules.iter().any(|rule| rule.handle == handle && rule.pass == Some(pass.direction)))
}

fn iptables(pass: &Pass, verb: &str) -> Result<()> {
    let name = pass_program(&pass.chain);
    let path = nft::find(name).ok_or_else(|| {
        Error::new(name, "not found on this host").hint("install the package iptables (apt install iptables)")
    })?;
    let arguments = pass_arguments(pass, verb);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    nft::run_program(name, &path, &arguments, "").map(|_| ())
}
