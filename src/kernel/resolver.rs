//! What the host asks for names: resolv.conf(5), and the servers behind a stub on loopback.

use crate::model::dnsaddr;
use std::collections::BTreeMap;
use std::fs::DirEntry;
use std::net::{IpAddr, Ipv4Addr};
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

/// The servers that Docker asks on behalf of a container for which none are named. In the place of systemd-resolved's stub it
/// takes those behind that (`resolvconf.Path` of libnetwork).
pub fn servers_of_containers() -> Vec<IpAddr> {
    const STUB: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53));
    let [behind, ..] = BEHIND_STUBS;
    let own = nameservers();
    if own == [STUB] && Path::new(behind).exists() { read_conf(behind) } else { own }
}

/// Real servers by device name; under "" the servers that belong to no device.
pub(super) fn upstreams(indices: &BTreeMap<u32, String>) -> BTreeMap<String, Vec<IpAddr>> {
    let named = |(index, servers)| Some((indices.get(&index)?.clone(), servers));
    // What was told over the bus comes last, and takes the place of what was learned.
    let mut out: BTreeMap<_, _> = BY_LINK.into_iter().rev().flat_map(by_index).filter_map(named).collect();
    let real = |server: &IpAddr| !server.is_loopback();
    let global = BEHIND_STUBS.iter().map(|path| read_conf(path)).find(|servers| servers.iter().any(real));
    out.extend(global.map(|servers| (String::new(), servers)));
    out
}

/// Every server that the host may ask, by whichever file.
pub(super) fn all_servers() -> Vec<IpAddr> {
    let by_link = BY_LINK.into_iter().flat_map(by_index).flat_map(|(_, servers)| servers);
    let behind_stubs = BEHIND_STUBS.iter().flat_map(|path| read_conf(path));
    nameservers().into_iter().chain(behind_stubs).chain(by_link).collect()
}

/// The servers of each device that a directory has a file of.
fn by_index((dir, key): (&str, &str)) -> Vec<(u32, Vec<IpAddr>)> {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let of_device = |file: DirEntry| {
        let index = file.file_name().to_str()?.parse().ok()?;
        Some((index, link_servers(&file.path(), key)?))
    };
    files.filter_map(of_device).collect()
}

fn link_servers(path: &Path, key: &str) -> Option<Vec<IpAddr>> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let servers: Vec<IpAddr> = line.split_whitespace().filter_map(dnsaddr::server).collect();
    (!servers.is_empty()).then_some(servers)
}

fn read_conf(path: &str) -> Vec<IpAddr> {
    dnsaddr::nameservers(&std::fs::read_to_string(path).unwrap_or_default())
}
