//! Which sizes of packets get an answer from a host: echo requests of all of them at once, told apart by the length of the answer.

use super::netns;
use super::probe::udp_to;
use super::probe_sockets::{ECHO, ProbeShape, echo, icmp_socket};
use crate::error::{Context, Result};
use crate::model::Name;
use nix::sys::socket::{MsgFlags, SockaddrStorage, recv, sendto};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// How long answers may take. There are two rounds, which are to be over within a second.
const PATIENCE: Duration = Duration::from_millis(450);

/// Between two looks at what was heard.
const PAUSE: Duration = Duration::from_millis(5);

/// The largest packet there is.
const LARGEST: usize = 65_536;

/// Headers before an echo request of IPv6, which the kernel keeps.
const HEADER6: usize = 40;

/// The sizes, as IP packets, of those that were answered; sent out of a namespace.
pub fn answered_sizes(name: &Name, to: IpAddr, sizes: Vec<u32>) -> Result<BTreeSet<u32>> {
    let netns::NetnsFile::Alive { file, .. } = netns::find(name)? else { return Ok(BTreeSet::new()) };
    let answered = netns::run_inside(&file, move || Ok(ask(to, &sizes)));
    // What cannot be sent is not answered.
    Ok(answered.what(|| format!("namespace {name}"))?.unwrap_or_default())
}

fn ask(to: IpAddr, sizes: &[u32]) -> io::Result<BTreeSet<u32>> {
    let to = SocketAddr::new(to, 0);
    let source = udp_to(SocketAddr::new(to.ip(), 9))?.local_addr()?;
    let socket = icmp_socket(to)?;
    for size in sizes {
        let request = echo(source, ProbeShape::of_size(to.ip(), *size).padding());
        // One that is too large for the device is not answered, either.
        let _ = sendto(socket.as_raw_fd(), &request, &SockaddrStorage::from(to), MsgFlags::empty());
    }
    let until = Instant::now() + PATIENCE;
    let mut out = BTreeSet::new();
    let mut buffer = vec![0; LARGEST];
    loop {
        let is_over = Instant::now() > until;
        while let Ok(length) = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            out.extend(buffer.get(..length).and_then(|packet| answered_size(packet, source)));
        }
        if is_over || out.len() == sizes.len() {
            return Ok(out);
        }
        std::thread::sleep(PAUSE);
    }
}

/// The size of an answer to one of our requests, which carry the port of their source.
fn answered_size(packet: &[u8], source: SocketAddr) -> Option<u32> {
    let [(_, four), (_, six)] = ECHO;
    // Only IPv4's raw sockets give the header, too.
    let (icmp, reply, before) = match source {
        SocketAddr::V4(_) => (packet.get(usize::from(packet.first()? & 0xf) * 4..)?, four, 0),
        SocketAddr::V6(_) => (packet, six, HEADER6),
    };
    let is_ours = *icmp.first()? == reply && icmp.get(4..6)? == source.port().to_be_bytes();
    is_ours.then(|| u32::try_from(packet.len() + before).ok())?
}
