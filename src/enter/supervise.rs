//! Staying behind a command that is a child, as if nobody stayed.
//!
//! The command stays in the caller's process group. So the terminal's signals (Ctrl-C, Ctrl-Z) reach it by
//! themselves; nsnat passes on only those that a process sent. When the command stops, nsnat stops by the same
//! signal, and the caller's shell sees a stopped job; when it ends by a signal, nsnat ends by that signal.

use super::signals::{end_by, exit, next, take_default_action};
use crate::error::{Context, Result};
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

/// Passes signals on, stops and ends with the command; `after` is called between its end and ours.
pub(super) fn supervise(command: Pid, after: impl FnOnce()) -> ! {
    let status = loop {
        let (signal, from_terminal) = next();
        if signal == libc::SIGCHLD {
            if let Some(status) = follow(command) {
                break status;
            }
        } else if !from_terminal {
            // SAFETY: only sends a signal. It may be gone by now; then SIGCHLD follows.
            unsafe { libc::kill(command.as_raw(), signal) };
        }
    };
    after();
    if libc::WIFEXITED(status) { exit(libc::WEXITSTATUS(status)) } else { end_by(libc::WTERMSIG(status)) }
}

/// Stops when the command stopped; returns its status when it ended.
fn follow(command: Pid) -> Option<libc::c_int> {
    let mut status = 0;
    let flags = libc::WNOHANG | libc::WUNTRACED;
    // SAFETY: writes into `status` only.
    let found = unsafe { libc::waitpid(command.as_raw(), &raw mut status, flags) };
    if found != command.as_raw() {
        return None;
    }
    if libc::WIFSTOPPED(status) {
        take_default_action(libc::WSTOPSIG(status));
        return None;
    }
    Some(status)
}
