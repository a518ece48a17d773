//! TCP connections inside a namespace: listed, and ended as `ss -K` does it (sock_diag(7), `SOCK_DESTROY`).

use super::netlink_socket::NetlinkSocket;
use super::netns;
use crate::error::Result;
use crate::model::{Family, Name};
use crate::plan::Connections;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::Range;

// include/uapi/linux/sock_diag.h
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;

/// Connections that were accepted and are not over (include/net/tcp_states.h): all states but SYN_SENT (2), TIME_WAIT (6),
/// CLOSE (7), LISTEN (10) and what is beyond. A connection that only begins does so anew by itself.
const STATES: u32 = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11;

/// `struct inet_diag_sockid`, which names a socket: ports, addresses (16 bytes each), device, cookie. It begins after the
/// first four bytes of `struct inet_diag_msg`.
const ID: Range<usize> = 4..52;
const OWN_PORT: Range<usize> = 0..2;
const PEER_PORT: Range<usize> = 2..4;
const SOURCE: Range<usize> = 4..20;
const DESTINATION: Range<usize> = 20..36;
/// Inode number of the socket, in `struct inet_diag_msg`.
const INODE: Range<usize> = 68..72;

/// Ends these connections in a namespace. Its programs hear of it at once. What a kernel cannot end ends by itself, later.
pub(super) fn reset(name: &Name, which: &Connections) -> Result<()> {
    let Some(netlink) = inside(name)? else { return Ok(()) };
    for (family, row) in connections(&netlink) {
        let ends =
            own(family, &row).zip(peer(family, &row)).is_some_and(|(own, peer)| ends(which, own, peer.ip()));
        if let Some(id) = row.get(ID).filter(|_| ends) {
            let _ = netlink.ask_whole(SOCK_DESTROY, 0, &request(family, id));
        }
    }
    Ok(())
}

fn ends(which: &Connections, own: SocketAddr, peer: IpAddr) -> bool {
    let is_meant = which.from.is_empty() || which.from.contains(&own.ip());
    let goes_on = is_spared(peer, &which.spared) || which.served.contains(&own.port());
    is_meant && which.families.contains(&Family::of(peer)) && !goes_on
}

/// With which hosts processes in a namespace have connections. One that its process closed may take a while to end, and is
/// nobody's meanwhile.
pub fn peers(name: &Name) -> Result<BTreeSet<SocketAddr>> {
    let Some(netlink) = inside(name)? else { return Ok(BTreeSet::new()) };
    let is_held = |row: &[u8]| row.get(INODE).is_some_and(|inode| inode != [0; 4]);
    let held = connections(&netlink).filter(|(_, row)| is_held(row));
    Ok(held.filter_map(|(family, row)| peer(family, &row)).collect())
}

/// A socket in a namespace that asks for sockets; none where there is no such namespace, or it can say nothing.
fn inside(name: &Name) -> Result<Option<NetlinkSocket>> {
    let netns::NetnsFile::Alive { file, .. } = netns::find(name)? else { return Ok(None) };
    let opened = || NetlinkSocket::for_sockets().map_err(io::Error::other);
    Ok(netns::run_inside(&file, opened).ok())
}

/// The family of each connection, and what is told of it.
fn connections(netlink: &NetlinkSocket) -> impl Iterator<Item = (u8, Vec<u8>)> {
    [libc::AF_INET, libc::AF_INET6].into_iter().flat_map(|family| {
        let family = u8::try_from(family).unwrap_or_default();
        let rows = netlink.dump_whole(SOCK_DIAG_BY_FAMILY, &request(family, &[0; 48]));
        rows.ok().flatten().unwrap_or_default().into_iter().map(move |row| (family, row))
    })
}

fn is_spared(peer: IpAddr, spared: &BTreeSet<IpAddr>) -> bool {
    peer.is_loopback() || spared.contains(&peer)
}

/// `struct inet_diag_req_v2`.
fn request(family: u8, id: &[u8]) -> Vec<u8> {
    const TCP: u8 = 6;
    [&[family, TCP, 0, 0], &STATES.to_ne_bytes()[..], id].concat()
}

/// The other end.
fn peer(family: u8, row: &[u8]) -> Option<SocketAddr> {
    end(family, row, PEER_PORT, DESTINATION)
}

/// This end.
fn own(family: u8, row: &[u8]) -> Option<SocketAddr> {
    end(family, row, OWN_PORT, SOURCE)
}

fn end(family: u8, row: &[u8], port: Range<usize>, bytes: Range<usize>) -> Option<SocketAddr> {
    let id = row.get(ID)?;
    let port = u16::from_be_bytes(*id.get(port)?.first_chunk()?);
    Some(SocketAddr::new(address(family, id.get(bytes)?)?, port))
}

/// An address. IPv4 in a socket of IPv6 is told as what it is.
fn address(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    if i32::from(family) == libc::AF_INET {
        Some(IpAddr::from(*bytes.first_chunk::<4>()?))
    } else {
        Some(Ipv6Addr::from(*bytes.first_chunk::<16>()?).to_canonical())
    }
}
