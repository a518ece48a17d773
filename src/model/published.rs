//! Ports of a namespace that the other side of an uplink reaches, and services of the host that a namespace reaches.

use super::name::Name;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// The protocols that have ports to publish: their names, and their numbers (protocols(5)).
const PROTOCOLS: [(&str, u8); 2] = [("tcp", 6), ("udp", 17)];

/// A service of the host that a namespace reaches: `5432/tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct HostService {
    /// The port on which it listens.
    pub port: u16,
    /// IP protocol.
    pub protocol: u8,
}

impl HostService {
    /// The word that chooses none of them.
    pub const NONE: &str = "none";

    /// Reads a service, or the word for none of them.
    pub fn choice(text: &str) -> Result<Option<Self>, String> {
        if text == Self::NONE { Ok(None) } else { text.parse().map(Some) }
    }

    /// Each once, in order.
    pub fn distinct(services: impl IntoIterator<Item = Self>) -> Vec<Self> {
        services.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// What somebody chose who said all of this; none: nothing was said.
    pub fn chosen(said: &[Option<Self>]) -> Option<Vec<Self>> {
        (!said.is_empty()).then(|| Self::distinct(said.iter().flatten().copied()))
    }
}

impl FromStr for HostService {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (text, protocol) = with_protocol(text)?;
        Ok(Self { port: port(text)?, protocol })
    }
}

impl TryFrom<String> for HostService {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<HostService> for String {
    fn from(service: HostService) -> Self {
        service.to_string()
    }
}

impl fmt::Display for HostService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.port, protocol_name(self.protocol))
    }
}

/// A port of the host that leads to a port inside: `8080:80/tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Published {
    /// The port that the other side asks.
    pub outside: u16,
    /// The port on which a program inside listens.
    pub inside: u16,
    /// IP protocol.
    pub protocol: u8,
}

impl Published {
    /// Whether both are one port of the host.
    pub fn is_same_outside(&self, other: &Self) -> bool {
        (self.outside, self.protocol) == (other.outside, other.protocol)
    }

    /// The port of the host, with its protocol: `8080/tcp`.
    pub fn outside_name(&self) -> String {
        format!("{}/{}", self.outside, protocol_name(self.protocol))
    }
}

/// A port that is published, and by which uplink it is asked: `8080:80/tcp`, or `8080:80/tcp@lan`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Publication {
    /// The port.
    pub port: Published,
    /// An uplink of the configuration; none: the one by which the namespace leaves.
    pub by: Option<Name>,
}

impl Publication {
    /// Whether both are one port of the host, asked by one uplink.
    pub fn is_same_outside(&self, other: &Self) -> bool {
        self.port.is_same_outside(&other.port) && self.by == other.by
    }

    /// Each once, in order; an error where one port of the host is to lead to two ports inside.
    pub fn distinct(all: impl IntoIterator<Item = Self>) -> Result<Vec<Self>, String> {
        let mut known: BTreeMap<_, Self> = BTreeMap::new();
        for one in all {
            let key = (one.port.outside, one.port.protocol, one.by.clone());
            let first = known.entry(key).or_insert_with(|| one.clone());
            if *first != one {
                let name = one.port.outside_name();
                return Err(format!("port {name} of the host is published twice, as {first} and as {one}"));
            }
        }
        Ok(known.into_values().collect())
    }
}

impl From<Published> for Publication {
    fn from(port: Published) -> Self {
        Self { port, by: None }
    }
}

impl FromStr for Publication {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((port, by)) = text.split_once('@') else { return Ok(text.parse::<Published>()?.into()) };
        let by = by.parse().map_err(|why| format!("{by:?} names no uplink: {why}"))?;
        Ok(Self { port: port.parse()?, by: Some(by) })
    }
}

impl TryFrom<String> for Publication {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Publication> for String {
    fn from(publication: Publication) -> Self {
        publication.to_string()
    }
}

impl fmt::Display for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.port.fmt(f)?;
        self.by.iter().try_for_each(|by| write!(f, "@{by}"))
    }
}

fn protocol_name(protocol: u8) -> &'static str {
    PROTOCOLS.iter().find(|(_, number)| *number == protocol).map_or("?", |(name, _)| name)
}

/// What stands before the protocol, and the protocol, which is tcp where none is named.
fn with_protocol(text: &str) -> Result<(&str, u8), String> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let known = PROTOCOLS.iter().find(|(name, _)| *name == protocol);
    Ok((ports, known.ok_or_else(|| format!("{protocol:?} is neither tcp nor udp"))?.1))
}

impl FromStr for Published {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (ports, protocol) = with_protocol(text)?;
        let (outside, inside) = ports.split_once(':').unwrap_or((ports, ports));
        Ok(Self { outside: port(outside)?, inside: port(inside)?, protocol })
    }
}

fn port(text: &str) -> Result<u16, String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| *number > 0 && is_plain);
    number.ok_or_else(|| format!("{text:?} is not a port, which is a number from 1 to 65535"))
}

impl TryFrom<String> for Published {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Published> for String {
    fn from(published: Published) -> Self {
        published.to_string()
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.outside != self.inside {
            write!(f, "{}:", self.outside)?;
        }
        write!(f, "{}/{}", self.inside, protocol_name(self.protocol))
    }
}

#[cfg(test)]
mod tests {
    use super::{HostService, Publication};

    #[test]
    fn a_service_of_the_host_is_a_port_and_a_protocol() {
        let shown = |text: &str| text.parse::<HostService>().map(|service| service.to_string());
        for (text, whole) in [("5432", "5432/tcp"), ("5432/tcp", "5432/tcp"), ("53/udp", "53/udp")] {
            assert_eq!(shown(text).as_deref(), Ok(whole));
        }
        for bad in ["", "0", "65536", "80/sctp", "80:80", "80-90", " 80", "tcp/80", "127.0.0.1:80"] {
            assert!(shown(bad).is_err(), "{bad:?}");
        }
        let chosen = |said: &[&str]| {
            let said: Vec<_> = said.iter().map(|text| HostService::choice(text).unwrap()).collect();
            HostService::chosen(&said).map(|chosen| chosen.iter().map(ToString::to_string).collect())
        };
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&["none"]), Some(String::new()));
        assert_eq!(chosen(&["53/udp", "22", "none", "22/tcp"]), Some("22/tcp53/udp".into()));
    }

    #[test]
    fn what_is_read_is_shown_again() {
        let shown = |text: &str| text.parse::<Publication>().map(|publication| publication.to_string());
        for (text, short) in [
            ("8080:80/tcp", "8080:80/tcp"),
            ("8080:80", "8080:80/tcp"),
            ("8080:80@lan", "8080:80/tcp@lan"),
            ("53/udp@vpn-2", "53/udp@vpn-2"),
            ("53/udp", "53/udp"),
            ("443", "443/tcp"),
            ("5:5/udp", "5/udp"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(short));
        }
        for bad in [
            "",
            "0",
            "65536",
            "80/sctp",
            "80/",
            "a:80",
            "80:",
            ":80",
            "1:2:3",
            "+80",
            " 80",
            "80-90",
            "80@",
            "@lan",
            "80@lan@wan",
            "80@lan/tcp",
            "80 @lan",
        ] {
            assert!(shown(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_port_of_the_host_leads_to_one_port_inside() {
        let distinct = |ports: &[&str]| {
            let ports = Publication::distinct(ports.iter().map(|text| text.parse().unwrap()))?;
            Ok::<_, String>(ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(
            distinct(&["53/udp", "8080:80", "53/tcp", "8080:80", "8080:81@lan"]).as_deref(),
            Ok("53/tcp 53/udp 8080:80/tcp 8080:81/tcp@lan")
        );
        assert_eq!(
            distinct(&["8080:80", "8080:80/udp", "8080:81"]).as_deref().map_err(String::as_str),
            Err("port 8080/tcp of the host is published twice, as 8080:80/tcp and as 8080:81/tcp")
        );
    }
}
