//! Programs that are run when something happened to a namespace: its `on-change`.
//!
//! Each namespace has a thread of its own while there is something to run for it, so its programs run one after the other,
//! in the order of the events, and nothing else waits for them.

#![expect(clippy::disallowed_methods, reason = "programs are started here")]

use crate::model::{Event, Family, Name};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How long a program may run. What takes longer is for a unit that the program starts.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many events of a namespace may wait for its program.
const WAITING: usize = 64;

/// How long a thread waits for more to run before it ends.
const IDLE: Duration = Duration::from_secs(30);

/// How many lines of a program's output are logged, and how many bytes are read for that.
const LINES: usize = 100;
const BYTES: usize = 64 << 10;

/// Where a program finds others.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is run for namespaces.
#[derive(Default)]
pub struct Hooks(BTreeMap<Name, SyncSender<Call>>);

/// A program that is to be run.
struct Call {
    /// The program, and its arguments.
    words: Vec<String>,
    name: Name,
    event: Event,
}

impl Hooks {
    /// Runs a program when all that was to be run for that namespace before has ended. Does not wait for anything.
    pub fn run(&mut self, words: Vec<String>, name: &Name, event: Event) {
        let call = Call { words, name: name.clone(), event };
        let result = match self.0.get(name) {
            Some(queue) => queue.try_send(call),
            None => Err(TrySendError::Disconnected(call)),
        };
        match result {
            Ok(()) => {}
            Err(TrySendError::Full(call)) => call.warn("is not run: too many events wait for it"),
            // Its thread had nothing to do and ended, or there never was one.
            Err(TrySendError::Disconnected(call)) => self.start(call),
        }
    }

    fn start(&mut self, call: Call) {
        let (queue, calls) = sync_channel(WAITING);
        let name = call.name.clone();
        match thread::Builder::new().spawn(move || run_all(call, &calls)) {
            Ok(_) => drop(self.0.insert(name, queue)),
            Err(why) => warn!(namespace = name.as_str(), "{name}: on-change: {why}"),
        }
    }
}

/// Runs what there is to run, and ends when there is nothing for a while.
fn run_all(first: Call, calls: &Receiver<Call>) {
    // Signals are for the thread that waits for them.
    let _ = SigSet::all().thread_block();
    let mut next = Some(first);
    while let Some(call) = next {
        if let Err(why) = call.run() {
            call.warn(&why.to_string());
        }
        next = calls.recv_timeout(IDLE).ok();
    }
}

impl Call {
    fn warn(&self, what: &str) {
        let Self { name, words, .. } = self;
        let program = words.first().map_or("", String::as_str);
        warn!(namespace = name.as_str(), "{name}: on-change: {program} {what}");
    }

    fn run(&self) -> io::Result<()> {
        let (output, mut child) = self.spawn()?;
        let status = self.wait(output, &mut child)?;
        match status {
            None => self.warn(&format!("took longer than {} s and was killed", PATIENCE.as_secs())),
            Some(status) if !status.success() => self.warn(&format!("failed: {status}")),
            Some(_) => {}
        }
        Ok(())
    }

    /// Starts it, with both of its outputs in one pipe.
    fn spawn(&self) -> io::Result<(PipeReader, Child)> {
        let (output, input) = io::pipe()?;
        let mut command = Command::new(self.words.first().map_or("", String::as_str));
        command.args(self.words.iter().skip(1)).current_dir("/").process_group(0);
        command.env_clear().env("PATH", PATH).envs(environment(&self.name, &self.event));
        command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
        // SAFETY: system calls alone, which is what may be done between fork and exec.
        unsafe { command.pre_exec(inherit_nothing) };
        Ok((output, command.spawn()?))
    }

    /// Logs what it prints until it ends, or is killed: then there is no status.
    fn wait(&self, output: PipeReader, child: &mut Child) -> io::Result<Option<ExitStatus>> {
        let until = Instant::now() + PATIENCE;
        let end = end_of(child)?;
        let mut printed = Printed::new(output)?;
        while !is_over(&end, &printed, until)? {
            printed.read()?;
        }
        // What it started may run on, and may hold the pipe.
        let status = child.try_wait()?;
        if status.is_none() {
            let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
            child.wait()?;
        }
        printed.read()?;
        for line in printed.lines() {
            info!(namespace = self.name.as_str(), "{}: on-change: {line}", self.name);
        }
        Ok(status)
    }
}

/// What a program is told.
fn environment(name: &Name, event: &Event) -> [(&'static str, String); 8] {
    let text = |name: &Option<Name>| name.as_ref().map_or_else(String::new, Name::to_string);
    let family = match event.family {
        Some(Family::V4) => "v4",
        Some(Family::V6) => "v6",
        None => "",
    };
    let gateways: Vec<String> = event.gateway.iter().map(ToString::to_string).collect();
    [
        ("NSNAT_NAMESPACE", name.to_string()),
        ("NSNAT_EVENT", event.kind.name().to_owned()),
        ("NSNAT_TIME", event.time.to_string()),
        ("NSNAT_UPLINK", text(&event.uplink)),
        ("NSNAT_PREVIOUS_UPLINK", text(&event.previous_uplink)),
        ("NSNAT_FAMILY", family.to_owned()),
        ("NSNAT_DEVICE", event.device.clone().unwrap_or_default()),
        ("NSNAT_GATEWAY", gateways.join(" ")),
    ]
}

/// No descriptor but the three standard ones, least of all the lock, which nft(8) is meant to inherit; no blocked signals;
/// and a known umask.
fn inherit_nothing() -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: no pointers. The descriptors are closed by the exec, so std can still report that it failed.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, flags) })?;
    // SAFETY: no pointers.
    unsafe { libc::umask(0o022) };
    SigSet::empty().thread_set_mask()?;
    Ok(())
}

/// A descriptor that is readable when the program has ended.
fn end_of(child: &Child) -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    let number = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) })?;
    let number = i32::try_from(number).map_err(io::Error::other)?;
    // SAFETY: the descriptor was made just now, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Waits for the end of a program, for output or for the end of our patience. Says whether it was not output.
fn is_over(end: &OwnedFd, printed: &Printed, until: Instant) -> io::Result<bool> {
    let left = until.saturating_duration_since(Instant::now());
    let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::ZERO);
    let readable = |file| PollFd::new(file, PollFlags::POLLIN);
    let mut files = vec![readable(end.as_fd())];
    files.extend(printed.output.as_ref().map(|output| readable(output.as_fd())));
    poll(&mut files, timeout)?;
    Ok(left.is_zero() || files.first().is_some_and(|end| end.any() == Some(true)))
}

/// What a program prints.
struct Printed {
    /// None: all of it was read.
    output: Option<PipeReader>,
    text: Vec<u8>,
}

impl Printed {
    fn new(output: PipeReader) -> io::Result<Self> {
        fcntl(&output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { output: Some(output), text: Vec::new() })
    }

    /// Reads what is there now, as far as a pipe holds it: some programs never stop to print. What is too much is read as
    /// well, or the program would wait.
    fn read(&mut self) -> io::Result<()> {
        let mut part = [0; 4096];
        for _ in 0..BYTES / part.len() {
            let Some(output) = &mut self.output else { break };
            match output.read(&mut part) {
                Ok(0) => self.output = None,
                Ok(length) => {
                    let room = BYTES.saturating_sub(self.text.len());
                    self.text.extend(part.iter().take(length.min(room)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        let lines = self.text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.take(LINES).map(|line| String::from_utf8_lossy(line).into_owned())
    }
}
