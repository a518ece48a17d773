//! What a network stack holds, by four dumps.

use super::decode::{self, GET_LINK, IFINFO, IFNAME, RouteMessage};
use super::devconf::Settings;
use super::full_table::FullTable;
use super::netlink_socket::NetlinkSocket;
use super::nexthop::NextHops;
use super::private_mount;
use crate::attributes::{attribute, text};
use crate::error::{Context, Error, Result};
use crate::model::stack::DeviceNames;
use crate::model::{Link, OtherNamespaces, Stack};
use nix::dir::Dir;
use nix::fcntl::OFlag;
use std::net::IpAddr;

/// RTM_GETADDR, RTM_GETROUTE, RTM_GETRULE (include/uapi/linux/rtnetlink.h).
const GET_ADDRESS: u16 = 22;
const GET_ROUTE: u16 = 26;
const GET_RULE: u16 = 34;
/// `struct ifaddrmsg`, `struct rtmsg` and `struct fib_rule_hdr`. What is 0 in them selects nothing: all families.
const IFADDR: [u8; 8] = [0; 8];
const ROUTE: [u8; 12] = [0; 12];
const RULE: [u8; 12] = [0; 12];
/// Where `rtm_table` is.
const ROUTE_TABLE: usize = 4;

/// IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS.
const EXT_MASK: u16 = 29;
const SKIP_STATS: u32 = 8;

/// Which part of a stack is observed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StackExtent {
    /// The host's, with what its links have sent and received.
    Counted,
    /// The host's.
    Host,
    /// A namespace's. Nothing of ours inside leads by next hops that are objects of their own.
    Inside,
}

/// Links, addresses, routes and rules of the stack that the socket is in, with the names of its devices. What is on the
/// links of `others` is passed by. Where there are very many routes, the way to `servers` is found all the same.
pub(super) fn observe(
    netlink: &NetlinkSocket,
    others: &OtherNamespaces<'_>,
    extent: StackExtent,
    servers: &[IpAddr],
) -> Result<(Stack, DeviceNames)> {
    let (mut out, mut names) = (Stack::default(), DeviceNames::new());
    for (link, settings) in links(netlink, others, extent)? {
        names.insert(link.index, link.name.clone());
        out.sysctls.extend(settings);
        out.links.insert(link);
    }
    let is_seen = |index: Option<u32>| index.is_none_or(|index| names.contains_key(&index));
    let address = |_, body: &[u8]| decode::address(body, &names);
    out.addresses = dump(netlink, GET_ADDRESS, &IFADDR, address)?.into_iter().collect();
    // The table "local" is the kernel's own, and most of all routes are in it.
    let is_local = |body: &[u8]| body.get(ROUTE_TABLE) == Some(&libc::RT_TABLE_LOCAL);
    let begin = || {
        let mut table = FullTable::new(servers);
        let names = &names;
        move |_, body: &[u8]| {
            let is_wanted = !is_local(body) && is_seen(decode::route_index(body)) && table.is_news(body);
            is_wanted.then(|| decode::route(body, names))?
        }
    };
    let routes = netlink.dump_by(GET_ROUTE, &ROUTE, begin)?.unwrap_or_default();
    let is_by_object = |route: &RouteMessage| matches!(route, RouteMessage::ByObject(..));
    let by_object = extent != StackExtent::Inside && routes.iter().any(is_by_object);
    let objects = if by_object { NextHops::dump()? } else { NextHops::default() };
    out.routes = routes.into_iter().flat_map(|route| route.routes(&names, &objects)).collect();
    out.rules = dump(netlink, GET_RULE, &RULE, |_, body: &[u8]| decode::rule(body))?.into_iter().collect();
    Ok((out, names))
}

/// The links of a stack but those of `others`. These are mostly nearly all that there are, and the kernel takes ten
/// times as long to tell of a link as to name it: then the few that remain are asked for one by one.
fn links(
    netlink: &NetlinkSocket,
    others: &OtherNamespaces<'_>,
    extent: StackExtent,
) -> Result<Vec<(Link, Settings)>> {
    let mask = if extent == StackExtent::Counted { 0 } else { SKIP_STATS };
    let question = [&[0; IFINFO][..], &attribute(EXT_MASK, &mask.to_ne_bytes())].concat();
    if others.namespaces.is_empty() {
        return dump(netlink, GET_LINK, &question, |_, body| decode::link(body));
    }
    let mut out = Vec::new();
    for name in device_names()?.iter().filter(|name| !others.have_link(name)) {
        let question = [&question[..], &text(IFNAME, name)].concat();
        match netlink.get_whole(GET_LINK, &question)? {
            Ok(body) => out.extend(decode::link(&body)),
            // The device went away, or got another name, since it was named.
            Err(libc::ENODEV) => {}
            Err(errno) => {
                return Err(Error::new(format!("device {name}"), std::io::Error::from_raw_os_error(errno)));
            }
        }
    }
    Ok(out)
}

/// The names of the devices of this thread's namespace. A directory of a sysfs names a thousand of them in a fifth of the time
/// that `/proc/net/dev` takes, which also counts what each has sent.
fn device_names() -> Result<Vec<String>> {
    const DEVICES: &str = "/proc/thread-self/net/dev";
    if let Some(names) = names_in_sysfs() {
        return Ok(names);
    }
    let text = std::fs::read_to_string(DEVICES).what(|| DEVICES)?;
    Ok(text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect())
}

/// The same by a sysfs of nsnat's own: that of the host may show another namespace. A driver's file stands among the devices
/// there, and is none when it is asked for.
fn names_in_sysfs() -> Option<Vec<String>> {
    let directory = private_mount::open("sysfs", "class/net", OFlag::O_RDONLY).ok()?;
    let mut directory = Dir::from_fd(directory).ok()?;
    let entries: Vec<_> = directory.iter().collect::<nix::Result<_>>().ok()?;
    let names: Vec<&str> =
        entries.iter().map(|entry| entry.file_name().to_str().ok()).collect::<Option<_>>()?;
    Some(names.into_iter().filter(|name| ![".", ".."].contains(name)).map(str::to_owned).collect())
}

fn dump<T>(
    netlink: &NetlinkSocket,
    kind: u16,
    question: &[u8],
    read: impl Fn(u16, &[u8]) -> Option<T>,
) -> Result<Vec<T>> {
    Ok(netlink.dump_as(kind, question, read)?.unwrap_or_default())
}
