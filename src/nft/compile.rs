//! The skeleton as messages of nf_tables.
//!
//! # Theory of operation
//!
//! nft(8) would read the text, read every ruleset of the host, and send these same messages. That takes milliseconds, an
//! nft that knows all of what the skeleton says (1.0.6 does, 0.9.8 does not), and grows with the rules of others. So
//! nsnat compiles the text itself. It knows as much of nft's language as the skeleton has: declarations of sets, chains,
//! and rules of one line each. A word that it does not know is an error of the whole, and a test compiles the skeleton.
//!
//! The messages are those of nft to the byte, in the same order: the table, the chains, the sets, the rules. nft lists the
//! table as it lists its own, which a test compares.

use super::change::{self, Change, Hook};
use super::rule;
use super::set::SetForm;
use super::skeleton;
use crate::error::{Error, Result};
use crate::model::nft::{TABLE, TableForm};
use std::collections::BTreeMap;

/// The messages that make the table in this form.
pub(super) fn changes(form: TableForm) -> Result<Vec<Change>> {
    compile(&skeleton::text(form))
        .map_err(|(line, reason)| Error::new(format!("nsnat skeleton, line {line}"), reason))
}

/// A line of the text, and what is wrong with it.
type Mistake = (usize, String);

fn compile(text: &str) -> std::result::Result<Vec<Change>, Mistake> {
    let mut compiler = Compiler::default();
    for (number, line) in (1..).zip(text.lines()) {
        compiler.line(line).map_err(|reason| (number, reason))?;
    }
    let Compiler { chains, set_messages, rules, .. } = compiler;
    let mut out = vec![change::add_table()];
    out.extend(chains);
    out.extend(set_messages);
    out.extend(rules);
    Ok(out)
}

#[derive(Default)]
struct Compiler {
    /// What `define` said, longest name first.
    defined: BTreeMap<String, String>,
    sets: BTreeMap<String, SetForm>,
    /// The chain that the lines are of.
    chain: Option<String>,
    ids: u32,
    chains: Vec<Change>,
    set_messages: Vec<Change>,
    rules: Vec<Change>,
}

impl Compiler {
    fn line(&mut self, line: &str) -> std::result::Result<(), String> {
        let line = line.split_once('#').map_or(line, |(before, _)| before).trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [] | ["table", "inet", TABLE, "{"] => {}
            ["}"] => self.chain = None,
            ["define", name, "=", value] => {
                self.defined.insert(format!("${name}"), value.to_owned());
            }
            ["chain", name, "{"] => {
                self.chains.push(change::add_chain(name, None));
                self.chain = Some(name.to_owned());
            }
            ["set" | "map", name, "{", ..] | ["add", "set", "inet", TABLE, name, "{", ..] => {
                self.set(name, line)?;
            }
            _ => self.line_of_chain(line)?,
        }
        Ok(())
    }

    fn set(&mut self, name: &str, line: &str) -> std::result::Result<(), String> {
        let braces = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}'));
        let form = braces.and_then(|(inner, _)| SetForm::read(inner)).ok_or("the set's form is not known")?;
        self.ids += 1;
        self.set_messages.push(change::add_set(name, self.ids, &form));
        self.sets.insert(name.to_owned(), form);
        Ok(())
    }

    fn line_of_chain(&mut self, line: &str) -> std::result::Result<(), String> {
        let chain = self.chain.clone().ok_or("the line is in no chain")?;
        if line.starts_with("type ") {
            let hook = hook(line).ok_or("the chain's hook is not known")?;
            // In place of the one without a hook, which the line before made.
            self.chains.pop();
            self.chains.push(change::add_chain(&chain, Some(&hook)));
            return Ok(());
        }
        let text = line.split(' ').map(|word| self.defined.get(word).map_or(word, String::as_str));
        let text = text.collect::<Vec<_>>().join(" ");
        let ids = &mut self.ids;
        let mut new_id = || {
            *ids += 1;
            *ids
        };
        let rule = rule::compile(&text, &self.sets, &mut new_id)?;
        self.rules.extend(rule.sets);
        self.rules.push(change::add_rule(&chain, &rule.expressions, line));
        Ok(())
    }
}

/// `type filter hook prerouting priority -303; policy accept;`
fn hook(line: &str) -> Option<Hook<'_>> {
    const HOOKS: [&str; 5] = ["prerouting", "input", "forward", "output", "postrouting"];
    let rest = line.strip_prefix("type ")?.strip_suffix("; policy accept;")?;
    let (kind, rest) = rest.split_once(" hook ")?;
    let (hook, priority) = rest.split_once(" priority ")?;
    let number = HOOKS.iter().position(|known| *known == hook)?;
    Some(Hook { kind, number: u32::try_from(number).ok()?, priority: priority.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_skeleton_is_understood_whatever_its_form() {
        for (mask, without_ipsec) in [(0xff00_0000, false), (0x00f0_0000, false), (1, false), (1, true)] {
            let changes = changes(TableForm { mask, without_ipsec }).unwrap();
            let rules =
                changes.iter().filter(|change| change.kind == super::super::numbers::NEW_RULE).count();
            assert_eq!(rules, skeleton::rules(without_ipsec).values().sum::<usize>());
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error_with_its_line() {
        let mistake = |rule: &str| {
            let text = format!("table inet nsnat {{\nset s {{ type mark; }}\nchain c {{\n{rule}\n}}\n}}");
            compile(&text).err()
        };
        assert_eq!(mistake("accept"), None);
        let wrong = [
            ("explode", "`explode` is not known"),
            ("jump", "the rule ends too early"),
            ("meta mark @t accept", "no set is declared as `t`"),
            ("iifname @s accept", "the set's keys are made of something else"),
            ("udp dport domain accept", "`domain` is not a value of inet_service"),
            ("ip daddr 10.0.0.0/9 accept", "the prefix /9 does not end with a byte"),
            ("dnat to 10.0.0.1", "an address family is missing"),
            ("add @s meta mark", "braces are missing"),
        ];
        for (rule, reason) in wrong {
            assert_eq!(mistake(rule), Some((4, reason.to_owned())), "{rule}");
        }
        assert_eq!(compile("accept").err(), Some((1, "the line is in no chain".to_owned())));
    }
}
