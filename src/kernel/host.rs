//! The kernel and the files below `/run/nsnat`, as what the reconciler changes and remembers.

use super::files::{self, Lock};
use super::handle::Kernel;
use super::netlink::Netlink;
use super::{netns, record};
use crate::error::Result;
use crate::model::{Depth, Journal, Name, Observed, Target};
use crate::plan::Action;
use crate::reconcile::{Host, Step, Store};
use std::collections::{BTreeMap, BTreeSet};

impl Host for Kernel {
    fn observe(&mut self, journal: &Journal, names: &[&Name], depth: Depth) -> Result<Observed> {
        self.look(journal, names, depth)
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
pub struct Files(Lock);

impl Files {
    /// Those that `lock` is for, without what was being written when its writer was killed.
    pub fn open(lock: Lock) -> Result<Self> {
        files::sweep(&lock)?;
        Ok(Self(lock))
    }

    /// Takes everything of ours below `/run` away, the lock at last, unless something is up.
    pub fn clear_unless_up(&self) -> Result<()> {
        if files::read_journal()?.members.is_empty() { files::clear(&self.0) } else { Ok(()) }
    }
}

impl Store for Files {
    fn read(&mut self) -> Result<Journal> {
        files::read_journal()
    }

    /// What is there already needs no writing: taking away works on a full disk. Otherwise, what is written when all is
    /// done must not fail for want of room, so nothing is begun without it.
    fn record_intent(&mut self, intent: &Journal, gone: &BTreeSet<&Name>) -> Result<()> {
        let made_netns_dir = intent.made_netns_dir || !netns::dir_exists();
        let intent = Journal { made_netns_dir, ..intent.clone() };
        if intent != files::read_journal()? {
            files::check_room(&intent)?;
            files::write_journal(&intent)?;
        }
        gone.iter().try_for_each(|name| record::remove(name))
    }

    fn commit(&mut self, journal: &Journal, targets: &BTreeMap<&Name, Target>) -> Result<()> {
        let made_netns_dir = files::read_journal()?.made_netns_dir;
        if journal.members.is_empty() {
            if made_netns_dir {
                netns::remove_dir()?;
            }
            return files::clear(&self.0);
        }
        files::write_journal(&Journal { made_netns_dir, ..journal.clone() })?;
        targets.iter().try_for_each(|(name, target)| record::write(name, target))
    }
}
