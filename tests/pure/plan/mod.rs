//! The plan, which is pure: golden cases and properties, both on a model of the kernel.

mod families;
mod fault;
mod golden;
mod lines;
mod model;
mod model_pairs;
mod others;
mod properties;
mod scenarios;
mod stops;
mod world;
