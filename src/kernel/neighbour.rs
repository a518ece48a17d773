//! Whether a next hop answers: what the kernel's table of neighbours says, which is made to ask where it does not know.
//!
//! The kernel asks, by ARP or neighbour discovery, as often and as long as it would for a packet
//! (`mcast_solicit` times `retrans_time`, about three seconds for one that is not there); then it says "failed". One
//! that it heard of lately costs nothing, and one that lives a round trip. See `neigh_add` and `__neigh_event_send` in
//! net/core/neighbour.c.

use super::netlink_socket::NetlinkSocket;
use super::sysctl;
use crate::attributes::{attribute, octets};
use crate::error::Result;
use crate::model::{Answers, Family, Neighbour};
use netlink_packet_route::neighbour::NeighbourState as State;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const RTM_NEWNEIGH: u16 = 28;
const RTM_GETNEIGH: u16 = 30;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_CREATE: u16 = 0x400;
const NDA_DST: u16 = 1;
const NTF_USE: u8 = 0x01;
const NTF_EXT_LEARNED: u8 = 0x10;

/// Between two looks at a neighbour that is being asked.
const PAUSE: Duration = Duration::from_millis(2);

/// The same once it has been silent for a while.
const LONG_PAUSE: Duration = Duration::from_millis(50);

/// How long after its last question the kernel says what came of it.
const SLACK: Duration = Duration::from_secs(1);

/// The neighbours that do not answer. A neighbour that the kernel cannot be asked about is not among them.
pub fn find_silent<'a>(neighbours: impl Iterator<Item = &'a Neighbour>) -> Result<BTreeSet<&'a Neighbour>> {
    let netlink = NetlinkSocket::for_routing()?;
    let mut asked: Vec<PendingNeighbour<'_>> = neighbours.map(PendingNeighbour::new).collect();
    let mut out = BTreeSet::new();
    loop {
        let mut waiting = Vec::new();
        for mut one in asked {
            match one.look(&netlink)? {
                Some(true) => {}
                Some(false) => drop(out.insert(one.neighbour)),
                None => waiting.push(one),
            }
        }
        if waiting.is_empty() {
            return Ok(out);
        }
        asked = waiting;
        std::thread::sleep(PAUSE);
    }
}

/// Questions in a row to the one who had the address when it was heard of last. Then that is left to the kernel, which gives
/// up and asks everybody.
const INSISTENT: u32 = 3;

/// Whether one of these, in each family that they are of, answers a question that is asked now, whatever the kernel heard of
/// it before. `silences`: how many in a row were not answered in time; an answer that came later is one, too.
pub(super) fn answers(
    neighbours: &[Neighbour],
    timeout: Duration,
    silences: impl Fn(Family) -> u32,
) -> Result<Answers> {
    let netlink = NetlinkSocket::for_routing()?;
    let until = Instant::now() + timeout;
    let family = |one: &PendingNeighbour<'_>| Family::of(one.neighbour.address);
    let mut asked: Vec<PendingNeighbour<'_>> = neighbours.iter().map(PendingNeighbour::new).collect();
    let mut out: Answers = asked.iter().map(|one| (family(one), false)).collect();
    for one in &mut asked {
        if one.ask_anew(&netlink, silences(family(one)))? == Some(true) {
            out.insert(family(one), true);
        }
    }
    let mut pause = PAUSE;
    loop {
        for one in &asked {
            if one.has_answered(&netlink)? {
                out.insert(family(one), true);
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || out.values().all(|answers| *answers) {
            return Ok(out);
        }
        std::thread::sleep(pause.min(left));
        // An answer comes soon, or hardly ever.
        pause = (pause * 2).min(LONG_PAUSE);
    }
}

/// A neighbour that is being asked.
struct PendingNeighbour<'a> {
    neighbour: &'a Neighbour,
    /// What was asked last, if anything.
    question: Option<Question>,
    /// When the kernel must have made up its mind.
    until: Instant,
}

#[derive(Clone, Copy, PartialEq)]
enum Question {
    /// Whoever has the address.
    Everybody,
    /// The link-layer address of the neighbour when it was heard of last.
    TheKnownOne,
}

impl<'a> PendingNeighbour<'a> {
    fn new(neighbour: &'a Neighbour) -> Self {
        Self { neighbour, question: None, until: Instant::now() + patience_for(neighbour) }
    }

    /// Whether it answers; none: that will be known later.
    fn look(&mut self, netlink: &NetlinkSocket) -> Result<Option<bool>> {
        let (state, flags) = self.state(netlink)?.unwrap_or((State::None, 0));
        let learned = flags & NTF_EXT_LEARNED != 0;
        let late = Instant::now() > self.until;
        Ok(match (state, self.question) {
            // Somebody else's routing daemon answers for it.
            (State::Stale | State::Delay | State::Probe, None) if learned => Some(true),
            // The neighbour was heard of lately, needs no answer, or was heard of since it was asked.
            (State::Reachable | State::Permanent | State::Noarp, _)
            | (State::Stale | State::Delay, Some(_)) => Some(true),
            (State::Stale | State::Delay, None) => self.ask(netlink, Question::TheKnownOne)?,
            (State::None | State::Failed, Some(Question::Everybody)) => Some(false),
            (State::None | State::Failed, _) => self.ask(netlink, Question::Everybody)?,
            // A question of somebody else's, whose answer is as good.
            (State::Incomplete, None) => {
                self.question = Some(Question::Everybody);
                None
            }
            _ if late => Some(false),
            _ => None,
        })
    }

    /// Asks, unless the kernel is about to. Says whether it counts as alive without an answer.
    fn ask_anew(&mut self, netlink: &NetlinkSocket, silences: u32) -> Result<Option<bool>> {
        let (state, flags) = self.state(netlink)?.unwrap_or((State::None, 0));
        let learned = flags & NTF_EXT_LEARNED != 0;
        match state {
            State::Permanent | State::Noarp => Ok(Some(true)),
            State::Reachable if silences > 0 => Ok(Some(true)),
            State::Reachable | State::Stale | State::Delay if learned => Ok(Some(true)),
            State::Reachable | State::Stale | State::Delay => self.ask(netlink, Question::TheKnownOne),
            // The kernel asks again only where the state is another one before.
            State::Probe if silences < INSISTENT => match self.set(netlink, State::Stale, 0)? {
                0 => self.ask(netlink, Question::TheKnownOne),
                _ => Ok(Some(true)),
            },
            State::Probe | State::Incomplete => Ok(None),
            _ => self.ask(netlink, Question::Everybody),
        }
    }

    /// Whether it was heard of since it was asked.
    fn has_answered(&self, netlink: &NetlinkSocket) -> Result<bool> {
        let state = self.state(netlink)?.map_or(State::None, |(state, _)| state);
        Ok(matches!(state, State::Reachable | State::Stale | State::Delay | State::Permanent | State::Noarp))
    }

    /// The state of its entry, and the entry's flags (`struct ndmsg`); none where there is no entry.
    fn state(&self, netlink: &NetlinkSocket) -> Result<Option<(State, u8)>> {
        let entry = netlink.get(RTM_GETNEIGH, self.family(), &self.body(0, 0))?;
        Ok(entry.and_then(|entry| {
            let state = u16::from_ne_bytes(entry.get(4..6)?.try_into().ok()?);
            Some((State::from(state), *entry.get(6)?))
        }))
    }

    /// Makes the kernel ask; what it refuses to ask is not known.
    fn ask(&mut self, netlink: &NetlinkSocket, question: Question) -> Result<Option<bool>> {
        let (state, flags) = match question {
            Question::Everybody => (State::None, NTF_USE),
            // By itself it would wait for packets first, and then for five seconds.
            Question::TheKnownOne => (State::Probe, 0),
        };
        let errno = self.set(netlink, state, flags)?;
        self.question = Some(question);
        self.until = Instant::now() + patience_for(self.neighbour);
        Ok((errno != 0).then_some(true))
    }

    /// Sets the state of its entry. Gives what the kernel has against that, or zero.
    fn set(&self, netlink: &NetlinkSocket, state: State, flags: u8) -> Result<i32> {
        let body = self.body(u16::from(state), flags);
        netlink.change(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, self.family(), &body)
    }

    fn family(&self) -> u8 {
        let family = if self.neighbour.address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        u8::try_from(family).unwrap_or_default()
    }

    /// `struct ndmsg` from its second word on, and the address.
    fn body(&self, state: u16, flags: u8) -> Vec<u8> {
        let mut out = self.neighbour.index.to_ne_bytes().to_vec();
        out.extend(state.to_ne_bytes());
        out.extend([flags, 0]);
        out.extend(attribute(NDA_DST, &octets(self.neighbour.address)));
        out
    }
}

/// As long as the kernel asks on that device, and a little more.
fn patience_for(neighbour: &Neighbour) -> Duration {
    let family = if neighbour.address.is_ipv4() { "ipv4" } else { "ipv6" };
    let number = |key: &str, default| {
        let value = sysctl::read(&format!("net/{family}/neigh/{}/{key}", neighbour.dev));
        value.and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let questions: u64 = number("mcast_solicit", 3) + number("ucast_solicit", 3) + number("app_solicit", 0);
    Duration::from_millis(questions.saturating_mul(number("retrans_time_ms", 1000))).saturating_add(SLACK)
}
