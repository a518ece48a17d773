//! Asking the kernel by rtnetlink(7): one request, its answers or its error.
//!
//! rtnetlink's typed builders cover about half of what is needed here, and its streams hide the kernel's own words
//! for an error. So whole messages are sent through its handle, always acknowledged, always with a time limit: a
//! request queued behind a message that gets no answer would never be sent. Dumps are not asked for here, see
//! [`super::stack`].

use crate::error::{Error, Result};
use futures_util::StreamExt;
use netlink_packet_core::{
    ErrorMessage, NLM_F_ACK, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload, NlasIterator,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{AsyncSocket, Socket, TokioSocket, protocols::NETLINK_ROUTE};
use std::fmt::Display;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long the kernel may take. It answers in microseconds, or after an RCU grace period (about 20 ms); under
/// heavy load of the routing lock a second was seen.
const PATIENCE: Duration = Duration::from_secs(10);

/// NLMSGERR_ATTR_MSG: the kernel's words.
const ERROR_TEXT: u16 = 1;

/// A connection to the routing side of one network stack.
pub(super) struct Netlink {
    handle: rtnetlink::Handle,
    connection: JoinHandle<()>,
}

impl Netlink {
    /// Opens a socket in this thread's namespace. Only inside of the runtime.
    pub(super) fn open() -> Result<Self> {
        Socket::new(NETLINK_ROUTE).map_err(open_error).and_then(Self::from_socket)
    }

    /// Takes a socket that was made in another namespace: a socket stays where it was made. Only inside of the
    /// runtime.
    pub(super) fn from_socket(mut socket: Socket) -> Result<Self> {
        socket.bind_auto().map_err(open_error)?;
        // SAFETY: the descriptor is open and owned by nobody else: `into_raw_fd` gave it up.
        let mut socket = unsafe { TokioSocket::from_raw_fd(socket.into_raw_fd()) };
        let raw = socket.socket_mut();
        raw.set_ext_ack(true).map_err(open_error)?;
        raw.set_cap_ack(true).map_err(open_error)?;
        raw.set_netlink_get_strict_chk(true).map_err(open_error)?;
        let (connection, handle, _) = rtnetlink::from_socket(socket);
        Ok(Self { handle, connection: tokio::spawn(connection) })
    }

    /// Closes the socket now. Without that it stays open until the runtime has its next turn.
    pub(super) async fn close(self) {
        self.connection.abort();
        // That it was cut off is what it says.
        drop(self.connection.await);
    }

    /// Sends one change; the error is the errno with the kernel's words.
    pub(super) async fn send(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> std::result::Result<(), NetlinkError> {
        self.exchange(message, NLM_F_ACK | flags).await.map(|_| ())
    }

    /// Asks for one object.
    pub(super) async fn get(
        &self,
        message: RouteNetlinkMessage,
    ) -> std::result::Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        self.exchange(message, NLM_F_ACK).await
    }

    /// The answers.
    async fn exchange(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> std::result::Result<Vec<RouteNetlinkMessage>, NetlinkError> {
        let mut message = NetlinkMessage::from(message);
        message.header.flags = NLM_F_REQUEST | flags;
        let mut answers = self.handle.clone().request(message).map_err(NetlinkError::unanswered)?;
        let mut rows = Vec::new();
        loop {
            let next = tokio::time::timeout(PATIENCE, answers.next()).await;
            let Some(answer) = next.map_err(|_| NetlinkError::unanswered("no answer"))? else { break };
            match answer.payload {
                NetlinkPayload::InnerMessage(row) => rows.push(row),
                NetlinkPayload::Error(error) if error.code.is_some() => {
                    return Err(NetlinkError::new(&error));
                }
                _ => {}
            }
        }
        // Answers end when the last one came, and also when there is nobody any more to wait for them.
        if self.connection.is_finished() {
            return Err(NetlinkError::unanswered("the request could not be sent"));
        }
        Ok(rows)
    }
}

fn open_error(why: impl Display) -> Error {
    Error::new("rtnetlink", why)
}

/// The kernel's no.
#[derive(Debug)]
pub(super) struct NetlinkError {
    /// errno(3), positive; 0 when there was no answer at all.
    pub(super) errno: i32,
    text: Option<String>,
}

impl NetlinkError {
    fn new(error: &ErrorMessage) -> Self {
        // With NETLINK_CAP_ACK the payload is the request's header (16 bytes) and then attributes.
        let attributes = error.header.get(16..).unwrap_or_default();
        let text = NlasIterator::new(attributes)
            .flatten()
            .find(|nla| nla.kind() == ERROR_TEXT)
            .map(|nla| String::from_utf8_lossy(nla.value()).trim_end_matches('\0').to_owned());
        Self { errno: -error.raw_code(), text }
    }

    fn unanswered(why: impl Display) -> Self {
        Self { errno: 0, text: Some(why.to_string()) }
    }
}

impl Display for NetlinkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let errno = nix::errno::Errno::from_raw(self.errno).desc();
        match &self.text {
            Some(text) if self.errno == 0 => f.write_str(text),
            Some(text) => write!(f, "{errno} ({text})"),
            None => f.write_str(errno),
        }
    }
}
