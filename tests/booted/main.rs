//! nsnat in systems that boot: a systemd in a container, a Debian with the real programs beside it, a machine with
//! another kernel. These tests take minutes and wait most of the time, so `scripts/test` runs them beside the others.

#![allow(clippy::disallowed_methods, reason = "tests start programs")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends so")]

mod systemd;
mod systest;
