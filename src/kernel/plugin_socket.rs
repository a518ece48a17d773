//! The socket at which an engine calls a plugin: HTTP/1.1, a request for each call, text both ways.
//!
//! A thread of its own speaks with the engine; the calls come out of a channel, one after the other, so that whoever answers
//! them works as any command does.

use super::files;
use crate::error::{Context, Error, Result};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use tokio::sync::oneshot;

/// What Docker's plugins answer.
const ANSWER: HeaderValue = HeaderValue::from_static("application/vnd.docker.plugins.v1.1+json");

/// A call is a few hundred bytes, and has a line for each port that is published.
const BODY_MAX: usize = 1 << 20;

/// How long nothing is taken while the process has no descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// A call that waits for its answer.
pub struct PluginCall {
    /// The path of the request.
    pub path: String,
    /// Its body.
    pub body: String,
    answer: oneshot::Sender<String>,
}

impl PluginCall {
    /// Answers. An engine that hung up hears nothing.
    pub fn answer(self, text: String) {
        let _ = self.answer.send(text);
    }
}

/// The socket that systemd hands over; else one that is made at `path`, where no other program listens.
pub fn listen(path: &Path) -> Result<UnixListener> {
    let handed = sd_notify::listen_fds().what(|| "the sockets of systemd")?.next();
    if let Some(descriptor) = handed {
        // SAFETY: systemd says that this descriptor is open and for this process, and nothing else here has it.
        return Ok(UnixListener::from(unsafe { OwnedFd::from_raw_fd(descriptor) }));
    }
    let what = || path.display();
    if UnixStream::connect(path).is_ok() {
        return Err(Error::new(what(), "another program listens there"));
    }
    if let Some(directory) = path.parent() {
        files::make_dir(directory, 0o700)?;
    }
    files::remove_file(path)?;
    UnixListener::bind(path).what(what)
}

/// The calls that come in from now on, of root's processes.
pub fn calls(listener: UnixListener) -> Result<Receiver<PluginCall>> {
    listener.set_nonblocking(true).what(|| "listen")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().what(|| "listen")?;
    let (sender, receiver) = channel();
    let serve = move || runtime.block_on(accept(listener, sender));
    std::thread::Builder::new().spawn(serve).what(|| "start a thread")?;
    Ok(receiver)
}

async fn accept(listener: UnixListener, calls: Sender<PluginCall>) -> Result<()> {
    let listener = tokio::net::UnixListener::from_std(listener).what(|| "listen")?;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        if stream.peer_cred().is_ok_and(|peer| peer.uid() == 0) {
            let calls = calls.clone();
            let service = service_fn(move |request| respond(request, calls.clone()));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    }
}

async fn respond(
    request: Request<Incoming>,
    calls: Sender<PluginCall>,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let answer = match Limited::new(request.into_body(), BODY_MAX).collect().await {
        Ok(body) => pass_on(path, &body.to_bytes(), &calls).await,
        Err(_) => None,
    };
    let mut response = Response::new(Full::default());
    match answer {
        Some(text) => {
            *response.body_mut() = text.into();
            response.headers_mut().insert(CONTENT_TYPE, ANSWER);
        }
        None => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    Ok(response)
}

/// The answer to a call; none: it is no text, or nobody answers any more.
async fn pass_on(path: String, body: &[u8], calls: &Sender<PluginCall>) -> Option<String> {
    let body = String::from_utf8(body.to_vec()).ok()?;
    let (answer, answered) = oneshot::channel();
    calls.send(PluginCall { path, body, answer }).ok()?;
    answered.await.ok()
}
