//! `nsnat exec`, run for real in a world of its own.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "this is all tests")]

mod errors;
mod lab;
mod mounts;
mod observed;
mod pid;
mod shell;
mod user;
