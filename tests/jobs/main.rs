//! Bulk jobs: what `exec --report` says, and the recipes of docs/recipes.md, each with the real program.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, reason = "this is all tests")]

#[path = "../lab/mod.rs"]
mod lab;
mod recipes;
mod report;
