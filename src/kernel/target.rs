//! Whether a host behind an uplink answers: asked from a namespace that leaves by this uplink alone.
//!
//! The sockets of a question are made inside, by a thread that enters the namespace, and live no longer than the question.

use super::probe_sockets::{DNS_QUESTION, ECHO, echo, family, flags};
use super::{netns, sysctl};
use crate::error::{Context, Error, Result};
use crate::model::{Answers, Check, CheckKind, Family, Name, tuning};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{self, MsgFlags, SockProtocol, SockType, SockaddrStorage, sockopt};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Whether one of the check's targets, in each family that they are of, answers in time.
pub(super) fn answers(namespace: &Name, check: &Check, timeout: Duration) -> Result<Answers> {
    let what = || format!("ask from namespace {namespace}");
    let netns::NetnsFile::Alive { file, .. } = netns::find(namespace)? else {
        return Err(Error::new(what(), "it is not up"));
    };
    let until = Instant::now() + timeout;
    let (kind, targets) = (check.kind, check.targets.clone());
    let mut out: Answers = targets.iter().map(|target| (Family::of(target.ip()), false)).collect();
    // A target that cannot even be sent to does not answer.
    let sent = move || Ok(targets.into_iter().filter_map(|to| Question::send(kind, to).ok()).collect());
    let mut questions: Vec<Question> = netns::run_inside(&file, sent).what(what)?;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || questions.is_empty() {
            return Ok(out);
        }
        wait(&questions, left).what(what)?;
        questions.retain(|question| match question.answer() {
            Some(answers) => {
                *out.entry(question.family()).or_default() |= answers;
                false
            }
            None => true,
        });
        // One of a family is enough.
        questions.retain(|question| out.get(&question.family()) != Some(&true));
    }
}

/// Waits until something comes to one of them, at most for so long.
fn wait(questions: &[Question], left: Duration) -> nix::Result<()> {
    let mut files: Vec<PollFd<'_>> = questions.iter().map(Question::descriptor).collect();
    let timeout = PollTimeout::try_from(left + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX);
    match poll(&mut files, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// A question that was sent.
struct Question {
    kind: CheckKind,
    to: SocketAddr,
    socket: OwnedFd,
}

impl Question {
    /// Only inside.
    fn send(kind: CheckKind, to: SocketAddr) -> io::Result<Self> {
        let socket = match kind {
            CheckKind::Ping => ping_socket(to)?,
            CheckKind::Tcp => socket::socket(family(to), SockType::Stream, flags(), SockProtocol::Tcp)?,
            _ => socket::socket(family(to), SockType::Datagram, flags(), SockProtocol::Udp)?,
        };
        match socket::connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(errno) => return Err(errno.into()),
        }
        let data = match kind {
            CheckKind::Ping => echo(to, 0),
            CheckKind::Dns => DNS_QUESTION.to_vec(),
            _ => Vec::new(),
        };
        if !data.is_empty() {
            socket::send(socket.as_raw_fd(), &data, MsgFlags::empty())?;
        }
        Ok(Self { kind, to, socket })
    }

    fn family(&self) -> Family {
        Family::of(self.to.ip())
    }

    /// What becomes ready when there is an answer: a connection can be written to then.
    fn descriptor(&self) -> PollFd<'_> {
        let ready = if self.kind == CheckKind::Tcp { PollFlags::POLLOUT } else { PollFlags::POLLIN };
        PollFd::new(self.socket.as_fd(), ready)
    }

    /// Whether the target answered; none: that is not known yet.
    fn answer(&self) -> Option<bool> {
        match self.kind {
            CheckKind::Tcp => self.is_connected(),
            _ => self.is_answered(),
        }
    }

    /// A connection that is refused is none: where nothing gets out, nsnat itself refuses it.
    fn is_connected(&self) -> Option<bool> {
        match socket::getsockopt(&self.socket, sockopt::SocketError) {
            Ok(0) => socket::getpeername::<SockaddrStorage>(self.socket.as_raw_fd()).is_ok().then_some(true),
            Ok(_) | Err(_) => Some(false),
        }
    }

    fn is_answered(&self) -> Option<bool> {
        let mut buffer = [0; 512];
        loop {
            match socket::recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(length) if self.is_an_answer(buffer.get(..length).unwrap_or_default()) => {
                    return Some(true);
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return None,
                Err(_) => return Some(false),
            }
        }
    }

    /// Whatever a server of DNS says is one.
    fn is_an_answer(&self, packet: &[u8]) -> bool {
        let [(_, four), (_, six)] = ECHO;
        let reply = if self.to.is_ipv4() { four } else { six };
        self.kind != CheckKind::Ping || packet.first() == Some(&reply)
    }
}

/// A socket that sends echo requests and hears the replies to them, which takes no capability (icmp(7)). A new namespace
/// allows it to no group; in this one nobody else is.
fn ping_socket(to: SocketAddr) -> io::Result<OwnedFd> {
    let protocol = if to.is_ipv4() { SockProtocol::Icmp } else { SockProtocol::IcmpV6 };
    let made = || socket::socket(family(to), SockType::Datagram, flags(), protocol);
    match made() {
        Err(Errno::EACCES) => {
            sysctl::write(tuning::PING_GROUPS, "0 0")?;
            Ok(made()?)
        }
        socket => Ok(socket?),
    }
}
