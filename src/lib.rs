//! nsnat gives chosen programs their own way out of a Linux host.

pub mod cli;
pub mod config;
pub mod enter;
pub mod error;
pub mod model;

/// The nft skeleton, as a person would write it; what `up` loads.
pub const SKELETON: &str = include_str!("../nft/host.nft");
