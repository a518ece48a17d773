//! Asking uplinks whether they live, each by a thread of its own. Each answer is a message on a socket, which is waited
//! for beside everything else.

use super::{neighbour, target};
use crate::error::{Context, Result};
use crate::model::{Asked, Checkup, Name};
use nix::sys::signal::SigSet;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Instant;

/// Uplinks that are being asked.
pub struct Prober {
    answers: UnixDatagram,
    sender: UnixDatagram,
    asked: BTreeMap<Name, AskedUplink>,
    /// Number of the latest thread.
    latest: u64,
}

struct AskedUplink {
    checkup: Checkup,
    /// Its thread: what an earlier one says is about something else.
    number: u64,
    /// The thread ends when this is dropped.
    _stop: Sender<Infallible>,
}

impl Prober {
    /// A prober that asks no uplink yet.
    pub fn new() -> Result<Self> {
        let what = || "a socket for answers";
        let (answers, sender) = UnixDatagram::pair().what(what)?;
        answers.set_nonblocking(true).what(what)?;
        Ok(Self { answers, sender, asked: BTreeMap::new(), latest: 0 })
    }

    /// A descriptor that becomes readable when there are answers.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.answers.as_fd()
    }

    /// Asks these uplinks from now on, and no others: each at once, then by its interval. An uplink that is asked already goes on.
    pub fn ask(&mut self, uplinks: BTreeMap<Name, Checkup>) -> Result<()> {
        self.asked.retain(|name, asked| uplinks.get(name) == Some(&asked.checkup));
        for (name, checkup) in uplinks {
            if checkup.asked != Asked::Nothing && !self.asked.contains_key(&name) {
                let asked = self.start(checkup)?;
                self.asked.insert(name, asked);
            }
        }
        Ok(())
    }

    fn start(&mut self, checkup: Checkup) -> Result<AskedUplink> {
        let what = || "start a thread";
        self.latest += 1;
        let number = self.latest;
        let (stop, stopped) = mpsc::channel();
        let (to, asked) = (self.sender.try_clone().what(what)?, checkup.clone());
        thread::Builder::new().spawn(move || ask(&asked, number, &to, &stopped)).what(what)?;
        Ok(AskedUplink { checkup, number, _stop: stop })
    }

    /// The uplinks that were asked since the last call, and whether each answered.
    pub fn take(&mut self) -> Vec<(Name, bool)> {
        let mut out = Vec::new();
        let mut message = [0; MESSAGE];
        while self.answers.recv(&mut message).is_ok() {
            let [number @ .., answers] = message;
            let number = u64::from_ne_bytes(number);
            let of = self.asked.iter().find(|(_, asked)| asked.number == number);
            out.extend(of.map(|(name, _)| (name.clone(), answers != 0)));
        }
        out
    }
}

/// A number, and whether there was an answer.
const MESSAGE: usize = size_of::<u64>() + 1;

fn message(number: u64, answers: bool) -> [u8; MESSAGE] {
    let mut out = [u8::from(answers); MESSAGE];
    if let Some(head) = out.first_chunk_mut() {
        *head = number.to_ne_bytes();
    }
    out
}

/// Asks until it is stopped. About an uplink that the kernel cannot be asked about, nothing is known against it.
fn ask(checkup: &Checkup, number: u64, to: &UnixDatagram, stopped: &Receiver<Infallible>) {
    // They are for the thread that waits for them.
    let _ = SigSet::all().thread_block();
    let mut silences = 0;
    loop {
        let began = Instant::now();
        let answers = answers(checkup, silences).unwrap_or(true);
        silences = if answers { 0 } else { silences.saturating_add(1) };
        if to.send(&message(number, answers)).is_err() {
            return;
        }
        let rest = checkup.check.interval.saturating_sub(began.elapsed());
        if !matches!(stopped.recv_timeout(rest), Err(RecvTimeoutError::Timeout)) {
            return;
        }
    }
}

/// Whether an uplink answers in time. `silences`: how many questions in a row were not answered.
fn answers(checkup: &Checkup, silences: u32) -> Result<bool> {
    match &checkup.asked {
        Asked::NextHops(gateways) => neighbour::answers(gateways, checkup.check.timeout, silences),
        Asked::HostsFrom(namespace) => target::answers(namespace, &checkup.check),
        Asked::Nothing => Ok(true),
    }
}
