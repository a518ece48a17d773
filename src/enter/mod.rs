//! Becoming a process inside a namespace.
//!
//! # Theory of operation
//!
//! `nsnat exec` replaces itself with the command, so whatever it changes about its own process, the command
//! sees; whatever it leaves alone is as if nsnat were not there. Hence one rule for this room: change the
//! network namespace, the mount namespace, `NSNAT_NAMESPACE`, on request the user, and nothing else. What
//! Rust's own start-up changed before `main` is put back ([`inherited`]).
//!
//! The steps happen in this order, and the order is what makes them safe:
//!
//! 1. the name is checked, the record `/run/nsnat/ns/NAME` and `/run/netns/NAME` are opened ([`namespace`]);
//! 2. the user is looked up, while the host's network is still there to ask ([`user`]);
//! 3. the network namespace is entered;
//! 4. a mount namespace is made that follows the host's mounts and is never followed by the host ([`mounts`]):
//!    `/sys`, `/etc`, resolver sockets ([`resolvers`]), what the caller asked for;
//! 5. with `--pid`, the process tree is made ([`pid`]);
//! 6. privileges are dropped ([`privileges`]), after everything that needs them and before everything that
//!    depends on the command's name;
//! 7. the command is looked for and run ([`command`]).
//!
//! This path is what scripts call ten thousand times. Therefore it runs before the command line's parser and
//! before any runtime ([`fast_path`]), reads one small file, and asks the kernel about single paths instead of
//! reading the table of mounts, which may have hundreds of lines.

mod args;
mod command;
mod environment;
mod for_users;
mod handover;
mod inherited;
mod mount;
mod mounts;
mod namespace;
mod pid;
mod privileges;
mod proxy;
mod request;
mod resolvers;
mod run;
mod session;
mod shell;
mod signals;
mod supervise;
mod user;
mod view;

pub use args::{from_cli, in_ephemeral};
pub use for_users::serve;
pub use request::{Mount, Proxies, Request, RunAs};
pub use run::{fast_path, is_up, run, run_then};
pub use shell::{caller_number, command as shell_command, has_caller, user_name};
pub use signals::end_by;
pub use user::number;
pub use view::{View, view};
