//! Asking uplinks whether they live, each by a thread of its own. Each answer is a message on a socket, which is waited
//! for beside everything else.

use super::{neighbour, target};
use crate::error::{Context, Result};
use crate::model::{Answers, Asked, Check, Checkup, Family, Name};
use nix::sys::signal::SigSet;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

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

    /// The uplinks that were asked since the last call, and whether each family of them answered.
    pub fn take(&mut self) -> Vec<(Name, Answers)> {
        let mut out = Vec::new();
        let mut message = [0; MESSAGE];
        while self.answers.recv(&mut message).is_ok() {
            let [number @ .., four, six] = message;
            let number = u64::from_ne_bytes(number);
            let of = self.asked.iter().find(|(_, asked)| asked.number == number);
            let answers =
                || Family::BOTH.into_iter().zip([four, six].map(told)).filter_map(|(f, a)| Some((f, a?)));
            out.extend(of.map(|(name, _)| (name.clone(), answers().collect())));
        }
        out
    }
}

/// From one question to the next. A tenth of the interval is left for what follows the last silence: a look at the host, and
/// the move. So a failure lasts no longer than `interval` × `fail` and a timeout, the move included.
fn pace(check: &Check) -> Duration {
    check.interval * 9 / 10
}

/// A number, and for each family what came of asking about it.
const MESSAGE: usize = size_of::<u64>() + Family::BOTH.len();

/// What stands for a family that was not asked about; of the others, whether it answered.
const NOT_ASKED: u8 = 2;

fn message(number: u64, answers: &Answers) -> [u8; MESSAGE] {
    let mut out = [0; MESSAGE];
    let families =
        Family::BOTH.map(|family| answers.get(&family).map_or(NOT_ASKED, |answers| u8::from(*answers)));
    let bytes = number.to_ne_bytes().into_iter().chain(families);
    out.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    out
}

fn told(answer: u8) -> Option<bool> {
    (answer != NOT_ASKED).then_some(answer != 0)
}

/// Asks until it is stopped. About an uplink that the kernel cannot be asked about, nothing is known against it.
fn ask(checkup: &Checkup, number: u64, to: &UnixDatagram, stopped: &Receiver<Infallible>) {
    // They are for the thread that waits for them.
    let _ = SigSet::all().thread_block();
    let mut silences = BTreeMap::new();
    loop {
        let began = Instant::now();
        let all_well = || checkup.families().into_iter().map(|family| (family, true)).collect();
        let answers: Answers = answers(checkup, &silences).unwrap_or_else(|_| all_well());
        for (family, answers) in &answers {
            let before: u32 = silences.get(family).copied().unwrap_or_default();
            silences.insert(*family, if *answers { 0 } else { before.saturating_add(1) });
        }
        if to.send(&message(number, &answers)).is_err() {
            return;
        }
        let rest = pace(&checkup.check).saturating_sub(began.elapsed());
        if !matches!(stopped.recv_timeout(rest), Err(RecvTimeoutError::Timeout)) {
            return;
        }
    }
}

/// Whether the families of an uplink answer in time. `silences`: how many questions in a row were not answered.
fn answers(checkup: &Checkup, silences: &BTreeMap<Family, u32>) -> Result<Answers> {
    let silences = |family| silences.get(&family).copied().unwrap_or_default();
    // An answer that comes after the next question would be one to that.
    let timeout = checkup.check.timeout.min(pace(&checkup.check));
    match &checkup.asked {
        Asked::NextHops(gateways) => neighbour::answers(gateways, timeout, silences),
        Asked::HostsFrom(namespace) => target::answers(namespace, &checkup.check, timeout),
        Asked::Nothing => Ok(Answers::new()),
    }
}
