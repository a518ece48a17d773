//! DNS goes where it was told: every path by which a program may ask, each with a real program.
//!
//! `docs/dns.md` has a table of the paths; each of its rows names a test below.

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
