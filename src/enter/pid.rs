//! A process-number space of its own for the command.
//!
//! # Theory of operation
//!
//! ```text
//! caller's shell ── nsnat (stays) ─┬─ init: number 1 inside, sleeps
//!                                  └─ the command: number 2 inside
//! ```
//!
//! Init only has to exist: orphans inside become its children and are reaped by the kernel, because it ignores
//! SIGCHLD; and when it ends, the kernel kills everything inside. It sleeps on a pipe whose other end only
//! nsnat holds, so it ends when nsnat ends, even by SIGKILL. (A parent-death signal does the same, but misses
//! a parent that dies before it is asked for.)
//!
//! The command is a child of nsnat, not of init: see `supervise`.

use super::mounts;
use super::signals::{Signals, exit};
use super::supervise::{child, close_all_but, supervise};
use crate::error::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, pipe2, read};
use std::os::fd::{AsRawFd, OwnedFd};

/// Returns in the process that is to become the command. The calling process stays and ends as that one does.
/// `drop` gives up the privileges of the processes that stay.
#[expect(clippy::disallowed_methods, reason = "this is the room that enters namespaces")]
pub(super) fn enter(drop: impl Fn() -> nix::Result<()>) -> Result<()> {
    let signals = Signals::take().what(|| "signals")?;
    unshare(CloneFlags::CLONE_NEWPID).what(|| "unshare")?;
    let (end, hold) = pipe2(OFlag::O_CLOEXEC).what(|| "pipe")?;
    let Some(init) = child()? else { init(&end, drop) };
    let Some(command) = child()? else {
        signals.give_back().what(|| "signals")?;
        return mounts::cover_proc();
    };
    // Ending here ends everything inside.
    drop().what(|| "drop privileges")?;
    close_all_but(hold.as_raw_fd());
    supervise(command, || end_all(init))
}

/// Number 1 inside. All signals are blocked here, and the kernel keeps those from inside away anyway.
fn init(end: &OwnedFd, drop: impl Fn() -> nix::Result<()>) -> ! {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler is installed.
    let ignored = unsafe { sigaction(Signal::SIGCHLD, &ignore) };
    let dropped = drop();
    close_all_but(end.as_raw_fd());
    while ignored.is_ok() && dropped.is_ok() && read(end, &mut [0]) == Err(Errno::EINTR) {}
    exit(0)
}

/// Kills everything inside, and waits until it is gone.
fn end_all(init: Pid) {
    // This fails only when the process is gone already.
    let _ = kill(init, Signal::SIGKILL);
    while waitpid(init, None) == Err(Errno::EINTR) {}
}
