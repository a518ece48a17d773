//! Pure: from configuration and observation to an ordered list of actions. No I/O happens below this module.
//!
//! # Theory of operation
//!
//! ```text
//! Config ─┐
//! Observed┼─ resolve ─→ State (what is to be up, every number and device found)
//!         │                │
//!         │             desired ─→ Desired (what the kernel should hold; a function of the state alone)
//!         │                │
//!         └────────────── diff ──→ [Action] (in an order that is safe to be cut off anywhere)
//! ```
//!
//! `down` is the same without a configuration: a state that lacks what goes down. Applying the actions and
//! observing again must give no actions; everything that the kernel normalises (metrics of IPv6 routes, say) is
//! therefore spelled out in `desired` the way it reads back.

mod action;
mod addresses;
mod alloc;
mod attached;
mod choice;
pub mod desired;
mod diff;
mod dns;
mod egress_key;
mod handed;
mod health;
mod held_sysctls;
mod host_services;
mod ipsec;
mod keep;
mod last_resort;
mod line;
mod link_name;
mod moved;
mod namespace_of_action;
mod other_firewalls;
mod others;
mod published;
mod reach;
mod reachable_servers;
mod remedy;
mod remembered;
mod resolve;
mod rule_precedence;
mod second_way;
mod selection;
mod servers;
mod source;
mod taps;
mod trace_report;
mod traced_path;
mod transparent;
mod uplink_path;
mod verdict;

pub use action::{Action, Connections, Flows, LinkChange, Side};
pub use addresses::attachment_addresses;
pub use alloc::unusual_blocks;
pub use attached::closed_to;
pub use desired::{Desired, mtu_of};
pub use diff::diff;
pub use health::checkups;
pub use held_sysctls::recall_held;
pub use ipsec::{CatchingPolicy, catching_policies};
pub use keep::keep;
pub use line::{element_text, quote, rule_text};
pub use namespace_of_action::Owners;
pub use other_firewalls::{closed, pass_arguments, pass_program, reasons_stopped};
pub use others::concerns_others;
pub use reach::neighbours;
pub use reachable_servers::{named_servers, unreachable, unresolvable};
pub use remedy::remedy;
pub use remembered::{
    forget_foreign, refresh, refreshed, state_parting, state_without, tidy_state, with_dns,
};
pub use resolve::resolve;
pub use rule_precedence::{PrecedingRule, preceding_rules};
pub use selection::Selection;
pub use taps::{certain_findings, possible_findings};
pub use trace_report::TraceReport;
pub use traced_path::{Fault, Host, TracedPath, follow_probe};
pub use transparent::cut_off;
pub use uplink_path::why_closed;
pub use verdict::{Verdict, judge_outcome};

use crate::model::{Observed, State};

/// What has to be done to make `state` true, as far as was looked.
pub fn actions(state: &State, observed: &Observed) -> Vec<Action> {
    let desired = desired::desired_of(state, observed.features, |name| !observed.is_unseen(name));
    diff(state, &desired, observed)
}
