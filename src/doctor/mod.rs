//! What is wrong, and what helps. Pure: over what was observed, and over what became of test packets.
//!
//! # Theory of operation
//!
//! A [`Patient`] is all that is known of one namespace, [`Surroundings`](crate::model::Surroundings) what is known of the
//! host. Each file has the checks of one part of a packet's way, as functions from that to findings; `CHECKS` is the list
//! of all, in the order of the way. A finding has a [`Code`](crate::model::Code), whose table says how bad it is, what it
//! means and which others explain it. A finding that another one explains is not told, because it goes with its cause.
//!
//! `status` runs the checks that need no packet, and `doctor` runs all: there is one list.

mod addresses;
mod declaration;
mod examine;
mod host;
mod name_tests;
mod names;
mod objects;
mod others;
mod packets;
mod patient;
mod probes;
mod sizes;
mod uplink;

pub use examine::{examine, examine_host, unexplained};
pub use name_tests::{NameTests, ProbedServer, RESOLV_CONF, Socket};
pub use patient::{Patient, Shared};
pub use probes::{LargeProbe, Probes};
pub use sizes::{sizes_between, usual_sizes};
pub use uplink::silence;
