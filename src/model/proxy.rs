//! What becomes of proxies that a job's environment names.

use serde::{Deserialize, Serialize};

/// What becomes of proxies that the environment of a job names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proxy {
    /// They stay, and that is known to be right.
    Keep,
    /// The job does not see them.
    Drop,
}
