//! Which devices of the host a run asks about.
//!
//! # Theory of operation
//!
//! The kernel takes its time to tell of a device, and the more the more containers there are: it looks for the number of each
//! one's namespace (`peernet2id_alloc` in net/core/rtnetlink.c). So there are two kinds of devices that are not asked about.
//!
//! * Those of other namespaces of ours, where a run is for one of them.
//! * Idle ones, where there are many: the state names them not, they have no name like ours, they have no address but link-local
//!   ones, and no route leads by them but to link-local addresses. A host has one for each container. They may still be named by
//!   the configuration, which the kernel's side does not know; so whoever chooses the ways by what was seen asks for a
//!   [closer look](crate::reconcile::Host::look_closer) then.
//!
//! Kernels that have one switch of forwarding for all devices of IPv6 change the settings of idle ones, too. There none is passed by.

use super::private_mount;
use crate::error::{Context, Result};
use crate::model::stack::{DeviceNames, device_of};
use crate::model::{Egress, OtherNamespaces, State, numbers};
use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::net::if_::if_indextoname;
use std::collections::BTreeSet;

/// Where there are not more idle devices than this, none is passed by.
const MANY: usize = 64;

/// The devices that a run asked about. To find them among thousands takes the kernel a millisecond, so the second look of a run
/// for one namespace, which only verifies what the run did, asks about the same ones and about those of its namespaces.
#[derive(Default)]
pub(super) struct DevicesOfRun {
    listed: Option<Asked>,
    /// Idle devices are passed by, as far as they can be.
    pub(super) passes_idle: bool,
}

/// Devices that are asked about.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) names: BTreeSet<String>,
    /// How many devices there were.
    all: usize,
    /// Idle ones are not among them.
    pub(super) without_idle: bool,
}

impl Asked {
    fn list() -> Result<Self> {
        let names = device_names()?;
        Ok(Self { all: names.len(), names: names.into_iter().collect(), without_idle: false })
    }

    /// Whether most devices are among them. To ask about one takes twice as long as to be told of it with all others.
    pub(super) fn are_most(&self) -> bool {
        2 * self.names.len() > self.all
    }

    /// Leaves out all but those of these numbers, and those that matter whatever they have.
    fn pass_idle(&mut self, used: &BTreeSet<u32>, state: &State) {
        let named = named_by(state);
        self.names.retain(|name| name.starts_with(numbers::LINK_PREFIX) || named.contains(name.as_str()));
        let held = state.sysctls.values().filter_map(|held| held.device);
        // One that went away meanwhile has no name.
        self.names.extend(used.iter().copied().chain(held).filter_map(name_of));
        self.without_idle = true;
    }
}

impl DevicesOfRun {
    /// The devices to ask about; none: all that there are. `used`: the numbers of those that are not idle, where they are known.
    pub(super) fn ask_for(
        &mut self,
        state: &State,
        others: &OtherNamespaces<'_>,
        used: impl FnOnce() -> Result<Option<BTreeSet<u32>>>,
    ) -> Result<Option<Asked>> {
        if others.namespaces.is_empty() {
            return if self.passes_idle { all_but_idle(state, used) } else { Ok(None) };
        }
        let is_asked = |name: &String| !others.have_link(name);
        let mut asked = self.listed.take().map_or_else(Asked::list, Ok)?;
        asked.names.retain(is_asked);
        let of_run = state.namespaces.values().map(|namespace| &namespace.link);
        asked.names.extend(of_run.filter(|name| is_asked(name)).cloned());
        let mut asked = self.listed.insert(asked).clone();
        // All of ours have addresses: to find the idle ones among very many of ours would take longer than to ask.
        if self.passes_idle
            && asked.names.len() > MANY.max(others.namespaces.len())
            && let Some(used) = used()?
        {
            asked.pass_idle(&used, state);
            asked.names.retain(is_asked);
        }
        Ok(Some(asked))
    }
}

/// The devices that are not idle; none where most are not, or it is not known which are.
fn all_but_idle(
    state: &State,
    used: impl FnOnce() -> Result<Option<BTreeSet<u32>>>,
) -> Result<Option<Asked>> {
    let all = count_devices();
    let are_many = |others: usize| all.saturating_sub(others) > MANY.max(all / 2);
    if !are_many(state.namespaces.len()) {
        return Ok(None);
    }
    let Some(used) = used()?.filter(|used| are_many(used.len())) else { return Ok(None) };
    let mut asked = Asked::list()?;
    asked.pass_idle(&used, state);
    Ok(Some(asked))
}

/// How many devices there are that know IPv6: the kernel has a file for each. To name all devices takes ten times as long where
/// there are few.
fn count_devices() -> usize {
    std::fs::read_dir("/proc/thread-self/net/dev_snmp6").map_or(0, Iterator::count)
}

/// The devices that the state names, and the loopback device.
fn named_by(state: &State) -> BTreeSet<&str> {
    let mut out: BTreeSet<&str> = BTreeSet::from(["lo"]);
    for namespace in state.namespaces.values() {
        out.insert(&namespace.link);
        out.extend(Some(namespace.ifname()).filter(|_| namespace.is_handed()));
    }
    out.extend(state.egresses.values().flat_map(Egress::parts).map(|part| part.dev.as_str()));
    out.extend(state.sysctls.keys().filter_map(|key| device_of(key)));
    out.extend(state.bridges.iter().map(String::as_str));
    out
}

/// The device of a number in this thread's namespace.
fn name_of(number: u32) -> Option<String> {
    if_indextoname(number).ok()?.into_string().ok()
}

/// The device of a number, which may be none of those that were asked about.
pub(super) fn name_among(names: &DeviceNames, number: u32) -> Option<String> {
    names.get(&number).cloned().or_else(|| name_of(number))
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
