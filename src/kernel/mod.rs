//! The kernel: observing what is, performing actions. The only room with effects on the host.
//!
//! # Theory of operation
//!
//! A [`Kernel`] is a single-threaded runtime with a routing socket in the host's stack and, while actions are performed
//! that need it, one in each namespace. A socket stays in the namespace it was made in, so a throw-away thread enters,
//! opens the socket and hands it back. Such a socket keeps its namespace alive: it is dropped before the namespace is
//! removed. To look into namespaces takes no runtime: a few threads go from one to the next ([`inside`]).
//!
//! To observe and to perform, which [`Host`](crate::reconcile::Host) asks for, are inverse to each other: what was
//! performed is observed.

mod accepts;
pub mod bundle;
mod claims;
mod conntrack;
pub mod cookie;
pub mod declarations;
mod decode;
mod devconf;
mod devices;
mod dump;
mod encode;
pub mod event_log;
mod events;
mod expression;
pub mod files;
mod foreign;
mod foreign_chains;
mod full_table;
mod handle;
mod hardware;
mod hooks;
mod host;
mod inside;
pub mod interrupt;
mod ipsec;
mod known_rulesets;
mod leases;
mod legacy;
mod limits;
mod lower_devices;
mod mounts;
pub mod names;
mod needs;
mod neighbour;
mod netlink_socket;
pub mod netns;
pub mod networks;
mod nexthop;
mod nft;
mod observe;
mod open_namespaces;
mod other_firewalls;
mod packet_socket;
mod passes;
mod perform;
pub mod plugin_socket;
mod private_mount;
mod probe;
mod probe_sockets;
mod prober;
mod processes;
pub mod record;
pub mod resolver;
mod route_filter;
mod route_socket;
mod routes;
mod sizes;
mod stack;
pub mod state_file;
mod surroundings;
mod sysctl;
pub mod systemd;
mod table;
mod taps;
mod target;
mod tc;
mod tcp;
pub mod threads;
mod trace;
mod tracer;
mod traffic;
mod veth_ends;
mod worker;

pub use events::{Change, Events, Heard, Scope, wait_for};
pub use handle::Kernel;
pub use hardware::hardware_address;
pub use hooks::Hooks;
pub use host::Files;
pub use ipsec::is_without_ipsec;
pub use needs::{can_trace, lacks};
pub use neighbour::find_silent;
pub use nix::sys::signal::Signal;
pub use probe::probe;
pub use probe_sockets::ProbeShape;
pub use prober::Prober;
pub use processes::{
    Process, Running, crowds, is_alive, netns_of, processes_in, running, send_signal, this_process,
};
pub use sizes::answered_sizes;
pub use surroundings::surroundings;
pub use table::servers_passed_over;
pub use tcp::peers as tcp_peers;
pub use trace::{reach, rule_text, trace};
pub use traffic::{Traffic, traffic};
