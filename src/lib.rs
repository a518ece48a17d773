//! nsnat gives chosen programs their own way out of a Linux host.
//!
//! # Theory of operation
//!
//! A namespace is joined to the host by a routed veth pair. Its packets are marked where they enter the host; mark and
//! source select a routing table with the chosen next hop and nothing else; the guard (nft) compares every packet with
//! what its mark is allowed; masquerade and the rewriting of DNS happen on the host's side. `docs/theory.md` follows a
//! packet all the way.
//!
//! The configuration and what is observed become a state (every number and device found), the state what the kernel
//! should hold, and the difference to what it does hold an ordered list of actions. That is pure. Everything that
//! changes the host goes through one circle ([`reconcile`]): the actions are performed, observing again must leave
//! nothing to do, and what cannot be finished is rolled back.
//!
//! # The rooms
//!
//! | room | what is in it | may use, besides itself and [`error`] | effects |
//! |---|---|---|---|
//! | [`model`] | plain data: names, numbers and why these, kernel objects and which are ours, state | | |
//! | `attributes` | netlink attributes, written and read | | |
//! | `nft` | pure: nsnat's nf_tables table as text and as messages | `attributes`, `model` | |
//! | [`config`] | files → a checked configuration, or every problem at once with its place | `model` | |
//! | [`plan`] | pure: configuration and observation → state → actions | `config`, `model`, `nft` | |
//! | [`doctor`] | pure: what is wrong with the host and its namespaces, and what helps | `plan`, `model` | |
//! | [`health`] | pure: whether uplinks live, out of what comes of asking them | `model` | |
//! | [`reconcile`] | the circle: observe, plan, record the intent, perform, verify, commit, roll back | `plan`, `model` | |
//! | [`kernel`] | observing and performing: the host as the circle sees it | `attributes`, `model`, `nft`, `plan::action`, `plan::desired`, `plan::other_firewalls`, `reconcile::world` | on the host |
//! | [`enter`] | becoming a process inside | `model`, `cli`, `ui`, `kernel::cookie`, `kernel::interrupt`, `kernel::netns`, `kernel::processes`, `kernel::record` | on its own process |
//! | [`watch`] | the daemon: when the host is looked at again, and what wakes it | `kernel`, `model` | |
//! | [`report`] | text and JSON, view only | `doctor`, `plan`, `model` | |
//! | [`cni`] | pure: what container runtimes ask, and what they are answered | `model` | |
//! | [`netavark`] | pure: what podman's network program asks, and what it is answered | `cni`, `model` | |
//! | [`docker`] | pure: what Docker asks of a driver of networks, and what it is answered | `cni`, `model` | |
//! | [`commands`] | one file a verb, glue only | `cli`, `cni`, `complete`, `config`, `docker`, `doctor`, `enter`, `health`, `kernel`, `model`, `netavark`, `nft`, `plan`, `reconcile`, `report`, `ui`, `watch` | |
//! | [`cli`] | the types of the command line | `model` | |
//! | [`complete`] | pure: what can come next on a command line | | |
//! | [`ui`] | all that is printed | `cli` | on standard output and error |
//! | [`error`] | errors with what, why, hint | | |
//! | `main` | `nsnat` | `cli`, `commands`, `enter::run`, `ui` | |
//! | `bin` | `nsnat-exec`, which is set-user-id | `enter::for_users`, `ui` | |
//!
//! A file uses another one when its text names something that the other one defines. Besides the table this holds: no
//! file uses itself by way of others, and a room's `mod.rs` defines nothing that the room itself uses. It says what
//! the room is for and what of it others get; what several files need has a file and a name of its own.
//!
//! `tests/pure/walls.rs` reads this table and holds all of it. Clippy holds the effects (`.clippy.toml`): a file that
//! has them says so at its door.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod attributes;
pub mod cli;
pub mod cni;
pub mod commands;
pub mod complete;
pub mod config;
pub mod docker;
pub mod doctor;
pub mod enter;
pub mod error;
pub mod health;
pub mod kernel;
pub mod model;
pub mod netavark;
pub mod nft;
pub mod plan;
pub mod reconcile;
pub mod report;
pub mod ui;
pub mod watch;
