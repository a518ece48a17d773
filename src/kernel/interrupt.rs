//! SIGINT and SIGTERM: noted, and looked at between two actions.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::sync::atomic::{AtomicBool, Ordering};

static CAUGHT: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_: libc::c_int) {
    CAUGHT.store(true, Ordering::Relaxed);
}

/// From now on the two signals are noted and end nothing.
pub fn catch() {
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler stores to an atomic and does nothing else.
        let _ = unsafe { sigaction(signal, &action) };
    }
}

/// Whether one came.
pub fn caught() -> bool {
    CAUGHT.load(Ordering::Relaxed)
}

/// What came is dealt with.
pub fn forget() {
    CAUGHT.store(false, Ordering::Relaxed);
}
