//! What a command of `exec` would see of name resolution.

use super::{mounts, namespace, resolvers};
use crate::error::{Context, Error, Result};
use crate::model::Name;
use nix::sched::{CloneFlags, setns};
use std::path::Path;

/// What a command sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The text of its resolv.conf.
    pub resolv_conf: String,
    /// Sockets of resolvers on this host, and whether the command sees them.
    pub sockets: Vec<(&'static str, bool)>,
}

/// Looks through the mounts that `exec` makes. They are made by a thread, and end with it.
#[expect(clippy::disallowed_methods, reason = "this is the room that enters namespaces")]
pub fn view(name: &Name) -> Result<View> {
    let what = || format!("namespace {name}");
    let inside =
        namespace::open_checked_namespace(name)?.ok_or_else(|| Error::new(what(), "it is not up"))?;
    let present = resolvers::sockets();
    let thread = std::thread::scope(|scope| {
        let look = || -> Result<View> {
            setns(&inside.netns, CloneFlags::CLONE_NEWNET).what(what)?;
            // The working directory does not matter to a look at fixed paths.
            let _ = mounts::set_up(name, &inside.target, &[])?;
            let sockets = present.iter().map(|socket| (*socket, Path::new(socket).exists())).collect();
            Ok(View { resolv_conf: std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default(), sockets })
        };
        scope.spawn(look).join()
    });
    thread.unwrap_or_else(|_| Err(Error::new(what(), "the thread that looks ended early")))
}
