//! Whether uplinks live, out of what comes of asking them. Pure: time is given.
//!
//! # Theory of operation
//!
//! ```text
//!            `fail` silences in a row            `recover` answers in a row
//!   well ─────────────────────────────→ dead ─────────────────────────────→ unsteady
//!    │ ↑                                 ↑                                     │ ↑│
//!    │ │                                 └─────────────────────────────────────┘ ││
//!    │ └── it has answered for long enough ──────────────────────────────────────┼┘
//!    └──────────────────────────── the link goes down ───────────────────────────┘
//! ```
//!
//! The plan takes an uplink that is well before one that is unsteady, and none that is dead
//! ([`Condition`](crate::model::Condition)). So a namespace leaves an uplink when it has been silent for a while, and comes
//! back when it has answered for a while; and while nothing better is there, it takes what has only begun to answer.
//!
//! A router may lose one family only, so each family of an uplink has a condition of its own, by the answers of that family.
//!
//! An uplink that flaps is given less and less trust: each time that an uplink fails before it was trusted again, or soon after, it has
//! to answer for twice as long, from seconds up to minutes.

mod monitor;
mod score;

pub use monitor::{Change, Moment, Monitor};
pub use score::Score;
