//! What the rulesets of others say, as it was read last.
//!
//! # Theory of operation
//!
//! A host may have tens of thousands of rules of others (kube-proxy, lists of countries), and to read them takes longer than all
//! else that a command does. The kernel counts the transactions that change nf_tables in a network namespace. So what was read
//! is kept together with that count for as long as the run lasts, and, where it was much, in a file for the next one. It is
//! what is there now where all of this is the same as then:
//!
//! * the boot of the host, by its number: the count begins anew with each;
//! * the network namespace, by its cookie, which no other one of a boot gets. Where the kernel has none (before Linux 5.14),
//!   nothing is kept;
//! * the count. Transactions of this run that change nothing but elements of our own table are added to it;
//! * and it was not long ago: the count has 32 bits, and it would take a million transactions in each second to come round in
//!   that time.
//!
//! Three things change uncounted. A table that has an owner goes with the owner's socket (`nft_rcv_nl_event` in
//! net/netfilter/nf_tables_api.c): where there is one, nothing is kept. A chain on devices loses them one by one as they go, and
//! they get other names: where there is one, the chains are listed each time. Tables of flows are no part of this.

use super::files;
use super::foreign_chains::{Chains, Rule};
use super::netlink_socket::NetlinkSocket;
use super::table::generation;
use crate::error::Result;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file is made where so many rules and chains were read.
const MUCH: usize = 256;
/// Seconds for which it is taken for true.
const WHILE: i64 = 3600;
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// What was read, and when.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct KnownRulesets {
    /// None: it was read while it changed, or there is no way to tell whether it changed since.
    at: Option<Moment>,
    pub(super) chains: Option<Chains>,
    rules: Vec<RulesOfChain>,
    /// How many rules and chains the kernel told of for this.
    pub(super) read: usize,
    /// Transactions of this run since then.
    #[serde(skip)]
    own: u32,
    /// The file says the same.
    #[serde(skip)]
    is_saved: bool,
}

/// A moment in the life of the rulesets of a network namespace.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Moment {
    boot: String,
    cookie: u64,
    /// The number of the latest transaction.
    generation: u32,
    /// Seconds since the boot.
    time: i64,
}

#[derive(Serialize, Deserialize)]
struct RulesOfChain {
    family: u8,
    table: String,
    chain: String,
    rules: Vec<Rule>,
}

impl Moment {
    /// Now; none where it could not be known again.
    fn now(netlink: &NetlinkSocket) -> Result<Option<Self>> {
        let (Some(cookie), Ok(boot)) = (netlink.cookie(), std::fs::read_to_string(BOOT)) else {
            return Ok(None);
        };
        let Ok(time) = clock_gettime(ClockId::CLOCK_BOOTTIME) else { return Ok(None) };
        let generation = generation(netlink)?;
        let boot = boot.trim().to_owned();
        Ok(generation.map(|generation| Self { boot, cookie, generation, time: time.tv_sec() }))
    }

    /// Whether nobody else has changed anything since this moment.
    fn is_current(&self, now: &Self, own: u32) -> bool {
        let then = Self { generation: self.generation.wrapping_add(own), time: now.time, ..self.clone() };
        then == *now && (0..WHILE).contains(&(now.time - self.time))
    }
}

impl KnownRulesets {
    /// What is known now: this, what the file says, or nothing.
    pub(super) fn begin(&mut self, netlink: &NetlinkSocket) -> Result<()> {
        let Some(now) = Moment::now(netlink)? else {
            *self = Self::default();
            return Ok(());
        };
        let is_current = |known: &Self| known.at.as_ref().is_some_and(|at| at.is_current(&now, known.own));
        if !is_current(self) {
            *self = Self::saved().filter(is_current).unwrap_or_default();
        }
        self.is_saved &= self.own == 0;
        // What is read from now on is of no earlier moment, and what was read before is as true now.
        self.at = Some(now);
        self.own = 0;
        Ok(())
    }

    /// Forgets what may have been read by half. `keeps`: the file is written where it was much.
    pub(super) fn end(&mut self, netlink: &NetlinkSocket, has_owners: bool, keeps: bool) -> Result<()> {
        let now = Moment::now(netlink)?;
        let is_whole = |at: &Moment| now.as_ref().is_some_and(|now| at.is_current(now, 0));
        if has_owners || !self.at.as_ref().is_some_and(is_whole) {
            *self = Self::default();
        }
        if self.chains.as_ref().is_some_and(Chains::are_on_devices) {
            self.chains = None;
        }
        if keeps && self.read > MUCH && !self.is_saved {
            self.save();
        }
        Ok(())
    }

    /// A transaction of this run changed elements of our own table, and nothing else.
    pub(super) fn note_change(&mut self) {
        self.own = self.own.wrapping_add(1);
    }

    pub(super) fn rules(&self, family: u8, table: &str, chain: &str) -> Option<Vec<Rule>> {
        let is_it = |of: &&RulesOfChain| (of.family, &*of.table, &*of.chain) == (family, table, chain);
        self.rules.iter().find(is_it).map(|of| of.rules.clone())
    }

    pub(super) fn note_rules(&mut self, family: u8, table: &str, chain: &str, rules: &[Rule]) {
        let (table, chain) = (table.to_owned(), chain.to_owned());
        self.rules.push(RulesOfChain { family, table, chain, rules: rules.to_vec() });
        self.is_saved = false;
    }

    pub(super) fn note_chains(&mut self, chains: &Chains) {
        self.chains = Some(chains.clone());
        self.is_saved = false;
    }

    fn saved() -> Option<Self> {
        let known = serde_json::from_str(&std::fs::read_to_string(files::RULESETS).ok()?).ok()?;
        Some(Self { is_saved: true, ..known })
    }

    /// Where it cannot be written, the next run reads again.
    fn save(&mut self) {
        let text = serde_json::to_string(self).unwrap_or_default();
        self.is_saved = files::replace(Path::new(files::RULESETS), &text, 0o600).is_ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_moment_is_current() {
        let then = Moment { boot: "a".into(), cookie: 7, generation: 5, time: 100 };
        let later = |change: fn(&mut Moment)| {
            let mut now = Moment { time: 200, ..then.clone() };
            change(&mut now);
            now
        };
        assert!(then.is_current(&later(|_| {}), 0));
        assert!(then.is_current(&later(|now| now.generation = 7), 2), "two transactions of this run");
        let is_current = |change| then.is_current(&later(change), 0);
        assert!(!is_current(|now| now.boot = "b".into()), "another boot");
        assert!(!is_current(|now| now.cookie = 8), "another namespace");
        assert!(!is_current(|now| now.generation = 6), "another transaction");
        assert!(!is_current(|now| now.generation = 4), "an earlier one");
        assert!(!is_current(|now| now.time = 100 + WHILE), "long ago");
        assert!(!is_current(|now| now.time = 99), "the time went back");
        assert!(!then.is_current(&later(|_| {}), 1), "a transaction of this run was not made");
    }
}
