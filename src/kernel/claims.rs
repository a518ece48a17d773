//! Which machines of a link say that an IPv4 address is theirs: a question by ARP to everybody, as a host asks before
//! it takes an address (RFC 5227, section 2.1.1). It names no address of the sender, so that nobody learns anything from
//! it, and each machine that has the address answers.

use super::decode::{GET_LINK, IFINFO};
use super::events::wait_for;
use super::netlink_socket::NetlinkSocket;
use crate::attributes::find;
use crate::error::{Context, Error, Result};
use crate::model::{Claim, Claimed, Egress, Link, Observed, UplinkPath};
use nix::sys::socket::{
    self, AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// An address of the link layer (Ethernet).
type Mac = [u8; 6];

/// ETH_P_ARP (include/uapi/linux/if_ether.h).
const ARP: u16 = 0x0806;
/// IFLA_ADDRESS (include/uapi/linux/if_link.h).
const LINK_ADDRESS: u16 = 1;
/// Hardware Ethernet, protocol IPv4, the lengths of their addresses (RFC 826).
const FORM: [u8; 6] = [0, 1, 8, 0, 6, 4];
const REQUEST: u8 = 1;
const REPLY: u8 = 2;
/// A machine of the link answers within milliseconds, one on a radio later.
const PATIENCE: Duration = Duration::from_millis(400);

/// Who says that the next hops and the host's own addresses on the uplinks are theirs. Machines that answer are named by
/// their link-layer addresses, without the host itself.
pub(super) fn claims(observed: &Observed) -> Result<Vec<Claim>> {
    let asked = questions(observed);
    if asked.is_empty() {
        return Ok(asked);
    }
    let own = own_addresses()?;
    let socket = open()?;
    for (index, claim) in indexed(&asked, observed) {
        // A device that takes no such packet has no machines on its link.
        let _ = own.get(&index).map(|mac| send(&socket, index, *mac, claim.address));
    }
    let heard = listen(&socket)?;
    let is_own = |mac: &Mac| own.values().any(|own| own == mac);
    let holders = |index: i32, claim: &Claim| {
        let all = heard
            .iter()
            .filter(|(at, address, mac)| (*at, *address) == (index, claim.address) && !is_own(mac));
        all.map(|(.., mac)| show(*mac)).collect::<Vec<_>>()
    };
    let answered = indexed(&asked, observed)
        .map(|(index, claim)| Claim { holders: holders(index, claim), ..claim.clone() });
    Ok(answered.collect())
}

/// The addresses that are asked for.
fn questions(observed: &Observed) -> Vec<Claim> {
    let paths: Vec<&UplinkPath> = observed.state.egresses.values().flat_map(Egress::parts).collect();
    let has_neighbours = |dev: &str| {
        observed.host.link(dev).is_some_and(|link| link.up && link.carrier && !link.point_to_point)
    };
    let devices: BTreeSet<&str> =
        paths.iter().map(|path| path.dev.as_str()).filter(|dev| has_neighbours(dev)).collect();
    let claim = |dev: &str, address: IpAddr, claimed| match address {
        IpAddr::V4(address) => Some(Claim { dev: dev.into(), address, claimed, holders: Vec::new() }),
        IpAddr::V6(_) => None,
    };
    let held = observed.host.addresses.iter().filter(|address| devices.contains(address.dev.as_str()));
    let own = held.filter_map(|address| claim(&address.dev, address.net.ip(), Claimed::Own));
    let hops = paths.iter().filter(|path| devices.contains(path.dev.as_str()));
    let hops =
        hops.flat_map(|path| path.gateways.iter().filter_map(|hop| claim(&path.dev, *hop, Claimed::NextHop)));
    own.chain(hops).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Each with the number of its device.
fn indexed<'a>(claims: &'a [Claim], observed: &'a Observed) -> impl Iterator<Item = (i32, &'a Claim)> {
    let index = |link: &Link| i32::try_from(link.index).ok();
    claims.iter().filter_map(move |claim| Some((observed.host.link(&claim.dev).and_then(index)?, claim)))
}

/// Link-layer addresses of the host, by device. A host may answer on one device for an address of another.
fn own_addresses() -> Result<BTreeMap<i32, Mac>> {
    let read = |_, row: &[u8]| {
        let index = row.get(4..8)?.first_chunk().map(|index| i32::from_ne_bytes(*index))?;
        let address = find(row.get(IFINFO..)?, LINK_ADDRESS)?;
        Some((index, address.try_into().ok()?))
    };
    let rows = NetlinkSocket::for_dumps()?.dump_as(GET_LINK, &[0; IFINFO], read)?;
    Ok(rows.into_iter().flatten().collect())
}

fn open() -> Result<OwnedFd> {
    let what = || "packet socket";
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket =
        socket::socket(AddressFamily::Packet, SockType::Datagram, flags, None::<SockProtocol>).what(what)?;
    // From here on it hears ARP of all devices (packet(7)).
    socket::bind(socket.as_raw_fd(), &link_address(0, [0; 6])?).what(what)?;
    Ok(socket)
}

fn send(socket: &OwnedFd, index: i32, from: Mac, address: Ipv4Addr) -> Result<()> {
    let nobody = [0; 4];
    let question = [&FORM[..], &[0, REQUEST], &from, &nobody, &[0; 6], &address.octets()].concat();
    let everybody = link_address(index, [0xff; 6])?;
    socket::sendto(socket.as_raw_fd(), &question, &everybody, MsgFlags::empty()).what(|| "ARP").map(drop)
}

/// `struct sockaddr_ll` (packet(7)).
fn link_address(index: i32, mac: Mac) -> Result<LinkAddr> {
    let mut address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).unwrap_or_default(),
        sll_protocol: ARP.to_be(),
        sll_ifindex: index,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [0; 8],
    };
    if let Some(head) = address.sll_addr.first_chunk_mut() {
        *head = mac;
    }
    let size = libc::socklen_t::try_from(size_of_val(&address)).ok();
    // SAFETY: `size` bytes at the address are a whole sockaddr_ll.
    let read = unsafe { LinkAddr::from_raw((&raw const address).cast(), size) };
    read.ok_or_else(|| Error::new("packet socket", "no such address"))
}

/// Device, address and link-layer address of each answer.
fn listen(socket: &OwnedFd) -> Result<BTreeSet<(i32, Ipv4Addr, Mac)>> {
    let until = Instant::now() + PATIENCE;
    let mut heard = BTreeSet::new();
    loop {
        let mut buffer = [0; 64];
        while let Ok((length, from)) = socket::recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut buffer) {
            let index = from.and_then(|from| i32::try_from(from.ifindex()).ok());
            heard.extend(
                index
                    .zip(answer(buffer.get(..length).unwrap_or_default()))
                    .map(|(index, (ip, mac))| (index, ip, mac)),
            );
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(heard);
        }
        wait_for(&[socket.as_fd()], left)?;
    }
}

/// The address that is claimed by an answer, and the machine that claims it (RFC 826).
fn answer(packet: &[u8]) -> Option<(Ipv4Addr, Mac)> {
    let rest = packet.strip_prefix(&FORM)?.strip_prefix(&[0, REPLY])?;
    let (mac, rest) = rest.split_first_chunk::<6>()?;
    Some(((*rest.first_chunk::<4>()?).into(), *mac))
}

fn show(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_nothing_else_is() {
        let packet =
            |kind: u8| [&FORM[..], &[0, kind], &[2, 0, 0, 0, 0, 9], &[192, 0, 2, 1], &[0; 10]].concat();
        let whole = packet(REPLY);
        assert_eq!(answer(&whole), Some((Ipv4Addr::new(192, 0, 2, 1), [2, 0, 0, 0, 0, 9])));
        assert_eq!(answer(&packet(REQUEST)), None);
        for end in 0..18 {
            assert_eq!(answer(&whole[..end]), None, "{end}");
        }
        assert_eq!(show([2, 0, 0, 0, 0, 0xab]), "02:00:00:00:00:ab");
    }
}
