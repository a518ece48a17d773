//! IPsec policies as the kernel tells them and takes them (include/uapi/linux/xfrm.h).

use super::netlink_socket::NetlinkSocket;
use super::sysctl::Sysctls;
use crate::attributes::{attribute, find, native};
use crate::error::{Error, Result};
use crate::model::ipsec::{Direction, Effect};
use crate::model::{Family, Policy};
use ipnetwork::IpNetwork;
use std::net::IpAddr;

const NEW_POLICY: u16 = 0x13;
const DELETE_POLICY: u16 = 0x14;
const GET_POLICY: u16 = 0x15;
const GET_DEFAULT: u16 = 0x28;

/// XFRMA_TMPL, XFRMA_POLICY_TYPE, XFRMA_MARK, XFRMA_IF_ID.
const TEMPLATES: u16 = 5;
const TYPE: u16 = 16;
const MARK: u16 = 21;
const INTERFACE: u16 = 31;
/// XFRM_POLICY_TYPE_SUB, XFRM_POLICY_BLOCK; XFRM_USERPOLICY_BLOCK.
const SUB: u8 = 1;
const BLOCK: u8 = 1;

/// `struct xfrm_selector`, and what of it is used.
const SELECTOR: usize = 56;
const SOURCE: usize = 16;
const FAMILY: usize = 40;
const PREFIXES: usize = 42;
/// `struct xfrm_userpolicy_info`: selector, limits and counters, and what is used after these.
const LIMITS: usize = 64;
const COUNTERS: usize = 32;
const PRIORITY: usize = SELECTOR + LIMITS + COUNTERS;
const INDEX: usize = PRIORITY + 4;
const DIRECTION: usize = INDEX + 4;
const ACTION: usize = DIRECTION + 1;
const INFO: usize = PRIORITY + 16;

/// Settings that every kernel with IPsec has. In the network namespaces of a user namespace only the second one is shown.
const SETTINGS: [&str; 2] = ["net/core/xfrm_acq_expires", "net/ipv4/xfrm4_gc_thresh"];

/// Whether the kernel knows no IPsec, so that no policy can be made. That a socket cannot be opened does not say so alone: what
/// opens it may be a module that cannot be loaded.
pub(super) fn is_missing(sysctls: &mut Sysctls) -> bool {
    !SETTINGS.iter().any(|key| sysctls.read(key).is_some())
        && NetlinkSocket::for_ipsec().is_ok_and(|socket| socket.is_none())
}

/// The same where no settings were read before.
pub fn is_without_ipsec() -> bool {
    is_missing(&mut Sysctls::default())
}

/// Policies, the newest first; none where the kernel knows no IPsec. Those of IPsec's own devices (`ip link add type
/// xfrm`) are about packets that go by these, and are left out.
pub(super) fn observe() -> Result<Vec<Policy>> {
    let Some(ipsec) = NetlinkSocket::for_ipsec()? else { return Ok(Vec::new()) };
    let rows = ipsec.dump_whole(GET_POLICY, &[])?.unwrap_or_default();
    let mut out: Vec<Policy> = rows.iter().filter_map(|row| policy(row)).collect();
    // (Linux knows this since 5.15.)
    if let Ok(defaults) = ipsec.get_whole(GET_DEFAULT, &[0; 4])? {
        out.extend(defaults_that_block(&defaults));
    }
    Ok(out)
}

/// What is done where no policy matches (`struct xfrm_userpolicy_default`: in, fwd, out), as policies after all others.
fn defaults_that_block(defaults: &[u8]) -> Vec<Policy> {
    let directions = [Direction::In, Direction::Fwd, Direction::Out];
    let blocked = directions.iter().zip(defaults).filter(|(_, what)| **what == BLOCK);
    let one = |direction: Direction, family: Family| Policy {
        direction,
        from: family.everything(),
        to: family.everything(),
        mark: None,
        priority: u32::MAX,
        index: 0,
        effect: Effect::Block,
        sub: false,
    };
    blocked.flat_map(|(direction, _)| Family::BOTH.map(|family| one(*direction, family))).collect()
}

/// Policies of sockets have a direction beyond these three, and are about their socket alone.
fn policy(row: &[u8]) -> Option<Policy> {
    let (info, attributes) = row.split_at_checked(INFO)?;
    let has =
        |attribute| find(attributes, attribute).is_some_and(|value| value.iter().any(|byte| *byte != 0));
    if has(INTERFACE) {
        return None;
    }
    let number = *info.get(DIRECTION)?;
    let effect = match *info.get(ACTION)? {
        BLOCK => Effect::Block,
        _ if has(TEMPLATES) => Effect::Protect,
        _ => Effect::Allow,
    };
    let mark = find(attributes, MARK).and_then(|mark| Some((u32_at(mark, 0)?, u32_at(mark, 4)?)));
    Some(Policy {
        direction: Direction::ALL.into_iter().find(|direction| *direction as u8 == number)?,
        from: network(info, SOURCE, 1)?,
        to: network(info, 0, 0)?,
        mark: mark.filter(|(_, mask)| *mask != 0),
        priority: u32_at(info, PRIORITY)?,
        index: u32_at(info, INDEX)?,
        effect,
        sub: find(attributes, TYPE).is_some_and(|kind| kind.first() == Some(&SUB)),
    })
}

/// Adds a policy of ours.
pub(super) fn add(policy: &Policy) -> Result<()> {
    let mut info = selector(policy);
    // No limits: XFRM_INF for bytes and packets, 0 for times.
    info.extend([[0xff; 32], [0; 32]].concat());
    info.extend([0; COUNTERS]);
    info.extend(policy.priority.to_ne_bytes());
    info.extend(policy.index.to_ne_bytes());
    info.push(policy.direction as u8);
    info.resize(INFO, 0);
    send(NEW_POLICY, &[info, mark(policy)].concat(), &[])
}

/// Removes a policy by its index; one that is gone already is as good as removed.
pub(super) fn remove(policy: &Policy) -> Result<()> {
    let mut id = selector(policy);
    id.extend(policy.index.to_ne_bytes());
    id.extend([policy.direction as u8, 0, 0, 0]);
    send(DELETE_POLICY, &[id, mark(policy)].concat(), &[libc::ENOENT])
}

fn send(kind: u16, body: &[u8], fine: &[i32]) -> Result<()> {
    let Some(ipsec) = NetlinkSocket::for_ipsec()? else {
        return Err(Error::new("IPsec", "the kernel knows none"));
    };
    match ipsec.ask_whole(kind, 0, body)? {
        0 => Ok(()),
        errno if fine.contains(&errno) => Ok(()),
        errno => Err(Error::new("IPsec policy", std::io::Error::from_raw_os_error(errno))),
    }
}

fn selector(policy: &Policy) -> Vec<u8> {
    let mut out = Vec::with_capacity(SELECTOR);
    for net in [policy.to, policy.from] {
        match net.ip() {
            IpAddr::V4(ip) => out.extend(ip.octets()),
            IpAddr::V6(ip) => out.extend(ip.octets()),
        }
        out.resize(out.len().next_multiple_of(SOURCE), 0);
    }
    out.resize(FAMILY, 0);
    out.extend(number_of(policy.family()).to_ne_bytes());
    out.extend([policy.to.prefix(), policy.from.prefix()]);
    out.resize(SELECTOR, 0);
    out
}

fn number_of(family: Family) -> u16 {
    let number = if family == Family::V4 { libc::AF_INET } else { libc::AF_INET6 };
    u16::try_from(number).unwrap_or_default()
}

fn mark(policy: &Policy) -> Vec<u8> {
    let value =
        |(mark, mask): (u32, u32)| attribute(MARK, &[mark.to_ne_bytes(), mask.to_ne_bytes()].concat());
    policy.mark.map(value).unwrap_or_default()
}

/// The network whose address is at `at`, and its prefix length in that place.
fn network(selector: &[u8], at: usize, place: usize) -> Option<IpNetwork> {
    let family = u16::from_ne_bytes(selector.get(FAMILY..FAMILY + 2)?.try_into().ok()?);
    let address = selector.get(at..)?;
    let ip = if family == number_of(Family::V4) {
        IpAddr::from(*address.first_chunk::<4>()?)
    } else {
        IpAddr::from(*address.first_chunk::<16>()?)
    };
    IpNetwork::new(ip, *selector.get(PREFIXES + place)?).ok()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    native(bytes.get(at..)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is sent is what reads back, and what is cut off is nothing.
    #[test]
    fn a_policy_reads_back() {
        let policy_of = |from: &str, to: &str, mark, direction| Policy {
            direction,
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            mark,
            priority: 7,
            index: 0x6e00_0009,
            effect: Effect::Allow,
            sub: false,
        };
        for one in [
            policy_of("0.0.0.0/0", "10.213.0.0/24", None, Direction::Out),
            policy_of("::/0", "::/0", Some((0x0100_0000, 0xff00_0000)), Direction::Fwd),
        ] {
            let mut row = selector(&one);
            row.resize(PRIORITY, 0);
            row.extend(one.priority.to_ne_bytes());
            row.extend(one.index.to_ne_bytes());
            row.push(one.direction as u8);
            row.resize(INFO, 0);
            assert!((0..INFO).all(|end| policy(&row[..end]).is_none()));
            row.extend(mark(&one));
            assert_eq!(policy(&row), Some(one.clone()));
            let protected = [row.clone(), attribute(TEMPLATES, &[1; 64])].concat();
            assert_eq!(policy(&protected).unwrap().effect, Effect::Protect);
            assert_eq!(policy(&[row, attribute(INTERFACE, &[1, 0, 0, 0])].concat()), None);
        }
    }
}
