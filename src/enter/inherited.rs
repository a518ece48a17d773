//! What Rust's start-up changes before `main`, recorded before it does and put back for the command.
//!
//! Rust ignores SIGPIPE, and opens `/dev/null` on those of the descriptors 0 to 2 that are closed. Both would be
//! inherited by the command: `nsnat exec slow yes | head -1` would never end quietly. In `main` it is too late
//! to ask what was inherited; a function in `.init_array` is run by the C library before Rust's start-up, in
//! static and dynamic programs alike. (An own C `main` would avoid the changes altogether, but for all other
//! commands too, where they protect.)

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// SIGPIPE was ignored by whoever started us.
static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);
/// One bit for each of the descriptors 0 to 2 that was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);

#[used]
#[unsafe(link_section = ".init_array")]
static RECORD: extern "C" fn() = record;

/// Runs before Rust's start-up: nothing but system calls and atomics.
extern "C" fn record() {
    for fd in 0..3 {
        // SAFETY: F_GETFD only asks.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1 {
            CLOSED.fetch_or(1 << fd, Ordering::Relaxed);
        }
    }
    // SAFETY: all-zero is a valid sigaction; with no new action, sigaction(2) only writes the old one.
    let action = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGPIPE, std::ptr::null(), &raw mut action);
        action
    };
    SIGPIPE_IGNORED.store(action.sa_sigaction == libc::SIG_IGN, Ordering::Relaxed);
}

/// Puts back what was inherited; what was closed is closed again by the exec itself.
pub(super) fn restore() {
    for fd in (0..3).filter(|fd| CLOSED.load(Ordering::Relaxed) & (1 << fd) != 0) {
        // SAFETY: only sets the close-on-exec flag.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    if !SIGPIPE_IGNORED.load(Ordering::Relaxed) {
        // SAFETY: sets the default action; there is no handler.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    }
}
