//! Settings of devices (`/proc/sys/net/ipv4/conf/DEV/…`) out of the dump of links, where the kernel sends them along
//! (`IFLA_INET_CONF` and `IFLA_INET6_CONF`, `inet_fill_link_af` in net/ipv4/devinet.c).
//!
//! Reading the files costs more with every namespace: the entries of all namespaces for one path, such as that of eth0,
//! share a chain of the kernel's directory cache, and each look walks it (`proc_sys_compare` in fs/proc/proc_sysctl.c).

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    AfSpecInet, AfSpecInet6, AfSpecUnspec, Inet6DevConf, InetDevConf, LinkAttribute,
};

/// The name of a setting, and where its value is in what the kernel sends.
type Setting<T> = (&'static str, fn(&T) -> i32);

/// The settings that nsnat ever sets or asks for, IPv4.
const V4: [Setting<InetDevConf>; 5] = [
    ("accept_local", |conf| conf.accept_local),
    ("forwarding", |conf| conf.forwarding),
    ("route_localnet", |conf| conf.route_localnet),
    ("rp_filter", |conf| conf.rp_filter),
    ("src_valid_mark", |conf| conf.src_vmark),
];

/// The same, IPv6.
const V6: [Setting<Inet6DevConf>; 5] = [
    ("accept_dad", |conf| conf.accept_dad),
    ("accept_ra", |conf| conf.accept_ra),
    ("disable_ipv6", |conf| conf.disable_ipv6),
    (FORCE_FORWARDING, |conf| conf.force_forwarding),
    ("forwarding", |conf| conf.forwarding),
];

/// Newer than the others (Linux 6.17). A kernel that does not have it sends fewer numbers, and the missing ones read as 0.
const FORCE_FORWARDING: &str = "force_forwarding";

/// The settings of the device `name` that is told of by `row`: path below `/proc/sys`, and value. A device without a
/// family has none of its settings.
pub(super) fn settings(
    row: &RouteNetlinkMessage,
    name: &str,
    force_forwarding: bool,
) -> Vec<(String, String)> {
    let RouteNetlinkMessage::NewLink(message) = row else { return Vec::new() };
    let families = message.attributes.iter().filter_map(|attribute| match attribute {
        LinkAttribute::AfSpecUnspec(families) => Some(families),
        _ => None,
    });
    let mut out = Vec::new();
    for family in families.flatten() {
        match family {
            AfSpecUnspec::Inet(parts) => out.extend(parts.iter().flat_map(|part| four(part, name))),
            AfSpecUnspec::Inet6(parts) => out.extend(parts.iter().flat_map(|part| six(part, name))),
            _ => {}
        }
    }
    out.retain(|(key, _)| force_forwarding || !key.ends_with(FORCE_FORWARDING));
    out
}

fn four(part: &AfSpecInet, name: &str) -> Vec<(String, String)> {
    let AfSpecInet::DevConf(conf) = part else { return Vec::new() };
    V4.map(|(key, value)| (format!("net/ipv4/conf/{name}/{key}"), value(conf).to_string())).into()
}

fn six(part: &AfSpecInet6, name: &str) -> Vec<(String, String)> {
    let AfSpecInet6::DevConf(conf) = part else { return Vec::new() };
    V6.map(|(key, value)| (format!("net/ipv6/conf/{name}/{key}"), value(conf).to_string())).into()
}
