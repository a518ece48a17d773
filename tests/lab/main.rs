//! The program as people use it, run for real: each test has a host of its own, in namespaces.
//!
//! Every module needs root and the programs that `scripts/need test` installs. A machine on which a lab cannot be made
//! fails every test and says what is missing; nothing is skipped.

#![allow(
    clippy::disallowed_methods,
    clippy::needless_pass_by_value,
    clippy::format_collect,
    reason = "tests start programs, and are not in a hurry"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends so"
)]

mod lab;
mod world;

mod dns;
mod documents;
mod e2e;
mod enter;
mod families;
mod hostile;
mod jobs;
