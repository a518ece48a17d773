//! Errors as runtimes are told them.

use super::version::Version;
use crate::error::Error;
use serde_json::{Value, json};

/// The numbers of errors; those from 100 on are nsnat's own.
pub mod code {
    /// The version is not spoken.
    pub const VERSION: u32 = 1;
    /// A key of the network configuration is not supported; the message names it and its value.
    pub const FIELD: u32 = 2;
    /// There is no such container.
    pub const UNKNOWN: u32 = 3;
    /// Variables of the environment are missing or wrong; the message names them.
    pub const ENVIRONMENT: u32 = 4;
    /// Standard input cannot be read.
    pub const INPUT: u32 = 5;
    /// Standard input is no JSON, or not of that form.
    pub const DECODE: u32 = 6;
    /// The network configuration is wrong.
    pub const CONFIGURATION: u32 = 7;
    /// It may work later.
    pub const LATER: u32 = 11;
    /// No container can be added now.
    pub const UNAVAILABLE: u32 = 50;
    /// nsnat failed.
    pub const FAILED: u32 = 100;
    /// What CHECK looks at is not as it should be.
    pub const NOT_AS_ADDED: u32 = 101;
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// See [`code`].
    pub code: u32,
    /// In short.
    pub message: String,
    /// At length.
    pub details: String,
    /// The version that the runtime speaks, once that is known.
    pub version: Option<Version>,
}

impl Failure {
    /// A failure that is not of any version yet.
    pub fn new(code: u32, message: impl Into<String>, details: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: details.into(), version: None }
    }

    /// One of nsnat's own errors.
    pub fn of(code: u32, message: &str, error: &Error) -> Self {
        Self::new(code, message, error.to_string().trim_start_matches("nsnat: "))
    }

    /// As the runtime reads it.
    pub fn json(&self) -> Value {
        let version = self.version.unwrap_or(Version::V1_1).text();
        json!({ "cniVersion": version, "code": self.code, "msg": self.message, "details": self.details })
    }
}
