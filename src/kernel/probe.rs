//! Asks for a name inside a namespace, to see which server answers.
//!
//! The sockets are made inside, by threads that enter the namespace; which server answered is what the host's
//! conntrack says about the very flow of the query (`ctnetlink`, the reply's source), not what the answer says about
//! itself.

use super::{conntrack, netns};
use crate::error::{Context, Error, Result};
use crate::model::{Name, Outcome, Probe, Transport};
use nix::errno::Errno;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrStorage};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// How long an answer may take; resolvers themselves wait for two to five seconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// Sends all of these at once; the answers in the same order.
pub fn probe(name: &Name, host: &str, probes: &[Probe]) -> Result<Vec<Outcome>> {
    let netns::NetnsFile::Alive { file, .. } = netns::find(name)? else {
        return Err(Error::new(format!("namespace {name}"), "it is not up").hint(format!("nsnat up {name}")));
    };
    let message = query(host)?;
    let outcomes: Vec<io::Result<Outcome>> = std::thread::scope(|scope| {
        let start = |probe: &Probe| {
            let (probe, message, file) = (*probe, message.clone(), &file);
            scope.spawn(move || probe_server(file, probe, message))
        };
        let running: Vec<_> = probes.iter().map(start).collect();
        let ended = |thread: std::thread::ScopedJoinHandle<'_, io::Result<Outcome>>| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread ended early")))
        };
        running.into_iter().map(ended).collect()
    });
    outcomes.into_iter().collect::<io::Result<_>>().what(|| format!("ask inside {name}"))
}

/// Asks inside, then looks outside where the flow went; the flow is known for seconds after.
fn probe_server(file: &File, probe: Probe, message: Vec<u8>) -> io::Result<Outcome> {
    let asked = netns::run_inside(file, move || Ok(ask(probe, &message)))?;
    let protocol = probe.transport.protocol();
    let by = asked.source.and_then(|source| {
        let by = conntrack::reply_source(source, probe.server, protocol).ok().flatten();
        // Somebody answered a query that never came to the host with this destination.
        let elsewhere = || conntrack::reply_source_of_any(source, protocol).ok().flatten();
        by.or_else(|| if asked.error.is_none() { elsewhere() } else { None })
    });
    Ok(Outcome { by, took: asked.took, error: asked.error.as_ref().map(describe_error) })
}

/// A socket whose time is up says that it would block, or that it is still connecting (socket(7), SO_SNDTIMEO).
pub(super) fn describe_error(error: &io::Error) -> String {
    let late = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut].contains(&error.kind())
        || error.raw_os_error() == Some(libc::EINPROGRESS);
    let described = || error.raw_os_error().map(|errno| Errno::from_raw(errno).desc().to_owned());
    if late { Outcome::LATE.into() } else { described().unwrap_or_else(|| error.to_string()) }
}

/// What came of a query, as the namespace sees it.
struct SentQuery {
    source: Option<SocketAddr>,
    took: Duration,
    error: Option<io::Error>,
}

fn ask(probe: Probe, message: &[u8]) -> SentQuery {
    let start = Instant::now();
    let mut source = None;
    let result = match probe.transport {
        Transport::Udp => by_udp(probe.server, message, &mut source),
        Transport::Tcp => by_tcp(probe.server, message, &mut source),
    };
    SentQuery { source, took: start.elapsed(), error: result.err() }
}

fn by_udp(server: SocketAddr, message: &[u8], source: &mut Option<SocketAddr>) -> io::Result<()> {
    let socket = udp_to(server)?;
    *source = socket.local_addr().ok();
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(message)?;
    socket.recv(&mut [0; 4096]).map(drop)
}

/// A socket that knows from which address it would send there.
pub(super) fn udp_to(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr =
        if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    Ok(socket)
}

/// Bound before it connects: a connect that fails forgets the address that it took, and with it where it went.
fn tcp_from(source: IpAddr) -> io::Result<TcpStream> {
    let family = if source.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket::socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    socket::bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(source, 0)))?;
    Ok(TcpStream::from(socket))
}

fn by_tcp(server: SocketAddr, message: &[u8], source: &mut Option<SocketAddr>) -> io::Result<()> {
    let mut stream = tcp_from(udp_to(server)?.local_addr()?.ip())?;
    *source = stream.local_addr().ok();
    stream.set_write_timeout(Some(PATIENCE))?;
    socket::connect(stream.as_raw_fd(), &SockaddrStorage::from(server))?;
    if server.port() != crate::model::dnsaddr::PORT {
        // DNS over TLS: that it can be reached is all there is to know.
        return Ok(());
    }
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = u16::try_from(message.len()).unwrap_or_default().to_be_bytes();
    stream.write_all(&[&length[..], message].concat())?;
    stream.read_exact(&mut [0; 12])
}

/// A query for the IPv4 address of `host`, recursion desired (RFC 1035, section 4.1).
fn query(host: &str) -> Result<Vec<u8>> {
    let mut out = vec![0x6e, 0x73, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in host.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length));
        let length = length.ok_or_else(|| Error::usage(host, "is not the name of a host"))?;
        out.push(length);
        out.extend(label.bytes());
    }
    out.extend([0, 0, 1, 0, 1]);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_as_the_rfc_has_it() {
        let sent = query("a.example.").unwrap();
        assert_eq!(sent[12..], *b"\x01a\x07example\0\0\x01\0\x01");
        for bad in ["", "a..b", &"x".repeat(64)] {
            assert!(query(bad).is_err(), "{bad}");
        }
    }
}
