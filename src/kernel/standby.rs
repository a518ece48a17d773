//! Our table, ready to be put back in the moment in which it is gone.
//!
//! # Theory of operation
//!
//! nft(8) takes a table away, closes its socket a quarter of a millisecond later, and ends. To close it, the kernel waits until what
//! was taken away is freed, and nobody changes nf_tables meanwhile (`nft_rcv_nl_event` in net/netfilter/nf_tables_api.c holds
//! `commit_mutex`): a grace period of RCU, some ten milliseconds. A look and a plan take longer than a quarter of a
//! millisecond. So what they would send is kept ready; it is sent first, and the look goes on from there as if it had sent
//! it.
//!
//! It is sent only where the look would send the same: while no other nsnat is at work, the recorded state is the very file
//! for which it was made ready, and no transaction has followed the one that took the table away. The last one the kernel checks
//! itself (NFNL_BATCH_GENID).

use super::files::{self, Lock};
use super::interrupt;
use super::netlink_socket::{Batch, NetlinkSocket};
use crate::error::Result;
use crate::model::Element;
use crate::plan::Action;

/// What is sent when our table is gone.
#[derive(Default)]
pub struct Standby {
    /// None after an error. It stays open, because to close it waits as well.
    netlink: Option<NetlinkSocket>,
    ready: Option<Ready>,
}

struct Ready {
    state: StateIdentity,
    mask: u32,
    elements: Vec<Element>,
    batch: Batch,
}

type StateIdentity = (u64, u64, i64, i64);

/// Our table as it was put back.
pub struct Restored {
    mask: u32,
    elements: Vec<Element>,
    /// The number of the transaction.
    pub(super) generation: u32,
}

impl Restored {
    /// Whether it was made of this.
    pub(super) fn is_it(&self, mask: u32, elements: &[Element]) -> bool {
        self.mask == mask && self.elements == elements
    }
}

impl Standby {
    /// Makes ready what `load` says, for the state that is recorded now: nobody changes it while there is the lock.
    pub(super) fn prepare(&mut self, _lock: &Lock, load: impl FnOnce() -> Option<Action>) -> Result<()> {
        let now = files::state_identity();
        if now.is_some() && self.netlink.is_some() && now == self.ready.as_ref().map(|ready| ready.state) {
            return Ok(());
        }
        self.ready = None;
        let Some((state, Action::LoadSkeleton { mask, elements, .. })) = now.zip(load()) else {
            return Ok(());
        };
        let batch = Batch::of_table(&crate::nft::load(mask, false, &elements)?);
        self.netlink = Some(self.netlink.take().map_or_else(NetlinkSocket::for_netfilter, Ok)?);
        self.ready = Some(Ready { state, mask, elements, batch });
        Ok(())
    }

    /// Puts the table back that the transaction of that number took away, where nothing else happened since.
    pub fn put_back(&mut self, generation: u32) -> Result<Option<Restored>> {
        let _no_stop = interrupt::hold_stop();
        let (Some(ready), Some(_lock)) = (&mut self.ready, files::try_lock()) else { return Ok(None) };
        if files::state_identity() != Some(ready.state) {
            return Ok(None);
        }
        let Some(netlink) = self.netlink.take() else { return Ok(None) };
        ready.batch.only_after(generation);
        let answer = netlink.change_all(&ready.batch)?;
        self.netlink = Some(netlink);
        // The next number; 0 is none.
        let generation = generation.checked_add(1).unwrap_or(1);
        let restored = || Restored { mask: ready.mask, elements: ready.elements.clone(), generation };
        Ok(answer.is_ok().then(restored))
    }
}
