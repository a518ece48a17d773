//! The configuration: files → a checked [`Config`], all problems at once, each with its place.
//!
//! What can be known from the files alone is checked here; what needs the host (a gateway that no device
//! reaches) is checked by `plan::resolve`, which reports with the same [`Problem`]s.

pub mod edit;
pub mod load;
pub mod read;
pub mod report;

mod attachments;
mod check;
mod checked;
mod checks;
mod dns;
mod health;
mod hook;
mod namespace;
mod net;
mod problem;
mod reader;
mod schema;
mod settings;
mod trust;
mod uplink;

pub use checked::{Block, Config, Dns, Ipv6, Namespace, Settings, Uplink};
pub use edit::{NewNamespace, declare, forget};
pub use load::{check, load, open};
pub use problem::{COMMAND_LINE, Located, Problem, Source, Span};
pub use read::{ConfigFiles, locate};
pub use report::report;
pub use trust::Trust;
