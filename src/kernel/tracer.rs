//! Which rules of nf_tables a packet meets (`meta nftrace`, include/uapi/linux/netfilter/nf_tables.h).
//!
//! A table of its own switches tracing on for one probe and for what answers it. The table has an owner: the kernel
//! takes it away together with the socket that made it, also when nsnat is killed (NFT_TABLE_F_OWNER, Linux 5.12 and
//! later).

use super::netlink_socket::{Batch, BatchedChange, NetlinkSocket};
use crate::attributes::{attribute, big_endian, find, nested, text, word};
use crate::error::{Error, Result};
use crate::model::gate::Hook;
use crate::model::trace::{Done, Event, Header, Protocol, TracedChain};
use crate::nft::numbers::{
    CHAIN_HOOK, CHAIN_NAME, CHAIN_TYPE, CMP_DATA, CMP_OP, CT_DIRECTION, CT_KEY, CT_PROTO_SRC, CT_PROTOCOL,
    DATA_VALUE, EXPRESSION_DATA, EXPRESSION_NAME, GET_CHAIN, HOOK_NUMBER, HOOK_PRIORITY, IMMEDIATE_DATA,
    INET, LIST_ELEMENT, META_IIF, META_KEY, META_L4PROTO, META_NFTRACE, NEW_CHAIN, NEW_RULE, NEW_TABLE,
    PAYLOAD_BASE, PAYLOAD_OFFSET, RULE_CHAIN, RULE_EXPRESSIONS, SUBSYSTEM, TABLE_FLAGS, TABLE_NAME,
    TABLE_OWNER, TRACE, TRANSPORT_HEADER, VERDICT_CODE,
};
use std::collections::BTreeMap;

/// NFNLGRP_NFTRACE.
const GROUP: u32 = 9;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_APPEND: u16 = 0x800;

/// The table that is made; it is there for less than two seconds.
const TABLE: &str = "nsnat-trace";

/// Before everybody else's chains: the probe. After connection tracking (-200), which knows what an answer belongs to:
/// the answers.
const FIRST: i32 = -400;
const TRACKED: i32 = -199;

/// Where an echo request has its identifier, and what an ICMP error has before the packet that it quotes.
const ECHO_ID: u32 = 4;
const ICMP_HEADER: u32 = 8;

/// NFT_REG_1, which all expressions here use; each says so by an attribute of its own (NFTA_META_DREG, NFTA_CMP_SREG,
/// …).
const REGISTER: u32 = 1;
const IN_REGISTER: u16 = 1;
/// NFTA_META_SREG; NFTA_CT_DIRECTION; NFTA_PAYLOAD_LEN.
const META_SOURCE: u16 = 3;
const CT_OF: u16 = 3;
const PAYLOAD_LENGTH: u16 = 4;

/// NFTA_TRACE_….
const TRACE_TABLE: u16 = 1;
const TRACE_CHAIN: u16 = 2;
const TRACE_RULE: u16 = 3;
const TRACE_TYPE: u16 = 4;
const TRACE_VERDICT: u16 = 5;
const TRACE_ID: u16 = 6;
const TRACE_NETWORK: u16 = 8;
const TRACE_TRANSPORT: u16 = 9;
const TRACE_OIF: u16 = 12;
const TRACE_MARK: u16 = 14;
const TRACE_POLICY: u16 = 16;
/// NFT_TRACETYPE_RULE.
const OF_RULE: u32 = 3;
/// NF_DROP, NF_ACCEPT, NF_STOLEN, NF_QUEUE; a queue's number stands in the upper half.
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
const STOLEN: u32 = 2;
const QUEUE: u32 = 3;

/// The probe, as it can be told from all others where it enters the host.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProbeSignature {
    /// Index of the host veth that it comes in by.
    pub(super) iif: u32,
    pub(super) protocol: Protocol,
    pub(super) six: bool,
    /// Source port; of an echo request the identifier.
    pub(super) source: u16,
}

impl ProbeSignature {
    fn number(self) -> u8 {
        match self.protocol {
            Protocol::Tcp(_) => 6,
            Protocol::Udp(_) => 17,
            Protocol::Icmp if self.six => 58,
            Protocol::Icmp => 1,
        }
    }
}

/// Tracing, for as long as this lives.
pub(super) struct Tracer {
    monitor: NetlinkSocket,
    /// The table goes with it.
    _owner: NetlinkSocket,
    bases: Bases,
}

/// Base chains by family, table and name: the hook, and the priority there.
type Bases = BTreeMap<(u8, String, String), (Hook, i32)>;

impl Tracer {
    /// From now on the probe, and what answers it, is traced.
    pub(super) fn begin(sign: ProbeSignature) -> Result<Self> {
        let mut monitor = NetlinkSocket::for_netfilter()?;
        let bases = bases(&monitor)?;
        monitor.listen(GROUP)?;
        let owner = NetlinkSocket::for_netfilter()?;
        let table = table(sign);
        let Err(refused) = owner.change_all(&Batch::of(SUBSYSTEM, table.iter().map(batched)))? else {
            return Ok(Self { monitor, _owner: owner, bases });
        };
        match refused.errno {
            libc::EEXIST | libc::EPERM | libc::EBUSY => {
                Err(Error::new("trace", "another nsnat traces a packet at this moment").hint("try again"))
            }
            libc::EOPNOTSUPP | libc::EINVAL => {
                Err(Error::new("trace", "this kernel has no tables that go with their owner")
                    .hint("Linux 5.12 or later is needed"))
            }
            errno => Err(Error::new("trace", std::io::Error::from_raw_os_error(errno))),
        }
    }

    /// What happened since. `device` gives the name of an interface.
    pub(super) fn events(&self, device: impl Fn(u32) -> Option<String>) -> Result<Vec<Event>> {
        let rows = self.monitor.heard(TRACE)?;
        let told = rows.iter().filter_map(|(family, row)| self.event(*family, row, &device));
        Ok(told.filter(|event| event.spot.table != TABLE).collect())
    }

    fn event(&self, family: u8, row: &[u8], device: impl Fn(u32) -> Option<String>) -> Option<Event> {
        let word = |kind| find(row, kind).map(word);
        let number = |kind| find(row, kind).and_then(big_endian);
        let (table, chain) = (word(TRACE_TABLE)?, word(TRACE_CHAIN)?);
        let by_rule = number(TRACE_TYPE) == Some(OF_RULE);
        let verdict = find(row, TRACE_VERDICT).and_then(|nest| big_endian(find(nest, VERDICT_CODE)?));
        let code = if by_rule { verdict } else { number(TRACE_POLICY).or(verdict) };
        let rule = find(row, TRACE_RULE).and_then(|value| Some(u64::from_be_bytes(*value.first_chunk()?)));
        let base = self.bases.get(&(family, table.clone(), chain.clone()));
        Some(Event {
            packet: number(TRACE_ID)?,
            rule: rule.filter(|_| by_rule),
            done: done(code),
            header: find(row, TRACE_NETWORK)
                .and_then(|network| header(network, find(row, TRACE_TRANSPORT).unwrap_or_default())),
            mark: number(TRACE_MARK).unwrap_or_default(),
            oif: number(TRACE_OIF).and_then(device),
            spot: TracedChain {
                kind: kind(family),
                hook: base.map(|(hook, _)| *hook),
                priority: base.map(|(_, priority)| *priority),
                table,
                chain,
            },
        })
    }
}

fn done(code: Option<u32>) -> Done {
    match code.map(|code| (code, code & 0xff)) {
        Some((DROP, _)) => Done::Dropped,
        Some((ACCEPT, _)) => Done::Accepted,
        Some((code, STOLEN | QUEUE)) if code < 0x8000_0000 => Done::Taken,
        _ => Done::Passed,
    }
}

/// NFPROTO_…, as nft(8) names tables.
fn kind(family: u8) -> &'static str {
    match i32::from(family) {
        libc::NFPROTO_IPV4 => "ip",
        libc::NFPROTO_IPV6 => "ip6",
        libc::NFPROTO_ARP => "arp",
        libc::NFPROTO_NETDEV => "netdev",
        libc::NFPROTO_BRIDGE => "bridge",
        _ => "inet",
    }
}

/// Where base chains are called; those of bridges and devices have other hooks.
fn bases(netlink: &NetlinkSocket) -> Result<Bases> {
    let base = |family, row: &[u8]| {
        ["ip", "ip6", "inet"].contains(&kind(family)).then_some(())?;
        let hook = find(row, CHAIN_HOOK)?;
        let number = |kind| big_endian(find(hook, kind)?);
        let of = Hook::ALL.get(usize::try_from(number(HOOK_NUMBER)?).ok()?)?;
        let name = |kind| find(row, kind).map(word);
        let priority = number(HOOK_PRIORITY)?.cast_signed();
        Some(((family, name(TABLE_NAME)?, name(CHAIN_NAME)?), (*of, priority)))
    };
    let rows = netlink.dump_each(GET_CHAIN, 0, &[], || base)?.unwrap_or_default();
    Ok(rows.into_iter().collect())
}

/// Addresses and ports out of the beginning of an IP packet, and of what it carries.
pub(super) fn header(network: &[u8], transport: &[u8]) -> Option<Header> {
    let four = |at: usize| Some(<[u8; 4]>::try_from(network.get(at..at + 4)?).ok()?.into());
    let six = |at: usize| Some(<[u8; 16]>::try_from(network.get(at..at + 16)?).ok()?.into());
    let (from, to, protocol) = match network.first()? >> 4 {
        4 => (four(12)?, four(16)?, *network.get(9)?),
        6 => (six(8)?, six(24)?, *network.get(6)?),
        _ => return None,
    };
    let port = |at: usize| Some(u16::from_be_bytes(transport.get(at..at + 2)?.try_into().ok()?));
    let ports = [6, 17].contains(&protocol).then(|| Some((port(0)?, port(2)?))).flatten();
    Some(Header { from, to, protocol, ports })
}

fn batched((kind, flags, family, body): &(u16, u16, u8, Vec<u8>)) -> BatchedChange<'_> {
    BatchedChange { kind: *kind, flags: *flags, family: *family, body }
}

/// The table that switches tracing on.
fn table(sign: ProbeSignature) -> [(u16, u16, u8, Vec<u8>); 7] {
    let create = NLM_F_CREATE;
    let name = text(TABLE_NAME, TABLE);
    let chain = |chain: &str, priority: i32| {
        let hook = [number(HOOK_NUMBER, 0), attribute(HOOK_PRIORITY, &priority.to_be_bytes())].concat();
        [name.clone(), text(CHAIN_NAME, chain), nested(CHAIN_HOOK, &hook), text(CHAIN_TYPE, "filter")]
            .concat()
    };
    let rule = |chain: &str, expressions: &[Vec<u8>]| {
        [name.clone(), text(RULE_CHAIN, chain), nested(RULE_EXPRESSIONS, &expressions.concat())].concat()
    };
    let owned = [name.clone(), number(TABLE_FLAGS, TABLE_OWNER)].concat();
    [
        (NEW_TABLE, create, INET, owned),
        (NEW_CHAIN, create, INET, chain("probe", FIRST)),
        (NEW_CHAIN, create, INET, chain("answer", TRACKED)),
        (NEW_RULE, create | NLM_F_APPEND, INET, rule("probe", &match_probe(sign))),
        (NEW_RULE, create | NLM_F_APPEND, INET, rule("probe", &error(sign))),
        (NEW_RULE, create | NLM_F_APPEND, INET, rule("probe", &match_untracked(sign))),
        (NEW_RULE, create | NLM_F_APPEND, INET, rule("answer", &answer(sign))),
    ]
}

/// `iif HOST-END meta l4proto PROTOCOL @th,0,16 PORT meta nftrace set 1`
fn match_probe(sign: ProbeSignature) -> Vec<Vec<u8>> {
    let at = if sign.protocol == Protocol::Icmp { ECHO_ID } else { 0 };
    [
        vec![meta(META_IIF), compare(&sign.iif.to_ne_bytes())],
        match_content(sign.number(), &[at_port(at, sign)]),
    ]
    .concat()
}

/// An ICMP error about it, which quotes its header: seen before anybody can keep it from connection tracking.
fn error(sign: ProbeSignature) -> Vec<Vec<u8>> {
    let (icmp, protocol, header) = if sign.six { (58, 6, 40) } else { (1, 9, 20) };
    let port = if sign.protocol == Protocol::Icmp { ECHO_ID } else { 0 };
    let about = [payload(ICMP_HEADER + protocol, 1), compare(&[sign.number()])].concat();
    match_content(icmp, &[about, at_port(ICMP_HEADER + header + port, sign)])
}

/// What the destination itself answers, as early.
fn match_untracked(sign: ProbeSignature) -> Vec<Vec<u8>> {
    let at = if sign.protocol == Protocol::Icmp { ECHO_ID } else { 2 };
    match_content(sign.number(), &[at_port(at, sign)])
}

/// `meta l4proto PROTOCOL … meta nftrace set 1`
fn match_content(protocol: u8, what: &[Vec<u8>]) -> Vec<Vec<u8>> {
    [&[meta(META_L4PROTO), compare(&[protocol])], what, &[one(), switch_on()]].concat()
}

/// `@th,AT,16 PORT`
fn at_port(at: u32, sign: ProbeSignature) -> Vec<u8> {
    [payload(at, 2), compare(&sign.source.to_be_bytes())].concat()
}

/// Loads bytes of what the IP packet carries.
fn payload(at: u32, length: u32) -> Vec<u8> {
    let load = [
        number(IN_REGISTER, REGISTER),
        number(PAYLOAD_BASE, TRANSPORT_HEADER),
        number(PAYLOAD_OFFSET, at),
        number(PAYLOAD_LENGTH, length),
    ];
    expression("payload", &load.concat())
}

/// `ct direction reply ct original protocol PROTOCOL ct original proto-src PORT meta nftrace set 1`
fn answer(sign: ProbeSignature) -> Vec<Vec<u8>> {
    let original = |key| {
        expression(
            "ct",
            &[number(IN_REGISTER, REGISTER), number(CT_KEY, key), attribute(CT_OF, &[0])].concat(),
        )
    };
    vec![
        expression("ct", &[number(IN_REGISTER, REGISTER), number(CT_KEY, CT_DIRECTION)].concat()),
        compare(&[1]),
        original(CT_PROTOCOL),
        compare(&[sign.number()]),
        original(CT_PROTO_SRC),
        compare(&sign.source.to_be_bytes()),
        one(),
        switch_on(),
    ]
}

fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

fn expression(name: &str, data: &[u8]) -> Vec<u8> {
    nested(LIST_ELEMENT, &[text(EXPRESSION_NAME, name), nested(EXPRESSION_DATA, data)].concat())
}

fn meta(key: u32) -> Vec<u8> {
    expression("meta", &[number(META_KEY, key), number(IN_REGISTER, REGISTER)].concat())
}

fn compare(value: &[u8]) -> Vec<u8> {
    let equal = 0;
    expression(
        "cmp",
        &[
            number(IN_REGISTER, REGISTER),
            number(CMP_OP, equal),
            nested(CMP_DATA, &attribute(DATA_VALUE, value)),
        ]
        .concat(),
    )
}

fn one() -> Vec<u8> {
    expression(
        "immediate",
        &[number(IN_REGISTER, REGISTER), nested(IMMEDIATE_DATA, &attribute(DATA_VALUE, &[1]))].concat(),
    )
}

fn switch_on() -> Vec<u8> {
    expression("meta", &[number(META_KEY, META_NFTRACE), number(META_SOURCE, REGISTER)].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let cases = [(Some(0), Done::Dropped), (Some(1), Done::Accepted), (Some(0x0001_0003), Done::Taken)];
        for (code, what) in cases {
            assert_eq!(done(code), what);
        }
        // NFT_JUMP, NFT_CONTINUE, and none.
        for code in [Some((-3_i32).cast_unsigned()), Some((-1_i32).cast_unsigned()), None] {
            assert_eq!(done(code), Done::Passed);
        }
    }

    #[test]
    fn headers_that_are_cut_off_are_none() {
        let network: Vec<u8> =
            [&[0x45, 0, 0, 40, 0, 0, 0, 0, 2, 6, 0, 0][..], &[10, 0, 0, 1, 192, 0, 2, 1]].concat();
        let whole = header(&network, &[0x12, 0x34, 0, 80]).unwrap();
        assert_eq!((whole.ports, whole.to.to_string().as_str()), (Some((0x1234, 80)), "192.0.2.1"));
        for end in 0..network.len() {
            assert_eq!(header(&network[..end], &[]), None);
        }
        assert_eq!(header(&network, &[0x12]).unwrap().ports, None);
    }
}
