//! Messages of nfnetlink (include/uapi/linux/netfilter/nfnetlink.h): building, sending, reading.
//!
//! What nft and conntrack would take milliseconds to print takes the kernel microseconds to dump, and its form does
//! not change with the version of a tool.

use super::dump;
use crate::attributes::native;
use crate::error::{Context, Error, Result};
use crate::nft::Change;
use crate::nft::numbers::{INET, SUBSYSTEM};
use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_SOCK_DIAG, NETLINK_XFRM};
use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::{setsockopt, sockopt};

const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// NFNL_MSG_BATCH_BEGIN and its end.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// nfgenmsg, with which bodies begin.
const HEADER: usize = 4;
/// The kernel fills no more of a buffer with one part of a dump (`netlink_recvmsg` in net/netlink/af_netlink.c).
const PART: usize = 32_768;

/// A connection to netfilter.
pub(super) struct NetlinkSocket(Socket);

impl NetlinkSocket {
    /// In this thread's namespace.
    pub(super) fn for_netfilter() -> Result<Self> {
        Self::of(NETLINK_NETFILTER)
    }

    /// For messages of rtnetlink that no crate knows: their headers begin with the family and three bytes, too.
    pub(super) fn for_routing() -> Result<Self> {
        Self::of(NETLINK_ROUTE)
    }

    /// For sockets of this thread's namespace, whose messages have headers of their own.
    pub(super) fn for_sockets() -> Result<Self> {
        Self::of(NETLINK_SOCK_DIAG)
    }

    /// For dumps of rtnetlink; the kernel refuses what it does not understand of a question. It gets an address by its
    /// first question.
    pub(super) fn for_dumps() -> Result<Self> {
        let socket = Socket::new(NETLINK_ROUTE).what(|| "netlink")?;
        socket.set_netlink_get_strict_chk(true).what(|| "netlink")?;
        Ok(Self(socket))
    }

    /// The cookie of the namespace that it was opened in.
    pub(super) fn cookie(&self) -> Option<u64> {
        super::cookie::cookie(&self.0)
    }

    /// For IPsec, whose messages have no such header; none where the kernel knows no IPsec.
    pub(super) fn for_ipsec() -> Result<Option<Self>> {
        match Socket::new(NETLINK_XFRM) {
            Ok(socket) => Self::connected(socket).map(Some),
            Err(error) if error.raw_os_error() == Some(libc::EPROTONOSUPPORT) => Ok(None),
            Err(error) => Err(error).what(|| "netlink"),
        }
    }

    fn of(protocol: isize) -> Result<Self> {
        Self::connected(Socket::new(protocol).what(|| "netlink")?)
    }

    fn connected(mut socket: Socket) -> Result<Self> {
        let what = || "netlink";
        socket.bind_auto().what(what)?;
        socket.connect(&SocketAddr::new(0, 0)).what(what)?;
        Ok(Self(socket))
    }

    /// Sends one request; its errno, 0 when it was granted.
    pub(super) fn ask(&self, kind: u16, family: u8, body: &[u8]) -> Result<i32> {
        self.change(kind, 0, family, body)
    }

    /// Sends one request with further flags; its errno, 0 when it was granted.
    pub(super) fn change(&self, kind: u16, flags: u16, family: u8, body: &[u8]) -> Result<i32> {
        self.ask_whole(kind, flags, &with_header(family, body))
    }

    /// The same for a message whose body begins with no such header.
    pub(super) fn ask_whole(&self, kind: u16, flags: u16, body: &[u8]) -> Result<i32> {
        self.0.send(&message(kind, REQUEST | ACK | flags, body), 0).what(|| "nfnetlink")?;
        loop {
            let (answer, _) = self.0.recv_from_full().what(|| "nfnetlink")?;
            if let Some(errno) = messages(&answer).find_map(|message| message.errno()) {
                return Ok(errno);
            }
        }
    }

    /// Sends changes that are made all together or not at all. Only the last one is acknowledged, for the kernel tells of each
    /// that it refuses anyway; one that is refused is told by its place among them, and none where it is the whole.
    pub(super) fn change_all(&self, batch: &Batch) -> Result<Answer> {
        self.make_room(batch.bytes.len());
        self.0.send(&batch.bytes, 0).what(|| "nfnetlink")?;
        let mut refused = None;
        loop {
            let (answer, _) = self.0.recv_from_full().what(|| "nfnetlink")?;
            for message in messages(&answer) {
                let Some(errno) = message.errno() else { continue };
                let place = message.answered().checked_sub(1);
                if errno != 0 {
                    refused.get_or_insert(Refused { place, errno });
                }
                if place.is_none_or(|place| place + 1 == batch.count) {
                    return Ok(refused.map_or(Ok(()), Err));
                }
            }
        }
    }

    /// Lets the socket take a message of that length. Where the kernel does not allow it, the message is refused, and the
    /// error says so.
    fn make_room(&self, length: usize) {
        /// What every socket takes (net.core.wmem_default is 208 KiB).
        const USUAL: usize = 128 << 10;
        if length > USUAL {
            let room = length.saturating_mul(2);
            let forced = setsockopt(&self.0, sockopt::SndBufForce, &room);
            let _ = forced.or_else(|_| setsockopt(&self.0, sockopt::SndBuf, &room));
        }
    }

    /// Makes it hear what the kernel tells a group of listeners; nothing that is heard is waited for.
    pub(super) fn listen(&mut self, group: u32) -> Result<()> {
        let what = || "nfnetlink";
        self.0.add_membership(group).what(what)?;
        self.0.set_non_blocking(true).what(what)
    }

    /// What was heard since: the family of each message, and its body.
    pub(super) fn heard(&self, kind: u16) -> Result<Vec<DumpRow>> {
        let mut out = Vec::new();
        loop {
            match self.0.recv_from_full() {
                Ok((bytes, _)) => {
                    let told = messages(&bytes).filter(|message| message.kind == kind);
                    out.extend(told.map(|message| split(message.body)));
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(out),
                Err(error) => return Err(Error::new("nfnetlink", error)),
            }
        }
    }

    /// The body of one object; none where there is none.
    pub(super) fn get(&self, kind: u16, family: u8, body: &[u8]) -> Result<Option<Vec<u8>>> {
        match self.get_whole(kind, &with_header(family, body))? {
            Ok(body) => Ok(body.get(HEADER..).map(<[u8]>::to_vec)),
            Err(libc::ENOENT) => Ok(None),
            Err(errno) => Err(Error::new("nfnetlink", std::io::Error::from_raw_os_error(errno))),
        }
    }

    /// The same for a message whose body begins with no such header; or the errno.
    pub(super) fn get_whole(&self, kind: u16, body: &[u8]) -> Result<std::result::Result<Vec<u8>, i32>> {
        self.0.send(&message(kind, REQUEST, body), 0).what(|| "nfnetlink")?;
        let (answer, _) = self.0.recv_from_full().what(|| "nfnetlink")?;
        let first = messages(&answer).next();
        Ok(match first.as_ref().and_then(Message::errno) {
            None => Ok(first.map(|object| object.body.to_vec()).unwrap_or_default()),
            Some(errno) => Err(errno),
        })
    }

    /// The bodies of all objects of a kind; none where there is no such table.
    pub(super) fn dump(&self, kind: u16, family: u8, body: &[u8]) -> Result<Option<Vec<Vec<u8>>>> {
        self.dump_each(kind, family, body, || |_, row: &[u8]| Some(row.to_vec()))
    }

    /// What a reader makes of the family and the body of each object; the family in the question may be 0 for all. `begin` makes a
    /// new reader for each try.
    pub(super) fn dump_each<T, R: FnMut(u8, &[u8]) -> Option<T>>(
        &self,
        kind: u16,
        family: u8,
        body: &[u8],
        begin: impl Fn() -> R,
    ) -> Result<Option<Vec<T>>> {
        let begin = || {
            let mut read = begin();
            move |_, row: &[u8]| read(*row.first()?, row.get(HEADER..)?)
        };
        self.dump_by(kind, &with_header(family, body), begin)
    }

    /// The same for messages whose bodies begin with no such header.
    pub(super) fn dump_whole(&self, kind: u16, body: &[u8]) -> Result<Option<Vec<Vec<u8>>>> {
        self.dump_as(kind, body, |_, row| Some(row.to_vec()))
    }

    /// What `read` makes of the type and the body of each object of a kind; none where there is no such table or device.
    pub(super) fn dump_as<T>(
        &self,
        kind: u16,
        body: &[u8],
        read: impl Fn(u16, &[u8]) -> Option<T>,
    ) -> Result<Option<Vec<T>>> {
        self.dump_by(kind, body, || &read)
    }

    /// The same where what becomes of an object depends on those before it; `begin` makes a new reader for each try.
    pub(super) fn dump_by<T, R: FnMut(u16, &[u8]) -> Option<T>>(
        &self,
        kind: u16,
        body: &[u8],
        begin: impl Fn() -> R,
    ) -> Result<Option<Vec<T>>> {
        for _ in 0..dump::TRIES {
            self.0.send(&message(kind, REQUEST | DUMP, body), 0).what(|| "netlink")?;
            match self.rows(begin())? {
                Rows::All(rows) => return Ok(Some(rows)),
                Rows::Refused(libc::ENOENT | libc::ENODEV) => return Ok(None),
                Rows::Refused(errno) => {
                    return Err(Error::new("netlink", std::io::Error::from_raw_os_error(errno)));
                }
                Rows::Interrupted => {}
            }
        }
        Err(dump::too_fast("netlink"))
    }

    /// Asks for all objects of a kind; the errno, 0 when they were given. What refuses only as it looks for the first of them
    /// says so in the message that ends the dump.
    pub(super) fn dump_errno(&self, kind: u16, body: &[u8]) -> Result<i32> {
        self.0.send(&message(kind, REQUEST | DUMP, body), 0).what(|| "netlink")?;
        loop {
            let (part, _) = self.0.recv_from_full().what(|| "netlink")?;
            let mut last =
                messages(&part).filter(|message| [NLMSG_DONE, NLMSG_ERROR].contains(&message.kind));
            if let Some(code) = last.find_map(|message| message.body.first_chunk().copied()) {
                return Ok(i32::from_ne_bytes(code).saturating_neg());
            }
        }
    }

    fn rows<T>(&self, mut read: impl FnMut(u16, &[u8]) -> Option<T>) -> Result<Rows<T>> {
        let (mut rows, mut whole) = (Vec::new(), true);
        let mut part = Vec::with_capacity(PART);
        loop {
            part.clear();
            self.0.recv(&mut part, 0).what(|| "netlink")?;
            for message in messages(&part) {
                whole &= message.flags & dump::INTERRUPTED == 0;
                match (message.kind, message.errno()) {
                    (NLMSG_DONE, _) if whole => return Ok(Rows::All(rows)),
                    (NLMSG_DONE, _) | (_, Some(libc::EINTR)) => return Ok(Rows::Interrupted),
                    (_, Some(errno)) => return Ok(Rows::Refused(errno)),
                    (kind, None) => rows.extend(read(kind, message.body)),
                }
            }
        }
    }
}

/// A change that is made with others or not at all.
pub(super) struct BatchedChange<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) family: u8,
    pub(super) body: &'a [u8],
}

impl<'a> BatchedChange<'a> {
    fn of_table(change: &'a Change) -> Self {
        Self { kind: change.kind, flags: change.flags, family: INET, body: &change.body }
    }
}

/// Changes that are made together, as they are sent.
pub(super) struct Batch {
    count: usize,
    bytes: Vec<u8>,
}

impl Batch {
    pub(super) fn of<'a>(subsystem: u8, changes: impl ExactSizeIterator<Item = BatchedChange<'a>>) -> Self {
        // The subsystem stands in nfgenmsg, in network order.
        let bound = [0, 0, 0, subsystem];
        let (count, mut bytes) = (changes.len(), Vec::new());
        put(&mut bytes, 0, (BATCH_BEGIN, REQUEST), &[&bound]);
        for (number, change) in (1_u32..).zip(changes) {
            let ack = if number as usize == count { ACK } else { 0 };
            let flags = REQUEST | ack | change.flags;
            put(&mut bytes, number, (change.kind, flags), &[&[change.family, 0, 0, 0], change.body]);
        }
        put(&mut bytes, 0, (BATCH_END, REQUEST), &[&bound]);
        Self { count, bytes }
    }

    /// The same for changes of our table.
    pub(super) fn of_table(changes: &[Change]) -> Self {
        Self::of(SUBSYSTEM, changes.iter().map(BatchedChange::of_table))
    }
}

/// Whether changes were made.
pub(super) type Answer = std::result::Result<(), Refused>;

/// A change that the kernel refused, and with it all.
#[derive(Debug)]
pub(super) struct Refused {
    /// Its place among the changes; none where the kernel refused before it looked at any.
    pub(super) place: Option<usize>,
    pub(super) errno: i32,
}

/// An object's family and its body.
pub(super) type DumpRow = (u8, Vec<u8>);

/// The family, and what follows nfgenmsg.
fn split(body: &[u8]) -> DumpRow {
    (body.first().copied().unwrap_or_default(), body.get(HEADER..).unwrap_or_default().to_vec())
}

enum Rows<T> {
    All(Vec<T>),
    Interrupted,
    Refused(i32),
}

/// A message of a datagram. Its body begins with nfgenmsg, or with the errno.
struct Message<'a> {
    kind: u16,
    flags: u16,
    port: u32,
    body: &'a [u8],
}

impl Message<'_> {
    /// The positive errno of an NLMSG_ERROR.
    fn errno(&self) -> Option<i32> {
        let code = self.body.first_chunk().filter(|_| self.kind == NLMSG_ERROR)?;
        Some(i32::from_ne_bytes(*code).saturating_neg())
    }

    /// The number of the message that an NLMSG_ERROR answers; it stands in the header that is repeated after the errno.
    fn answered(&self) -> usize {
        const NUMBER: usize = 4 + 8;
        let number = self.body.get(NUMBER..).and_then(native).unwrap_or_default();
        usize::try_from(number).unwrap_or_default()
    }
}

fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let header = bytes.get(..16)?;
        let length = u32::from_ne_bytes(*header.first_chunk()?) as usize;
        let kind = u16::from_ne_bytes(header.get(4..6)?.try_into().ok()?);
        let flags = u16::from_ne_bytes(header.get(6..8)?.try_into().ok()?);
        let port = u32::from_ne_bytes(header.get(12..16)?.try_into().ok()?);
        let body = bytes.get(16..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message { kind, flags, port, body })
    })
}

/// A message that the kernel tells everybody who listens.
pub(super) struct Told<'a> {
    pub(super) kind: u16,
    /// The socket that asked for what it tells; 0: the kernel's own.
    pub(super) port: u32,
    pub(super) body: &'a [u8],
}

/// The messages of a datagram.
pub(super) fn told(bytes: &[u8]) -> impl Iterator<Item = Told<'_>> {
    messages(bytes).map(|Message { kind, port, body, .. }| Told { kind, port, body })
}

/// A body after nfgenmsg.
fn with_header(family: u8, body: &[u8]) -> Vec<u8> {
    [&[family, 0, 0, 0], body].concat()
}

fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + body.len());
    put(&mut out, 0, (kind, flags), &[body]);
    out
}

/// Puts a message at the end of others; its body in parts.
fn put(out: &mut Vec<u8>, number: u32, (kind, flags): (u16, u16), body: &[&[u8]]) {
    let length = 16 + body.iter().map(|part| part.len()).sum::<usize>();
    out.extend(u32::try_from(length).unwrap_or(0).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(flags.to_ne_bytes());
    out.extend(number.to_ne_bytes());
    out.extend([0; 4]);
    for part in body {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The generation of nf_tables stands where an error has its number, and may be any number.
    #[test]
    fn only_an_error_has_a_number() {
        let least = i32::MIN.to_ne_bytes();
        let errno = |kind| Message { kind, flags: 0, port: 0, body: &least }.errno();
        assert_eq!((errno(NLMSG_ERROR), errno(0x0a10)), (Some(i32::MAX), None));
        let short = Message { kind: NLMSG_ERROR, flags: 0, port: 0, body: &[1] };
        assert_eq!(short.errno(), None);
    }
}
