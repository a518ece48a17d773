//! SIGINT, SIGTERM and SIGHUP: noted, and looked at between two actions and while nsnat waits for its turn.
//!
//! What the caller ignores (nohup does that) stays ignored, here and for the command of `exec`. For that command a
//! handler becomes the default action again, which is what was there before.

use crate::error::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicI32, Ordering};

/// The signal that was noted last.
static CAUGHT: AtomicI32 = AtomicI32::new(0);

const NOTED: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

extern "C" fn note(signal: libc::c_int) {
    CAUGHT.store(signal, Ordering::Relaxed);
}

fn noting_handler() -> libc::sighandler_t {
    note as extern "C" fn(libc::c_int) as libc::sighandler_t
}

/// From now on the signals are noted and end nothing.
pub fn catch() {
    handle(libc::SA_RESTART);
}

fn handle(flags: libc::c_int) {
    for signal in NOTED {
        if !is_ignored(signal as libc::c_int) {
            set(signal, noting_handler(), flags);
        }
    }
}

/// From now on they end this process again.
pub fn restore_handlers() {
    for signal in NOTED {
        if action(signal as libc::c_int) == noting_handler() {
            set(signal, libc::SIG_DFL, 0);
        }
    }
}

/// The one that came.
pub fn caught_signal() -> Option<libc::c_int> {
    Some(CAUGHT.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
}

/// What came is dealt with.
pub fn forget() {
    CAUGHT.store(0, Ordering::Relaxed);
}

/// Whether the signal has no effect on this process.
pub fn is_ignored(signal: libc::c_int) -> bool {
    action(signal) == libc::SIG_IGN
}

fn action(signal: libc::c_int) -> libc::sighandler_t {
    // SAFETY: all-zero is a valid sigaction; with no new action, sigaction(2) only writes the old one.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, null(), &raw mut action);
        action.sa_sigaction
    }
}

fn set(signal: Signal, handler: libc::sighandler_t, flags: libc::c_int) {
    // SAFETY: the handlers of this file store to an atomic at most.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        libc::sigaction(signal as libc::c_int, &raw const action, null_mut());
    }
}

/// While this lives, a system call that waits is ended by a signal that is noted, and once a second anyway: one that
/// came just before the call is seen then.
pub(super) struct InterruptibleWait {
    timer: libc::timer_t,
    tick: libc::sighandler_t,
    _open: Mask,
}

/// The signal of every second: nobody else uses it here, and its default is to do nothing.
const TICK: Signal = Signal::SIGURG;

extern "C" fn tick(_: libc::c_int) {}

fn tick_handler() -> libc::sighandler_t {
    tick as extern "C" fn(libc::c_int) as libc::sighandler_t
}

impl InterruptibleWait {
    pub(super) fn begin() -> Result<Self> {
        let mut timer = null_mut();
        let second = libc::timespec { tv_sec: 1, tv_nsec: 0 };
        let every = libc::itimerspec { it_interval: second, it_value: second };
        // SAFETY: all-zero is a valid sigevent; the calls write into `timer` only.
        let made = unsafe {
            let mut event: libc::sigevent = std::mem::zeroed();
            event.sigev_notify = libc::SIGEV_SIGNAL;
            event.sigev_signo = TICK as libc::c_int;
            Errno::result(libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer))
                .and_then(|_| Errno::result(libc::timer_settime(timer, 0, &raw const every, null_mut())))
        };
        made.what(|| "timer")?;
        let before = action(TICK as libc::c_int);
        set(TICK, tick_handler(), 0);
        handle(0);
        let open = Mask::change(SigmaskHow::SIG_UNBLOCK, &[&NOTED[..], &[TICK]].concat());
        Ok(Self { timer, tick: before, _open: open })
    }
}

impl Drop for InterruptibleWait {
    fn drop(&mut self) {
        // SAFETY: it was made, and is used no more.
        unsafe { libc::timer_delete(self.timer) };
        set(TICK, self.tick, 0);
        catch();
    }
}

/// While this lives, Ctrl-Z waits: a stopped process that holds the lock would hold up all others.
pub fn hold_stop() -> Mask {
    Mask::change(SigmaskHow::SIG_BLOCK, &[Signal::SIGTSTP])
}

/// A changed signal mask; goes back with its end.
pub struct Mask {
    back: SigmaskHow,
    changed: SigSet,
}

impl Mask {
    fn change(how: SigmaskHow, signals: &[Signal]) -> Self {
        let blocks = how == SigmaskHow::SIG_BLOCK;
        let mut before = SigSet::empty();
        let wanted: SigSet = signals.iter().copied().collect();
        // This cannot fail: the sets are in this process's memory, and the operation exists.
        let _ = sigprocmask(how, Some(&wanted), Some(&mut before));
        let changed = signals.iter().copied().filter(|signal| before.contains(*signal) != blocks).collect();
        let back = if blocks { SigmaskHow::SIG_UNBLOCK } else { SigmaskHow::SIG_BLOCK };
        Self { back, changed }
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        let _ = sigprocmask(self.back, Some(&self.changed), None);
    }
}
