//! The kernel and the files below `/run/nsnat`, as what the reconciler changes and remembers.

use super::files::{self, Lock};
use super::handle::Kernel;
use super::netlink::Netlink;
use super::{netns, record};
use crate::error::Result;
use crate::model::{Journal, Look, Name, Observed, Target};
use crate::plan::Action;
use crate::reconcile::{Host, Step, Store};
use std::collections::{BTreeMap, BTreeSet};

impl Host for Kernel {
    fn observe(&mut self, journal: &Journal, look: Look<'_>) -> Result<Observed> {
        self.look(journal, look)
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
    /// The journal, once it was read: nobody else writes it meanwhile.
    journal: Option<Journal>,
}

impl Files {
    /// Those that `lock` is for, without what was being written when its writer was killed.
    pub fn open(lock: Lock) -> Result<Self> {
        files::sweep(&lock)?;
        Ok(Self { lock, journal: None })
    }

    fn journal(&mut self) -> Result<&Journal> {
        match &mut self.journal {
            Some(journal) => Ok(journal),
            none => Ok(none.insert(files::read_journal()?)),
        }
    }

    /// Writes the journal, unless that very one is there.
    fn write(&mut self, journal: Journal, check: impl FnOnce(&str) -> Result<()>) -> Result<()> {
        if journal != *self.journal()? {
            self.journal = None;
            let text = files::text_of(&journal)?;
            check(&text)?;
            files::write_journal(&text)?;
            self.journal = Some(journal);
        }
        Ok(())
    }

    /// Takes everything of ours below `/run` away, the lock at last, unless something is up.
    pub fn clear_unless_up(&self) -> Result<()> {
        let is_up = |journal: &Journal| !journal.members.is_empty();
        let is_up = self
            .journal
            .as_ref()
            .map_or_else(|| files::read_journal().map(|now| is_up(&now)), |now| Ok(is_up(now)));
        if is_up? { Ok(()) } else { files::clear(&self.lock) }
    }
}

impl Store for Files {
    fn read(&mut self) -> Result<Journal> {
        self.journal().cloned()
    }

    /// What is there already needs no writing: taking away works on a full disk. Otherwise, what is written when all is
    /// done must not fail for want of room, so nothing is begun without it.
    fn record_intent(&mut self, intent: &Journal, gone: &BTreeSet<&Name>) -> Result<()> {
        let made_netns_dir = intent.made_netns_dir || !netns::dir_exists();
        let before = &self.journal()?.members;
        let changed =
            intent.members.iter().filter(|(name, member)| before.get(*name) != Some(*member)).count();
        let size = files::Size { namespaces: intent.members.len(), changed };
        let intent = Journal { made_netns_dir, ..intent.clone() };
        self.write(intent, |text| files::check_room(text, size))?;
        gone.iter().try_for_each(|name| record::remove(name))
    }

    fn commit(&mut self, journal: &Journal, targets: &BTreeMap<&Name, Target>) -> Result<()> {
        let made_netns_dir = self.journal()?.made_netns_dir;
        if journal.members.is_empty() {
            if made_netns_dir {
                netns::remove_dir()?;
            }
            self.journal = None;
            return files::clear(&self.lock);
        }
        self.write(Journal { made_netns_dir, ..journal.clone() }, |_| Ok(()))?;
        targets.iter().try_for_each(|(name, target)| record::write(name, target))
    }
}
