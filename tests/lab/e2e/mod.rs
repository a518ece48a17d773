//! End to end: the program as people use it, on the host of a lab.
//!
//! One file a subject; each test has a lab of its own. Nothing is skipped: a machine that cannot have a lab
//! (not root, a tool missing) fails, and says what is missing.

mod attach;
mod caught;
mod changes;
mod cli;
mod cni;
mod contracts;
mod crowd;
mod docker;
mod doctor;
mod doctor_names;
mod doctor_packets;
mod doctor_uplinks;
mod down;
mod events;
mod faults;
mod gates;
mod hairpin;
mod health;
mod hooks;
mod host_services;
mod hosts;
mod idempotence;
mod install;
mod ipsec;
mod job;
mod kernel_parts;
mod kill;
mod killswitch;
mod leaks;
mod looking;
mod lost_family;
mod neighbours;
mod on_change;
mod plan_lines;
mod planted;
mod proxy;
mod published;
mod published_attachment;
mod scale;
mod signals;
mod state_file;
mod strangers;
mod targets;
mod trace;
mod trust;
mod tuned;
mod upgrade;
mod watch;
mod watch_events;
mod watch_kills;
mod watch_lost;
mod watch_routes;
mod weather;
