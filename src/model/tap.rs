//! Taps: what others hang on a device, where packets pass before all chains of nsnat's or after them, and so beyond
//! whatever it could do about it.

use super::gate::Stop;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The side of a device, or the hook of a chain that has no device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TapHook {
    /// What comes in by it.
    Ingress,
    /// What goes out by it.
    Egress,
}

/// The family of a chain that is not one of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// Of devices.
    Netdev,
    /// Of devices, in a table for both families of IP.
    Inet,
    /// Questions for neighbours by IPv4, of all devices.
    Arp,
    /// Frames of all bridges.
    Bridge,
}

impl Layer {
    /// As nft calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Netdev => "netdev",
            Self::Inet => "inet",
            Self::Arp => "arp",
            Self::Bridge => "bridge",
        }
    }
}

/// What a filter does with what it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FilterEffect {
    /// It drops it.
    Drops,
    /// It sends it to another device.
    Redirects,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tap {
    /// A base chain that drops what it does not know.
    Chain {
        /// Family.
        layer: Layer,
        /// Table.
        table: String,
        /// Chain.
        name: String,
        /// Which packets.
        side: TapHook,
        /// Devices (`eth*`: all whose names begin so); none where all are meant.
        devices: BTreeSet<String>,
        /// What drops.
        stop: Stop,
        /// Nothing in it accepts anything.
        all: bool,
    },
    /// A filter of tc.
    Filter {
        /// Device.
        device: String,
        /// Which packets.
        side: TapHook,
        /// Its place among the others.
        preference: u16,
        /// What kind of filter (`flower`, `u32`).
        kind: String,
        /// What it does.
        deed: FilterEffect,
        /// It matches everything.
        all: bool,
    },
    /// A queueing discipline that is not the usual one.
    Queue {
        /// Device.
        device: String,
        /// `netem`, `tbf`.
        kind: String,
    },
    /// Flows in it pass from device to device without any chain.
    Flowtable {
        /// Family of its table.
        family: String,
        /// Table.
        table: String,
        /// Its name.
        name: String,
        /// Devices.
        devices: BTreeSet<String>,
    },
}
