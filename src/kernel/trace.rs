//! Sends one probe out of a namespace, and records all that can be seen of it on its way through the host.
//!
//! Four witnesses tell what no single one of them knows: nf_tables, which rules the packet met (`tracer`); a packet
//! socket, what really left, by which device (`wire`); the namespace, what it heard (`sample`); and the routing table,
//! by what route. Nothing of it lasts: sockets close, and what they made goes with them.

use super::netlink_socket::NetlinkSocket;
use super::packet_socket::{PacketSocket, SeenPacket};
use super::probe::describe_error;
use super::probe_sockets::{ProbeShape, ProbeSockets};
use super::tracer::{ProbeSignature, Tracer};
use super::{lower_devices, netns, nft};
use crate::attributes::{address, attribute, find, native, octets};
use crate::error::{Context, Error, Result};
use crate::model::Name;
use crate::model::trace::{ChosenRoute, Event, Header, ProbeAnswer, ProbeTarget, Trace, TracedChain};
use nix::net::if_::{if_indextoname, if_nametoindex};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How long an answer may take. Before the kernel would send the first packet of a connection once more (one second,
/// RFC 6298).
const PATIENCE: Duration = Duration::from_millis(900);

/// Between two looks at what was heard.
const PAUSE: Duration = Duration::from_millis(2);

const RTM_GETROUTE: u16 = 26;
/// RTM_F_LOOKUP_TABLE: say which table the route is in.
const LOOKUP_TABLE: u32 = 0x1000;
const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_IIF: u16 = 3;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_TABLE: u16 = 15;
const RTA_MARK: u16 = 16;
const RTA_VIA: u16 = 18;

/// Sends a probe out of a namespace whose host veth is `link`; `mark` is what its packets are routed by.
pub fn trace(name: &Name, link: &str, mark: u32, goal: ProbeTarget) -> Result<Trace> {
    let netns::NetnsFile::Alive { file, .. } = netns::find(name)? else {
        return Err(Error::new(format!("namespace {name}"), "it is not up").hint(format!("nsnat up {name}")));
    };
    let iif = if_nametoindex(link).what(|| link)?;
    let sample = match netns::run_inside(&file, move || Ok(ProbeSockets::new(goal, ProbeShape::NEXT_HOP)))
        .what(|| format!("namespace {name}"))?
    {
        Ok(sample) => sample,
        Err(error) => return Ok(unsent_trace(goal, None, &error)),
    };
    let source = sample.source;
    let sign =
        ProbeSignature { iif, protocol: goal.protocol, six: goal.address.is_ipv6(), source: source.port() };
    let (tracer, wire) = (Tracer::begin(sign)?, PacketSocket::open()?);
    if let Err(error) = sample.send() {
        return Ok(unsent_trace(goal, Some(source), &error));
    }
    let (heard, by) = wait_for_answer(&sample);
    let events = tracer.events(device)?;
    let to = sent_to(&events, source, goal);
    let seen = wire.seen();
    let leaving = seen.iter().filter(|seen| seen.outgoing && !seen.error && is_about(seen, to));
    let arriving = seen.iter().find(|seen| !seen.outgoing && seen.error && is_about(seen, to));
    let mut left: Vec<u32> = leaving.filter_map(|seen| u32::try_from(seen.device).ok()).collect();
    left.dedup();
    Ok(Trace {
        goal,
        source: Some(source.ip()),
        unsent: None,
        route: route(source.ip(), to.to, iif, mark)?,
        left: lower_devices::uppermost(&left).into_iter().filter_map(device).collect(),
        arrived: arriving.and_then(|seen| name_of(seen.device)),
        events,
        heard,
        by,
    })
}

/// Sends a probe out of a namespace, and says what was heard of it. Nobody watches it on its way.
pub fn reach(name: &Name, goal: ProbeTarget, shape: ProbeShape) -> Result<ProbeAnswer> {
    let netns::NetnsFile::Alive { file, .. } = netns::find(name)? else { return Ok(ProbeAnswer::Nothing) };
    let sockets = netns::run_inside(&file, move || Ok(ProbeSockets::new(goal, shape)));
    let Ok(sockets) = sockets.what(|| format!("namespace {name}"))? else { return Ok(ProbeAnswer::Nothing) };
    match sockets.send() {
        Ok(()) => Ok(wait_for_answer(&sockets).0),
        // The kernel knows already that a smaller one is wanted.
        Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => Ok(ProbeAnswer::Unreachable),
        Err(_) => Ok(ProbeAnswer::Nothing),
    }
}

/// The text of a rule, as nft(8) lists it; none where it is gone, or cannot be listed.
pub fn rule_text(spot: &TracedChain, handle: u64) -> Option<String> {
    let list = ["-a", "list", "chain", spot.kind, &spot.table, &spot.chain];
    let listed = nft::run(&list, "").ok()?;
    let end = format!("# handle {handle}");
    let line = listed.lines().find(|line| line.trim_end().ends_with(&end))?;
    Some(line.trim().trim_end_matches(&end).trim_end().to_owned())
}

fn unsent_trace(goal: ProbeTarget, source: Option<SocketAddr>, error: &std::io::Error) -> Trace {
    Trace {
        goal,
        source: source.map(|source| source.ip()),
        unsent: Some(describe_error(error)),
        events: Vec::new(),
        route: None,
        left: Vec::new(),
        arrived: None,
        heard: ProbeAnswer::Nothing,
        by: None,
    }
}

/// Until something is heard, or an answer would be late.
fn wait_for_answer(sample: &ProbeSockets) -> (ProbeAnswer, Option<IpAddr>) {
    let until = Instant::now() + PATIENCE;
    loop {
        let heard = sample.wait_for_answer();
        if heard.0 != ProbeAnswer::Nothing || Instant::now() > until {
            return heard;
        }
        std::thread::sleep(PAUSE);
    }
}

/// The probe as it was last seen, with the destination that it has after all rewriting.
fn sent_to(events: &[Event], source: SocketAddr, goal: ProbeTarget) -> Header {
    let first = events.first().map(|event| event.packet);
    let own = events.iter().filter(|event| Some(event.packet) == first);
    let last = own.filter_map(|event| event.header).next_back();
    last.unwrap_or(Header { from: source.ip(), to: goal.address, protocol: 0, ports: None })
}

/// Whether a packet is the probe, or an error about it. Its source may have been rewritten since.
fn is_about(seen: &SeenPacket, probe: Header) -> bool {
    let port = |header: Header| header.ports.map(|(_, to)| to);
    seen.header.to == probe.to && seen.header.protocol == probe.protocol && port(seen.header) == port(probe)
}

fn device(index: u32) -> Option<String> {
    if_indextoname(index).ok()?.into_string().ok()
}

fn name_of(index: i32) -> Option<String> {
    device(u32::try_from(index).ok()?)
}

/// `ip route get TO from FROM iif LINK mark MARK`.
fn route(from: IpAddr, to: IpAddr, iif: u32, mark: u32) -> Result<Option<ChosenRoute>> {
    let family = if to.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // The rest of rtmsg: all zero, but for the flags.
    let body = [
        vec![0; 4],
        LOOKUP_TABLE.to_ne_bytes().to_vec(),
        attribute(RTA_DST, &octets(to)),
        attribute(RTA_SRC, &octets(from)),
        attribute(RTA_IIF, &iif.to_ne_bytes()),
        attribute(RTA_MARK, &mark.to_ne_bytes()),
    ]
    .concat();
    let family = u8::try_from(family).unwrap_or_default();
    // What is not routed is answered by an error, and which one does not matter.
    let Ok(Some(answer)) = NetlinkSocket::for_routing()?.get(RTM_GETROUTE, family, &body) else {
        return Ok(None);
    };
    let attributes = answer.get(8..).unwrap_or_default();
    let number = |kind| find(attributes, kind).and_then(native);
    let via = find(attributes, RTA_VIA).and_then(|value| address(value.get(2..)?));
    Ok(Some(ChosenRoute {
        table: number(RTA_TABLE).unwrap_or_default(),
        dev: number(RTA_OIF).and_then(device),
        gateway: find(attributes, RTA_GATEWAY).and_then(address).or(via),
    }))
}
