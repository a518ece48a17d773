//! What needs no lab and no root: the plan on a model of the kernel, the configuration, the walls between the rooms of
//! `src/`, and what the documents name.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends so"
)]

mod cni;
mod completions;
mod config;
mod docker;
mod documents;
mod faults;
mod kubernetes;
mod netavark;
mod plan;
mod schema;
mod walls;
