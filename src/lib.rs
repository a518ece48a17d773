//! nsnat gives chosen programs their own way out of a Linux host.

pub mod cli;
pub mod commands;
pub mod config;
pub mod enter;
pub mod error;
pub mod kernel;
pub mod model;
pub mod plan;
pub mod report;
pub mod skeleton;
