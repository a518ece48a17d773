//! Numbers and address blocks: a pure function of what is wanted, of what is up, and of what others use.
//!
//! Names are handled in order, and what is up keeps what it has; so after a reboot everything comes out as
//! before. A block that overlaps an address or a route of the host is passed over, as is a number whose mark or
//! table somebody else uses.

use super::precedence::{Blocks, is_our_table};
use crate::config::{Config, Settings};
use crate::model::{Egress, Journal, Observed, Route, RuleAction, numbers};
use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// What is used by others, and so cannot be ours.
pub(super) struct Taken {
    tables: BTreeSet<u32>,
    marks: Vec<(u32, u32)>,
    networks: Vec<IpNetwork>,
    /// Subnets that the configuration names, up or not: the pool leaves them to whom they were promised.
    promised: Vec<Ipv4Network>,
}

impl Taken {
    /// Looks through the host's rules, routes and addresses.
    pub(super) fn new(observed: &Observed, config: &Config) -> Self {
        let blocks = Blocks::of(observed);
        let rules = || observed.host.rules.iter().filter(|rule| !blocks.has(rule));
        let looked_up = rules().filter_map(|rule| match rule.action {
            RuleAction::Lookup(table) => Some(table),
            _ => None,
        });
        let routes = || observed.host.routes.iter().filter(|route| !is_our_route(route));
        let ours = |dev: &str| observed.host.link(dev).is_some_and(super::diff::is_our_link);
        let addresses = observed.host.addresses.iter().filter(|a| !ours(&a.dev)).map(|a| a.net);
        // A default route, and the two halves of one by which VPNs outdo it, take what is nobody's in particular.
        let routed_to =
            routes().filter(|r| r.to.prefix() > 1 && !r.dev.as_deref().is_some_and(ours)).map(|r| r.to);
        Self {
            tables: looked_up.chain(routes().map(|route| route.table)).collect(),
            marks: rules().filter_map(|rule| rule.mark).collect(),
            networks: addresses.chain(routed_to).collect(),
            promised: config.namespaces.values().filter_map(|n| n.subnet.as_ref()).map(|s| s.value).collect(),
        }
    }

    /// A network of the host that overlaps `net`.
    pub(super) fn overlaps(&self, net: IpNetwork) -> Option<IpNetwork> {
        let overlap = |other: &&IpNetwork| overlap(net, **other);
        self.networks.iter().find(overlap).copied()
    }

    /// Whether a block of the pool can be given away.
    fn leaves(&self, net: Ipv4Network) -> bool {
        self.overlaps(IpNetwork::V4(net)).is_none() && !self.promised.iter().any(|other| other.overlaps(net))
    }

    fn number(&self, number: u32, mask: u32) -> bool {
        let ours = number << mask.trailing_zeros().min(31);
        let same = |(value, theirs): &(u32, u32)| (value ^ ours) & (theirs & mask) == 0 && theirs & mask != 0;
        self.tables.contains(&(numbers::TABLE_BASE + number))
            || self.marks.iter().any(|m| same(m) && m.0 & mask != 0)
    }
}

fn is_our_route(route: &Route) -> bool {
    is_our_table(route.table) && route.protocol == numbers::HOST_PROTOCOL
}

/// Whether two networks share an address.
pub(super) fn overlap(a: IpNetwork, b: IpNetwork) -> bool {
    match (a, b) {
        (IpNetwork::V4(a), IpNetwork::V4(b)) => a.overlaps(b),
        (IpNetwork::V6(a), IpNetwork::V6(b)) => a.overlaps(b),
        _ => false,
    }
}

/// The lowest free number, and the /64 of `pool6` that goes with it, where that is free.
pub(super) fn number(
    journal: &Journal,
    settings: &Settings,
    taken: &Taken,
) -> Option<(u32, Option<Ipv6Network>)> {
    let mask = journal.mask;
    let highest = (mask >> mask.trailing_zeros().min(31)).min(numbers::MAX_EGRESS);
    let used: BTreeSet<u32> = journal.egresses.values().map(|egress| egress.number).collect();
    let free = |n: &u32| !used.contains(n) && !taken.number(*n, mask);
    let slice = |n: u32| slice6(settings, n).filter(|net| taken.overlaps(IpNetwork::V6(*net)).is_none());
    let both = (1..=highest).filter(free).find_map(|n| slice(n).map(|net| (n, Some(net))));
    // Where somebody routes all of the pool elsewhere, there is still IPv4.
    both.or_else(|| (1..=highest).find(free).map(|n| (n, None)))
}

fn slice6(settings: &Settings, number: u32) -> Option<Ipv6Network> {
    let pool = settings.pool6.value;
    let bits = u128::from(pool.network()) | (u128::from(number) << 64);
    Ipv6Network::new(Ipv6Addr::from(bits), 64).ok()
}

/// A free /30 for a member of `egress`, out of its slices, which grow by doubling when they are full.
pub(super) fn subnet(
    journal: &mut Journal,
    key: &str,
    settings: &Settings,
    taken: &Taken,
) -> Option<Ipv4Network> {
    let used: BTreeSet<Ipv4Network> = journal.members.values().map(|member| member.subnet).collect();
    let egress = journal.egresses.get(key)?;
    let free = |slices: &[Ipv4Network]| {
        let blocks = slices.iter().flat_map(|slice| blocks(*slice, 30));
        blocks.into_iter().find(|net| {
            let apart = |other: &Ipv4Network| !net.overlaps(*other);
            used.iter().all(apart) && taken.leaves(*net)
        })
    };
    if let Some(found) = free(&egress.slices) {
        return Some(found);
    }
    let slice = next_slice(journal, egress, settings, taken)?;
    let found = free(&[slice]);
    journal.egresses.get_mut(key)?.slices.push(slice);
    found
}

/// The next slice of an egress: the first is a /24 (or a sixteenth of a small pool), each further one is twice
/// the one before, so that the number of rules grows with the logarithm of the number of namespaces.
fn next_slice(journal: &Journal, egress: &Egress, settings: &Settings, taken: &Taken) -> Option<Ipv4Network> {
    let pool = settings.pool.value;
    let first = numbers::SLICE_PREFIX.max(pool.prefix().saturating_add(4)).min(30);
    let grown = egress.slices.iter().map(|slice| slice.prefix().saturating_sub(1)).min();
    let wish = grown.unwrap_or(first).max(pool.prefix());
    let mine = || journal.egresses.values().flat_map(|egress| egress.slices.iter().copied());
    let own = || journal.members.values().filter(|member| member.own_subnet).map(|member| member.subnet);
    let free =
        |net: &Ipv4Network| mine().chain(own()).all(|other| !net.overlaps(other)) && taken.leaves(*net);
    // A fragmented or nearly full pool gives what it has.
    (wish..=30).find_map(|prefix| blocks(pool, prefix).find(free))
}

/// All aligned blocks of that prefix length in a network.
fn blocks(net: Ipv4Network, prefix: u8) -> impl Iterator<Item = Ipv4Network> {
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
            blocks(net.parse().unwrap(), prefix).map(|b| b.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(all("10.0.0.0/29", 30), ["10.0.0.0/30", "10.0.0.4/30"]);
        assert_eq!(all("10.0.0.0/30", 29), [""; 0]);
        assert_eq!(all("255.255.255.252/30", 30), ["255.255.255.252/30"]);
        assert_eq!(blocks("0.0.0.0/0".parse().unwrap(), 8).count(), 256);
    }
}
