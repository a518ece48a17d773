//! Numbers and address blocks: a pure function of what is wanted, of what is up, and of what others use.
//!
//! Names are handled in order, and what is up keeps what it has; so after a reboot everything comes out as
//! before. A number whose mark or table somebody else uses is passed over, and so is a block that overlaps an address
//! or a route of the host, as long as there is another one: at last one is taken that only wider routes overlap.

use crate::config::{Config, Settings};
use crate::model::ownership::OurRules;
use crate::model::stack::overlap;
use crate::model::{Egress, Link, Observed, Route, RouteKind, RuleAction, State, numbers};
use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// An egress has so much of `pool6`.
const SLICE6: u8 = 64;

/// What is used by others, and so cannot be ours.
pub(super) struct TakenNetworks {
    tables: BTreeSet<u32>,
    marks: Vec<(u32, u32)>,
    /// Networks in use: of the host's addresses, and on its links.
    inhabited: Vec<IpNetwork>,
    /// Networks that are routed somewhere. One that is wider than a block of ours says nothing about that block: our
    /// rules come before it.
    routed: Vec<IpNetwork>,
    /// Subnets that the configuration names, up or not: the pool keeps them for their namespaces.
    promised: Vec<Ipv4Network>,
}

impl TakenNetworks {
    /// Looks through the host's rules, routes and addresses.
    pub(super) fn new(observed: &Observed, config: &Config) -> Self {
        let ours = OurRules::of(&observed.state, &observed.host.rules);
        let rules = || observed.host.rules.iter().filter(|rule| !ours.has(rule));
        let looked_up = rules().filter_map(|rule| match rule.action {
            RuleAction::Lookup(table) => Some(table),
            _ => None,
        });
        let routes = || observed.host.routes.iter().filter(|route| !route.is_ours());
        let on_ours = |dev: &str| observed.host.link(dev).is_some_and(Link::is_ours);
        let addresses = observed.host.addresses.iter().filter(|a| !on_ours(&a.dev)).map(|a| a.net);
        // A default route, and the two halves of one by which VPNs outdo it, take what is nobody's in particular.
        let somewhere = |r: &&Route| r.to.prefix() > 1 && !r.dev.as_deref().is_some_and(on_ours);
        let tunnel = |dev: &str| observed.host.link(dev).is_some_and(|link| link.point_to_point);
        let on_link = |r: &&&Route| {
            let beside = r.dev.as_deref().is_some_and(|dev| !tunnel(dev));
            beside && r.kind == RouteKind::Unicast && r.via.is_none()
        };
        let wanted: Vec<&Route> = routes().filter(somewhere).collect();
        Self {
            tables: looked_up.chain(routes().map(|route| route.table)).collect(),
            marks: rules().filter_map(|rule| rule.mark).collect(),
            inhabited: addresses.chain(wanted.iter().filter(on_link).map(|route| route.to)).collect(),
            routed: wanted.iter().map(|route| route.to).collect(),
            promised: config.namespaces.values().filter_map(|n| n.subnet.as_ref()).map(|s| s.value).collect(),
        }
    }

    /// A network of the host that takes a part of `net`, or all of it and nothing else.
    pub(super) fn overlapping(&self, net: IpNetwork) -> Option<IpNetwork> {
        self.is_in_use(net, net.prefix())
    }

    /// A network of the host that shares addresses with `net`.
    pub(super) fn overlaps(&self, net: IpNetwork) -> Option<IpNetwork> {
        self.is_in_use(net, 0)
    }

    /// A network of the host for whose sake `net` is not ours; of those that are only routed, none that is wider than a
    /// block of this prefix length.
    fn is_in_use(&self, net: IpNetwork, block: u8) -> Option<IpNetwork> {
        let routed = self.routed.iter().filter(|other| other.prefix() >= block);
        self.inhabited.iter().chain(routed).find(|other| overlap(net, **other)).copied()
    }

    /// Whether nothing is left of `net`, whatever part of it is tried.
    fn has_all(&self, net: Ipv4Network, choice: Choice) -> bool {
        let routed = self.routed.iter().filter(|_| choice == Choice::Untouched);
        let holds = |other: &IpNetwork| overlap(*other, IpNetwork::V4(net)) && other.prefix() <= net.prefix();
        self.inhabited.iter().chain(routed).any(holds)
    }

    /// Whether a part of a block of the pool can be given away.
    fn leaves(&self, net: Ipv4Network, block: u8) -> bool {
        self.is_in_use(IpNetwork::V4(net), block).is_none()
            && !self.promised.iter().any(|other| other.overlaps(net))
    }

    fn number(&self, number: u32, mask: u32) -> bool {
        let ours = number << mask.trailing_zeros().min(31);
        let same = |(value, theirs): &(u32, u32)| (value ^ ours) & (theirs & mask) == 0 && theirs & mask != 0;
        self.tables.contains(&(numbers::TABLE_BASE + number))
            || self.marks.iter().any(|m| same(m) && m.0 & mask != 0)
    }
}

/// How particular we are about a block.
const CHOICES: [Choice; 2] = [Choice::Untouched, Choice::Narrower];

#[derive(Clone, Copy, PartialEq)]
enum Choice {
    /// Nothing of the host's overlaps it.
    Untouched,
    /// What overlaps it is wider, and only routed somewhere (a VPN's 10.0.0.0/8).
    Narrower,
}

impl Choice {
    /// Prefix length from which on routes count that overlap a block.
    fn counts_from(self, block: u8) -> u8 {
        if self == Self::Untouched { 0 } else { block }
    }
}

/// The lowest free number, and the /64 of `pool6` that goes with it, where that is free.
pub(super) fn number(
    state: &State,
    settings: &Settings,
    taken: &TakenNetworks,
) -> Option<(u32, Option<Ipv6Network>)> {
    let mask = state.mask;
    let highest = (mask >> mask.trailing_zeros().min(31)).min(numbers::MAX_EGRESS);
    let used: BTreeSet<u32> = state.egresses.values().map(|egress| egress.number).collect();
    let free = |n: &u32| !used.contains(n) && !taken.number(*n, mask);
    let pools = settings.pools6();
    let slice = |choice: Choice, pool: Ipv6Network, n: u32| {
        let from = choice.counts_from(SLICE6);
        slice6(pool, n).filter(|net| taken.is_in_use(IpNetwork::V6(*net), from).is_none())
    };
    let chosen =
        |choice, pool| (1..=highest).filter(free).find_map(|n| Some((n, Some(slice(choice, pool, n)?))));
    let both = CHOICES.into_iter().find_map(|choice| pools.iter().find_map(|pool| chosen(choice, *pool)));
    // Where somebody is in all of the pool, there is still IPv4.
    both.or_else(|| (1..=highest).find(free).map(|n| (n, None)))
}

fn slice6(pool: Ipv6Network, number: u32) -> Option<Ipv6Network> {
    let bits = u128::from(pool.network()) | (u128::from(number) << 64);
    Ipv6Network::new(Ipv6Addr::from(bits), SLICE6).ok()
}

/// A free block of this prefix length for a namespace of `egress`, out of its slices, which grow by doubling when they are
/// full.
pub(super) fn subnet(
    state: &mut State,
    key: &str,
    prefix: u8,
    settings: &Settings,
    taken: &TakenNetworks,
) -> Option<Ipv4Network> {
    let used: BTreeSet<Ipv4Network> = state.namespaces.values().map(|namespace| namespace.subnet).collect();
    let egress = state.egresses.get(key)?;
    let free = |slices: &[Ipv4Network]| {
        let blocks =
            slices.iter().flat_map(|slice| blocks_of(*slice, prefix).map(|net| (net, slice.prefix())));
        // Nearly every block that is taken is so by a namespace with that very block.
        let apart = |net: &Ipv4Network| !used.contains(net) && used.iter().all(|other| !net.overlaps(*other));
        let mut left = blocks.filter(|(net, slice)| apart(net) && taken.leaves(*net, *slice));
        left.next().map(|(net, _)| net)
    };
    if let Some(found) = free(&egress.slices) {
        return Some(found);
    }
    let slice = next_slice(state, egress, settings, taken)?;
    let found = free(&[slice]);
    state.egresses.get_mut(key)?.slices.push(slice);
    found
}

/// The next slice of an egress: the first is a /24 (or a sixteenth of a small pool), each further one is twice
/// the one before, so that the number of rules grows with the logarithm of the number of namespaces.
fn next_slice(
    state: &State,
    egress: &Egress,
    settings: &Settings,
    taken: &TakenNetworks,
) -> Option<Ipv4Network> {
    let grown = egress.slices.iter().map(|slice| slice.prefix().saturating_sub(1)).min();
    let mine = || state.egresses.values().flat_map(|egress| egress.slices.iter().copied());
    let own = || {
        state.namespaces.values().filter(|namespace| namespace.own_subnet).map(|namespace| namespace.subnet)
    };
    let apart = |net: &Ipv4Network| mine().chain(own()).all(|other| !net.overlaps(other));
    let out_of = |choice: Choice, pool: Ipv4Network| {
        let first = numbers::SLICE_PREFIX.max(pool.prefix().saturating_add(4)).min(30);
        let wish = grown.unwrap_or(first).max(pool.prefix());
        let free = |net: &Ipv4Network| apart(net) && taken.leaves(*net, choice.counts_from(net.prefix()));
        // A fragmented or nearly full pool gives what it has.
        let mut wished = (wish..=30).filter(|_| !taken.has_all(pool, choice));
        wished.find_map(|prefix| blocks_of(pool, prefix).find(free))
    };
    let pools = settings.pools();
    CHOICES.into_iter().find_map(|choice| pools.iter().find_map(|pool| out_of(choice, *pool)))
}

/// What to know of the blocks that were given away since `before`: that they are not of the first pool, or that a wider
/// route overlaps them.
pub fn unusual_blocks(before: &State, after: &State, config: &Config, observed: &Observed) -> Option<String> {
    let given = |state: &State| -> (BTreeSet<IpNetwork>, BTreeSet<IpNetwork>) {
        let egresses = || state.egresses.values();
        let v4 = egresses().flat_map(|egress| egress.slices.iter().copied().map(IpNetwork::V4));
        (v4.collect(), egresses().filter_map(|egress| egress.slice6).map(IpNetwork::V6).collect())
    };
    let ((old4, old6), (new4, new6)) = (given(before), given(after));
    if new4.is_subset(&old4) && new6.is_subset(&old6) {
        return None;
    }
    let taken = TakenNetworks::new(observed, config);
    let pools4: Vec<_> = config.settings.pools().into_iter().map(IpNetwork::V4).collect();
    let pools6: Vec<_> = config.settings.pools6().into_iter().map(IpNetwork::V6).collect();
    let unusual =
        |new: &BTreeSet<IpNetwork>, old: &BTreeSet<IpNetwork>, pools: &[IpNetwork], setting: &str| {
            new.difference(old)
                .find_map(|block| find_unusual(*block, pools, &taken))
                .map(|why| format!("{why} ({setting} chooses another)"))
        };
    let notes =
        [unusual(&new4, &old4, &pools4, "settings.pool"), unusual(&new6, &old6, &pools6, "settings.pool6")];
    Some(notes.into_iter().flatten().collect::<Vec<_>>().join("; ")).filter(|notes| !notes.is_empty())
}

fn find_unusual(block: IpNetwork, pools: &[IpNetwork], taken: &TakenNetworks) -> Option<String> {
    let first = pools.first()?;
    let pool = pools.iter().find(|pool| overlap(**pool, block))?;
    if pool != first {
        let why = match taken.overlaps(*first) {
            Some(net) => format!("{net} of this host overlaps {first}"),
            None => format!("{first} is full"),
        };
        return Some(format!("addresses are taken from {pool}, because {why}"));
    }
    let net = taken.overlaps(block)?;
    Some(format!(
        "addresses are taken from {block}, although {net} of this host is routed elsewhere, because so is every other block that could be"
    ))
}

/// All aligned blocks of that prefix length in a network.
fn blocks_of(net: Ipv4Network, prefix: u8) -> impl Iterator<Item = Ipv4Network> {
    let size = 1u64 << (32 - u32::from(prefix.min(32)));
    let (first, last) = (u64::from(u32::from(net.network())), u64::from(u32::from(net.broadcast())));
    let starts = (0..).map(move |n| first + n * size).take_while(move |start| start + size - 1 <= last);
    starts.filter_map(move |start| Ipv4Network::new(Ipv4Addr::from(u32::try_from(start).ok()?), prefix).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_a_network() {
        let all = |net: &str, prefix| {
            blocks_of(net.parse().unwrap(), prefix).map(|b| b.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(all("10.0.0.0/29", 30), ["10.0.0.0/30", "10.0.0.4/30"]);
        assert_eq!(all("10.0.0.0/30", 29), [""; 0]);
        assert_eq!(all("255.255.255.252/30", 30), ["255.255.255.252/30"]);
        assert_eq!(blocks_of("0.0.0.0/0".parse().unwrap(), 8).count(), 256);
    }
}
