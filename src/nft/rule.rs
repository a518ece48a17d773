//! A rule of the skeleton, word by word.

use super::change::{self, Change};
use super::datatype::{self, Datatype};
use super::expression::{self as write, Compare, Load, register};
use super::numbers as n;
use super::selector::{self, Need, Selector};
use super::set::{SetForm, turns};
use std::collections::BTreeMap;

/// The name that the kernel numbers the sets of rules by.
const ANONYMOUS: &str = "__set%d";

/// What a rule is compiled to.
pub(super) struct Rule {
    /// The sets that stand in the rule, with their elements.
    pub(super) sets: Vec<Change>,
    pub(super) expressions: Vec<Vec<u8>>,
}

/// Why a rule cannot be compiled.
pub(super) type Reason = String;

/// Compiles one rule. `sets`: those that are declared. `new_id`: numbers for the sets that stand in rules.
pub(super) fn compile(
    text: &str,
    sets: &BTreeMap<String, SetForm>,
    new_id: &mut dyn FnMut() -> u32,
) -> Result<Rule, Reason> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let rule = Rule { sets: Vec::new(), expressions: Vec::new() };
    let mut compiler = Compiler { rest: &words, sets, new_id, rule, family: None, protocol: None };
    while !compiler.rest.is_empty() {
        compiler.statement()?;
    }
    Ok(compiler.rule)
}

struct Compiler<'a> {
    rest: &'a [&'a str],
    sets: &'a BTreeMap<String, SetForm>,
    new_id: &'a mut dyn FnMut() -> u32,
    rule: Rule,
    /// What the rule has compared so far.
    family: Option<u8>,
    protocol: Option<u8>,
}

/// One part of what is looked up: a selector, and the bits of it that count.
struct Term {
    selector: Selector,
    mask: Option<Vec<u8>>,
}

impl<'a> Compiler<'a> {
    /// Takes these words, if they come next.
    fn take(&mut self, phrase: &str) -> bool {
        let rest = selector::after(phrase, self.rest);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn word(&mut self) -> Result<&'a str, Reason> {
        let (first, rest) = self.rest.split_first().ok_or("the rule ends too early")?;
        self.rest = rest;
        Ok(first)
    }

    fn push(&mut self, expression: Vec<u8>) {
        self.rule.expressions.push(expression);
    }

    fn statement(&mut self) -> Result<(), Reason> {
        let verdicts = [("accept", n::ACCEPT), ("drop", n::DROP), ("return", n::RETURN)];
        let jumps = [("jump", n::JUMP), ("goto", n::GOTO)];
        if let Some((_, code)) = verdicts.iter().find(|(word, _)| self.take(word)) {
            self.push(write::verdict(*code, None));
        } else if let Some((_, code)) = jumps.iter().find(|(word, _)| self.take(word)) {
            let chain = self.word()?;
            self.push(write::verdict(*code, Some(chain)));
        } else if self.take("reject with tcp reset") {
            self.push(write::reject(n::REJECT_TCP_RESET, 0));
        } else if self.take("reject with icmpx admin-prohibited") {
            self.push(write::reject(n::REJECT_ICMPX, n::REJECT_ADMIN_PROHIBITED));
        } else if self.take("masquerade") {
            self.push(write::masquerade());
        } else if self.take("tcp option maxseg size set rt mtu") {
            self.push(write::load(Load::Route(n::ROUTE_TCPMSS), 2, register(0)));
            self.push(write::to_network_order(register(0), 2));
            self.push(write::clamp_segments(register(0)));
        } else {
            return self.setting();
        }
        Ok(())
    }

    /// Statements that write what a map has, or a number.
    fn setting(&mut self) -> Result<(), Reason> {
        if self.take("meta mark set") {
            self.mapped()?;
            self.push(write::set_mark(register(0)));
        } else if self.take("ct mark set") {
            self.mapped()?;
            self.push(write::set_ct(n::CT_MARK, false, register(0)));
        } else if self.take("ct zone set") {
            self.zone(false)?;
        } else if self.take("ct original zone set") {
            self.zone(true)?;
        } else if self.take("dnat") {
            self.nat(true)?;
        } else if self.take("snat") {
            self.nat(false)?;
        } else if self.take("add") {
            self.set_change(false)?;
        } else if self.take("delete") {
            self.set_change(true)?;
        } else {
            return self.comparison();
        }
        Ok(())
    }

    fn zone(&mut self, is_original: bool) -> Result<(), Reason> {
        let zone = value(&datatype::ZONE, self.word()?)?;
        self.push(write::immediate(register(0), &zone));
        self.push(write::set_ct(n::CT_ZONE, is_original, register(0)));
        Ok(())
    }

    /// `dnat ip to …`: an address, something of the packet, or what a map has for it, which may be a port, too.
    fn nat(&mut self, is_destination: bool) -> Result<(), Reason> {
        let (family, address) = if self.take("ip to") {
            (selector::IPV4, &datatype::IPV4)
        } else {
            (selector::IPV6, &datatype::IPV6)
        };
        if family == selector::IPV6 && !self.take("ip6 to") {
            return Err("an address family is missing".into());
        }
        let mut port = None;
        if let Some(literal) = self.rest.first().and_then(|word| address.bytes(word)) {
            self.word()?;
            self.push(write::immediate(register(0), &literal));
        } else if let Some(map) = self.mapped_or_plain()? {
            port = (map.value.len() > 1).then(|| register(address.length));
        }
        self.push(write::nat(is_destination, family, register(0), port));
        Ok(())
    }

    /// Something of the packet, or what a map has for it, in the first register.
    fn mapped_or_plain(&mut self) -> Result<Option<&'a SetForm>, Reason> {
        let terms = self.terms()?;
        if !self.take("map") {
            self.load(&terms, None)?;
            return Ok(None);
        }
        let (name, map) = self.set()?;
        self.load(&terms, Some(map))?;
        self.push(write::value_of(name, register(0), register(0)));
        Ok(Some(map))
    }

    fn mapped(&mut self) -> Result<(), Reason> {
        self.mapped_or_plain().map(|_| ())
    }

    /// `add @SET { … }`.
    fn set_change(&mut self, delete: bool) -> Result<(), Reason> {
        let (name, set) = self.set()?;
        let opened = self.take("{");
        let terms = self.terms()?;
        if !opened || !self.take("}") {
            return Err("braces are missing".into());
        }
        self.load(&terms, Some(set))?;
        self.push(write::change_set(name, register(0), delete));
        Ok(())
    }

    /// A declared set.
    fn set(&mut self) -> Result<(&'a str, &'a SetForm), Reason> {
        let word = self.word()?;
        let name = word.strip_prefix('@').ok_or_else(|| format!("`{word}` is not a set"))?;
        let form = self.sets.get(name).ok_or_else(|| format!("no set is declared as `{name}`"))?;
        Ok((name, form))
    }

    fn terms(&mut self) -> Result<Vec<Term>, Reason> {
        let mut terms = vec![self.term()?];
        while self.take(".") {
            terms.push(self.term()?);
        }
        Ok(terms)
    }

    fn term(&mut self) -> Result<Term, Reason> {
        let (selector, rest) = selector::leading(self.rest)
            .ok_or_else(|| format!("`{}` is not known", self.rest.first().unwrap_or(&"")))?;
        self.rest = rest;
        let mask = if self.take("&") { Some(value(selector.datatype, self.word()?)?) } else { None };
        Ok(Term { selector, mask })
    }

    /// Compares what the terms need, then puts them into registers, one after the other, as the keys of a set are.
    fn load(&mut self, terms: &[Term], set: Option<&SetForm>) -> Result<(), Reason> {
        if set.is_some_and(|set| !set.key.iter().map(|one| one.length).eq(terms.iter().map(Term::length))) {
            return Err("the set's keys are made of something else".into());
        }
        self.need(terms);
        let mut offset = 0;
        for term in terms {
            let (at, datatype) = (register(offset), term.selector.datatype);
            self.push(write::load(term.selector.load, datatype.length, at));
            if let Some(mask) = &term.mask {
                self.push(write::mask(at, mask));
            }
            if set.is_some_and(|set| set.is_interval) && turns(datatype) {
                self.push(write::to_network_order(at, 4));
            }
            offset += datatype.length.next_multiple_of(4);
        }
        Ok(())
    }

    fn need(&mut self, terms: &[Term]) {
        for need in terms.iter().flat_map(|term| term.selector.needs) {
            let (known, key, number) = match *need {
                Need::Family(number) => (&mut self.family, n::META_NFPROTO, number),
                Need::Protocol(number) => (&mut self.protocol, n::META_L4PROTO, number),
            };
            if known.replace(number) != Some(number) {
                self.rule.expressions.push(write::load(Load::Meta(key), 1, register(0)));
                self.rule.expressions.push(write::compare(register(0), Compare::Equal, &[number]));
            }
        }
    }

    fn comparison(&mut self) -> Result<(), Reason> {
        let terms = self.terms()?;
        let operators = [
            ("!=", Compare::NotEqual),
            ("==", Compare::Equal),
            ("<", Compare::Less),
            (">=", Compare::AtLeast),
        ];
        let said = operators.into_iter().find(|(word, _)| self.take(word)).map(|(_, how)| how);
        let how = said.unwrap_or(Compare::Equal);
        if self.rest.first().is_some_and(|word| word.starts_with('@')) {
            let (name, set) = self.set()?;
            self.load(&terms, Some(set))?;
            self.push(write::is_in(name, None, register(0), how == Compare::NotEqual));
            return Ok(());
        }
        let [term] = &terms[..] else { return Err("several values are looked up in a set only".into()) };
        if self.take("{") {
            return self.any_of(term, how == Compare::NotEqual);
        }
        let text = self.word()?;
        if let Some((address, prefix)) = text.split_once('/') {
            return self.network(term, how, address, prefix);
        }
        if self.take("/") {
            let mask = self.word()?;
            return self.bits(term, text, mask);
        }
        self.compare(term, said, how, text)
    }

    fn compare(
        &mut self,
        term: &Term,
        said: Option<Compare>,
        how: Compare,
        text: &str,
    ) -> Result<(), Reason> {
        let datatype = term.selector.datatype;
        let mut bytes = value(datatype, text)?;
        if datatype.is_bits && said.is_none() {
            self.load(std::slice::from_ref(term), None)?;
            self.push(write::mask(register(0), &bytes));
            self.push(write::compare(register(0), Compare::NotEqual, &vec![0; bytes.len()]));
            return Ok(());
        }
        self.need(std::slice::from_ref(term));
        self.push(write::load(term.selector.load, bytes.len(), register(0)));
        if let Some(mask) = &term.mask {
            self.push(write::mask(register(0), mask));
        }
        if [Compare::Less, Compare::AtLeast].contains(&how) && turns(datatype) {
            self.push(write::to_network_order(register(0), 4));
            bytes.reverse();
        }
        self.push(write::compare(register(0), how, &bytes));
        self.remember(term, how, &bytes);
        Ok(())
    }

    /// What is compared once needs no comparison again.
    fn remember(&mut self, term: &Term, how: Compare, bytes: &[u8]) {
        let known = match term.selector.load {
            Load::Meta(n::META_NFPROTO) => &mut self.family,
            Load::Meta(n::META_L4PROTO) => &mut self.protocol,
            _ => return,
        };
        if how == Compare::Equal {
            *known = bytes.first().copied();
        }
    }

    /// `tcp flags syn / syn,ack`: these bits, and of those no others.
    fn bits(&mut self, term: &Term, text: &str, mask: &str) -> Result<(), Reason> {
        let (value, mask) = (value(term.selector.datatype, text)?, value(term.selector.datatype, mask)?);
        self.load(std::slice::from_ref(term), None)?;
        self.push(write::mask(register(0), &mask));
        self.push(write::compare(register(0), Compare::Equal, &value));
        Ok(())
    }

    /// A network whose prefix ends with a byte: the first bytes of the address are compared.
    fn network(&mut self, term: &Term, how: Compare, address: &str, prefix: &str) -> Result<(), Reason> {
        let bits: usize = prefix.parse().map_err(|_| format!("`{prefix}` is not a prefix"))?;
        let address = value(term.selector.datatype, address)?;
        let first = address.get(..bits / 8).filter(|_| bits.is_multiple_of(8));
        let first = first.ok_or_else(|| format!("the prefix /{prefix} does not end with a byte"))?;
        self.need(std::slice::from_ref(term));
        self.push(write::load(term.selector.load, first.len(), register(0)));
        self.push(write::compare(register(0), how, first));
        Ok(())
    }

    /// `{ tcp, udp }`: a set that stands in the rule.
    fn any_of(&mut self, term: &Term, inverted: bool) -> Result<(), Reason> {
        let datatype = term.selector.datatype;
        let mut elements = Vec::new();
        while !self.take("}") {
            let bytes = value(datatype, self.word()?.trim_end_matches(','))?;
            elements.push(super::element::key(&bytes));
        }
        let form = SetForm::anonymous(datatype, u32::try_from(elements.len()).unwrap_or_default());
        let id = (self.new_id)();
        self.rule.sets.push(change::add_set(ANONYMOUS, id, &form));
        let line = "add element (of a rule)".to_owned();
        self.rule.sets.push(change::add_elements(ANONYMOUS, Some(id), &elements, line));
        self.load(std::slice::from_ref(term), None)?;
        self.push(write::is_in(ANONYMOUS, Some(id), register(0), inverted));
        Ok(())
    }
}

impl Term {
    fn length(&self) -> usize {
        self.selector.datatype.length
    }
}

fn value(datatype: &Datatype, text: &str) -> Result<Vec<u8>, Reason> {
    datatype.bytes(text).ok_or_else(|| format!("`{text}` is not a value of {}", datatype.name))
}
