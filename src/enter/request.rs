//! What is asked of `exec`.

use crate::model::Name;
use std::ffi::OsString;
use std::path::PathBuf;

/// What is to be run, in which namespace, and as which user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The namespace.
    pub namespace: Name,
    /// The user that the command runs as.
    pub who: RunAs,
    /// With a process-number space of its own.
    pub pid: bool,
    /// Nothing is said but errors.
    pub quiet: bool,
    /// What it moved is told at the end: somebody has to stay behind.
    pub report: bool,
    /// What is done about proxies that the environment names.
    pub proxies: Proxies,
    /// Mounts that only the command and its descendants see, in this order.
    pub mounts: Vec<Mount>,
    /// The command and its arguments.
    pub command: Vec<OsString>,
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RunAs {
    /// The caller: nothing is changed.
    #[default]
    Same,
    /// By name or number.
    User(String),
    /// The user that called sudo, doas or pkexec.
    Me,
}

/// A mount that only the command and its descendants see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mount {
    /// A directory or file appears in another place, too.
    Bind {
        /// What appears.
        from: PathBuf,
        /// Where.
        to: PathBuf,
        /// The mount is read-only.
        read_only: bool,
    },
    /// An empty directory in memory.
    Tmpfs(PathBuf),
}

/// What the caller wants to be done about proxies that the environment names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proxies {
    /// The variables stay, and a note says what that means unless the configuration settles it.
    #[default]
    Stay,
    /// The variables are removed.
    Drop,
}
