//! DNS goes where it was told: every path by which a program may ask, each with a real program.
//!
//! `docs/dns.md` has a table of the paths; each of its cells names a test of this crate.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "../lab/mod.rs"]
mod lab;

mod daemons;
mod failover;
mod flows;
mod modes;
mod outside;
mod own_conf;
mod paths;
mod programs;
mod refused;
mod verdict;
mod watched;
