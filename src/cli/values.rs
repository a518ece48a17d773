//! Values of options and arguments.

use crate::model::trace::{ProbeTarget, Protocol};
use crate::model::{Attached, dnsaddr};
use std::net::SocketAddr;

/// The whole name of a unit (systemd.unit(5)). A name without a type is the name of a service.
pub(super) fn unit(text: &str) -> Result<String, String> {
    // The types that have NetworkNamespacePath= (systemd.exec(5)).
    const TYPES: [&str; 4] = [".service", ".socket", ".mount", ".swap"];
    let known = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let whole = if text.contains('.') { text.to_owned() } else { format!("{text}.service") };
    match TYPES.iter().find_map(|suffix| whole.strip_suffix(suffix)) {
        Some(prefix)
            if !prefix.is_empty()
                && !prefix.starts_with('.')
                && whole.len() < 256
                && whole.chars().all(known) =>
        {
            Ok(whole)
        }
        Some(_) => Err("is not a valid name of a unit".into()),
        None => Err("only service, socket, mount and swap units have processes that can be bound".into()),
    }
}

/// Reads a destination of `nsnat trace`: `ADDR[:PORT][/udp]`.
pub(super) fn probe_target(text: &str) -> Result<ProbeTarget, String> {
    let (place, udp) = text.strip_suffix("/udp").map_or((text, false), |place| (place, true));
    let bare = place.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse() {
        let protocol = if udp { Protocol::Udp(dnsaddr::PORT) } else { Protocol::Icmp };
        return Ok(ProbeTarget { address, protocol });
    }
    let at: SocketAddr =
        place.parse().map_err(|_| "is not ADDR, ADDR:PORT or ADDR:PORT/udp (IPv6: [ADDR]:PORT)")?;
    let protocol = if udp { Protocol::Udp(at.port()) } else { Protocol::Tcp(at.port()) };
    Ok(ProbeTarget { address: at.ip(), protocol })
}

/// Reads the number of a process.
pub(super) fn pid(text: &str) -> Result<i32, &'static str> {
    text.parse().ok().filter(|pid| *pid > 0).ok_or("is not the number of a process, as ps and pgrep print it")
}

/// Reads a rewrite: `OLD=NEW`.
pub(super) fn rewrite(text: &str) -> Result<(SocketAddr, SocketAddr), String> {
    let (old, new) = text.split_once('=').ok_or("OLD=NEW is needed")?;
    Ok((dnsaddr::parse(old)?, dnsaddr::parse(new)?))
}

/// Reads the name of an interface.
pub(super) fn ifname(text: &str) -> Result<String, String> {
    Attached::problem_of_ifname(text).map_or_else(|| Ok(text.to_owned()), |why| Err(why.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_names() {
        for (text, whole) in
            [("a", "a.service"), ("a@b.service", "a@b.service"), ("var-x\\x2dy.mount", "var-x\\x2dy.mount")]
        {
            assert_eq!(unit(text).as_deref(), Ok(whole));
        }
        for text in
            ["", ".service", "../a.service", "a/b", "a b", "a.timer", "a\n", "..service", "-/.service"]
        {
            assert!(unit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn goals_have_an_address() {
        for (text, shown) in [
            ("192.0.2.1", "192.0.2.1 (icmp)"),
            ("192.0.2.1:80", "192.0.2.1:80 (tcp)"),
            ("192.0.2.1/udp", "192.0.2.1:53 (udp)"),
            ("[2001:db8::1]:443/udp", "[2001:db8::1]:443 (udp)"),
            ("2001:db8::1", "2001:db8::1 (icmp)"),
        ] {
            assert_eq!(probe_target(text).map(|goal| goal.to_string()).as_deref(), Ok(shown));
        }
        for text in ["", "example.com:80", "192.0.2.1:99999", "192.0.2.1:80/tcp", ":80"] {
            assert!(probe_target(text).is_err(), "{text}");
        }
    }
}
