//! What people and programs are shown: text and JSON. View only.

pub mod dns;
pub mod doctor;
pub mod event;
mod job;
mod man;
mod status;
pub mod table;
pub mod trace;

pub use job::{Job, Scope};
pub use man::man;
pub use status::{NamespaceState, Status, Uplink, json, text};
