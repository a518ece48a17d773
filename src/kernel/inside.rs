//! Looking into namespaces, into several at the same time.
//!
//! A few threads, as many as there are processors, go from namespace to namespace. Each opens one socket in a
//! namespace, reads what it needs, and closes the socket before it goes on.

use super::netlink_socket::NetlinkSocket;
use super::netns::AttachedNetns;
use super::routes::RouteRows;
use super::sysctl::Sysctls;
use super::threads::{Taken, processors};
use super::{netns, stack};
use crate::error::{Context, Error, Result};
use crate::model::{Name, Netns, State, tuning};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What each of these namespaces holds. A namespace without a file in `/run/netns` is left out.
pub(super) fn look_into(
    names: &[&Name],
    settled: &KnownTuning<'_>,
    attached: &BTreeMap<Name, AttachedNetns>,
) -> Result<BTreeMap<Name, Netns>> {
    let next = AtomicUsize::new(0);
    let taken = Taken::default();
    let worker = || {
        taken.take();
        let mut found = Vec::new();
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            found
                .extend(namespace(name, settled, attached.get(*name))?.map(|netns| ((*name).clone(), netns)));
        }
        Ok(found)
    };
    let count = processors().min(names.len());
    thread::scope(|scope| {
        let start = |_| thread::Builder::new().spawn_scoped(scope, worker).what(|| "start a thread");
        let workers = (0..count).map(start).collect::<Result<Vec<_>>>()?;
        let mut out = BTreeMap::new();
        for worker in workers {
            let ended_early = |_| Err(Error::new("look into namespaces", "a thread ended early"));
            out.extend(worker.join().unwrap_or_else(ended_early)?);
        }
        Ok(out)
    })
}

/// A namespace's state; none where `/run/netns` has nothing of that name. The thread is in the namespace afterwards.
fn namespace(
    name: &Name,
    settled: &KnownTuning<'_>,
    attached: Option<&AttachedNetns>,
) -> Result<Option<Netns>> {
    let noted = settled.state.namespaces.get(name).and_then(|namespace| namespace.inode);
    let found = match (attached, noted) {
        (Some(place), _) => netns::find_attached(name, place),
        (None, Some(_)) => netns::find_noted(name, noted),
        (None, None) => netns::find(name),
    };
    match found? {
        netns::NetnsFile::Nothing => Ok(None),
        netns::NetnsFile::Stale => Ok(Some(Netns::Stale)),
        netns::NetnsFile::Alive { file, inode, adrift } => {
            netns::enter(&file).what(|| format!("namespace {name}"))?;
            let netlink = NetlinkSocket::for_dumps()?;
            let cookie = netlink.cookie();
            // A later one got the same inode number, and its maker put it in the same place.
            let is_later = |place: &AttachedNetns| place.cookie.is_some() && place.cookie != cookie;
            if attached.is_some_and(is_later) {
                return Ok(None);
            }
            let (mut stack, devices) = stack::observe(&netlink, None, false)?;
            // Nothing of ours inside leads by next hops that are objects of their own.
            stack.routes = RouteRows::dump(&netlink, &[])?.read(&devices, false)?;
            let tuned = attached.is_some() || settled.is_tuned(name, inode, cookie);
            if !tuned {
                stack.sysctls.extend(settled.tuning());
            }
            Ok(Some(Netns::Alive { inode, cookie, stack: Box::new(stack), adrift, tuned }))
        }
    }
}

/// What namespaces have of the host's tuning. One that was seen to have it is not asked again: it is a hundred files, and
/// whatever was written since inside of it, somebody there wrote on purpose.
pub(super) struct KnownTuning<'a> {
    state: &'a State,
    /// Digest of what they should have now.
    digest: String,
    /// What is read where that is not known: also what some did not take.
    tuned: &'a BTreeMap<String, String>,
}

impl<'a> KnownTuning<'a> {
    pub(super) fn of(state: &'a State, tuned: &'a BTreeMap<String, String>) -> Self {
        let mut wanted = tuned.clone();
        wanted.retain(|key, value| state.left_alone.get(key) != Some(value));
        Self { state, digest: tuning::digest(&wanted), tuned }
    }

    fn is_tuned(&self, name: &Name, inode: u64, cookie: Option<u64>) -> bool {
        self.state.namespaces.get(name).is_some_and(|namespace| {
            namespace.inode == Some(inode)
                && namespace.cookie == cookie
                && namespace.tuned.as_ref() == Some(&self.digest)
        })
    }

    /// What the namespace has that the thread is in.
    fn tuning(&self) -> BTreeMap<String, String> {
        Sysctls::default().read_all(self.tuned.keys().map(String::as_str))
    }
}
