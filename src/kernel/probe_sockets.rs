//! The probe itself: one packet out of a namespace, and what the namespace hears of it.

use super::packet_socket::{header_in_error, split};
use super::probe::udp_to;
use crate::model::dnsaddr;
use crate::model::trace::{ProbeAnswer, ProbeTarget, Protocol};
use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, SockFlag, SockProtocol, SockType, SockaddrStorage, setsockopt, sockopt,
};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

/// How far a probe goes, and how large it is.
#[derive(Clone, Copy)]
pub struct ProbeShape {
    /// Hops. The host is the first one, and the next hop of the way out the second.
    hops: i32,
    /// Bytes after the ICMP header of an echo request.
    padding: usize,
}

impl ProbeShape {
    /// As far as the next hop.
    pub const NEXT_HOP: Self = Self { hops: 2, padding: 0 };
    /// As far as it takes.
    pub const FAR: Self = Self { hops: 64, padding: 0 };

    /// As far as it takes, by an IP packet of so many bytes, which no router may divide: raw sockets look for the path's
    /// MTU, as all sockets do (ip(7), `IP_MTU_DISCOVER`).
    pub fn of_size(address: IpAddr, bytes: u32) -> Self {
        let headers = if address.is_ipv4() { 28 } else { 48 };
        Self { padding: usize::try_from(bytes.saturating_sub(headers)).unwrap_or_default(), ..Self::FAR }
    }

    /// Bytes after the ICMP header.
    pub(super) fn padding(self) -> usize {
        self.padding
    }
}

/// A question as programs send it, where the probe goes to port 53: servers answer nothing else. It asks for the root's
/// own servers (RFC 1035, section 4.1).
pub(super) const DNS_QUESTION: [u8; 17] = [0x6e, 0x73, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];

/// ICMP_ECHO and ICMPV6_ECHO_REQUEST, and their answers.
pub(super) const ECHO: [(u8, u8); 2] = [(8, 0), (128, 129)];

/// The sockets of a probe. Made inside; a socket stays in the namespace that it was made in.
pub(super) struct ProbeSockets {
    goal: ProbeTarget,
    shape: ProbeShape,
    probe: OwnedFd,
    /// Hears ICMP.
    icmp: OwnedFd,
    /// Address and port (or identifier) that it is sent from.
    pub(super) source: SocketAddr,
}

impl ProbeSockets {
    /// Only inside. An error: there is no address, or no route.
    pub(super) fn new(goal: ProbeTarget, shape: ProbeShape) -> io::Result<Self> {
        let to = SocketAddr::new(goal.address, port(goal.protocol).unwrap_or(9));
        let from = udp_to(to)?.local_addr()?;
        let icmp = icmp_socket(to)?;
        let (kind, protocol) = match goal.protocol {
            Protocol::Tcp(_) => (SockType::Stream, SockProtocol::Tcp),
            Protocol::Udp(_) => (SockType::Datagram, SockProtocol::Udp),
            Protocol::Icmp => {
                let probe = icmp_socket(to)?;
                limit(&probe, to, shape.hops)?;
                return Ok(Self { goal, shape, probe, icmp, source: from });
            }
        };
        let probe = socket::socket(family(to), kind, flags(), protocol)?;
        limit(&probe, to, shape.hops)?;
        socket::bind(probe.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(from.ip(), 0)))?;
        let bound: SockaddrStorage = socket::getsockname(probe.as_raw_fd())?;
        Ok(Self { goal, shape, probe, icmp, source: address(&bound).unwrap_or(from) })
    }

    /// Sends it.
    pub(super) fn send(&self) -> io::Result<()> {
        let to = SocketAddr::new(self.goal.address, port(self.goal.protocol).unwrap_or_default());
        let fd = self.probe.as_raw_fd();
        if self.goal.protocol == Protocol::Icmp {
            let echo = echo(self.source, self.shape.padding);
            return Ok(
                socket::sendto(fd, &echo, &SockaddrStorage::from(to), socket::MsgFlags::empty()).map(drop)?
            );
        }
        match socket::connect(fd, &SockaddrStorage::from(to)) {
            Err(Errno::EINPROGRESS) | Ok(()) => {}
            Err(error) => return Err(error.into()),
        }
        if let Protocol::Udp(port) = self.goal.protocol {
            let data: &[u8] = if port == dnsaddr::PORT { &DNS_QUESTION } else { &[0] };
            socket::send(fd, data, socket::MsgFlags::empty())?;
        }
        Ok(())
    }

    /// What was heard so far, and its sender.
    pub(super) fn wait_for_answer(&self) -> (ProbeAnswer, Option<IpAddr>) {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket::recvfrom::<SockaddrStorage>(self.icmp.as_raw_fd(), &mut buffer)
        {
            let packet = buffer.get(..length).unwrap_or_default();
            let by = from.as_ref().and_then(address).map(|from| from.ip());
            if let Some(heard) = self.read_answer(packet) {
                return (heard, by);
            }
        }
        (self.answered().unwrap_or(ProbeAnswer::Nothing), None)
    }

    /// What an ICMP message says about the probe.
    fn read_answer(&self, packet: &[u8]) -> Option<ProbeAnswer> {
        let (protocol, icmp) = match self.goal.address {
            // Only IPv4's raw sockets give the header, too.
            IpAddr::V4(_) => (1, split(packet)?.1),
            IpAddr::V6(_) => (58, packet),
        };
        let kind = *icmp.first()?;
        if let Some(about) = header_in_error(protocol, icmp) {
            let ours = about.to == self.goal.address
                && about.ports.is_none_or(|(from, _)| from == self.source.port());
            let heard = if [(1, 11), (58, 3)].contains(&(protocol, kind)) {
                ProbeAnswer::HopLimit
            } else {
                ProbeAnswer::Unreachable
            };
            return ours.then_some(heard);
        }
        let reply = ECHO.iter().any(|(_, reply)| *reply == kind);
        let ours = icmp.get(4..6)? == self.source.port().to_be_bytes();
        (self.goal.protocol == Protocol::Icmp && reply && ours).then_some(ProbeAnswer::Answer)
    }

    /// What the probe's own socket knows.
    fn answered(&self) -> Option<ProbeAnswer> {
        match self.goal.protocol {
            Protocol::Icmp => None,
            Protocol::Udp(_) => {
                let got = socket::recv(self.probe.as_raw_fd(), &mut [0; 512], socket::MsgFlags::empty());
                got.is_ok().then_some(ProbeAnswer::Answer)
            }
            Protocol::Tcp(_) => match socket::getsockopt(&self.probe, sockopt::SocketError) {
                Ok(libc::ECONNREFUSED | libc::ECONNRESET) => Some(ProbeAnswer::Reset),
                Ok(0) => socket::getpeername::<SockaddrStorage>(self.probe.as_raw_fd())
                    .is_ok()
                    .then_some(ProbeAnswer::Answer),
                _ => None,
            },
        }
    }
}

fn port(protocol: Protocol) -> Option<u16> {
    match protocol {
        Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
        Protocol::Icmp => None,
    }
}

pub(super) fn flags() -> SockFlag {
    SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK
}

pub(super) fn family(to: SocketAddr) -> AddressFamily {
    if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

pub(super) fn icmp_socket(to: SocketAddr) -> io::Result<OwnedFd> {
    let protocol = if to.is_ipv4() { SockProtocol::Icmp } else { SockProtocol::IcmpV6 };
    Ok(socket::socket(family(to), SockType::Raw, flags(), protocol)?)
}

fn limit(probe: &OwnedFd, to: SocketAddr, hops: i32) -> io::Result<()> {
    if to.is_ipv4() {
        setsockopt(probe, sockopt::Ipv4Ttl, &hops)?;
    } else {
        setsockopt(probe, sockopt::Ipv6Ttl, &hops)?;
    }
    Ok(())
}

/// An echo request; its identifier is the port that was found. The checksum of IPv6's is the kernel's to fill in.
pub(super) fn echo(source: SocketAddr, padding: usize) -> Vec<u8> {
    let [(four, _), (six, _)] = ECHO;
    let kind = if source.is_ipv4() { four } else { six };
    let [high, low] = source.port().to_be_bytes();
    let mut out = vec![kind, 0, 0, 0, high, low, 0, 1];
    out.resize(out.len() + padding, 0);
    if source.is_ipv4() {
        let sum = checksum(&out).to_be_bytes();
        out.splice(2..4, sum);
    }
    out
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|pair| pair.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)));
    let sum: u32 = words.sum();
    !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap_or(u16::MAX)
}

fn address(from: &SockaddrStorage) -> Option<SocketAddr> {
    let four = from.as_sockaddr_in().map(|from| SocketAddr::V4((*from).into()));
    four.or(from.as_sockaddr_in6().map(|from| SocketAddr::V6((*from).into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_request_adds_up() {
        let sent = echo("10.0.0.1:4660".parse().unwrap(), 0);
        assert_eq!(sent[..2], [8, 0]);
        assert_eq!(sent[4..6], [0x12, 0x34]);
        assert_eq!(checksum(&sent), 0);
    }
}
