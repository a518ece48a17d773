//! `nsnat exec`, run for real in a world of its own.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "this is all tests")]

mod chroot;
mod errors;
mod handover;
mod lab;
mod mounts;
mod observed;
mod pid;
mod session;
mod shell;
mod user;
