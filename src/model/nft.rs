//! The sets and maps of the nft skeleton (`nft/sets.nft`), and elements of them.

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Name of our table, family inet.
pub const TABLE: &str = "nsnat";

/// What the text of our table depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TableForm {
    /// Our bits of the mark.
    pub mask: u32,
    /// The kernel knows no IPsec, and takes no rule that asks about it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_ipsec: bool,
}

/// Sets that the packets fill with host veth . family: what they tell about several servers.
pub const LEARNED: [&str; 4] = ["dns_asked", "dns_recent", "dns_down1", "dns_down2"];

/// Those of them that have a namespace whose first server, or whose second, too, did not answer.
pub const PASSED_OVER: [&str; 2] = ["dns_down1", "dns_down2"];

/// What stands at one place of a key or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A packet mark.
    Mark,
    /// A device name.
    Device,
    /// An address.
    Address,
    /// A network (the set has `flags interval`).
    Network,
    /// A port.
    Port,
    /// An IP protocol.
    Protocol,
}

/// One part of an element's key or value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Datum {
    /// A packet mark.
    Mark(u32),
    /// A device name.
    Device(String),
    /// An address.
    Address(IpAddr),
    /// A network.
    Network(IpNetwork),
    /// A port.
    Port(u16),
    /// An IP protocol's number.
    Protocol(u8),
}

macro_rules! sets {
    ($($(#[$doc:meta])* $id:ident = $name:literal: [$($key:ident),+] => [$($value:ident),*];)+) => {
        /// A set or map of the skeleton. The skeleton says what each is for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Set { $($(#[$doc])* $id,)+ }

        impl Set {
            /// Whether it says where DNS goes: what NAT decided earlier is then out of date.
            pub fn is_dns(self) -> bool {
                self.name().starts_with("dns_")
            }

            /// Whether it says where packets of a mark, which its keys begin with, may leave.
            pub fn is_way(self) -> bool {
                use Set::{Lan4, Lan6, Ways4, Ways6, WaysP2p4, WaysP2p6};
                matches!(self, Ways4 | Ways6 | WaysP2p4 | WaysP2p6 | Lan4 | Lan6)
            }

            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$id,)+];

            /// The name in the skeleton.
            pub fn name(self) -> &'static str {
                match self { $(Self::$id => $name,)+ }
            }

            /// What its keys are made of.
            pub fn key(self) -> &'static [Kind] {
                match self { $(Self::$id => &[$(Kind::$key,)+],)+ }
            }

            /// What its values are made of; nothing for a set.
            pub fn value(self) -> &'static [Kind] {
                match self { $(Self::$id => &[$(Kind::$value,)*],)+ }
            }
        }
    };
}

sets! {
    /// Host veth → its egress's mark.
    MarkOf = "mark_of": [Device] => [Mark];
    /// Marks that the packets of a host veth should have.
    Marked = "marked": [Mark, Device] => [];
    /// A namespace's IPv4 address → the mark of answers to it.
    AnswerMark4 = "answer_mark4": [Address] => [Mark];
    /// A namespace's IPv6 address → the mark of answers to it.
    AnswerMark6 = "answer_mark6": [Address] => [Mark];
    /// Namespaces' IPv4 addresses.
    Inside4 = "inside4": [Address] => [];
    /// Namespaces' IPv6 addresses.
    Inside6 = "inside6": [Address] => [];
    /// Ways out by IPv4: mark, device, next hop.
    Ways4 = "ways4": [Mark, Device, Address] => [];
    /// Ways out by IPv6.
    Ways6 = "ways6": [Mark, Device, Address] => [];
    /// Point-to-point devices, which have no next hop to check, by IPv4.
    WaysP2p4 = "ways_p2p4": [Mark, Device] => [];
    /// Point-to-point devices by IPv6.
    WaysP2p6 = "ways_p2p6": [Mark, Device] => [];
    /// IPv4 subnets that are directly on an uplink's device.
    Lan4 = "lan4": [Mark, Device, Network] => [];
    /// IPv6 subnets that are directly on an uplink's device.
    Lan6 = "lan6": [Mark, Device, Network] => [];
    /// The address that flows of a mark leave a device with, IPv4.
    Source4 = "source4": [Mark, Device] => [Address];
    /// The address that flows of a mark leave a device with, IPv6.
    Source6 = "source6": [Mark, Device] => [Address];
    /// Where a question to a port of the host goes, IPv4: device, protocol, port.
    Publish4 = "publish4": [Device, Protocol, Port] => [Address, Port];
    /// Where a question to a port of the host goes, IPv6.
    Publish6 = "publish6": [Device, Protocol, Port] => [Address, Port];
    /// What may be asked inside, and by which device, IPv4.
    Published4 = "published4": [Device, Address, Protocol, Port] => [];
    /// What may be asked inside, and by which device, IPv6.
    Published6 = "published6": [Device, Address, Protocol, Port] => [];
    /// Where a question to a published port at one address of the host goes, IPv4: "lo", the host veth or the device of another
    /// uplink, the address, protocol, port.
    PublishAt4 = "publish_at4": [Device, Address, Protocol, Port] => [Address, Port];
    /// Where a question to a published port at one address of the host goes, IPv6.
    PublishAt6 = "publish_at6": [Device, Address, Protocol, Port] => [Address, Port];
    /// The mark of answers by another uplink, IPv4: the address inside, and the address of the host that was asked.
    AnswerBy4 = "answer_by4": [Address, Address] => [Mark];
    /// The mark of answers by another uplink, IPv6.
    AnswerBy6 = "answer_by6": [Address, Address] => [Mark];
    /// Reaches chosen services of the host only.
    HostOnly = "host_only": [Device] => [];
    /// Services of the host that are reached.
    HostPorts = "host_ports": [Device, Protocol, Port] => [];
    /// Devices on which IPv4 forwarding is on for our sake only.
    Opened4 = "opened4": [Device] => [];
    /// Devices on which IPv6 forwarding is on for our sake only.
    Opened6 = "opened6": [Device] => [];
    /// Bridges among the opened devices, twice: frames from port to port have the bridge as both devices.
    Bridged = "bridged": [Device, Device] => [];
    /// IPv4 servers that a namespace's questions may go to.
    ToldTo4 = "told_to4": [Device, Address, Port] => [];
    /// IPv6 servers that a namespace's questions may go to.
    ToldTo6 = "told_to6": [Device, Address, Port] => [];
    /// IPv4 servers whose questions go to another one.
    ToldOld4 = "told_old4": [Device, Address, Port] => [];
    /// IPv6 servers whose questions go to another one.
    ToldOld6 = "told_old6": [Device, Address, Port] => [];
    /// The connection mark that a kill switch lets through.
    SplitMark = "split_mark": [Device] => [Mark];
    /// Where a query to one server goes instead, IPv4.
    DnsOne4 = "dns_one4": [Device, Address, Port] => [Address, Port];
    /// Where a query to one server goes instead, IPv6.
    DnsOne6 = "dns_one6": [Device, Address, Port] => [Address, Port];
    /// Where every query goes, IPv4.
    DnsFirst4 = "dns_first4": [Device] => [Address, Port];
    /// Where every query goes, IPv6.
    DnsFirst6 = "dns_first6": [Device] => [Address, Port];
    /// Where every query goes while the first server does not answer, IPv4.
    DnsSecond4 = "dns_second4": [Device] => [Address, Port];
    /// Where every query goes while the first server does not answer, IPv6.
    DnsSecond6 = "dns_second6": [Device] => [Address, Port];
    /// Where every query goes while the first two servers do not answer, IPv4.
    DnsThird4 = "dns_third4": [Device] => [Address, Port];
    /// Where every query goes while the first two servers do not answer, IPv6.
    DnsThird6 = "dns_third6": [Device] => [Address, Port];
    /// Has more than one server, IPv4.
    DnsTwo4 = "dns_two4": [Device] => [];
    /// Has more than one server, IPv6.
    DnsTwo6 = "dns_two6": [Device] => [];
    /// Has three servers, IPv4.
    DnsThree4 = "dns_three4": [Device] => [];
    /// Has three servers, IPv6.
    DnsThree6 = "dns_three6": [Device] => [];
    /// A server that is rewritten by itself where there are several, IPv4: what becomes of its queries says nothing
    /// about these.
    DnsBut4 = "dns_but4": [Device, Address] => [];
    /// A server that is rewritten by itself where there are several, IPv6.
    DnsBut6 = "dns_but6": [Device, Address] => [];
    /// Ports that any of the sets about DNS is about.
    WatchedPorts = "watched_ports": [Port] => [];
    /// Queries that are not rewritten are refused.
    DnsOnly = "dns_only": [Device] => [];
    /// Servers of the host's that are asked by the host's own way, IPv4.
    DnsHost4 = "dns_host4": [Device, Address] => [];
    /// Servers of the host's that are asked by the host's own way, IPv6.
    DnsHost6 = "dns_host6": [Device, Address] => [];
    /// Refused: protocol and port.
    DnsRefused = "dns_refused": [Device, Protocol, Port] => [];
    /// DNS over HTTPS is refused.
    NoDoh = "no_doh": [Device] => [];
    /// IPv4 addresses of resolvers that answer it.
    Doh4 = "doh4": [Address] => [];
    /// IPv6 addresses of resolvers that answer it.
    Doh6 = "doh6": [Address] => [];
}

impl Set {
    /// Whether each of its elements is about a single namespace. There may be thousands of them; the other sets have few.
    pub fn is_of_namespaces(self) -> bool {
        use Set::{Bridged, Doh4, Doh6, Opened4, Opened6, Source4, Source6, WatchedPorts};
        !self.is_way()
            && !matches!(self, Source4 | Source6 | Opened4 | Opened6 | Bridged | WatchedPorts | Doh4 | Doh6)
    }

    /// Whether the addresses in its keys and values are those inside of namespaces.
    pub fn is_of_addresses_inside(self) -> bool {
        matches!(self, Self::AnswerMark4 | Self::AnswerMark6 | Self::Inside4 | Self::Inside6)
            || self.is_of_published_ports()
    }

    /// Whether it is about ports that the other side of an uplink reaches.
    pub fn is_of_published_ports(self) -> bool {
        use Set::{AnswerBy4, AnswerBy6, Publish4, Publish6, PublishAt4, PublishAt6, Published4, Published6};
        matches!(
            self,
            Publish4 | Publish6 | Published4 | Published6 | PublishAt4 | PublishAt6 | AnswerBy4 | AnswerBy6
        )
    }
}

/// An element of one of our sets or maps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Element {
    /// Where it belongs.
    pub set: Set,
    /// Its key, as long as [`Set::key`].
    pub key: Vec<Datum>,
    /// Its value, as long as [`Set::value`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub value: Vec<Datum>,
}
