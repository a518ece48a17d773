//! Docker's network drivers: what the engine asks of one, and what it is answered. Pure.
//!
//! The protocol is <https://github.com/moby/moby/blob/master/libnetwork/docs/remote.md>. A call is an HTTP request whose path
//! names it and whose body is JSON; the answer is JSON, too. Docker tells of a container before that has a network
//! namespace: it asks for the name of an interface on the host, moves that, and gives it addresses and routes as it was
//! told. A network is told of once, and known to Docker by its number from then on; an endpoint is a container's place in a
//! network. What the calls do is in `commands`.

mod answer;
mod request;

pub use answer::{activated, capabilities, details, endpoint, joined, nothing, refused};
pub use request::{Call, Endpoint, read};
