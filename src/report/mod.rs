//! What people and programs are shown: text and JSON. View only.

pub mod dns;
pub mod doctor;
pub mod event;
mod job;
mod man;
mod markdown;
mod mask;
pub mod plan;
mod status;
pub mod table;
pub mod trace;

pub use job::{Job, Scope};
pub use man::{CONFIGURATION, ManPage, NSNAT_EXEC, OVERVIEW, document, man};
pub use mask::Masked;
pub use status::{Apart, NamespaceState, Status, Uplink, UplinkFamily, details, json, text};
