//! What changes before `main`, recorded before it does and put back for the command.
//!
//! Rust ignores SIGPIPE, and opens `/dev/null` on those of the descriptors 0 to 2 that are closed. Both would be
//! inherited by the command: `nsnat exec slow yes | head -1` would never end quietly. In `main` it is too late
//! to ask what was inherited; a function in `.init_array` is run by the C library before Rust's start-up, in
//! static and dynamic programs alike. (An own C `main` would avoid the changes altogether, but for all other
//! commands too, where they protect.)
//!
//! An ignored SIGCHLD is nsnat's own affair: whoever ignores it cannot wait for a child, and nft, getent and the
//! command are children. So it is not ignored while nsnat works.

use crate::kernel::interrupt::is_ignored;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Which of the two signals the parent process ignored.
static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);
static SIGCHLD_IGNORED: AtomicBool = AtomicBool::new(false);
/// A bit for each of the descriptors 0 to 2 that was closed.
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
    SIGPIPE_IGNORED.store(is_ignored(libc::SIGPIPE), Ordering::Relaxed);
    if is_ignored(libc::SIGCHLD) {
        SIGCHLD_IGNORED.store(true, Ordering::Relaxed);
        set(libc::SIGCHLD, libc::SIG_DFL);
    }
}

/// Puts back what was inherited; what was closed is closed again by the exec itself.
pub(super) fn restore() {
    for fd in (0..3).filter(|fd| CLOSED.load(Ordering::Relaxed) & (1 << fd) != 0) {
        // SAFETY: only sets the close-on-exec flag.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    if !SIGPIPE_IGNORED.load(Ordering::Relaxed) {
        set(libc::SIGPIPE, libc::SIG_DFL);
    }
    if SIGCHLD_IGNORED.load(Ordering::Relaxed) {
        set(libc::SIGCHLD, libc::SIG_IGN);
    }
}

/// Sets the default action or none.
fn set(signal: libc::c_int, action: libc::sighandler_t) {
    // SAFETY: there is no handler.
    unsafe { libc::signal(signal, action) };
}
