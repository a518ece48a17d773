//! Pure: from configuration and observation to an ordered list of actions. No I/O happens below this module.
//!
//! # Theory of operation
//!
//! ```text
//! Config ─┐
//! Observed┼─ resolve ─→ Journal (what is to be up, every number and device found)
//!         │                │
//!         │             desired ─→ Desired (what the kernel should hold; a function of the journal alone)
//!         │                │
//!         └────────────── diff ──→ [Action] (in an order that is safe to be cut off anywhere)
//! ```
//!
//! `down` is the same without a configuration: a journal that lacks what goes down. Applying the actions and
//! observing again must give no actions; everything that the kernel normalises (metrics of IPv6 routes, say) is
//! therefore spelled out in `desired` the way it reads back.

mod action;
mod addresses;
mod alloc;
pub mod desired;
mod diff;
mod dns;
mod gates;
mod hold;
mod ipsec;
mod line;
mod names;
mod others;
mod owner;
mod precedence;
mod reach;
mod resolve;
mod source;
mod taps;
mod transparent;
mod verdict;
mod walk;
mod way;

pub use action::{Action, Flows, LinkChange, Place};
pub use alloc::unusual_blocks;
pub use desired::Desired;
pub use diff::diff;
pub use gates::{closed, pass_arguments, pass_program, pass_text, stopped};
pub use hold::recall;
pub use ipsec::{Catch, catches};
pub use line::{element_text, forget_text, rule_text};
pub use names::{unreachable, unresolvable};
pub use others::concerns_others;
pub use owner::Owners;
pub use precedence::{Shadow, shadows};
pub use reach::neighbours;
pub use resolve::{Selection, forget_foreign, refresh, refreshed, resolve, tidy, with_dns, without};
pub use taps::{doubts, tapped};
pub use transparent::cut_off;
pub use verdict::{Verdict, judge};
pub use walk::{Fault, Host, Suspect, Walk, walk};

use crate::model::{Journal, Observed};

/// What has to be done to make `journal` true, as far as was looked.
pub fn actions(journal: &Journal, observed: &Observed) -> Vec<Action> {
    let desired = desired::desired_of(journal, observed.features, |name| !observed.is_unseen(name));
    diff(journal, &desired, observed)
}
