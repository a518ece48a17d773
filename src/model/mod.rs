//! Plain data: names, numbers and the kernel objects that nsnat knows. No I/O, no decisions.

mod account;
mod digest;
pub mod dnsaddr;
pub mod doh;
pub mod gate;
pub mod ipsec;
pub mod journal;
mod look;
pub mod name;
mod neighbour;
pub mod nft;
pub mod numbers;
pub mod observed;
pub mod ownership;
pub mod probe;
mod proxy;
pub mod stack;
pub mod tap;
pub mod trace;
pub mod tuning;

pub use account::Account;
pub use digest::digest;
pub use gate::Pass;
pub use ipsec::Policy;
pub use journal::{Allowed, DnsMode, Egress, Held, Journal, Member, Owner, Rewrite, Target, Way};
pub use look::{Look, Others};
pub use name::Name;
pub use neighbour::Neighbour;
pub use nft::{Datum, Element, Set};
pub use observed::{Adrift, Gates, Netns, Observed, Table};
pub use probe::{Outcome, Probe, Transport};
pub use proxy::Proxy;
pub use stack::{Address, Family, Link, Port, Route, RouteKind, Rule, RuleAction, Stack};
