//! `nsnat exec`, run for real in a world of its own.

mod chroot;
mod errors;
mod handover;
mod mounts;
mod observed;
mod pid;
mod session;
mod shell;
mod user;
