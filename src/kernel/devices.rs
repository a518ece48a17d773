//! Which devices of the host a run asks about, where it passes by those of other namespaces.

use super::private_mount;
use crate::error::{Context, Result};
use crate::model::{OtherNamespaces, State};
use nix::dir::Dir;
use nix::fcntl::OFlag;
use std::collections::BTreeSet;

/// The devices that a run asked about. To find them among thousands takes the kernel a millisecond, so the second look of a run,
/// which only verifies what the run did, asks about the same ones and about those of its namespaces.
#[derive(Default)]
pub(super) struct DevicesOfRun(Option<BTreeSet<String>>);

impl DevicesOfRun {
    /// The devices to ask about; none: all that there are.
    pub(super) fn ask_for(
        &mut self,
        state: &State,
        others: &OtherNamespaces<'_>,
    ) -> Result<Option<BTreeSet<String>>> {
        if others.namespaces.is_empty() {
            return Ok(None);
        }
        let is_asked = |name: &String| !others.have_link(name);
        let mut asked: BTreeSet<String> = match self.0.take() {
            Some(known) => known.into_iter().filter(is_asked).collect(),
            None => device_names()?.into_iter().filter(is_asked).collect(),
        };
        let of_run = state.namespaces.values().map(|namespace| &namespace.link);
        asked.extend(of_run.filter(|name| is_asked(name)).cloned());
        Ok(Some(self.0.insert(asked).clone()))
    }
}

/// The names of the devices of this thread's namespace. A directory of a sysfs names a thousand of them in a fifth of the time
/// that `/proc/net/dev` takes, which also counts what each has sent.
fn device_names() -> Result<Vec<String>> {
    const DEVICES: &str = "/proc/thread-self/net/dev";
    if let Some(names) = names_in_sysfs() {
        return Ok(names);
    }
    let text = std::fs::read_to_string(DEVICES).what(|| DEVICES)?;
    Ok(text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect())
}

/// The same by a sysfs of nsnat's own: that of the host may show another namespace. A driver's file stands among the devices
/// there, and is none when it is asked for.
fn names_in_sysfs() -> Option<Vec<String>> {
    let directory = private_mount::open("sysfs", "class/net", OFlag::O_RDONLY).ok()?;
    let mut directory = Dir::from_fd(directory).ok()?;
    let entries: Vec<_> = directory.iter().collect::<nix::Result<_>>().ok()?;
    let names: Vec<&str> =
        entries.iter().map(|entry| entry.file_name().to_str().ok()).collect::<Option<_>>()?;
    Some(names.into_iter().filter(|name| ![".", ".."].contains(name)).map(str::to_owned).collect())
}
