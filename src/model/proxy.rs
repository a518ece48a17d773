//! What becomes of proxies that a job's environment names.

use serde::{Deserialize, Serialize};

/// What becomes of proxies that the environment of a job names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proxy {
    /// The variables stay: the administrator knows that the proxies can be reached.
    Keep,
    /// The job does not see them.
    Drop,
}
