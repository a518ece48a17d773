//! Plain data: names, numbers and the kernel objects that nsnat knows. No I/O, no decisions.

mod account;
mod attached;
mod change;
mod code;
mod cure;
mod digest;
pub mod dnsaddr;
pub mod doh;
mod event;
mod finding;
pub mod flaps;
pub mod gate;
mod health;
pub mod ipsec;
mod look;
pub mod name;
mod need;
mod neighbour;
pub mod nft;
pub mod numbers;
pub mod observed;
pub mod ownership;
pub mod probe;
mod proxy;
mod published;
pub mod stack;
pub mod state;
pub mod state_text;
mod surroundings;
pub mod tap;
pub mod trace;
pub mod tuning;
mod uplink_path;

pub use account::Account;
pub use attached::{Access, Attached, Beside, Bond, Destination, Handed};
pub use change::{Change, changes};
pub use code::{Code, Severity, Stage};
pub use cure::{Cure, Help};
pub use digest::digest;
pub use event::{Event, EventKind};
pub use finding::Finding;
pub use gate::Pass;
pub use health::{
    Answers, Asked, Check, CheckKind, Checkup, Condition, FamilyHealth, Health, LastResort, Prefer,
};
pub use ipsec::Policy;
pub use look::{Look, OtherNamespaces};
pub use name::Name;
pub use need::{Lacks, Modules, Need};
pub use neighbour::Neighbour;
pub use nft::{Datum, Element, Set};
pub use observed::{DetachedNetns, Gates, Netns, Observed, Table};
pub use probe::{Outcome, Probe, Transport};
pub use proxy::Proxy;
pub use published::{HostService, Publication, Published};
pub use stack::{Address, Family, Link, Port, Route, RouteKind, Rule, RuleAction, Stack};
pub use state::{
    ActiveNamespace, Allowed, DnsMode, Egress, ExecRecord, HeldSysctl, NamespaceRecord, Owner, PublishedBy,
    Rewrite, State,
};
pub use surroundings::{Claim, Claimed, Daemon, Lease, Surroundings};
pub use uplink_path::UplinkPath;
