//! Staying behind a command that is a child, as if nobody stayed.
//!
//! The command stays in the caller's process group. So the terminal's signals (Ctrl-C, Ctrl-Z) reach it by
//! themselves; nsnat passes on only those that a process sent. When the command stops, nsnat stops by the same
//! signal, and the caller's shell sees a stopped job; when it ends by a signal, nsnat ends by that signal.

use crate::error::{Context, Result};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, raise, sigaction, sigprocmask,
};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use std::os::fd::RawFd;

/// Forks; nothing in the child.
pub(super) fn child() -> Result<Option<Pid>> {
    // SAFETY: this process has a single thread, so the child may do whatever its parent could.
    match unsafe { fork() }.what(|| "fork")? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}

pub(super) fn exit(status: i32) -> ! {
    // SAFETY: ends the process at once; buffers belong to the process that was forked from.
    unsafe { libc::_exit(status) }
}

/// A reader at the other end of a pipe must see it closed when the command closes it: no copies may stay here.
pub(super) fn close_all_but(keep: RawFd) {
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

/// Puts /dev/null where standard input and output were closed, so that no later descriptor takes their place.
pub(super) fn fill_standard() {
    for _ in [libc::STDIN_FILENO, libc::STDOUT_FILENO] {
        // The lowest free number is taken.
        if let Ok(null) = std::fs::File::options().read(true).write(true).open("/dev/null") {
            let _ = std::os::fd::IntoRawFd::into_raw_fd(null);
        }
    }
}

/// Signal mask and SIGCHLD's action as they were inherited.
pub(super) struct Signals {
    mask: SigSet,
    child: SigAction,
}

impl Signals {
    /// Blocks everything, and makes sure that the end of a child is told (it may be ignored by inheritance).
    pub(super) fn take() -> nix::Result<Self> {
        let mut mask = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut mask))?;
        Ok(Self { mask, child: default_action(Signal::SIGCHLD)? })
    }

    pub(super) fn give_back(&self) -> nix::Result<()> {
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

/// Passes signals on, stops and ends with the command; `after` is called between its end and ours.
pub(super) fn supervise(command: Pid, after: impl FnOnce()) -> ! {
    let mut after = Some(after);
    loop {
        let (signal, from_process) = next_signal();
        if signal == libc::SIGCHLD {
            follow(command, &mut after);
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
fn follow(command: Pid, after: &mut Option<impl FnOnce()>) {
    let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED;
    let waited = waitpid(command, Some(flags));
    if let Some(after) =
        after.take_if(|_| matches!(waited, Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..))))
    {
        after();
    }
    match waited {
        Ok(WaitStatus::Stopped(_, signal)) => suffer(signal),
        Ok(WaitStatus::Exited(_, status)) => exit(status),
        Ok(WaitStatus::Signaled(_, signal, _)) => {
            // The command dumped core if it wanted to; nobody wants ours.
            let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
            suffer(signal);
            // Still here: number 1 of a container cannot be ended this way.
            exit(128 + signal as i32);
        }
        _ => {}
    }
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
