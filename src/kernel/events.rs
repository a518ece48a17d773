//! Changes on the host, as the kernel announces them: rtnetlink(7) and nf_tables.
//!
//! Changes inside of our namespaces are heard, too: a socket may listen to all namespaces that the one it was made in knows
//! by a number (NETLINK_LISTEN_ALL_NSID in netlink(7)), and the host knows the namespaces at the other ends of its veth pairs.

use super::decode::{GET_LINK, IFINFO};
use super::netlink_socket::{NetlinkSocket, Told, told};
use super::resolver;
use super::route_filter::{self, Matter};
use crate::attributes::{big_endian, find, name, native, word};
use crate::error::{Context, Error, Result};
use crate::model::{Name, nft, ownership::named_by};
use crate::nft::numbers::{NEW_GENERATION, TABLE_NAME};
use netlink_sys::Socket;
use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, NetlinkAddr, SetSockOpt, recvmsg, sockopt};
use std::collections::HashMap;
use std::io::IoSliceMut;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// RTNLGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE, _IPV6_IFADDR, _IPV6_ROUTE, _IPV6_RULE, _IPV4_NETCONF, _IPV6_NETCONF
/// and _NSID (include/uapi/linux/rtnetlink.h). Not among them: neighbours, which come and go all the time.
const ROUTING: [u32; 10] = [1, 5, 7, 8, 9, 11, 19, 24, 25, 28];
/// NFNLGRP_NFTABLES (include/uapi/linux/netfilter/nfnetlink.h).
const NFTABLES: [u32; 1] = [7];

/// Room for what comes while a repair is under way, in bytes. What does not fit is lost, which the kernel tells.
const ROOM: usize = 4 << 20;
/// The largest datagram: the kernel puts several messages of nf_tables into one.
const LARGEST: usize = 1 << 16;

/// NETLINK_LISTEN_ALL_NSID (include/uapi/linux/netlink.h).
const NAMESPACE: libc::c_int = 8;

/// RTM_NEWLINK and its like: each kind of object has four types of messages from a number on.
const LINK: u16 = 16;
const ADDRESS: u16 = 20;
const ROUTE: u16 = 24;
const RULE: u16 = 32;
const SETTING: u16 = 80;
const NUMBER: u16 = 88;
/// RTM_DELLINK.
const LINK_GONE: u16 = 17;

/// IFLA_IFALIAS and IFLA_LINK_NETNSID.
const IFALIAS: u16 = 20;
const PEER: u16 = 37;
/// rtmsg, with which routes begin, and RTA_OIF.
const RTMSG: usize = 12;
const OUTPUT: u16 = 4;
/// netconfmsg with its padding, and NETCONFA_IFINDEX.
const NETCONF: usize = 4;
const NETCONF_INDEX: u16 = 1;
/// NFTA_GEN_PROC_PID and _PROC_NAME.
const CHANGER: u16 = 2;
const CHANGER_NAME: u16 = 3;

/// Where a change is to be seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// On the host, in what no namespace has for itself.
    Host,
    /// In a namespace, or at the host's end of its link.
    Namespace(Name),
    /// In what namespaces have in one place: only a look at all of them tells whose it is.
    Everything,
}

/// A change that was heard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// What changed, as a noun.
    pub what: &'static str,
    /// Where.
    pub scope: Scope,
    /// The program that changed it and its process number, as far as that is known. nf_tables tells it; of rtnetlink it is
    /// guessed: programs number their first socket like their process (netlink(7)). A change by the kernel itself has none.
    pub by: Option<(String, u32)>,
}

/// Changes of the host that come in bursts: a link that comes up brings addresses and routes.
const IN_BURSTS: [&str; 3] = ["a link", "an address", "a route"];

impl Change {
    /// Whether no other change belongs to it.
    pub fn comes_alone(&self) -> bool {
        self.scope != Scope::Host || !IN_BURSTS.contains(&self.what)
    }
}

/// What was heard since the last call.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Changes, in their order.
    pub changes: Vec<Change>,
    /// There were more, and there was no room for them.
    pub lost: bool,
}

/// An open ear.
pub struct Events {
    routing: Socket,
    nftables: Socket,
    ends: Ends,
    /// Something was lost since the ends were dumped.
    missed: bool,
    /// For what the filter of routes is made; none while there is no filter.
    matter: Option<Matter>,
    /// Room for a datagram.
    room: Vec<u8>,
}

impl Events {
    /// Listens from now on.
    pub fn listen() -> Result<Self> {
        let routing = listener(NETLINK_ROUTE, &ROUTING)?;
        // Without the privilege for it, or on a kernel that does not have it, changes inside are not heard.
        let _ = routing.set_listen_all_namespaces(true);
        let nftables = listener(NETLINK_NETFILTER, &NFTABLES)?;
        Ok(Self {
            routing,
            nftables,
            ends: Ends::dumped()?,
            missed: false,
            matter: None,
            room: vec![0; LARGEST],
        })
    }

    /// After something was lost, finds out whose links are whose: once before a look, however often something is lost.
    pub fn relearn(&mut self) -> Result<()> {
        if std::mem::take(&mut self.missed) {
            self.ends = Ends::dumped()?;
        }
        Ok(())
    }

    /// From now on passes by the many routes of a router that are not for the sake of these next hops of uplinks, nor of the
    /// servers that the host asks for names. Where the kernel does not take the filter, all are heard.
    pub fn pass_by_routes(&mut self, next_hops: Vec<IpAddr>) {
        let matter = Matter { servers: resolver::all_servers(), next_hops };
        if self.matter.as_ref() != Some(&matter)
            && route_filter::attach(borrowed(&self.routing), &matter).is_ok()
        {
            self.matter = Some(matter);
        }
    }

    /// Descriptors that become readable when something was heard.
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [&self.routing, &self.nftables].map(borrowed)
    }

    /// All that was heard; waits for nothing.
    pub fn take(&mut self) -> Result<Heard> {
        let mut heard = Heard::default();
        let Self { routing, nftables, ends, room, .. } = self;
        let mut lost = drain(routing, room, |datagram, namespace| {
            heard.changes.extend(told(datagram).filter_map(|message| ends.routed(&message, namespace)));
        })?;
        let mut of_transaction = Vec::new();
        lost |= drain(nftables, room, |datagram, _| {
            told(datagram).for_each(|message| filtered(&message, &mut of_transaction, &mut heard.changes));
        })?;
        heard.changes.append(&mut of_transaction);
        self.missed |= lost;
        Ok(Heard { lost, ..heard })
    }
}

/// Waits until one of these can be read, or until the time is over: after some weeks at the latest. Says whether one can be
/// read; a signal ends it early.
pub fn wait_for(descriptors: &[BorrowedFd<'_>], time: Duration) -> Result<bool> {
    let mut files: Vec<_> = descriptors.iter().map(|file| PollFd::new(*file, PollFlags::POLLIN)).collect();
    match poll(&mut files, PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(errno) => Err(Error::new("wait", errno)),
    }
}

fn listener(protocol: isize, groups: &[u32]) -> Result<Socket> {
    let what = || "listen to the kernel";
    let mut socket = Socket::new(protocol).what(what)?;
    // More room than the administrator allows takes a privilege; less does as well, only more is lost.
    let _ = sockopt::RcvBufForce.set(&borrowed(&socket), &ROOM);
    socket.bind_auto().what(what)?;
    groups.iter().try_for_each(|group| socket.add_membership(*group)).what(what)?;
    Ok(socket)
}

fn borrowed(socket: &Socket) -> BorrowedFd<'_> {
    // SAFETY: the socket lives as long as the result, which borrows it.
    unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) }
}

/// Reads all datagrams there are, each with the number of the namespace that it tells of where that is another one. Says
/// whether some were lost.
fn drain(socket: &Socket, room: &mut [u8], mut each: impl FnMut(&[u8], Option<i32>)) -> Result<bool> {
    let mut lost = false;
    let mut more = nix::cmsg_space!(libc::c_int);
    loop {
        let mut parts = [IoSliceMut::new(room)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let got = recvmsg::<NetlinkAddr>(socket.as_raw_fd(), &mut parts, Some(&mut more), flags)
            .and_then(|got| Ok((got.bytes, got.cmsgs()?.find_map(|part| namespace(&part)))));
        match got {
            Ok((length, namespace)) => each(room.get(..length).unwrap_or_default(), namespace),
            Err(Errno::ENOBUFS) => lost = true,
            Err(Errno::EAGAIN) => return Ok(lost),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::new("listen to the kernel", errno)),
        }
    }
}

fn namespace(part: &ControlMessageOwned) -> Option<i32> {
    let ControlMessageOwned::Unknown(part) = part else { return None };
    let header = part.cmsg_header;
    let is_number = header.cmsg_level == libc::SOL_NETLINK && header.cmsg_type == NAMESPACE;
    part.data_bytes.first_chunk().filter(|_| is_number).map(|bytes| i32::from_ne_bytes(*bytes))
}

/// The host's ends of our links: by their index, the namespace that each is of, and the number that the host has for it.
/// Learnt from what is heard itself; nothing is asked when something changes.
#[derive(Default)]
struct Ends(HashMap<u32, (Name, Option<i32>)>);

impl Ends {
    fn dumped() -> Result<Self> {
        let mut ends = Self::default();
        for body in NetlinkSocket::for_routing()?.dump_whole(GET_LINK, &[0; IFINFO])?.unwrap_or_default() {
            ends.learn(&body);
        }
        Ok(ends)
    }

    fn learn(&mut self, body: &[u8]) {
        let rest = body.get(IFINFO..).unwrap_or_default();
        let alias = find(rest, IFALIAS).map(word);
        let name = alias.and_then(|alias| named_by(&alias));
        let Some((index, name)) = interface(body).zip(name) else { return };
        let peer = find(rest, PEER).and_then(native).map(u32::cast_signed);
        self.0.insert(index, (name, peer));
    }

    /// What a message of rtnetlink tells; none where it is of no interest, as what happens in other programs' namespaces.
    fn routed(&mut self, message: &Told<'_>, namespace: Option<i32>) -> Option<Change> {
        let (what, index) = match message.kind & !3 {
            LINK => ("a link", interface(message.body)),
            ADDRESS => ("an address", interface(message.body)),
            ROUTE => ("a route", number(message.body, RTMSG, OUTPUT)),
            RULE => ("a rule of routing", None),
            SETTING => ("a setting of a device", number(message.body, NETCONF, NETCONF_INDEX)),
            NUMBER => ("a network namespace", None),
            _ => return None,
        };
        let scope = match namespace {
            Some(number) => {
                let (name, _) = self.0.values().find(|(_, peer)| *peer == Some(number))?;
                Scope::Namespace(name.clone())
            }
            None => self.of_host(message, index),
        };
        Some(Change { what, scope, by: program(message.port) })
    }

    fn of_host(&mut self, message: &Told<'_>, index: Option<u32>) -> Scope {
        if message.kind == LINK {
            self.learn(message.body);
        }
        let end = index.and_then(|index| self.0.get(&index));
        let scope = end.map_or(Scope::Host, |(name, _)| Scope::Namespace(name.clone()));
        if let Some(index) = index.filter(|_| message.kind == LINK_GONE) {
            self.0.remove(&index);
        }
        scope
    }
}

/// The index in ifinfomsg and in ifaddrmsg.
fn interface(body: &[u8]) -> Option<u32> {
    body.get(4..).and_then(native)
}

/// A number among the attributes behind a header.
fn number(body: &[u8], header: usize, kind: u16) -> Option<u32> {
    find(body.get(header..)?, kind).and_then(native)
}

/// What a message of nf_tables tells: of an object; or, at the end of a transaction, the program that made it.
fn filtered(message: &Told<'_>, of_transaction: &mut Vec<Change>, changes: &mut Vec<Change>) {
    // Behind nfgenmsg.
    let rest = message.body.get(4..).unwrap_or_default();
    if message.kind == NEW_GENERATION {
        let by = find(rest, CHANGER_NAME).map(word).zip(find(rest, CHANGER).and_then(big_endian));
        let by = by.filter(|(_, process)| *process != std::process::id());
        changes.extend(of_transaction.drain(..).map(|change| Change { by: by.clone(), ..change }));
    } else {
        let is_ours = find(rest, TABLE_NAME).map(name) == Some(nft::TABLE);
        let scope = if is_ours { Scope::Everything } else { Scope::Host };
        let change = Change { what: "the ruleset of nftables", scope, by: None };
        // A ruleset is thousands of objects.
        if of_transaction.last() != Some(&change) {
            of_transaction.push(change);
        }
    }
}

/// The program behind a port, while it still runs.
fn program(port: u32) -> Option<(String, u32)> {
    if port == 0 || port == std::process::id() {
        return None;
    }
    let name = std::fs::read_to_string(format!("/proc/{port}/comm")).ok()?;
    Some((name.trim_end().to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::{attribute, text};
    use crate::model::numbers::ALIAS_PREFIX;

    fn link(index: u32, alias: &str, peer: i32) -> Vec<u8> {
        let mut body = vec![0; IFINFO];
        body[4..8].copy_from_slice(&index.to_ne_bytes());
        body.extend(text(IFALIAS, alias));
        body.extend(attribute(PEER, &peer.to_ne_bytes()));
        body
    }

    fn scope(ends: &mut Ends, kind: u16, body: &[u8], namespace: Option<i32>) -> Option<Scope> {
        ends.routed(&Told { kind, port: 0, body }, namespace).map(|change| change.scope)
    }

    #[test]
    fn a_change_concerns_the_namespace_that_it_is_of() {
        let (mut ends, slow) = (Ends::default(), || "slow".parse().map(Scope::Namespace).ok());
        let ours = link(7, &format!("{ALIAS_PREFIX}slow"), 3);
        assert_eq!(scope(&mut ends, LINK, &ours, None), slow());
        assert_eq!(scope(&mut ends, LINK, &link(8, "somebody's", 4), None), Some(Scope::Host));
        // Inside of it; inside of another program's namespace; an address of its end; a route by it, and by another.
        assert_eq!(scope(&mut ends, RULE, &[0; 12], Some(3)), slow());
        assert_eq!(scope(&mut ends, RULE, &[0; 12], Some(4)), None);
        assert_eq!(scope(&mut ends, ADDRESS + 1, &[0, 0, 0, 0, 7, 0, 0, 0], None), slow());
        for (index, expected) in [(7_u32, slow()), (8, Some(Scope::Host))] {
            let route = [&[0; RTMSG][..], &attribute(OUTPUT, &index.to_ne_bytes())].concat();
            assert_eq!(scope(&mut ends, ROUTE, &route, None), expected);
        }
        // The host veth goes, and another device gets the number.
        assert_eq!(scope(&mut ends, LINK_GONE, &ours, None), slow());
        assert_eq!(scope(&mut ends, LINK, &link(7, "", 5), None), Some(Scope::Host));
    }

    #[test]
    fn what_others_ask_for_is_no_change() {
        let mut ends = Ends::default();
        assert_eq!([28, 36, 40].map(|kind| scope(&mut ends, kind, &[], None)), [None, None, None]);
    }
}
