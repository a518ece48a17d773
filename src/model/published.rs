//! Ports of a namespace that the other side of its uplink reaches.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The protocols that have ports to publish: their names, and their numbers (protocols(5)).
const PROTOCOLS: [(&str, u8); 2] = [("tcp", 6), ("udp", 17)];

/// A port of the host, on the device of a namespace's uplink, that leads to a port inside: `8080:80/tcp`.
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

    /// Each once, in order; an error where one port of the host is to lead to two ports inside.
    pub fn distinct(ports: impl IntoIterator<Item = Self>) -> Result<Vec<Self>, String> {
        let mut known = BTreeMap::new();
        for port in ports {
            let first = *known.entry((port.outside, port.protocol)).or_insert(port);
            if first != port {
                let name = port.outside_name();
                return Err(format!("port {name} of the host is published twice, as {first} and as {port}"));
            }
        }
        Ok(known.into_values().collect())
    }

    /// The port of the host, with its protocol: `8080/tcp`.
    pub fn outside_name(&self) -> String {
        format!("{}/{}", self.outside, self.protocol_name())
    }

    fn protocol_name(self) -> &'static str {
        PROTOCOLS.iter().find(|(_, number)| *number == self.protocol).map_or("?", |(name, _)| name)
    }
}

impl FromStr for Published {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let known = PROTOCOLS.iter().find(|(name, _)| *name == protocol);
        let protocol = known.ok_or_else(|| format!("{protocol:?} is neither tcp nor udp"))?.1;
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
        write!(f, "{}/{}", self.inside, self.protocol_name())
    }
}

#[cfg(test)]
mod tests {
    use super::Published;

    #[test]
    fn what_is_read_is_shown_again() {
        let shown = |text: &str| text.parse::<Published>().map(|published| published.to_string());
        for (text, short) in [
            ("8080:80/tcp", "8080:80/tcp"),
            ("8080:80", "8080:80/tcp"),
            ("53/udp", "53/udp"),
            ("443", "443/tcp"),
            ("5:5/udp", "5/udp"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(short));
        }
        for bad in ["", "0", "65536", "80/sctp", "80/", "a:80", "80:", ":80", "1:2:3", "+80", " 80", "80-90"]
        {
            assert!(shown(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_port_of_the_host_leads_to_one_port_inside() {
        let distinct = |ports: &[&str]| {
            let ports = Published::distinct(ports.iter().map(|text| text.parse().unwrap()))?;
            Ok::<_, String>(ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(
            distinct(&["53/udp", "8080:80", "53/tcp", "8080:80"]).as_deref(),
            Ok("53/tcp 53/udp 8080:80/tcp")
        );
        assert_eq!(
            distinct(&["8080:80", "8080:80/udp", "8080:81"]).as_deref().map_err(String::as_str),
            Err("port 8080/tcp of the host is published twice, as 8080:80/tcp and as 8080:81/tcp")
        );
    }
}
