//! The kernel: observing what is, performing actions. The only room with effects on the host.
//!
//! # Theory of operation
//!
//! A [`Kernel`] is a single-threaded runtime with a routing socket in the host's stack and, opened when needed,
//! one in each namespace. A socket stays in the namespace it was made in, so a throw-away thread enters, opens
//! the socket and hands it back; nothing else ever moves. Such a socket keeps its namespace alive: it is dropped
//! before the namespace is removed.
//!
//! To observe and to perform, which [`Host`](crate::reconcile::Host) asks for, are inverse to each other: what was
//! performed is observed.

mod accepts;
mod conntrack;
pub mod declarations;
mod decode;
mod devconf;
mod encode;
pub mod files;
mod foreign;
mod gates;
mod host;
pub mod interrupt;
mod ipsec;
mod limits;
mod neighbour;
mod netlink;
pub mod netns;
mod nexthop;
mod nf_tables;
mod nfnetlink;
mod nft;
mod observe;
mod perform;
mod probe;
mod processes;
mod resolver;
mod sample;
mod sysctl;
pub mod systemd;
mod table;
mod taps;
mod tc;
mod trace;
mod tracer;
mod traffic;
mod wire;

pub use host::Files;
pub use neighbour::silent;
pub use nix::sys::signal::Signal;
pub use probe::probe;
pub use processes::{Process, Running, crowds, members, netns_of, running};
pub use trace::{rule_text, trace};
pub use traffic::{Traffic, traffic};

use crate::error::{Context, Result};
use crate::model::{Name, Owner};
use netlink::Netlink;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use tokio::runtime::Runtime;

/// Access to the host's network stack and those of our namespaces.
pub struct Kernel {
    runtime: Runtime,
    host: Netlink,
    cookie: Option<u64>,
    inside: BTreeMap<Name, Inside>,
    /// Settings that namespaces did not take.
    refused: BTreeMap<String, String>,
    /// What the host is tuned to. Many files, so they are read once: a run looks at the host several times.
    tuning: Option<BTreeMap<String, String>>,
    _descriptors: limits::Descriptors,
}

/// An open namespace.
struct Inside {
    file: File,
    inode: u64,
    cookie: Option<u64>,
    netlink: Netlink,
}

impl Kernel {
    /// Opens the host's stack (that of the calling thread), to change it.
    pub fn open() -> Result<Self> {
        nft::check()?;
        Self::open_to_look()
    }

    /// Opens it to look only, which takes neither root nor nft(8).
    pub fn open_to_look() -> Result<Self> {
        let descriptors = limits::Descriptors::raise();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .what(|| "start")?;
        let host = runtime.block_on(async { Netlink::open() })?;
        let cookie = netns::cookie(&std::os::unix::net::UnixDatagram::unbound().what(|| "start")?);
        Ok(Self {
            runtime,
            host,
            cookie,
            inside: BTreeMap::new(),
            refused: BTreeMap::new(),
            tuning: None,
            _descriptors: descriptors,
        })
    }
}

/// Sends a signal to a process; one that ended meanwhile needs none.
pub fn end(pid: i32, signal: Signal) {
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
}

/// This process as an owner; nothing where `/proc` is not mounted.
pub fn this_process() -> Option<Owner> {
    let pid = nix::unistd::getpid().as_raw();
    Some(Owner { pid, start: start_time(pid)?, space: space()? })
}

/// Whether the process still lives: the same number may belong to a later one. One that is counted in another space (a
/// container's, which has the host's network) cannot be seen from here, and is left alone.
pub fn is_alive(owner: Owner) -> bool {
    space().is_some_and(|space| space != owner.space) || start_time(owner.pid) == Some(owner.start)
}

/// The space that process numbers are of here.
fn space() -> Option<u64> {
    std::fs::metadata("/proc/self/ns/pid").map(|space| space.ino()).ok()
}

/// When a process that lives was started, in clock ticks after boot: field 22 of `/proc/PID/stat` (proc(5)).
fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name, in parentheses, may hold anything; fields are counted behind it.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    // A zombie has only its number left, for as long as nobody asks how it ended.
    fields.next().filter(|state| !["Z", "X"].contains(state))?;
    fields.nth(18)?.parse().ok()
}
