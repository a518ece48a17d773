//! Texts that are addresses, networks and devices: each with what is wrong with it and what would be right.

use super::reader::{InvalidValue, quoted};
use crate::model::numbers;
use crate::model::stack::is_link_local;
use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest name of a device, in bytes: that of an alternative one (ALTIFNAMSIZ − 1), by which it can be called, too.
const DEVICE_MAX: usize = 127;

/// Longest prefix of an IPv4 subnet: two addresses, the network's own and the broadcast.
const SUBNET_LONGEST: u8 = 30;

/// Shortest prefix of a subnet or pool: a shorter one claims more of the Internet than any host has to give away.
const SHORTEST: u8 = 8;

/// Longest prefix of `pool6`: each egress takes a /64 of it, 256 of them fit.
const POOL6_LONGEST: u8 = 56;

/// A refusal with its cure.
fn invalid<T>(message: String, cure: impl Into<String>) -> Result<T, InvalidValue> {
    Err((message, Some(cure.into())))
}

/// A next hop.
pub(super) fn gateway(text: &str) -> Result<IpAddr, InvalidValue> {
    let Ok(address) = text.parse::<IpAddr>() else { return no_gateway(text) };
    let kind = match address {
        IpAddr::V4(v4) if v4.is_broadcast() => "the broadcast address",
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => "an IPv4 address written as IPv6",
        _ if address.is_unspecified() => "the unspecified address",
        _ if address.is_loopback() => "the host itself (loopback)",
        _ if address.is_multicast() => "a multicast address",
        _ => return Ok(address),
    };
    invalid(
        format!("{address} is {kind} and cannot be a gateway"),
        "a gateway is a router's address on the device's LAN",
    )
}

/// What is no address may still contain one.
fn no_gateway(text: &str) -> Result<IpAddr, InvalidValue> {
    let message = format!("{} is not a valid address", quoted(text));
    if let Ok(net) = text.parse::<IpNetwork>() {
        return invalid(message, format!("without the prefix length: \"{}\"", net.ip()));
    }
    if let Some((bare, dev)) = text.split_once('%').filter(|(bare, _)| bare.parse::<Ipv6Addr>().is_ok()) {
        return invalid(message, format!("name the device apart: gateway = \"{bare}\", dev = {dev:?}"));
    }
    invalid(message, "an IPv4 or IPv6 address is needed, for example \"192.168.1.254\"")
}

/// A name of a device, as the kernel allows it (`dev_valid_name`).
pub(super) fn device(text: &str) -> Result<String, InvalidValue> {
    let bad = text.chars().find(|c| matches!(c, '/' | ':') || c.is_whitespace() || c.is_control());
    let why = match bad {
        Some(c) => format!("{c:?} cannot be part of it"),
        None if text.is_empty() => "it is empty".to_owned(),
        None if text.len() > DEVICE_MAX => format!("it has {} bytes, {DEVICE_MAX} are the most", text.len()),
        None if matches!(text, "." | "..") => "it is a directory's".to_owned(),
        None if text == "lo" => "nothing leaves the host by loopback".to_owned(),
        None => return Ok(text.to_owned()),
    };
    invalid(format!("{} is not a device to leave by: {why}", quoted(text)), "`ip link` lists the devices")
}

/// `subnet`.
pub(super) fn subnet(text: &str) -> Result<Ipv4Network, InvalidValue> {
    let net = ipv4_network(text, "10.5.0.0/30", SUBNET_LONGEST)?;
    if net.prefix() <= SUBNET_LONGEST {
        return check_usable(net);
    }
    let right = format!("\"{}\"", network_around(net, SUBNET_LONGEST));
    invalid(
        format!("{net} is too small for a namespace"),
        format!("two addresses are needed, so a /30: {right}"),
    )
}

/// `pool`.
pub(super) fn pool(text: &str) -> Result<Ipv4Network, InvalidValue> {
    let net = ipv4_network(text, "10.213.0.0/16", numbers::SLICE_PREFIX)?;
    if net.prefix() <= numbers::SLICE_PREFIX {
        return check_usable(net);
    }
    let slice = numbers::SLICE_PREFIX;
    let right = format!("each way out takes a /{slice} at least: \"{}\"", network_around(net, slice));
    invalid(format!("{net} is too small for a pool"), right)
}

/// `pool6`.
pub(super) fn pool6(text: &str) -> Result<Ipv6Network, InvalidValue> {
    let Ok(IpNetwork::V6(net)) = text.parse::<IpNetwork>() else {
        return invalid(
            format!("{} is not a valid IPv6 network", quoted(text)),
            "for example \"fd6e:736e:6174::/48\"",
        );
    };
    if !text.contains('/') || net.prefix() > POOL6_LONGEST {
        let cure = format!("each way out takes a /64 of it: a /{POOL6_LONGEST} is the smallest");
        return invalid(format!("{} is too small for a pool", quoted(text)), cure);
    }
    if net.prefix() < SHORTEST || !routable6(net.ip()) {
        return invalid(
            format!("{net} cannot be used for namespaces"),
            "a ULA is right (RFC 4193): fdXX:XXXX:XXXX::/48",
        );
    }
    if net.ip() != net.network() {
        let right = format!("\"{}/{}\"", net.network(), net.prefix());
        return invalid(format!("{net} has bits set after its prefix"), format!("its network is {right}"));
    }
    Ok(net)
}

/// An IPv4 network with a prefix length.
fn ipv4_network(text: &str, example: &str, longest: u8) -> Result<Ipv4Network, InvalidValue> {
    match text.parse::<IpNetwork>() {
        Ok(IpNetwork::V4(net)) if text.contains('/') => Ok(net),
        Ok(IpNetwork::V4(net)) => {
            let right = format!("for example \"{}\"", network_around(net, longest));
            invalid(format!("{net} lacks a prefix length", net = net.ip()), right)
        }
        Ok(IpNetwork::V6(_)) => {
            let cure = format!(
                "an IPv4 network is needed here, for example \"{example}\"; IPv6 comes out of `pool6`"
            );
            invalid(format!("{} is an IPv6 network", quoted(text)), cure)
        }
        Err(_) => {
            invalid(format!("{} is not a valid network", quoted(text)), format!("for example \"{example}\""))
        }
    }
}

/// Refuses networks in which no host can have an address, and host bits.
fn check_usable(net: Ipv4Network) -> Result<Ipv4Network, InvalidValue> {
    if net.prefix() < SHORTEST {
        return invalid(format!("{net} is too large"), format!("a /{SHORTEST} is the largest"));
    }
    let first = net.network();
    let [top, ..] = first.octets();
    // RFC 6890: "this network", loopback, multicast and reserved.
    if matches!(top, 0 | 127 | 224..=255) {
        return invalid(
            format!("{net} cannot be used for namespaces"),
            "private networks can (RFC 1918), as 10.5.0.0/30",
        );
    }
    if net.ip() != first {
        let right = format!("its network is \"{first}/{}\"", net.prefix());
        return invalid(format!("{net} has bits set after its prefix"), right);
    }
    Ok(net)
}

/// The network of that prefix length around an address.
fn network_around(net: Ipv4Network, prefix: u8) -> Ipv4Network {
    let wider = Ipv4Network::new(net.ip(), prefix).unwrap_or(net);
    let first: Ipv4Addr = wider.network();
    Ipv4Network::new(first, prefix).unwrap_or(wider)
}

/// Neither unspecified nor loopback, link-local or multicast.
fn routable6(ip: Ipv6Addr) -> bool {
    !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || is_link_local(ip.into()))
}
