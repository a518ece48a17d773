//! Tables of the older iptables, whose rules are known by what `iptables -S` writes: what stops packets in them, and which
//! rules of ours they have.

use crate::model::gate::{Direction, Stop};
use crate::model::numbers;

/// Jumps are followed so far.
const DEPTH: u8 = 8;

/// What `-S` writes for conditions that every question for a neighbour fulfils.
const FOR_NEIGHBOURS: [&str; 4] =
    [" -p ipv6-icmp", " -m icmp6 --icmpv6-type 135", " -m hl --hl-eq 255", " -m icmp6 --icmpv6-type 255"];

/// The rules of a chain, each without the chain's name: `-s 192.0.2.1/32 -j ACCEPT`, after a space.
fn rules<'a>(table: &'a str, chain: &str) -> impl Iterator<Item = &'a str> {
    let start = format!("-A {chain}");
    table
        .lines()
        .filter_map(move |line| line.strip_prefix(start.as_str()).filter(|rest| rest.starts_with(' ')))
}

/// Whether every packet goes from the one chain to the other.
pub(super) fn jumps_to(table: &str, from: &str, to: &str) -> bool {
    rules(table, from).any(|rule| rule.strip_prefix(" -j ") == Some(to))
}

/// A rule without a condition, or the policy.
pub(super) fn find_stop(table: &str, chain: &str) -> Option<Stop> {
    let stops = |rule: &str| [" -j DROP", " -j REJECT"].iter().any(|stop| rule.starts_with(stop));
    let mut numbered = (1..).zip(rules(table, chain));
    match numbered.find(|(_, rule)| stops(rule) || *rule == " -j ACCEPT") {
        Some((_, " -j ACCEPT")) => None,
        Some((handle, _)) => Some(Stop::Rule { chain: chain.into(), handle }),
        None => {
            let policy = format!("-P {chain} DROP");
            table.lines().any(|line| line == policy).then_some(Stop::Policy)
        }
    }
}

/// Whether a chain accepts neighbour discovery from everybody.
pub(super) fn accepts_neighbours(table: &str, chain: &str) -> bool {
    accepts_neighbours_within(table, chain, DEPTH)
}

fn accepts_neighbours_within(table: &str, chain: &str, depth: u8) -> bool {
    for verdict in rules(table, chain).filter_map(verdict_on_neighbours) {
        match verdict {
            "ACCEPT" => return true,
            "DROP" | "REJECT" | "RETURN" => return false,
            chain if depth > 0 && accepts_neighbours_within(table, chain, depth - 1) => return true,
            _ => {}
        }
    }
    false
}

/// What a rule does with questions for a neighbour: its target. None where the rule has a condition that not all of them fulfil.
fn verdict_on_neighbours(rule: &str) -> Option<&str> {
    let mut rest = rule;
    while let Some(after) = FOR_NEIGHBOURS.iter().find_map(|condition| rest.strip_prefix(condition)) {
        rest = after;
    }
    let target = rest.strip_prefix(" -j ").or_else(|| rest.strip_prefix(" -g "))?;
    target.split(' ').next()
}

/// Whether a chain has such a rule of ours.
pub(super) fn has_pass(table: &str, chain: &str, direction: Direction) -> bool {
    let flag = if direction == Direction::In { "dst" } else { "src" };
    let group = format!(" -m devgroup --{flag}-group {:#x} ", numbers::LINK_GROUP);
    let comment = direction.comment();
    let comment = if comment.contains(' ') { format!("\"{comment}\"") } else { comment.to_owned() };
    let end = format!(" -m comment --comment {comment} -j ACCEPT");
    rules(table, chain).any(|rule| rule.contains(&group) && rule.ends_with(&end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As ip6tables-legacy 1.8.9 writes it.
    const TABLE: &str = "-P INPUT DROP
-P FORWARD ACCEPT
-N ICMP
-N LAN
-A INPUT -i eth0 -j LAN
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p ipv6-icmp -j ICMP
-A FORWARD -m devgroup --src-group 0x6e736e -m comment --comment nsnat -j ACCEPT
-A FORWARD -i eth5 -j DROP
-A FORWARD -j REJECT --reject-with icmp6-port-unreachable
-A ICMP -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j ACCEPT
-A ICMP -p ipv6-icmp -m icmp6 --icmpv6-type 135 -m hl --hl-eq 255 -j ACCEPT
-A LAN -j ACCEPT
-A OLD -p ipv6-icmp -m devgroup --src-group 0x6e736e -m icmp6 --icmpv6-type 135 -m comment --comment \"nsnat neighbours\" -j ACCEPT
";

    #[test]
    fn what_stops_and_what_accepts() {
        assert_eq!(find_stop(TABLE, "INPUT"), Some(Stop::Policy));
        assert_eq!(find_stop(TABLE, "FORWARD"), Some(Stop::Rule { chain: "FORWARD".into(), handle: 3 }));
        assert_eq!(find_stop(TABLE, "LAN"), None);
        assert!(accepts_neighbours(TABLE, "INPUT"));
        let without = TABLE.replace("-A INPUT -p ipv6-icmp -j ICMP\n", "");
        assert!(!accepts_neighbours(&without, "INPUT"), "what comes in by eth0 alone gets to LAN");
        assert!(!accepts_neighbours("-A A -j A\n", "A"), "a circle ends");
    }

    #[test]
    fn rules_of_ours() {
        let has = |chain: &str| -> Vec<Direction> {
            Direction::ALL.into_iter().filter(|direction| has_pass(TABLE, chain, *direction)).collect()
        };
        assert_eq!(has("FORWARD"), [Direction::Out]);
        assert_eq!(has("OLD"), [Direction::Neighbours]);
        assert!(has("INPUT").is_empty());
        assert!(jumps_to("-A FORWARD -j DOCKER-USER\n", "FORWARD", "DOCKER-USER"));
    }
}
