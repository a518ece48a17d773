//! The plugins of netavark, podman's network program, API 1.0.0: what they are asked, and what they answer. Pure.
//!
//! The API is <https://github.com/containers/netavark/blob/main/plugin-API.md>. A call is the arguments and standard input;
//! the answer is standard output and the exit status. What the calls do is in `commands`.

mod answer;
mod request;

pub use answer::{info, made, refused};
pub use request::{Call, Setup, read};
