//! Addresses of DNS servers, as the command line and the configuration both write them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Port of plain DNS (RFC 1035); what an address without a port means.
pub const PORT: u16 = 53;

/// Port of DNS over TLS and over QUIC (RFC 7858, RFC 9250).
pub const PRIVATE_PORT: u16 = 853;

/// Port of DNS over HTTPS, which is that of the web (RFC 8484).
pub const HTTPS_PORT: u16 = 443;

/// An address with an optional port, 53 by default: `ADDR`, `ADDR:PORT`, `[ADDR6]:PORT`.
pub fn parse(text: &str) -> Result<SocketAddr, String> {
    let bare = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT));
    let address = bare.or_else(|_| text.parse::<SocketAddr>());
    let address = address
        .map_err(|_| format!("{text:?} is not a valid address; ADDR, ADDR:PORT or [ADDR6]:PORT is"))?;
    if address.port() == 0 || address.ip().is_unspecified() || address.ip().is_multicast() {
        return Err(format!("no server can be reached at {text}"));
    }
    Ok(address)
}

/// The shortest text that [`parse`] reads as this address.
pub fn show(address: SocketAddr) -> String {
    if address.port() == PORT { address.ip().to_string() } else { address.to_string() }
}

/// What a resolver asks that finds no server in resolv.conf(5).
pub const DEFAULT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The servers that a resolv.conf(5) names.
pub fn nameservers(text: &str) -> Vec<IpAddr> {
    let words = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    words.filter_map(|rest| server(rest.trim())).collect()
}

/// `ADDR`, perhaps with `#NAME` or `%DEVICE` behind it, as files of resolvers have it. `[ADDR]:PORT` is none: only the
/// usual port is any use where such files are read.
pub fn server(word: &str) -> Option<IpAddr> {
    word.split(['#', '%']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_address() {
        assert_eq!(parse("192.0.2.1").unwrap().to_string(), "192.0.2.1:53");
        assert_eq!(parse("[2001:db8::1]:5353").unwrap().port(), 5353);
        for bad in ["", "x", "0.0.0.0", "224.0.0.1", "192.0.2.1:0", "192.0.2.1:65536"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_shortest_text_means_the_same() {
        for text in ["192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:5353"] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
    }
}
