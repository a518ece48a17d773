//! Signals as the kernel counts them: 1 to 64.
//!
//! The C library keeps a few for itself (musl 32 to 34, glibc 32 and 33), leaves them out of every set that it fills,
//! and nix knows none above 31. Whoever stays behind a command has to pass on, and to end by, whatever there is.
//! Therefore this asks the kernel.

use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{getpid, getsid};
use std::ptr::{null, null_mut};

/// A set of signals as the kernel has it: number N is bit N - 1.
type Set = u64;

const ALL: Set = Set::MAX;

/// The signals that a terminal sends. It sends them to everybody in front of it.
const FROM_TERMINAL: [libc::c_int; 8] = [
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTSTP,
    libc::SIGHUP,
    libc::SIGWINCH,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGCONT,
];

/// The signal mask as it was inherited.
pub(super) struct Signals {
    mask: Set,
}

impl Signals {
    /// Blocks everything.
    pub(super) fn take() -> nix::Result<Self> {
        mask(libc::SIG_SETMASK, ALL).map(|mask| Self { mask })
    }

    pub(super) fn give_back(&self) -> nix::Result<()> {
        mask(libc::SIG_SETMASK, self.mask).map(drop)
    }
}

/// Returns the mask before.
fn mask(how: libc::c_int, set: Set) -> nix::Result<Set> {
    let mut before: Set = 0;
    let done = unsafe {
        // SAFETY: both sets are of the size that is given.
        libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const set, &raw mut before, size_of::<Set>())
    };
    Errno::result(done).map(|_| before)
}

/// A terminal that hangs up says so to the leader of its session only.
const TO_LEADER: [libc::c_int; 2] = [libc::SIGHUP, libc::SIGCONT];

/// Waits for the next signal, all being blocked; whether the terminal sent it to this process's whole group.
pub(super) fn next() -> (libc::c_int, bool) {
    let (all, forever) = (ALL, null::<libc::timespec>());
    // SAFETY: an all-zero siginfo is valid, and the call writes into nothing else; the set is of the size given.
    let (signal, code) = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let size = size_of::<Set>();
        let signal = libc::syscall(libc::SYS_rt_sigtimedwait, &raw const all, &raw mut info, forever, size);
        (signal, info.si_code)
    };
    // Only a stop and a continuation interrupt it, all being blocked: that is no signal for anybody.
    let Some(signal) = libc::c_int::try_from(signal).ok().filter(|signal| *signal > 0) else {
        return (0, true);
    };
    // Above zero: the kernel by itself, and not a process that asked for it.
    let to_us_only = TO_LEADER.contains(&signal) && getsid(None) == Ok(getpid());
    (signal, code > 0 && FROM_TERMINAL.contains(&signal) && !to_us_only)
}

/// Lets a signal do to this process what it does by default.
pub(super) fn take_default_action(signal: libc::c_int) {
    let only: Set = 1 << (signal - 1);
    // KILL and STOP have no action to set and cannot be blocked, which is an error here that does not matter.
    // SAFETY: no handler is installed; the signal goes to this process.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = libc::SIG_DFL;
        libc::sigaction(signal, &raw const action, null_mut());
        libc::kill(libc::getpid(), signal);
    }
    let _ = mask(libc::SIG_UNBLOCK, only);
    let _ = mask(libc::SIG_BLOCK, only);
}

/// Ends this process by a signal.
pub fn end_by(signal: libc::c_int) -> ! {
    // What it is about dumped core if it wanted to; nobody wants ours.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    take_default_action(signal);
    // Still here: number 1 of a container cannot be ended this way.
    exit(128 + signal)
}

/// Ends this process at once; buffers belong to the process that it was forked from.
pub(super) fn exit(status: libc::c_int) -> ! {
    // SAFETY: nothing of this process runs after it.
    unsafe { libc::_exit(status) }
}
