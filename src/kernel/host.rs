//! The kernel and the files below `/run/nsnat`, as what the reconciler changes and remembers.

use super::files::{self, Lock};
use super::handle::Kernel;
use super::route_socket::Netlink;
use super::state_file::{self, StateFile};
use super::{event_log, needs, netns, record};
use crate::error::Result;
use crate::model::{Event, ExecRecord, Look, Name, Need, Observed, State};
use crate::plan::Action;
use crate::reconcile::{Host, Step, Store};
use std::collections::{BTreeMap, BTreeSet};

impl Host for Kernel {
    fn observe(&mut self, state: &State, look: Look<'_>) -> Result<Observed> {
        self.look(state, look).map_err(|error| needs::reason(Need::TO_OBSERVE).unwrap_or(error))
    }

    fn look_closer(&mut self) {
        self.devices.passes_idle = false;
    }

    fn perform(&mut self, actions: &[Action], step: &mut dyn FnMut(Step<'_>) -> bool) {
        self.perform_and_close(actions, step);
    }

    fn take_refused(&mut self) -> BTreeMap<String, String> {
        std::mem::take(&mut self.refused)
    }

    /// A request that could not be sent was the last one of its socket.
    fn reopen(&mut self) -> Result<()> {
        self.host = self.runtime.block_on(async { Netlink::open() })?;
        Ok(())
    }
}

/// Our files below `/run`, and whether `/run/netns` is there by our doing. Whoever has these is alone with them.
pub struct Files {
    lock: Lock,
    state: StateFile,
}

impl Files {
    /// The declarations that `lock` is for, without files that were being written when their writer was killed.
    pub fn open(lock: Lock) -> Result<Self> {
        files::sweep_unfinished(&lock)?;
        Ok(Self { lock, state: StateFile::default() })
    }

    /// Records what happened, unless nothing is up any more and all was cleared.
    pub fn record_events(&self, events: &[Event]) -> Result<()> {
        event_log::append(&self.lock, events)
    }

    /// Takes everything of ours below `/run` away, the lock at last, unless something is up.
    pub fn clear_unless_up(&self) -> Result<()> {
        let is_up = |state: &State| !state.is_empty();
        let known = self.state.known_state();
        let is_up = known.map_or_else(|| state_file::read().map(|now| is_up(&now)), |now| Ok(is_up(now)));
        if is_up? { Ok(()) } else { files::clear(&self.lock) }
    }
}

impl Store for Files {
    fn read(&mut self) -> Result<State> {
        self.state.state().cloned()
    }

    /// What is there already needs no writing: taking away works on a full disk. Otherwise, what is written when all is
    /// done must not fail for want of room, so nothing is begun without it.
    fn record_intent(&mut self, intent: &State, gone: &BTreeSet<&Name>) -> Result<()> {
        let made_netns_dir = intent.made_netns_dir || !netns::dir_exists();
        let before = &self.state.state()?.namespaces;
        let changed = intent
            .namespaces
            .iter()
            .filter(|(name, namespace)| before.get(*name) != Some(*namespace))
            .count();
        let intent = State { made_netns_dir, ..intent.clone() };
        self.state.write(intent, |size| state_file::check_room(size, changed))?;
        gone.iter().try_for_each(|name| record::remove(name))
    }

    fn commit(&mut self, state: &State, targets: &BTreeMap<&Name, ExecRecord>) -> Result<()> {
        let made_netns_dir = self.state.state()?.made_netns_dir;
        if state.is_empty() {
            if made_netns_dir {
                netns::remove_dir()?;
            }
            self.state.forget();
            return files::clear(&self.lock);
        }
        self.state.write(State { made_netns_dir, ..state.clone() }, |_| Ok(()))?;
        targets.iter().try_for_each(|(name, target)| record::write(name, target))
    }
}
