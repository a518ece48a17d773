//! Chains of others as they read back from nf_tables (include/uapi/linux/netfilter/nf_tables.h), as far as it takes to
//! know whether they stop everything that they do not know.
//!
//! All chains are dumped once, and of the rules only those of base chains and of what these jump to without a
//! condition. Sets are not read: a host may have some of a hundred thousand elements. Of many rules that say the same as far as
//! that goes, the first is kept. What was read is [remembered](super::known_rulesets).

use super::accepts;
use super::expression::{Expression, compared, is_no_condition, xt_info, xt_name};
use super::foreign_chains::{Base, Chains, DeviceChain, LikeIptables, Rule, Verdict};
use super::known_rulesets::KnownRulesets;
use super::netlink_socket::NetlinkSocket;
use crate::attributes::{attributes, big_endian, find, name, native, text, word};
use crate::error::Result;
use crate::model::gate::{DOCKER_USER, Direction, Hook, Stop};
use crate::model::tap::{Layer, Tap, TapHook};
use crate::model::{nft, numbers};
use crate::nft::numbers::{
    ACCEPT, CHAIN_HOOK, CHAIN_NAME, CHAIN_POLICY, DATA_VERDICT, DROP, EXPRESSION_DATA, EXPRESSION_NAME,
    GET_CHAIN, GET_FLOWTABLE, GET_RULE, GET_TABLE, GOTO, HOOK_NUMBER, IMMEDIATE_DATA, JUMP, LOOKUP_DREG,
    META_IIFGROUP, META_KEY, META_OIFGROUP, RETURN, RULE_CHAIN, RULE_EXPRESSIONS, TABLE_FLAGS, TABLE_NAME,
    TABLE_OWNER, VERDICT_CHAIN, VERDICT_CODE,
};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashSet};

/// NFTA_HOOK_DEV, NFTA_HOOK_DEVS, NFTA_DEVICE_PREFIX.
const HOOK_DEVICE: u16 = 3;
const HOOK_DEVICES: u16 = 4;
const DEVICE_PREFIX: u16 = 2;
/// NFTA_FLOWTABLE_NAME, NFTA_FLOWTABLE_HOOK, NFTA_FLOWTABLE_HOOK_DEVS.
const FLOWTABLE_NAME: u16 = 2;
const FLOWTABLE_HOOK: u16 = 3;
const FLOWTABLE_DEVICES: u16 = 3;
/// NFTA_RULE_HANDLE, NFTA_RULE_USERDATA.
const RULE_HANDLE: u16 = 3;
const RULE_USERDATA: u16 = 7;
/// NFT_REG_VERDICT.
const VERDICT_REGISTER: u32 = 0;

/// Jumps without a condition are followed so far.
const DEPTH: u8 = 8;

/// What becomes of a packet that no rule with a condition takes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ChainEnd {
    /// The chain that called goes on.
    Return,
    Accept,
    Stop(Stop),
}

/// nf_tables, as others use it.
pub(super) struct Foreign {
    netlink: NetlinkSocket,
    known: RefCell<KnownRulesets>,
}

impl Foreign {
    pub(super) fn open() -> Result<Self> {
        Ok(Self { netlink: NetlinkSocket::for_netfilter()?, known: RefCell::default() })
    }

    /// Makes a look at it. `keeps`: what was read may be kept for other runs.
    pub(super) fn look<T>(&self, keeps: bool, look: impl FnOnce() -> Result<T>) -> Result<T> {
        self.known.borrow_mut().begin(&self.netlink)?;
        let out = look()?;
        let has_owners = self.has_owners()?;
        self.known.borrow_mut().end(&self.netlink, has_owners, keeps)?;
        Ok(out)
    }

    /// A transaction of this run changed elements of our own table, and nothing else.
    pub(super) fn note_change(&mut self) {
        self.known.get_mut().note_change();
    }

    /// The base chains of all families.
    pub(super) fn chains(&self) -> Result<Chains> {
        if let Some(known) = &self.known.borrow().chains {
            return Ok(known.clone());
        }
        let read = |family, row: &[u8]| Some((base(family, row), device_chain(family, row)));
        let rows = self.netlink.dump_each(GET_CHAIN, 0, &[], || read)?.unwrap_or_default();
        let mut known = self.known.borrow_mut();
        known.read += rows.len();
        let (bases, edges): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let chains = Chains {
            bases: bases.into_iter().flatten().collect(),
            edges: edges.into_iter().flatten().collect(),
        };
        known.note_chains(&chains);
        Ok(chains)
    }

    /// Tables of flows that pass from device to device without any chain. A kernel without that has none.
    pub(super) fn flowtables(&self) -> Vec<Tap> {
        let read = || flowtable;
        self.netlink.dump_each(GET_FLOWTABLE, 0, &[], read).ok().flatten().unwrap_or_default()
    }

    /// The rules of a chain; none where there is no such chain. Those that say the same as one before are left out.
    pub(super) fn rules(&self, family: u8, table: &str, chain: &str) -> Result<Vec<Rule>> {
        if let Some(known) = self.known.borrow().rules(family, table, chain) {
            return Ok(known);
        }
        let of = [text(TABLE_NAME, table), text(RULE_CHAIN, chain)].concat();
        // The kernel selects; one that does not know how gives the rules of all chains.
        let is_named = |row: &[u8], kind, wanted: &str| find(row, kind).map(name) == Some(wanted);
        let count = Cell::new(0);
        let begin = || {
            let mut said = HashSet::new();
            let count = &count;
            move |_, row: &[u8]| {
                count.set(count.get() + 1);
                let is_of_chain = is_named(row, TABLE_NAME, table) && is_named(row, RULE_CHAIN, chain);
                let rule = is_of_chain.then(|| rule(row))?;
                // Each rule of ours counts.
                let is_new = said.insert(Rule { handle: 0, ..rule.clone() }) || rule.pass.is_some();
                is_new.then_some(rule)
            }
        };
        let rules = self.netlink.dump_each(GET_RULE, family, &of, begin)?.unwrap_or_default();
        let mut known = self.known.borrow_mut();
        known.read += count.get();
        known.note_rules(family, table, chain, &rules);
        Ok(rules)
    }

    /// Whether some table has an owner.
    fn has_owners(&self) -> Result<bool> {
        let read = |_, row: &[u8]| find(row, TABLE_FLAGS).and_then(big_endian);
        let flags = self.netlink.dump_each(GET_TABLE, 0, &[], || read)?.unwrap_or_default();
        Ok(flags.iter().any(|flags| flags & TABLE_OWNER != 0))
    }

    /// Whether only the program that made the table may change it.
    pub(super) fn is_owned(&self, family: u8, table: &str) -> Result<bool> {
        let row = self.netlink.get(GET_TABLE, family, &text(TABLE_NAME, table))?;
        let flags = row.as_deref().and_then(|row| big_endian(find(row, TABLE_FLAGS)?));
        Ok(flags.is_some_and(|flags| flags & TABLE_OWNER != 0))
    }

    /// What stops everything that a base chain does not know, if anything does.
    pub(super) fn find_stop(&self, base: &Base, rules: &[Rule]) -> Result<Option<Stop>> {
        Ok(match self.end_of(base, &base.name, rules, DEPTH)? {
            ChainEnd::Stop(stop) => Some(stop),
            ChainEnd::Accept => None,
            ChainEnd::Return => base.drops.then_some(Stop::Policy),
        })
    }

    /// Whether a base chain accepts neighbour discovery from everybody, as far as that is known: what a map leads to is not.
    pub(super) fn accepts_neighbours(&self, base: &Base, rules: &[Rule]) -> Result<bool> {
        self.accepts_neighbours_within(base, rules, DEPTH)
    }

    fn accepts_neighbours_within(&self, base: &Base, rules: &[Rule], depth: u8) -> Result<bool> {
        for rule in rules.iter().filter(|rule| rule.for_neighbours) {
            match &rule.verdict {
                Verdict::Accept | Verdict::Map => return Ok(true),
                Verdict::Stop | Verdict::Return => return Ok(false),
                Verdict::Jump(to) | Verdict::Goto(to) if depth > 0 => {
                    let inner = self.rules(base.family, &base.table, to)?;
                    if self.accepts_neighbours_within(base, &inner, depth - 1)? {
                        return Ok(true);
                    }
                }
                Verdict::Jump(_) | Verdict::Goto(_) | Verdict::Next => {}
            }
        }
        Ok(false)
    }

    fn end_of(&self, base: &Base, chain: &str, rules: &[Rule], depth: u8) -> Result<ChainEnd> {
        for rule in rules.iter().filter(|rule| rule.always) {
            let stop = || Stop::Rule { chain: chain.to_owned(), handle: rule.handle };
            match &rule.verdict {
                Verdict::Accept => return Ok(ChainEnd::Accept),
                Verdict::Stop => return Ok(ChainEnd::Stop(stop())),
                Verdict::Return => return Ok(ChainEnd::Return),
                Verdict::Jump(to) | Verdict::Goto(to) if depth > 0 => {
                    let inner = self.rules(base.family, &base.table, to)?;
                    match self.end_of(base, to, &inner, depth - 1)? {
                        ChainEnd::Return if matches!(rule.verdict, Verdict::Jump(_)) => {}
                        end => return Ok(end),
                    }
                }
                Verdict::Next | Verdict::Jump(_) | Verdict::Goto(_) | Verdict::Map => {}
            }
        }
        Ok(ChainEnd::Return)
    }
}

/// Whether a chain is kept by iptables: some rules have parts that only iptables uses; or all of them count, which says
/// nothing on a host without it.
pub(super) fn is_of_iptables(base: &Base, rules: &[Rule], is_here: impl Fn() -> bool) -> bool {
    let family = [libc::NFPROTO_IPV4, libc::NFPROTO_IPV6].contains(&i32::from(base.family));
    let tables = ["filter", "mangle", "security", "raw", "nat"];
    let chains = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];
    let named = tables.contains(&base.table.as_str()) && chains.contains(&base.name.as_str());
    let counted = || rules.iter().all(|rule| rule.like_iptables != LikeIptables::No) && is_here();
    family && named && (rules.iter().any(|rule| rule.like_iptables == LikeIptables::Surely) || counted())
}

/// Whether every packet goes by the chain that Docker keeps for rules of others.
pub(super) fn asks_docker_user(rules: &[Rule]) -> bool {
    rules.iter().any(|rule| rule.always && rule.verdict == Verdict::Jump(DOCKER_USER.into()))
}

/// A chain on a device, or of frames that the host itself sends or gets.
fn device_chain(family: u8, row: &[u8]) -> Option<DeviceChain> {
    let hook = find(row, CHAIN_HOOK)?;
    let (layer, side) = match (i32::from(family), big_endian(find(hook, HOOK_NUMBER)?)?) {
        (libc::NFPROTO_NETDEV, 0) => (Layer::Netdev, TapHook::Ingress),
        (libc::NFPROTO_NETDEV, 1) => (Layer::Netdev, TapHook::Egress),
        (libc::NFPROTO_INET, 5) => (Layer::Inet, TapHook::Ingress),
        (libc::NFPROTO_ARP, 0) => (Layer::Arp, TapHook::Ingress),
        (libc::NFPROTO_ARP, 1) => (Layer::Arp, TapHook::Egress),
        (libc::NFPROTO_BRIDGE, 0 | 1) => (Layer::Bridge, TapHook::Ingress),
        (libc::NFPROTO_BRIDGE, 3 | 4) => (Layer::Bridge, TapHook::Egress),
        _ => return None,
    };
    let drops = find(row, CHAIN_POLICY).and_then(big_endian) == Some(0);
    let (table, name) = (word(find(row, TABLE_NAME)?), word(find(row, CHAIN_NAME)?));
    Some(DeviceChain { family, layer, table, name, side, devices: devices(hook), drops })
}

/// The devices of a hook: one, or a list, in which a name may be the beginning of some.
fn devices(hook: &[u8]) -> BTreeSet<String> {
    let one = find(hook, HOOK_DEVICE).map(word);
    let listed = attributes(find(hook, HOOK_DEVICES).unwrap_or_default());
    let listed = listed.map(|(kind, name)| if kind == DEVICE_PREFIX { word(name) + "*" } else { word(name) });
    one.into_iter().chain(listed).collect()
}

fn flowtable(family: u8, row: &[u8]) -> Option<Tap> {
    let family = match i32::from(family) {
        libc::NFPROTO_INET => "inet",
        libc::NFPROTO_IPV4 => "ip",
        libc::NFPROTO_IPV6 => "ip6",
        _ => return None,
    };
    let listed = attributes(find(find(row, FLOWTABLE_HOOK)?, FLOWTABLE_DEVICES)?);
    Some(Tap::Flowtable {
        family: family.into(),
        table: word(find(row, TABLE_NAME)?),
        name: word(find(row, FLOWTABLE_NAME)?),
        devices: listed.map(|(_, name)| word(name)).collect(),
    })
}

fn base(family: u8, row: &[u8]) -> Option<Base> {
    let kinds = [libc::NFPROTO_INET, libc::NFPROTO_IPV4, libc::NFPROTO_IPV6];
    let hook = match big_endian(find(find(row, CHAIN_HOOK)?, HOOK_NUMBER)?)? {
        0 => Hook::Prerouting,
        1 => Hook::Input,
        2 => Hook::Forward,
        3 => Hook::Output,
        4 => Hook::Postrouting,
        _ => return None,
    };
    let table = word(find(row, TABLE_NAME)?);
    let ours = i32::from(family) == libc::NFPROTO_INET && table == nft::TABLE;
    if ours || !kinds.contains(&i32::from(family)) {
        return None;
    }
    let drops = find(row, CHAIN_POLICY).and_then(big_endian) == Some(0);
    Some(Base { family, table, name: word(find(row, CHAIN_NAME)?), hook, drops })
}

fn rule(row: &[u8]) -> Rule {
    let list = find(row, RULE_EXPRESSIONS).unwrap_or_default();
    let expressions: Vec<Expression<'_>> = attributes(list)
        .filter_map(|(_, one)| {
            Some((name(find(one, EXPRESSION_NAME)?), find(one, EXPRESSION_DATA).unwrap_or_default()))
        })
        .collect();
    let mut verdicts = expressions.iter().filter_map(|(name, data)| verdict(name, data));
    let verdict = verdicts.next_back().unwrap_or(Verdict::Next);
    let comment =
        find(row, RULE_USERDATA).and_then(comment).or_else(|| expressions.iter().find_map(xt_comment));
    let accepts = verdict == Verdict::Accept;
    let direction = || direction(&expressions, &comment?).filter(|_| accepts);
    let always = expressions.iter().all(is_no_condition);
    let for_neighbours = accepts::is_for_neighbours(&expressions);
    Rule {
        handle: find(row, RULE_HANDLE)
            .and_then(|value| Some(u64::from_be_bytes(*value.first_chunk()?)))
            .unwrap_or(0),
        always,
        like_iptables: like_iptables(&expressions),
        pass: direction(),
        accepts: if accepts { accepts::read(&expressions) } else { None },
        for_neighbours,
        // No other jump is followed, wherever it leads.
        verdict: if always || for_neighbours { verdict } else { verdict.without_chain() },
    }
}

fn like_iptables(expressions: &[Expression<'_>]) -> LikeIptables {
    let has = |names: &[&str]| expressions.iter().any(|(name, _)| names.contains(name));
    match (has(&["match", "target"]), has(&["counter"])) {
        (true, _) => LikeIptables::Surely,
        (false, true) => LikeIptables::Counts,
        (false, false) => LikeIptables::No,
    }
}

fn verdict(name: &str, data: &[u8]) -> Option<Verdict> {
    match name {
        "reject" => Some(Verdict::Stop),
        "lookup" => (big_endian(find(data, LOOKUP_DREG)?)? == VERDICT_REGISTER).then_some(Verdict::Map),
        "target" => xt_name(data).filter(|name| ["REJECT", "DROP"].contains(name)).map(|_| Verdict::Stop),
        "immediate" => {
            let verdict = find(find(data, IMMEDIATE_DATA)?, DATA_VERDICT)?;
            let to = || find(verdict, VERDICT_CHAIN).map(word).unwrap_or_default();
            match big_endian(find(verdict, VERDICT_CODE)?)?.cast_signed() {
                DROP => Some(Verdict::Stop),
                ACCEPT => Some(Verdict::Accept),
                JUMP => Some(Verdict::Jump(to())),
                GOTO => Some(Verdict::Goto(to())),
                RETURN => Some(Verdict::Return),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Which of our passes a rule is: by its comment, and by our link group in nft's way or in that of iptables.
fn direction(expressions: &[Expression<'_>], comment: &str) -> Option<Direction> {
    let of_group = group(expressions)?;
    let is = |direction: &Direction| {
        (*direction == Direction::In) == (of_group == Direction::In) && direction.comment() == comment
    };
    Direction::ALL.into_iter().find(is)
}

/// Whether a rule matches only what is from our links, or to them. iptables writes a protocol before that.
fn group(expressions: &[Expression<'_>]) -> Option<Direction> {
    let pair = |pair: &[Expression<'_>]| match pair {
        [(meta, key), (cmp, group)] if *meta == "meta" && *cmp == "cmp" => {
            let value = compared(group).and_then(native);
            value.filter(|group| *group == numbers::LINK_GROUP)?;
            match big_endian(find(key, META_KEY)?)? {
                META_IIFGROUP => Some(Direction::Out),
                META_OIFGROUP => Some(Direction::In),
                _ => None,
            }
        }
        _ => None,
    };
    let xt = |(name, data): &Expression<'_>| {
        let is = *name == "match" && xt_name(data) == Some("devgroup");
        if is { devgroup(xt_info(data)?) } else { None }
    };
    expressions.windows(2).find_map(pair).or_else(|| expressions.iter().find_map(xt))
}

/// struct xt_devgroup_info: flags, and group and mask of the incoming and of the outgoing device
/// (include/uapi/linux/netfilter/xt_devgroup.h).
fn devgroup(info: &[u8]) -> Option<Direction> {
    let at = |place: usize| info.get(place * 4..).and_then(native);
    match at(0)? {
        1 if at(1)? == numbers::LINK_GROUP => Some(Direction::Out),
        4 if at(3)? == numbers::LINK_GROUP => Some(Direction::In),
        _ => None,
    }
}

/// nft's comment: type 0, length, text with its zero byte (NFTNL_UDATA_RULE_COMMENT of libnftnl).
fn comment(userdata: &[u8]) -> Option<String> {
    userdata.starts_with(&[0]).then(|| userdata.get(2..).map(word))?
}

fn xt_comment(expression: &Expression<'_>) -> Option<String> {
    let (name, data) = expression;
    let is = *name == "match" && xt_name(data) == Some("comment");
    if is { xt_info(data).map(word) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::nested;

    /// As nf_tables_fill_flowtable_info (net/netfilter/nf_tables_api.c) writes one.
    #[test]
    fn a_table_of_flows() {
        let devices = nested(FLOWTABLE_DEVICES, &[text(1, "enp3s0"), text(1, "br0")].concat());
        let hook = nested(FLOWTABLE_HOOK, &[text(1, "\0\0\0"), devices].concat());
        let row = [text(TABLE_NAME, "fast"), text(FLOWTABLE_NAME, "f"), hook].concat();
        let inet = u8::try_from(libc::NFPROTO_INET).unwrap();
        let read = flowtable(inet, &row);
        let devices = BTreeSet::from(["br0".into(), "enp3s0".into()]);
        let (family, table, name) = ("inet".into(), "fast".into(), "f".into());
        assert_eq!(read, Some(Tap::Flowtable { family, table, name, devices }));
    }
}
