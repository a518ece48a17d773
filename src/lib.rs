//! nsnat gives chosen programs their own way out of a Linux host.
//!
//! # Theory of operation
//!
//! A namespace is joined to the host by a routed veth pair. Its packets are marked where they enter the host; mark and
//! source select a routing table with the chosen next hop and nothing else; the guard (nft) compares every packet with
//! what its mark is allowed; masquerade and the rewriting of DNS happen on the host's side. `docs/theory.md` follows a
//! packet all the way.
//!
//! The configuration and what is observed become a journal (every number and device found), the journal what the kernel
//! should hold, and the difference to what it does hold an ordered list of actions. That is pure. Everything that changes
//! the host goes through one circle ([`reconcile`]): the actions are performed, observing again must leave nothing to do,
//! and what cannot be finished is rolled back.
//!
//! # The rooms
//!
//! | room | what is in it | may use |
//! |---|---|---|
//! | [`model`] | plain data: names, numbers and why these, kernel objects, journal | |
//! | [`config`] | files → a checked configuration, or every problem at once with its place | `model` |
//! | [`plan`] | pure: configuration and observation → journal → actions | `config`, `model` |
//! | [`reconcile`] | the circle: observe, plan, record the intent, perform, verify, commit, roll back | `plan`, `model` |
//! | [`kernel`] | effects on the host: observe, perform, files | `model`, the actions of `plan`, the traits of `reconcile` |
//! | [`enter`] | becoming a process inside | `model`, `kernel` for files and handles |
//! | [`report`] | text and JSON, view only | `plan`, `model` |
//! | [`commands`] | one file a verb, glue only | all of them |
//! | [`cli`], [`error`], [`skeleton`] | the command line's types; errors with what, why, hint; the nft text and its digest | |

pub mod cli;
pub mod commands;
pub mod config;
pub mod enter;
pub mod error;
pub mod kernel;
pub mod model;
pub mod plan;
pub mod reconcile;
pub mod report;
pub mod skeleton;
