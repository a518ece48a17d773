//! A process-number space of its own for the command.
//!
//! # Theory of operation
//!
//!     caller's shell ── nsnat (stays) ─┬─ init: number 1 inside, sleeps
//!                                      └─ the command: number 2 inside
//!
//! Init only has to exist: orphans inside become its children and are reaped by the kernel, because it ignores
//! SIGCHLD; and when it ends, the kernel kills everything inside. It sleeps on a pipe whose other end only
//! nsnat holds, so it ends when nsnat ends, even by SIGKILL. (A parent-death signal does the same, but misses
//! a parent that dies before it is asked for.)
//!
//! The command is a child of nsnat, not of init, and stays in the caller's process group. So the terminal's
//! signals (Ctrl-C, Ctrl-Z) reach it by themselves; nsnat passes on only those that a process sent. When the
//! command stops, nsnat stops by the same signal, and the caller's shell sees a stopped job; when it ends by a
//! signal, nsnat ends by that signal.

use super::mounts;
use crate::error::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, kill, raise, sigaction, sigprocmask,
};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, pipe2, read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Returns in the process that is to become the command. The calling process stays and ends as that one does.
#[expect(clippy::disallowed_methods, reason = "this is the room that enters namespaces")]
pub(super) fn enter() -> Result<()> {
    let signals = Signals::take().what(|| "signals")?;
    unshare(CloneFlags::CLONE_NEWPID).what(|| "unshare")?;
    let (end, hold) = pipe2(OFlag::O_CLOEXEC).what(|| "pipe")?;
    let Some(init) = child()? else { init(&end) };
    let Some(command) = child()? else {
        signals.give_back().what(|| "signals")?;
        return mounts::cover_proc();
    };
    supervise(init, command, &hold)
}

/// Forks; nothing in the child.
fn child() -> Result<Option<Pid>> {
    // SAFETY: this process has a single thread, so the child may do whatever its parent could.
    match unsafe { fork() }.what(|| "fork")? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}

/// Number 1 inside. All signals are blocked here, and the kernel keeps those from inside away anyway.
fn init(end: &OwnedFd) -> ! {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler is installed.
    let ignored = unsafe { sigaction(Signal::SIGCHLD, &ignore) };
    close_all_but(end.as_raw_fd());
    while ignored.is_ok() && read(end, &mut [0]) == Err(Errno::EINTR) {}
    exit(0)
}

fn exit(status: i32) -> ! {
    // SAFETY: ends the process at once; buffers belong to the process that was forked from.
    unsafe { libc::_exit(status) }
}

/// A reader at the other end of a pipe must see it closed when the command closes it: no copies may stay here.
fn close_all_but(keep: RawFd) {
    let keep = keep.unsigned_abs();
    let close = |first: u32, last: u32| {
        if first <= last {
            // SAFETY: nothing in this process uses a descriptor from here on, but the one that is kept.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
    };
    if let Some(below) = keep.checked_sub(1) {
        close(0, below);
    }
    close(keep + 1, u32::MAX);
}

/// Signal mask and SIGCHLD's action as they were inherited.
struct Signals {
    mask: SigSet,
    child: SigAction,
}

impl Signals {
    /// Blocks everything, and makes sure that the end of a child is told (it may be ignored by inheritance).
    fn take() -> nix::Result<Self> {
        let mut mask = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut mask))?;
        Ok(Self { mask, child: default_action(Signal::SIGCHLD)? })
    }

    fn give_back(&self) -> nix::Result<()> {
        // SAFETY: the action was inherited, so it is no handler.
        unsafe { sigaction(Signal::SIGCHLD, &self.child) }?;
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None)
    }
}

/// Returns the action before.
fn default_action(signal: Signal) -> nix::Result<SigAction> {
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler is installed.
    unsafe { sigaction(signal, &action) }
}

/// Passes signals on, stops and ends with the command.
fn supervise(init: Pid, command: Pid, hold: &OwnedFd) -> ! {
    close_all_but(hold.as_raw_fd());
    loop {
        let (signal, from_process) = next_signal();
        if signal == libc::SIGCHLD {
            follow(init, command);
        } else if from_process {
            // SAFETY: only sends a signal. It may be gone by now; then SIGCHLD follows.
            unsafe { libc::kill(command.as_raw(), signal) };
        }
    }
}

/// The next signal, and whether a process sent it (the terminal's reached the command by themselves).
fn next_signal() -> (libc::c_int, bool) {
    // SAFETY: an all-zero siginfo is valid; the set is initialised; the call writes into `info` only.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let signal = libc::sigwaitinfo(SigSet::all().as_ref(), &raw mut info);
        (signal, signal > 0 && info.si_code <= 0)
    }
}

/// Does as the command did since the last time.
fn follow(init: Pid, command: Pid) {
    let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED;
    match waitpid(command, Some(flags)) {
        Ok(WaitStatus::Stopped(_, signal)) => suffer(signal),
        Ok(WaitStatus::Exited(_, status)) => {
            end_all(init);
            exit(status);
        }
        Ok(WaitStatus::Signaled(_, signal, _)) => {
            end_all(init);
            // The command dumped core if it wanted to; nobody wants ours.
            let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
            suffer(signal);
            // Still here: number 1 of a container cannot be ended this way.
            exit(128 + signal as i32);
        }
        _ => {}
    }
}

/// Kills everything inside, and waits until it is gone.
fn end_all(init: Pid) {
    // It can only fail when it is gone already.
    let _ = kill(init, Signal::SIGKILL);
    while waitpid(init, None) == Err(Errno::EINTR) {}
}

/// Lets a signal do to this process what it does by default.
fn suffer(signal: Signal) {
    let only = SigSet::from(signal);
    // KILL and STOP have no action to set and cannot be blocked, which is an error here that does not matter.
    let _ = default_action(signal);
    let _ = raise(signal);
    let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&only), None);
    let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&only), None);
}
