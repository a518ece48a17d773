//! What really leaves the host, and what arrives: a packet socket (packet(7)) on all devices.
//!
//! A packet is seen there after everything that a host does with it (netfilter, IPsec, traffic control), and before
//! anything when it arrives. On its way out the probe's hop limit is 1, as hardly any other packet's is: a filter of
//! the kernel's leaves those, and ICMP, which errors come by.

use super::tracer::header;
use crate::error::{Context, Result};
use crate::model::trace::Header;
use nix::sys::socket::{self, AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType};
use std::os::fd::{AsRawFd, OwnedFd};

/// PACKET_OUTGOING (include/uapi/linux/if_packet.h).
const OUTGOING: u8 = 4;

/// Classic BPF (Documentation/networking/filter.rst): operation, how far to jump if it holds and if it does not, value.
/// Offsets are from the network header.
const FILTER: [(u16, u8, u8, u32); 13] = [
    // The link layer's protocol: SKF_AD_OFF + SKF_AD_PROTOCOL.
    (LOAD_HALF, 0, 0, 0xffff_f000),
    (EQUALS, 0, 4, IPV4),
    (LOAD_BYTE, 0, 0, 8),
    (EQUALS, 7, 0, 1),
    (LOAD_BYTE, 0, 0, 9),
    (EQUALS, 5, 6, ICMP as u32),
    (EQUALS, 0, 5, IPV6),
    (LOAD_BYTE, 0, 0, 7),
    (EQUALS, 2, 0, 1),
    (LOAD_BYTE, 0, 0, 6),
    (EQUALS, 0, 1, ICMPV6 as u32),
    (RETURN, 0, 0, 0xffff),
    (RETURN, 0, 0, 0),
];
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const EQUALS: u16 = 0x15;
const RETURN: u16 = 0x06;
const IPV4: u32 = 0x0800;
const IPV6: u32 = 0x86dd;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// A packet on its way out or in.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeenPacket {
    /// Index of the device.
    pub(super) device: i32,
    pub(super) outgoing: bool,
    /// Addresses of the packet; of an ICMP error the addresses of the packet that the error is about.
    pub(super) header: Header,
    /// Whether the packet is an ICMP error.
    pub(super) error: bool,
}

pub(super) struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// From now on.
    pub(super) fn open() -> Result<Self> {
        let what = || "packet socket";
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket::socket(AddressFamily::Packet, SockType::Datagram, flags, SockProtocol::EthAll)
            .what(what)?;
        filter(&socket).what(what)?;
        Ok(Self(socket))
    }

    /// What was seen since.
    pub(super) fn seen(&self) -> Vec<SeenPacket> {
        let mut out = Vec::new();
        let mut buffer = [0; 256];
        while let Ok((length, from)) = socket::recvfrom::<LinkAddr>(self.0.as_raw_fd(), &mut buffer) {
            let packet = buffer.get(..length.min(buffer.len())).unwrap_or_default();
            out.extend(from.and_then(|from| seen(&from, packet)));
        }
        out
    }
}

fn filter(socket: &OwnedFd) -> nix::Result<()> {
    let mut code = FILTER.map(|(code, jt, jf, k)| libc::sock_filter { code, jt, jf, k });
    let len = u16::try_from(code.len()).unwrap_or_default();
    let program = libc::sock_fprog { len, filter: code.as_mut_ptr() };
    let size = libc::socklen_t::try_from(size_of_val(&program)).unwrap_or_default();
    // SAFETY: the kernel reads `size` bytes of `program`, and `len` instructions of `code`, which lives until then.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size,
        )
    };
    nix::errno::Errno::result(done).map(drop)
}

fn seen(from: &LinkAddr, packet: &[u8]) -> Option<SeenPacket> {
    let (outer, carried) = split(packet)?;
    let (header, error) = match header_in_error(outer.protocol, carried) {
        Some(inner) => (inner, true),
        None => (outer, false),
    };
    let device = i32::try_from(from.ifindex()).ok()?;
    Some(SeenPacket { device, outgoing: from.pkttype() == OUTGOING, header, error })
}

/// The header, and what the packet carries.
pub(super) fn split(packet: &[u8]) -> Option<(Header, &[u8])> {
    let first = packet.first()?;
    let length = if first >> 4 == 4 { usize::from(first & 0xf) * 4 } else { 40 };
    let carried = packet.get(length..)?;
    Some((header(packet, carried)?, carried))
}

/// The packet that an ICMP error is about (RFC 792, RFC 4443): a used-up hop limit, or a destination out of reach.
pub(super) fn header_in_error(protocol: u8, icmp: &[u8]) -> Option<Header> {
    let errors: &[u8] = match protocol {
        ICMP => &[3, 11],
        ICMPV6 => &[1, 3],
        _ => return None,
    };
    errors.contains(icmp.first()?).then_some(())?;
    split(icmp.get(8..)?).map(|(header, _)| header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_it_is_about() {
        let probe =
            [&[0x45, 0, 0, 40, 0, 0, 0, 0, 1, 6, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1][..], &[0, 9, 0, 80]]
                .concat();
        let error = [&[11, 0, 0, 0, 0, 0, 0, 0][..], &probe].concat();
        let about = header_in_error(ICMP, &error).unwrap();
        assert_eq!((about.to.to_string().as_str(), about.ports), ("192.0.2.1", Some((9, 80))));
        for end in 0..error.len() {
            // Cut off anywhere, it is no error, or one without ports.
            assert!(
                header_in_error(ICMP, &error[..end]).is_none_or(|header| header.ports.is_none()),
                "{end}"
            );
        }
        assert_eq!(header_in_error(ICMP, &[8, 0, 0, 0]), None);
    }
}
