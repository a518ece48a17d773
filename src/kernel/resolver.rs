//! What the host asks for names: resolv.conf(5), and the servers behind a stub on loopback.

use crate::model::dnsaddr;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

/// Files that name the real servers of a host whose resolv.conf names a stub, the most exact first:
/// systemd-resolved's (systemd-resolved.service(8)), NetworkManager's (NetworkManager.conf(5), `rc-manager`),
/// resolvconf's for dnsmasq.
const BEHIND_STUBS: [&str; 3] = [
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
    "/run/dnsmasq/resolv.conf",
];

/// Files of each device by its index, and the key of its servers: what was told to systemd-resolved over its bus
/// (by NetworkManager, say), and what systemd-networkd learned (both as sd-network(3) reads them).
const BY_LINK: [(&str, &str); 2] =
    [("/run/systemd/resolve/netif", "SERVERS="), ("/run/systemd/netif/links", "DNS=")];

/// The servers that resolv.conf names.
pub(super) fn nameservers() -> Vec<IpAddr> {
    read_conf("/etc/resolv.conf")
}

/// Real servers by device name; under "" the servers that belong to no device.
pub(super) fn upstreams(indices: &BTreeMap<u32, String>) -> BTreeMap<String, Vec<IpAddr>> {
    let dirs = BY_LINK.iter().filter(|(dir, _)| Path::new(dir).is_dir());
    let told = |index| dirs.clone().find_map(|(dir, key)| link_servers(&format!("{dir}/{index}"), key));
    let by_link = indices.iter().filter_map(|(index, name)| Some((name.clone(), told(*index)?)));
    let mut out: BTreeMap<_, _> = by_link.collect();
    let real = |server: &IpAddr| !server.is_loopback();
    let global = BEHIND_STUBS.iter().map(|path| read_conf(path)).find(|servers| servers.iter().any(real));
    out.extend(global.map(|servers| (String::new(), servers)));
    out
}

/// Every server that the host may ask, by whichever file.
pub(super) fn all_servers() -> Vec<IpAddr> {
    let by_link = BY_LINK.iter().flat_map(|(dir, key)| {
        let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
        files.filter_map(|file| link_servers(file.path().to_str()?, key)).flatten()
    });
    let behind_stubs = BEHIND_STUBS.iter().flat_map(|path| read_conf(path));
    nameservers().into_iter().chain(behind_stubs).chain(by_link).collect()
}

fn link_servers(path: &str, key: &str) -> Option<Vec<IpAddr>> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let servers: Vec<IpAddr> = line.split_whitespace().filter_map(dnsaddr::server).collect();
    (!servers.is_empty()).then_some(servers)
}

fn read_conf(path: &str) -> Vec<IpAddr> {
    dnsaddr::nameservers(&std::fs::read_to_string(path).unwrap_or_default())
}
