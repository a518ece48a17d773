//! The Container Network Interface, 0.3.0 to 1.1.0: what a container runtime asks, and what it is answered. Pure.
//!
//! The specification is <https://github.com/containernetworking/cni/blob/main/SPEC.md>. nsnat is a main plugin:
//! it makes an interface, the container's only one or a further one. A call is the environment and standard input; the answer
//! is standard output and the exit status. What the calls do is in `commands`.

mod access;
mod answer;
mod failure;
mod identity;
mod ports;
mod request;
mod version;

pub use access::by_options;
pub use answer::{Interface, Route, added, supported};
pub use failure::{Failure, code};
pub use identity::name_of;
pub use ports::{published, published_at};
pub use request::{Call, Endpoint, Request, read, read_version};
pub use version::Version;
