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
    /// The filter drops the packet.
    Drops,
    /// The filter sends the packet to another device.
    Redirects,
}

/// One thing that others hang on a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tap {
    /// A base chain that drops every packet that no rule of it accepts.
    Chain {
        /// Family.
        layer: Layer,
        /// Table.
        table: String,
        /// Chain.
        name: String,
        /// Whether packets are filtered on their way in or out.
        side: TapHook,
        /// Devices (`eth*`: all whose names begin so); none where all are meant.
        devices: BTreeSet<String>,
        /// The policy or the rule that drops packets.
        stop: Stop,
        /// The chain accepts nothing at all.
        all: bool,
    },
    /// A filter of tc.
    Filter {
        /// Device.
        device: String,
        /// Whether packets are filtered on their way in or out.
        side: TapHook,
        /// Preference: the filter's place among the filters of the device.
        preference: u16,
        /// What kind of filter (`flower`, `u32`).
        kind: String,
        /// What the filter does with a packet that it matches.
        deed: FilterEffect,
        /// The device that it sends the packet to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
        /// The filter matches every packet.
        all: bool,
    },
    /// A queueing discipline that is not the usual one.
    Queue {
        /// Device.
        device: String,
        /// `netem`, `tbf`.
        kind: String,
    },
    /// A flowtable: flows in it pass from device to device without any chain.
    Flowtable {
        /// Family of its table.
        family: String,
        /// Table.
        table: String,
        /// Name of the flowtable.
        name: String,
        /// Devices.
        devices: BTreeSet<String>,
    },
}

impl Tap {
    /// The device that packets are sent to.
    pub fn target(&self) -> Option<&str> {
        if let Self::Filter { to, .. } = self { to.as_deref() } else { None }
    }
}
