//! Both families, and uplinks of every kind, end to end in a lab: what `e2e` shows for IPv4 and a plain device.
//!
//! Nothing is skipped: a machine that cannot have a lab fails, and says what is missing.

mod advertisements;
mod as_the_host;
mod failover;
mod job6;
mod kinds;
mod leaks6;
mod modes;
mod mtu;
mod neighbours;
