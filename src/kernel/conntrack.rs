//! Forgetting flows whose NAT was decided before their rewrite changed, and asking where a flow really goes.
//!
//! The kernel lists the flows of an address, and each is removed by a message of its own. It could remove by the same filter in
//! one message (`ctnetlink_flush_conntrack` in net/netfilter/nf_conntrack_netlink.c), and takes several times as long for that
//! on a host with many flows, because the flows of an address are few and the walk through all others is what costs. Kernels from
//! Linux 5.8 on know the filter of a list. Older ones pass it over, and list everything: what is listed is looked at in any case.
//!
//! For IPv6 there is no filter to be had: the kernel compares its addresses the wrong way round
//! (`ctnetlink_filter_match_tuple`; seen on Linux 6.18).
//!
//! Each list makes the kernel walk through its whole hash table, which is large where memory is, and empty or not takes it
//! milliseconds. So what a run forgets is forgotten together: where there are several addresses or both families, and not very many
//! flows, one list of everything takes less than a filtered one for each.

use super::netlink_socket::NetlinkSocket;
use crate::attributes::{attribute, find, nested};
use crate::error::{Error, Result};
use crate::plan::Flows;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

/// NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE (include/uapi/linux/netfilter/nfnetlink*.h).
const CT_DELETE: u16 = (1 << 8) | 2;
/// NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET.
const CT_GET: u16 = (1 << 8) | 1;

/// NFPROTO_UNSPEC: both families.
const NFPROTO_UNSPEC: u8 = 0;
const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;

// include/uapi/linux/netfilter/nfnetlink_conntrack.h
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_STATUS: u16 = 3;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
const CTA_FILTER: u16 = 25;
const CTA_STATUS_MASK: u16 = 26;
const CTA_FILTER_ORIG_FLAGS: u16 = 1;
const CTA_FILTER_REPLY_FLAGS: u16 = 2;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_TUPLE_ZONE: u16 = 3;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_IP_V6_DST: u16 = 4;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;

/// Which parts of the tuple count (the order of bits is that of `enum ctattr_filter` in
/// net/netfilter/nf_internals.h): the source address.
const BY_SOURCE: u32 = 1;

/// IPS_SRC_NAT (include/uapi/linux/netfilter/nf_conntrack_common.h).
const SOURCE_NAT: u32 = 1 << 4;
/// IPS_DST_NAT.
const DESTINATION_NAT: u32 = 1 << 5;

/// Zones of questions: none, and those that `dns_question` of host.nft gives where there are several servers.
const ZONES: [u16; 4] = [0, 1, 2, 3];

/// To list a flow takes as long as to pass by so many buckets of the table: about 0.7 microseconds, and 20 nanoseconds.
const BUCKETS_A_FLOW: u64 = 35;

/// How large the kernel's table of flows is.
pub(super) struct TableSize {
    /// Flows of this network namespace.
    pub(super) flows: u64,
    /// Buckets of the table, which is that of all network namespaces.
    pub(super) buckets: u64,
}

/// Forgets flows, of each source those that are named beside it. `size`: that of the table, where it is known.
pub(super) fn forget(
    netlink: &NetlinkSocket,
    requests: &[(IpAddr, Flows)],
    size: Option<TableSize>,
) -> Result<()> {
    if size.as_ref().is_some_and(|size| size.flows == 0) {
        return Ok(());
    }
    let mut meant: HashMap<IpAddr, Vec<Flows>> = HashMap::new();
    for (source, which) in requests {
        meant.entry(*source).or_default().push(*which);
    }
    for question in questions(requests, size) {
        for entry in question.ask(netlink)?.iter().filter(|entry| is_meant(entry, &meant)) {
            let source = find(entry, CTA_TUPLE_ORIG).and_then(source_ip);
            let family = source.map_or(NFPROTO_UNSPEC, family);
            check_deleted(netlink.ask(CT_DELETE, family, &this_one(entry))?)?;
        }
    }
    Ok(())
}

/// A list of flows that the kernel is asked for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Question {
    family: u8,
    /// Attributes that select; none: all of the family.
    selected: Vec<u8>,
}

impl Question {
    fn all(family: u8) -> Self {
        Self { family, selected: Vec::new() }
    }

    /// What selects the flows from `source`.
    fn from(source: IpAddr) -> Self {
        Self::selecting(source, filter)
    }

    fn selecting(source: IpAddr, filter: fn(IpAddr) -> Vec<u8>) -> Self {
        let selected = if source.is_ipv4() { filter(source) } else { Vec::new() };
        Self { family: family(source), selected }
    }

    /// The flows that are selected, and maybe others of the family.
    fn ask(&self, netlink: &NetlinkSocket) -> Result<Vec<Vec<u8>>> {
        let list = |selected| netlink.dump(CT_GET, self.family, selected);
        let entries = list(&self.selected);
        let entries = if self.selected.is_empty() { entries? } else { entries.or_else(|_| list(&[]))? };
        Ok(entries.unwrap_or_default())
    }
}

/// The lists that have all flows that are asked for, in the least time.
fn questions(requests: &[(IpAddr, Flows)], size: Option<TableSize>) -> Vec<Question> {
    let one = |(source, which): &(IpAddr, Flows)| match which {
        Flows::Published => Question::selecting(*source, answered_by),
        _ => Question::from(*source),
    };
    let single: BTreeSet<Question> = requests.iter().map(one).collect();
    let saved = (single.len() as u64).saturating_sub(1);
    let is_less_together = |size: TableSize| size.flows * BUCKETS_A_FLOW < saved * size.buckets;
    if size.is_some_and(is_less_together) {
        vec![Question::all(NFPROTO_UNSPEC)]
    } else {
        single.into_iter().collect()
    }
}

/// Protocols whose flows to a port are questions: udp, tcp.
const ASKING: [u8; 2] = [17, 6];

/// Whether an entry is to be forgotten.
fn is_meant(entry: &[u8], meant: &HashMap<IpAddr, Vec<Flows>>) -> bool {
    let begun_by = |direction, is_this: fn(&Flows) -> bool| {
        let tuple = find(entry, direction)?;
        let which = meant.get(&source_ip(tuple)?)?;
        Some(which.iter().filter(|which| is_this(which)).any(|which| is_one_of(entry, tuple, *which)))
    };
    begun_by(CTA_TUPLE_ORIG, |which| *which != Flows::Published).unwrap_or_default()
        || begun_by(CTA_TUPLE_REPLY, |which| *which == Flows::Published).unwrap_or_default()
}

/// Whether an entry is of that kind; `tuple`: that of its direction by which it was found.
fn is_one_of(entry: &[u8], tuple: &[u8], which: Flows) -> bool {
    match which {
        Flows::All => true,
        Flows::Published => status(entry).is_some_and(|status| status & DESTINATION_NAT != 0),
        Flows::To(port) => {
            let numbers = find(tuple, CTA_TUPLE_PROTO).unwrap_or_default();
            let protocol = find(numbers, CTA_PROTO_NUM).and_then(<[u8]>::first);
            let to = find(numbers, CTA_PROTO_DST_PORT) == Some(&port.to_be_bytes());
            to && protocol.is_some_and(|protocol| ASKING.contains(protocol))
        }
        Flows::Plain => status(entry).is_some_and(|status| status & SOURCE_NAT == 0),
        Flows::ToAddress(address) => ip_in(tuple, CTA_IP_V4_DST, CTA_IP_V6_DST) == Some(address),
        Flows::LeavingWith(outside) => {
            let answer = find(entry, CTA_TUPLE_REPLY);
            answer.and_then(|tuple| ip_in(tuple, CTA_IP_V4_DST, CTA_IP_V6_DST)) == Some(outside)
        }
    }
}

/// What became of the flow (IPS_…).
fn status(entry: &[u8]) -> Option<u32> {
    find(entry, CTA_STATUS).and_then(<[u8]>::first_chunk).map(|status| u32::from_be_bytes(*status))
}

/// What names this entry and no other: its tuple (with the zone of that direction), the zone of both, and its number.
fn this_one(entry: &[u8]) -> Vec<u8> {
    let tuple = find(entry, CTA_TUPLE_ORIG).map(|tuple| nested(CTA_TUPLE_ORIG, tuple));
    let rest = [CTA_ZONE, CTA_ID].map(|kind| find(entry, kind).map(|value| attribute(kind, value)));
    tuple.into_iter().chain(rest.into_iter().flatten()).flatten().collect()
}

fn check_deleted(errno: i32) -> Result<()> {
    match errno {
        // ENOENT: there was none.
        0 | libc::ENOENT => Ok(()),
        _ => Err(Error::new("forget flows", std::io::Error::from_raw_os_error(errno))),
    }
}

/// The address that answers the flow from `source` to `server`. None where there is no such flow.
pub(super) fn reply_source(
    source: SocketAddr,
    server: SocketAddr,
    protocol: u8,
) -> Result<Option<SocketAddr>> {
    let netlink = NetlinkSocket::for_netfilter()?;
    for zone in ZONES {
        let entry =
            netlink.get(CT_GET, family(source.ip()), &original_tuple(source, server, protocol, zone))?;
        if let Some(by) = entry.and_then(|entry| reply_in(&entry)) {
            return Ok(Some(by));
        }
    }
    Ok(None)
}

/// The same wherever the flow leads to: NAT inside of a namespace changes that before a packet comes to the host. All flows
/// are looked through.
pub(super) fn reply_source_of_any(source: SocketAddr, protocol: u8) -> Result<Option<SocketAddr>> {
    let entries = Question::from(source.ip()).ask(&NetlinkSocket::for_netfilter()?)?;
    Ok(entries.iter().filter(|entry| is_from(entry, source, protocol)).find_map(|entry| reply_in(entry)))
}

fn is_from(entry: &[u8], source: SocketAddr, protocol: u8) -> bool {
    let Some(tuple) = find(entry, CTA_TUPLE_ORIG) else { return false };
    let numbers = find(tuple, CTA_TUPLE_PROTO).unwrap_or_default();
    source_ip(tuple) == Some(source.ip())
        && find(numbers, CTA_PROTO_NUM) == Some(&[protocol])
        && find(numbers, CTA_PROTO_SRC_PORT) == Some(&source.port().to_be_bytes())
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { NFPROTO_IPV4 } else { NFPROTO_IPV6 }
}

/// Flows from `source`.
fn filter(source: IpAddr) -> Vec<u8> {
    let tuple = nested(CTA_TUPLE_IP, &address(source, CTA_IP_V4_SRC, CTA_IP_V6_SRC));
    let flags = attribute(CTA_FILTER_ORIG_FLAGS, &BY_SOURCE.to_ne_bytes());
    [nested(CTA_TUPLE_ORIG, &tuple), nested(CTA_FILTER, &flags)].concat()
}

/// Flows whose destination was mapped to `source`, so that it answers them.
fn answered_by(source: IpAddr) -> Vec<u8> {
    let tuple = nested(CTA_TUPLE_IP, &address(source, CTA_IP_V4_SRC, CTA_IP_V6_SRC));
    let flags = attribute(CTA_FILTER_REPLY_FLAGS, &BY_SOURCE.to_ne_bytes());
    let status = with_status(DESTINATION_NAT, DESTINATION_NAT);
    [nested(CTA_TUPLE_REPLY, &tuple), nested(CTA_FILTER, &flags), status].concat()
}

/// Flows whose bits of `mask` are those of `status`.
fn with_status(status: u32, mask: u32) -> Vec<u8> {
    [attribute(CTA_STATUS, &status.to_be_bytes()), attribute(CTA_STATUS_MASK, &mask.to_be_bytes())].concat()
}

/// A flow's tuple as its first packet had it.
fn original_tuple(source: SocketAddr, server: SocketAddr, protocol: u8, zone: u16) -> Vec<u8> {
    let from = address(source.ip(), CTA_IP_V4_SRC, CTA_IP_V6_SRC);
    let to = address(server.ip(), CTA_IP_V4_DST, CTA_IP_V6_DST);
    let port = |kind, place: SocketAddr| attribute(kind, &place.port().to_be_bytes());
    let ports = [port(CTA_PROTO_SRC_PORT, source), port(CTA_PROTO_DST_PORT, server)].concat();
    let numbers = [attribute(CTA_PROTO_NUM, &[protocol]), ports].concat();
    let zone = attribute(CTA_TUPLE_ZONE, &zone.to_be_bytes());
    let tuple = [nested(CTA_TUPLE_IP, &[from, to].concat()), nested(CTA_TUPLE_PROTO, &numbers), zone];
    nested(CTA_TUPLE_ORIG, &tuple.concat())
}

fn address(ip: IpAddr, v4: u16, v6: u16) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => attribute(v4, &ip.octets()),
        IpAddr::V6(ip) => attribute(v6, &ip.octets()),
    }
}

/// The source of replies, out of an entry.
fn reply_in(entry: &[u8]) -> Option<SocketAddr> {
    let tuple = find(entry, CTA_TUPLE_REPLY)?;
    let numbers = find(tuple, CTA_TUPLE_PROTO)?;
    let port = u16::from_be_bytes(*find(numbers, CTA_PROTO_SRC_PORT)?.first_chunk()?);
    Some(SocketAddr::new(source_ip(tuple)?, port))
}

/// The source in a tuple.
fn source_ip(tuple: &[u8]) -> Option<IpAddr> {
    ip_in(tuple, CTA_IP_V4_SRC, CTA_IP_V6_SRC)
}

/// An address in a tuple: the attribute of either family.
fn ip_in(tuple: &[u8], v4: u16, v6: u16) -> Option<IpAddr> {
    let ip = find(tuple, CTA_TUPLE_IP)?;
    let v4 = || Some(IpAddr::from(*find(ip, v4)?.first_chunk::<4>()?));
    let v6 = || Some(IpAddr::from(*find(ip, v6)?.first_chunk::<16>()?));
    v4().or_else(v6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::{CloneFlags, unshare};

    /// The flows that are there at first: words of conntrack(8).
    const FLOWS: [&str; 9] = [
        "-s 10.0.0.2 -d 8.8.8.8 -p udp --sport 1001 --dport 53",
        "-s 10.0.0.2 -d 8.8.8.8 -p udp --sport 1001 --dport 53 --orig-zone 2 --dst-nat 9.9.9.9",
        "-s 10.0.0.2 -d 8.8.8.8 -p udp --sport 1002 --dport 53 --zone 7",
        "-s 10.0.0.2 -d 8.8.8.8 -p tcp --sport 1003 --dport 53 --state ESTABLISHED",
        "-s 10.0.0.2 -d 8.8.8.8 -p udp --sport 1004 --dport 5353",
        "-s 10.0.0.2 -d 8.8.8.8 -p udp --sport 1005 --dport 123 --src-nat 192.0.2.1",
        "-s 10.0.0.3 -d 10.0.0.2 -p udp --sport 53 --dport 53",
        "-s fd00::2 -d fd00::8 -p udp --sport 1006 --dport 53",
        "-s fd00::3 -d fd00::8 -p udp --sport 1007 --dport 53",
    ];

    #[expect(clippy::disallowed_methods, reason = "a real flow is made by a real program")]
    fn conntrack(words: &str) -> String {
        let output = std::process::Command::new("conntrack").args(words.split_whitespace()).output().unwrap();
        assert!(output.status.success(), "conntrack {words}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Places in [`FLOWS`] of the flows that are left.
    fn left() -> Vec<usize> {
        let listed = conntrack("-L -f ipv4") + &conntrack("-L -f ipv6");
        let is_listed = |flow: &&str| {
            let words: Vec<&str> = flow.split_whitespace().collect();
            let word = |key: &str| words.iter().position(|word| *word == key).map(|at| words[at + 1]);
            let port = format!("sport={} ", word("--sport").unwrap());
            let zone = word("--orig-zone").map(|zone| format!("zone-orig={zone}"));
            let source = format!("src={} ", word("-s").unwrap());
            listed.lines().any(|line| {
                let first = line.split("dport").next().unwrap();
                let zoned = zone.as_ref().map_or(!line.contains("zone-orig"), |zone| line.contains(zone));
                first.contains(&port) && first.contains(&source) && zoned
            })
        };
        FLOWS.iter().enumerate().filter(|(_, flow)| is_listed(flow)).map(|(at, _)| at).collect()
    }

    /// Makes the flows, forgets some by `how`, and says which are left; in a network namespace of its own.
    #[expect(clippy::disallowed_methods, reason = "a namespace for the flows of a test")]
    fn after(how: fn(IpAddr, Flows), source: &str, which: Flows) -> Vec<usize> {
        let source: IpAddr = source.parse().unwrap();
        let test = move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            for flow in FLOWS {
                conntrack(&format!("-I {flow} --timeout 1000"));
            }
            assert_eq!(left(), (0..FLOWS.len()).collect::<Vec<_>>());
            how(source, which);
            left()
        };
        std::thread::spawn(test).join().unwrap()
    }

    fn forget_here(source: IpAddr, which: Flows) {
        forget(&NetlinkSocket::for_netfilter().unwrap(), &[(source, which)], None).unwrap();
    }

    /// With another request, and so few flows that all are listed.
    fn forget_together(source: IpAddr, which: Flows) {
        let requests = [(source, which), ("10.0.0.77".parse().unwrap(), Flows::All)];
        let size = || Some(TableSize { flows: 1, buckets: 1000 });
        assert_eq!(questions(&requests, size()), [Question::all(NFPROTO_UNSPEC)]);
        forget(&NetlinkSocket::for_netfilter().unwrap(), &requests, size()).unwrap();
    }

    #[test]
    fn those_that_are_meant_are_forgotten_and_no_other() {
        for how in [forget_here, forget_together] {
            assert_eq!(after(how, "10.0.0.2", Flows::To(53)), [4, 5, 6, 7, 8]);
            assert_eq!(after(how, "10.0.0.2", Flows::All), [6, 7, 8]);
            assert_eq!(after(how, "10.0.0.2", Flows::Plain), [5, 6, 7, 8]);
            assert_eq!(after(how, "fd00::2", Flows::To(53)), [0, 1, 2, 3, 4, 5, 6, 8]);
            assert_eq!(after(how, "10.0.0.9", Flows::All), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
            assert_eq!(after(how, "9.9.9.9", Flows::Published), [0, 2, 3, 4, 5, 6, 7, 8]);
            assert_eq!(after(how, "8.8.8.8", Flows::Published), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
            let to = |address: &str| Flows::ToAddress(address.parse().unwrap());
            assert_eq!(after(how, "10.0.0.2", to("8.8.8.8")), [6, 7, 8]);
            assert_eq!(after(how, "10.0.0.3", to("10.0.0.2")), [0, 1, 2, 3, 4, 5, 7, 8]);
            assert_eq!(after(how, "10.0.0.3", to("8.8.8.8")), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
            let leaving = |address: &str| Flows::LeavingWith(address.parse().unwrap());
            assert_eq!(after(how, "10.0.0.2", leaving("192.0.2.1")), [0, 1, 2, 3, 4, 6, 7, 8]);
            assert_eq!(after(how, "10.0.0.2", leaving("192.0.2.2")), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
            assert_eq!(after(how, "fd00::2", leaving("fd00::2")), [0, 1, 2, 3, 4, 5, 6, 8]);
            assert_eq!(after(how, "fd00::2", leaving("fd00::9")), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        }
    }

    /// Kernels that know no filter list everything: so does an empty one.
    #[test]
    fn entries_that_nobody_asked_for_are_passed_over() {
        let by_whole_dump = |source: IpAddr, which| {
            let netlink = NetlinkSocket::for_netfilter().unwrap();
            let entries = netlink.dump(CT_GET, NFPROTO_IPV4, &[]).unwrap().unwrap();
            assert_eq!(entries.len(), 7);
            let meant = HashMap::from([(source, vec![which])]);
            assert_eq!(entries.iter().filter(|entry| is_meant(entry, &meant)).count(), 4);
        };
        assert_eq!(after(by_whole_dump, "10.0.0.2", Flows::To(53)).len(), FLOWS.len());
        assert!(!is_meant(&[], &HashMap::from([("10.0.0.2".parse().unwrap(), vec![Flows::All])])));
    }
    /// 100,000 buckets are passed by while some 2,900 flows are listed.
    #[test]
    fn one_list_has_all_where_it_takes_less_than_several() {
        let requests = |sources: &[&str]| -> Vec<(IpAddr, Flows)> {
            sources.iter().map(|source| (source.parse().unwrap(), Flows::All)).collect()
        };
        let asked = |sources: &[&str], flows| {
            questions(&requests(sources), Some(TableSize { flows, buckets: 100_000 }))
        };
        let (one, both) = (["10.0.0.2"], ["10.0.0.2", "fd00::2"]);
        assert_eq!(asked(&one, 1), [Question::from("10.0.0.2".parse().unwrap())]);
        assert_eq!(asked(&both, 2_800), [Question::all(NFPROTO_UNSPEC)]);
        assert_eq!(asked(&both, 2_900).len(), 2);
        assert_eq!(asked(&["10.0.0.2", "fd00::2", "fd00::3"], 2_900).len(), 2, "one list has all of IPv6");
        assert_eq!(asked(&["10.0.0.2", "10.0.0.3", "fd00::2"], 5_000), [Question::all(NFPROTO_UNSPEC)]);
        assert_eq!(questions(&requests(&both), None).len(), 2);
    }

    #[test]
    fn nothing_is_asked_of_an_empty_table() {
        let forget_nothing = |source, which| {
            let size = Some(TableSize { flows: 0, buckets: 1 });
            forget(&NetlinkSocket::for_netfilter().unwrap(), &[(source, which)], size).unwrap();
        };
        assert_eq!(after(forget_nothing, "10.0.0.2", Flows::All).len(), FLOWS.len());
    }
}
