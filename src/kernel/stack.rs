//! What a network stack holds, by a few dumps; but for its [`routes`](super::routes).

use super::decode::{self, GET_LINK, IFINFO, IFNAME};
use super::devconf::Settings;
use super::devices::Asked;
use super::netlink_socket::NetlinkSocket;
use crate::attributes::{attribute, text};
use crate::error::{Error, Result};
use crate::model::stack::DeviceNames;
use crate::model::{Address, Family, Link, Stack};
use std::collections::BTreeSet;

/// RTM_GETADDR, RTM_GETRULE (include/uapi/linux/rtnetlink.h).
const GET_ADDRESS: u16 = 22;
const GET_RULE: u16 = 34;
/// `struct ifaddrmsg` and `struct fib_rule_hdr`. What is 0 in them selects nothing: all families.
const IFADDR: [u8; 8] = [0; 8];
/// Where `ifa_index` is.
const IFADDR_INDEX: usize = 4;
const RULE: [u8; 12] = [0; 12];

/// IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS.
const EXT_MASK: u16 = 29;
const SKIP_STATS: u32 = 8;

/// Where fewer devices than this are looked at, each is asked about; otherwise the kernel tells of all.
pub(super) const FEW: usize = 16;

/// Links, addresses and rules of the stack that the socket is in, with the names of its devices. Where not all devices are
/// asked for (`asked`), what is on the rest is passed by. `counted`: with what the links have sent and received.
pub(super) fn observe(
    netlink: &NetlinkSocket,
    asked: Option<&Asked>,
    counted: bool,
) -> Result<(Stack, DeviceNames)> {
    let (mut out, mut names) = (Stack::default(), DeviceNames::new());
    for (link, settings) in links(netlink, asked, counted)? {
        names.insert(link.index, link.name.clone());
        out.sysctls.extend(settings);
        out.links.insert(link);
    }
    out.addresses = addresses(netlink, &names, asked.is_some())?;
    out.rules = dump(netlink, GET_RULE, &RULE, |_, body: &[u8]| decode::rule(body))?.into_iter().collect();
    Ok((out, names))
}

/// Whether the kernel has no rules of routing of a family. Where it has them, there are some, unless somebody took all away: only
/// then it is asked.
pub(super) fn has_no_rules(host: &Stack, family: Family) -> Result<bool> {
    if host.rules.iter().any(|rule| rule.family == family) {
        return Ok(false);
    }
    let number = if family == Family::V4 { libc::AF_INET } else { libc::AF_INET6 };
    let mut question = RULE;
    if let Some(first) = question.first_mut() {
        *first = u8::try_from(number).unwrap_or_default();
    }
    let answer = NetlinkSocket::for_dumps()?.dump_errno(GET_RULE, &question)?;
    Ok(answer == libc::EAFNOSUPPORT)
}

/// The links of a stack. Where only some are asked for, these are mostly few of thousands, and the kernel takes ten times as long
/// to tell of a link as to name it: then each is asked about, unless they are most of all.
fn links(netlink: &NetlinkSocket, asked: Option<&Asked>, counted: bool) -> Result<Vec<(Link, Settings)>> {
    let question = link_question(counted);
    let Some(asked) = asked.filter(|asked| !asked.are_most()) else {
        let is_asked = |(link, _): &(Link, _)| asked.is_none_or(|asked| asked.names.contains(&link.name));
        return dump(netlink, GET_LINK, &question, |_, body| decode::link(body).filter(is_asked));
    };
    let mut out = Vec::new();
    for name in &asked.names {
        out.extend(link(netlink, name, counted)?);
    }
    Ok(out)
}

fn link_question(counted: bool) -> Vec<u8> {
    let mask = if counted { 0 } else { SKIP_STATS };
    [&[0; IFINFO][..], &attribute(EXT_MASK, &mask.to_ne_bytes())].concat()
}

/// A link by its name. None: the device went away, or got another name, since it was named.
pub(super) fn link(netlink: &NetlinkSocket, name: &str, counted: bool) -> Result<Option<(Link, Settings)>> {
    let question = [link_question(counted), text(IFNAME, name)].concat();
    match netlink.get_whole(GET_LINK, &question)? {
        Ok(body) => Ok(decode::link(&body)),
        Err(libc::ENODEV) => Ok(None),
        Err(errno) => Err(Error::new(format!("device {name}"), std::io::Error::from_raw_os_error(errno))),
    }
}

/// The numbers of the devices that have other addresses than link-local ones.
pub(super) fn addressed(netlink: &NetlinkSocket) -> Result<BTreeSet<u32>> {
    let read = |_, body: &[u8]| decode::address_index(body).filter(|_| !decode::has_link_local_address(body));
    Ok(dump(netlink, GET_ADDRESS, &IFADDR, read)?.into_iter().collect())
}

/// The addresses of those devices; `are_some`: there are others.
fn addresses(netlink: &NetlinkSocket, names: &DeviceNames, are_some: bool) -> Result<BTreeSet<Address>> {
    let read = |_, body: &[u8]| decode::address(body, names);
    if !are_some || names.len() >= FEW {
        return Ok(dump(netlink, GET_ADDRESS, &IFADDR, read)?.into_iter().collect());
    }
    let mut out = BTreeSet::new();
    for index in names.keys() {
        let mut question = IFADDR;
        question[IFADDR_INDEX..].copy_from_slice(&index.to_ne_bytes());
        out.extend(dump(netlink, GET_ADDRESS, &question, read)?);
    }
    Ok(out)
}

fn dump<T>(
    netlink: &NetlinkSocket,
    kind: u16,
    question: &[u8],
    read: impl Fn(u16, &[u8]) -> Option<T>,
) -> Result<Vec<T>> {
    Ok(netlink.dump_as(kind, question, read)?.unwrap_or_default())
}
