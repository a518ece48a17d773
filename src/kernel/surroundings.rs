//! What of the host has to do with every namespace, and is no part of its network stack.

#![expect(clippy::disallowed_methods, reason = "programs are asked for their versions")]

use super::netlink_socket::NetlinkSocket;
use super::{claims, files, leases, needs, state_file, systemd};
use crate::error::Result;
use crate::model::{Daemon, Family, Link, Name, Observed, Surroundings, state_text};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// RTM_GETNEIGH (include/uapi/linux/rtnetlink.h).
const GET_NEIGHBOUR: u16 = 30;
/// `struct ndmsg`: the family comes first, and 0 in the rest selects nothing.
const NEIGHBOUR: usize = 12;
/// Where systemd links the units that are started when the host starts.
const WANTS: &str = "/etc/systemd/system";
/// Where nsnat's programs are, or may be.
const DIRECTORIES: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];

/// What is known of the host. `declared`: the names that the configuration has.
pub fn surroundings(observed: &Observed, declared: Vec<Name>) -> Result<Surroundings> {
    Ok(Surroundings {
        daemon: daemon(),
        lacks: needs::lacks(),
        flows: number("/proc/sys/net/netfilter/nf_conntrack_count")
            .zip(number("/proc/sys/net/netfilter/nf_conntrack_max")),
        neighbours: neighbours()?,
        programs: programs(),
        bound: systemd::bindings(),
        declared,
        managed: observed.host.links.iter().filter(|link| link.is_ours()).filter_map(manager).collect(),
        state_version: state_file::text()?.and_then(|text| state_text::version_of(&text).ok()),
        claims: claims::claims(observed)?,
        leases: leases::leases(observed)?,
    })
}

fn daemon() -> Daemon {
    let is_wanted = |dir: PathBuf| dir.join("nsnat.service").is_symlink();
    let all = std::fs::read_dir(WANTS).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut wants = all.filter(|dir| dir.extension().is_some_and(|kind| kind == "wants"));
    Daemon {
        runs: files::is_watched(),
        enabled: wants.any(is_wanted),
        says: files::watch_says().lines().map(str::to_owned).collect(),
    }
}

fn number(path: impl AsRef<Path>) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Neighbours of all namespaces share one table in each family (arp(7)); what is counted is what this one has.
fn neighbours() -> Result<Vec<(Family, u64, u64)>> {
    let netlink = NetlinkSocket::for_dumps()?;
    let mut out = Vec::new();
    for (family, number_of_family, name) in
        [(Family::V4, libc::AF_INET, "ipv4"), (Family::V6, libc::AF_INET6, "ipv6")]
    {
        let mut question = vec![0; NEIGHBOUR];
        if let Some(first) = question.first_mut() {
            *first = u8::try_from(number_of_family).unwrap_or_default();
        }
        let known = netlink.dump_as(GET_NEIGHBOUR, &question, |_, _| Some(()))?.unwrap_or_default().len();
        let most = number(format!("/proc/sys/net/{name}/neigh/default/gc_thresh3"));
        out.extend(most.map(|most| (family, known as u64, most)));
    }
    Ok(out)
}

/// This program, and nsnat's programs in the directories where they are installed, with what each says of itself.
fn programs() -> Vec<(PathBuf, String)> {
    let this = std::env::current_exe().ok();
    let names = ["nsnat", "nsnat-exec"];
    let installed = DIRECTORIES.iter().flat_map(|dir| names.map(|name| Path::new(dir).join(name)));
    let all = this.into_iter().chain(installed.filter(|path| path.is_file()));
    all.filter_map(|path| version(&path).map(|version| (path, version))).collect()
}

fn version(path: &Path) -> Option<String> {
    let output = Command::new(path).arg("--version").stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.split_whitespace().next_back().map(str::to_owned)
}

/// The network manager that has a link under its care: by what systemd-networkd (networkctl(1)) and NetworkManager
/// write down of each link.
fn manager(link: &Link) -> Option<(String, &'static str)> {
    const MANAGERS: [(&str, &str, &str); 2] = [
        ("systemd-networkd", "/run/systemd/netif/links", "NETWORK_FILE="),
        ("NetworkManager", "/run/NetworkManager/devices", "managed=true"),
    ];
    let cares = |(_, dir, sign): &&(&str, &str, &str)| {
        let text = std::fs::read_to_string(Path::new(dir).join(link.index.to_string())).unwrap_or_default();
        let lines = text.lines().filter(|line| line.starts_with(sign));
        lines.count() > 0 && !text.lines().any(|line| line == "ADMIN_STATE=unmanaged")
    };
    let (manager, ..) = MANAGERS.iter().find(cares)?;
    Some((link.name.clone(), manager))
}
