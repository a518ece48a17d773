//! IPsec policies of others, and ours before them.
//!
//! # Theory of operation
//!
//! A VPN without a device (strongSwan, libreswan) is a list of policies. The kernel asks them for every packet that it
//! forwards (out, as the packet is then and once more after masquerade, when it has the host's address; and fwd, by the
//! addresses that it came in with), and for what it takes for itself (in). One with a template makes the packet leave
//! encrypted, by the VPN's way, and drops what came in as it is; one that blocks drops both.
//!
//! Of those that match a packet the kernel takes the one of the lowest priority, and of two the older one. So a
//! policy of ours that allows what has an egress's mark, with the first priority there is, lets the egress's packets
//! by and nobody else's: the host stays under its VPN. What the host itself has to say to a namespace (answers of its
//! resolver, errors) has no mark, and is let by by its destination. Each is made only where a policy of others could
//! catch such a packet, because every policy costs all packets of the host a look.
//!
//! Two policies of the first priority are a matter of age: one of others that has it and is older cannot be preceded.

use super::action::Action;
use super::addresses::sources;
use crate::model::ipsec::{Direction, Effect};
use crate::model::stack::overlap;
use crate::model::{Code, Cure, Egress, Family, Finding, Observed, Policy, State, numbers};
use ipnetwork::IpNetwork;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Bits of an index below the egress's number: the kernel has the direction in the lowest three, above it is ours to
/// count.
const NUMBER_BITS: u32 = 16;
const DIRECTION_BITS: u32 = 3;
const SLOTS: usize = 1 << (NUMBER_BITS - DIRECTION_BITS);

/// Packets that are alike to a policy; none: any address.
type Packets = (Option<IpNetwork>, Option<IpNetwork>);

/// A policy of ours, and the packets that it is for.
struct PassPolicy {
    policy: Policy,
    packets: Vec<Packets>,
}

impl PassPolicy {
    /// Whether a policy of somebody else could catch one of the packets.
    fn is_for(&self, other: &Policy) -> bool {
        let meets = |net, packets: Option<IpNetwork>| packets.is_none_or(|packets| overlap(net, packets));
        let mark = self.policy.mark.map_or(0, |(mark, _)| mark);
        other.effect != Effect::Allow
            && other.direction == self.policy.direction
            && other.family() == self.policy.family()
            && other.mark.is_none_or(|(value, mask)| mark & mask == value)
            && self.packets.iter().any(|(from, to)| meets(other.from, *from) && meets(other.to, *to))
    }
}

/// All that an egress could need; nothing where no policy could catch its packets.
fn pass_policies(state: &State, egress: &Egress, observed: &Observed) -> Vec<PassPolicy> {
    if observed.policies.is_empty() {
        return Vec::new();
    }
    Family::BOTH.into_iter().flat_map(|family| of_family(state, egress, family, observed)).collect()
}

fn of_family(state: &State, egress: &Egress, family: Family, observed: &Observed) -> Vec<PassPolicy> {
    let own = sources(state, egress, family, observed.features);
    if own.is_empty() {
        return Vec::new();
    }
    let outside = own.iter().copied().chain(masquerade(egress, family, observed));
    let all: Vec<IpNetwork> = outside.collect();
    let from = |nets: &[IpNetwork]| nets.iter().map(|net| (Some(*net), None)).collect::<Vec<Packets>>();
    let to = |nets: &[IpNetwork]| nets.iter().map(|net| (None, Some(*net))).collect::<Vec<Packets>>();
    let mark = Some((state.mark_of(egress), state.mask));
    let (first, others) = match family {
        Family::V4 => (0, 3),
        Family::V6 => (1, 2),
    };
    let policy = |direction, slot, to, mark| Policy {
        direction,
        from: family.everything(),
        to,
        mark,
        priority: numbers::POLICY_PRIORITY,
        index: index(egress, slot, direction),
        effect: Effect::Allow,
        sub: false,
    };
    let marked = |direction, packets| PassPolicy {
        policy: policy(direction, first, family.everything(), mark),
        packets,
    };
    let host = |(slot, net): (usize, &IpNetwork)| PassPolicy {
        policy: policy(Direction::Out, slot, *net, None),
        packets: to(&[*net]),
    };
    let by_mark = [
        marked(Direction::Out, [from(&all), to(&own)].concat()),
        marked(Direction::Fwd, [from(&own), to(&all)].concat()),
        marked(Direction::In, from(&own)),
    ];
    by_mark.into_iter().chain((others..SLOTS).zip(&own).map(host)).collect()
}

/// Addresses that masquerade may give what leaves.
fn masquerade(egress: &Egress, family: Family, observed: &Observed) -> Vec<IpNetwork> {
    let is_left_by = |dev: &String| egress.parts().any(|path| path.dev == *dev);
    let on_device = observed.host.addresses.iter().filter(|address| is_left_by(&address.dev));
    let sources = egress.parts().flat_map(|path| path.sources.iter().copied());
    let addresses = on_device.map(|address| address.net.ip()).chain(sources);
    addresses.filter(|ip: &IpAddr| Family::of(*ip) == family).map(IpNetwork::from).collect()
}

fn index(egress: &Egress, slot: usize, direction: Direction) -> u32 {
    let slot = u32::try_from(slot).unwrap_or_default() << DIRECTION_BITS;
    numbers::POLICY_INDEX | egress.number << NUMBER_BITS | slot | direction as u32
}

/// Whether what has this address is to go through a tunnel.
pub(super) fn is_of_a_tunnel(source: IpAddr, observed: &Observed) -> bool {
    let only = IpNetwork::from(source);
    let of = |policy: &Policy| {
        policy.direction == Direction::Out && policy.effect == Effect::Protect && policy.from == only
    };
    observed.policies.iter().any(of)
}

/// What is missing is added; what is ours and not wanted goes.
pub(super) fn diff(out: &mut Vec<Action>, state: &State, observed: &Observed) {
    let needed = |pass: &PassPolicy| observed.policies.iter().any(|other| pass.is_for(other));
    let wanted: BTreeSet<Policy> = state
        .egresses
        .values()
        .flat_map(|egress| pass_policies(state, egress, observed))
        .filter(needed)
        .map(|pass| pass.policy)
        .collect();
    let ours: BTreeSet<Policy> =
        observed.policies.iter().filter(|policy| policy.is_ours()).cloned().collect();
    out.extend(ours.difference(&wanted).map(|policy| Action::RemovePolicy { policy: policy.clone() }));
    out.extend(wanted.difference(&ours).map(|policy| Action::AddPolicy { policy: policy.clone() }));
}

/// A policy of somebody else that catches packets of an egress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatchingPolicy {
    policy: Policy,
}

impl CatchingPolicy {
    /// What is wrong, and what helps.
    pub fn finding(&self) -> Finding {
        let Policy { effect, index, .. } = self.policy;
        let (family, text) = (self.policy.family(), policy_text(&self.policy));
        let does = if effect == Effect::Block { "drops" } else { "takes" };
        let whose = format!("an IPsec policy that is not nsnat's {does} its packets ({family})");
        if self.is_passed_by_plan() {
            let cure = Cure::up("puts nsnat's own before it");
            return Finding::new(Code::PolicyPrecedes, format!("{whose}: {text}"), cure).shown_by([text]);
        }
        let cure = if self.policy.sub {
            format!("add it without ptype sub (it has index {index})")
        } else {
            let above = numbers::POLICY_PRIORITY;
            format!("give it a priority above {above} (ip xfrm policy update; it has index {index})")
        };
        let what = format!("{whose}, and nothing can come before it: {text}");
        Finding::new(Code::PolicyUnpassable, what, Cure::person(cure)).shown_by([text])
    }

    /// Whether the next plan goes before it.
    pub fn is_passed_by_plan(&self) -> bool {
        self.policy.priority > numbers::POLICY_PRIORITY && !self.policy.sub
    }
}

/// Policies of others that no policy of ours comes before.
pub fn catching_policies(state: &State, egress: &Egress, observed: &Observed) -> Vec<CatchingPolicy> {
    let passes = pass_policies(state, egress, observed);
    let all = &observed.policies;
    let there = |pass: &PassPolicy| all.iter().position(|policy| *policy == pass.policy);
    // Policies are listed from the newest to the oldest.
    let precedes = |pass: &PassPolicy, (age, other): (usize, &Policy)| {
        let first = pass.policy.priority < other.priority;
        !other.sub
            && there(pass).is_some_and(|own| first || (pass.policy.priority == other.priority && own > age))
    };
    let caught = |(age, other): &(usize, &Policy)| {
        passes.iter().any(|pass| pass.is_for(other) && !precedes(pass, (*age, other)))
    };
    all.iter()
        .enumerate()
        .filter(caught)
        .map(|(_, policy)| CatchingPolicy { policy: policy.clone() })
        .collect()
}

/// As ip-xfrm(8) has it, as far as it tells which one it is.
pub(super) fn policy_text(policy: &Policy) -> String {
    let Policy { direction, from, to, priority, .. } = policy;
    if policy.index == 0 && policy.effect == Effect::Block {
        return format!("ip xfrm policy setdefault {} block", direction.name());
    }
    let sub = if policy.sub { " ptype sub" } else { "" };
    let block = if policy.effect == Effect::Block { " action block" } else { "" };
    format!(
        "dir {} src {from} dst {to}{}{sub}{block} priority {priority}",
        direction.name(),
        mark_text(policy)
    )
}

/// The shell line that adds one of ours.
pub(super) fn add_line(policy: &Policy) -> String {
    format!("ip xfrm policy add {} index {:#x}", policy_text(policy), policy.index)
}

/// The shell line that takes one of ours away.
pub(super) fn remove_line(policy: &Policy) -> String {
    let (direction, mark) = (policy.direction.name(), mark_text(policy));
    format!("ip xfrm policy delete dir {direction} index {:#x}{mark}", policy.index)
}

fn mark_text(policy: &Policy) -> String {
    policy.mark.map(|(mark, mask)| format!(" mark {mark:#x} mask {mask:#x}")).unwrap_or_default()
}
