//! Sysctls of the host that are held while they are needed: forwarding from and to uplinks, and what follows from it.
//!
//! # IPv6 before Linux 6.17
//!
//! There `all.forwarding` is the only switch. It makes a router of the host, and a router does not listen to router
//! advertisements: the kernel drops the default route that it learnt, and addresses run out. `accept_ra=2` means
//! "although it forwards" (Documentation/networking/ip-sysctl.rst), so every device that listens gets that *first*,
//! and `default` too, for devices that are plugged in later. Going back is the other way round. Writing
//! `all.forwarding` writes the flag of every single device; the devices that had it set before get it back.

use crate::model::{
    Datum, Egress, Element, Family, HeldSysctl, Link, Observed, RouteKind, Set, State, UplinkPath,
    observed::Features, stack::device_of,
};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The one switch of kernels that have none for each device.
pub(super) const ALL6: &str = "net/ipv6/conf/all/forwarding";

/// The sysctl that lets packets of a family that came in by a device be forwarded.
pub(super) fn forwarding(family: Family, dev: &str, features: Features) -> String {
    match family {
        Family::V4 => format!("net/ipv4/conf/{dev}/forwarding"),
        Family::V6 if features.force_forwarding => format!("net/ipv6/conf/{dev}/force_forwarding"),
        Family::V6 => ALL6.into(),
    }
}

/// The switch for the whole host, which writes the flag of every device.
const ALL4: &str = "net/ipv4/ip_forward";

/// Whether the host is a router by somebody else's will, though it was none when the value was noted.
fn router_since(key: &str, now: &BTreeMap<String, String>) -> bool {
    key.starts_with("net/ipv4/")
        && key.ends_with("/forwarding")
        && now.get(ALL4).is_some_and(|value| value == "1")
}

/// Whether a device forwards IPv6 without a switch of its own, because the host is a router: what is not switched on
/// for our sake is not kept from others either.
fn forwarded_by_the_host(key: &str, observed: &Observed) -> bool {
    key.ends_with("/force_forwarding") && observed.host.sysctls.get(ALL6).is_some_and(|value| value == "1")
}

/// Devices that forward a family for our sake only: the guard lets nobody else use that.
pub(super) fn opened(state: &State) -> impl Iterator<Item = (Family, &str)> {
    state.sysctls.iter().filter(|(_, held)| held.before == "0").filter_map(|(key, _)| forwards(key))
}

/// The family and the device whose forwarding a sysctl switches.
fn forwards(key: &str) -> Option<(Family, &str)> {
    let dev = |family: &str, flag: &str| key.strip_prefix(family)?.strip_suffix(flag);
    let four = dev("net/ipv4/conf/", "/forwarding").map(|dev| (Family::V4, dev));
    four.or_else(|| dev("net/ipv6/conf/", "/force_forwarding").map(|dev| (Family::V6, dev)))
}

/// The element of the guard for a device that forwards for our sake only.
pub(super) fn opening(family: Family, dev: &str) -> Element {
    let set = if family == Family::V4 { Set::Opened4 } else { Set::Opened6 };
    Element { set, key: vec![Datum::Device(dev.into())], value: Vec::new() }
}

/// The element of the guard for a bridge that forwards for our sake only.
pub(super) fn bridged(dev: &str) -> Element {
    let dev = Datum::Device(dev.into());
    Element { set: Set::Bridged, key: vec![dev.clone(), dev], value: Vec::new() }
}

/// Finds the sysctls of devices that got another name since; and notes what the table tells and the state does not
/// know, because it was lost: forwarding that is on for our sake.
pub fn recall_held(observed: &mut Observed) {
    follow_names(observed);
    for family in Family::BOTH {
        for link in &observed.host.links {
            if observed.table.elements.contains(&opening(family, &link.name)) {
                let mark = Some(valid_mark(&link.name));
                let mark =
                    mark.filter(|key| observed.host.sysctls.get(key).is_some_and(|value| value == "1"));
                for key in mark.into_iter().chain([forwarding(family, &link.name, observed.features)]) {
                    let held =
                        || HeldSysctl { before: "0".into(), now: "1".into(), device: known_index(link) };
                    observed.state.sysctls.entry(key).or_insert_with(held);
                }
            }
        }
    }
}

fn follow_names(observed: &mut Observed) {
    let host = &observed.host;
    let renamed = |(key, held): (String, HeldSysctl)| {
        let dev = device_of(&key).unwrap_or_default();
        let link =
            host.links.iter().find(|link| known_index(link).is_some() && known_index(link) == held.device);
        let key = match link {
            Some(link) if link.name != dev => {
                key.replace(&format!("/conf/{dev}/"), &format!("/conf/{}/", link.name))
            }
            _ => key,
        };
        (key, held)
    };
    let noted = std::mem::take(&mut observed.state.sysctls);
    observed.state.sysctls = noted.into_iter().map(renamed).collect();
}

fn known_index(link: &Link) -> Option<u32> {
    Some(link.index).filter(|index| *index != 0)
}

/// Notes in the state what is held and what was there before; forgets what nobody needs any more, and what went
/// with its device.
pub(super) fn record_held(state: &mut State, observed: &Observed) {
    let noted = std::mem::take(&mut state.sysctls);
    let is_swept = is_swept_flag(&noted, &observed.host.sysctls);
    let before = |key: &str| {
        let value = observed.host.sysctls.get(key)?;
        // What somebody changed since is theirs: that is what it will be again.
        let ours = |held: &&HeldSysctl| {
            is_swept(key) || *value == held.now && !router_since(key, &observed.host.sysctls)
        };
        let earlier = noted.get(key).filter(ours);
        Some(earlier.map_or(value, |held| &held.before).clone())
    };
    let mut wanted: BTreeMap<String, &str> = BTreeMap::new();
    wanted.extend(uplinks(state, observed.features).into_iter().map(|key| (key, "1")));
    wanted.extend(towards_servers(state, observed).map(|key| (key, "1")));
    wanted.extend(marks_that_count(state, observed).into_iter().map(|key| (key, "1")));
    wanted.retain(|key, _| !forwarded_by_the_host(key, observed));
    if wanted.contains_key(ALL6) && before(ALL6).as_deref() == Some("0") {
        wanted.extend(listeners(observed, &before));
        wanted.extend(routers(&noted, observed));
    }
    let held = |(key, now): (String, &str)| {
        let before = before(&key)?;
        let device = device_of(&key).and_then(|dev| known_index(observed.host.link(dev)?));
        Some((key, HeldSysctl { before, now: now.into(), device }))
    };
    state.sysctls = wanted.into_iter().filter_map(held).collect();
    let is_bridge =
        |dev: &&str| observed.host.link(dev).is_some_and(|link| link.kind.as_deref() == Some("bridge"));
    let bridges = opened(state).map(|(_, dev)| dev).filter(is_bridge).map(str::to_owned).collect();
    state.bridges = bridges;
}

/// Whether a flag was swept by the switch for all devices, which a run that was cut off put back: what it is now,
/// nobody wanted.
fn is_swept_flag<'a>(
    noted: &BTreeMap<String, HeldSysctl>,
    now: &'a BTreeMap<String, String>,
) -> impl Fn(&str) -> bool + use<'a> {
    let back = noted.get(ALL6).filter(|held| held.before != held.now).map(|held| held.before.clone());
    let back = back.filter(|before| now.get(ALL6) == Some(before));
    move |key| key != ALL6 && follows_switch(key) && back.is_some() && now.get(key) == back.as_ref()
}

/// Whether writing the switch for all devices writes that sysctl.
fn follows_switch(key: &str) -> bool {
    key.starts_with("net/ipv6/") && key.ends_with("/forwarding")
}

/// Where the host checks the reverse path of what comes in (`rp_filter`), answers to a namespace pass only if the check
/// knows their mark: rules select by nothing else.
fn marks_that_count(state: &State, observed: &Observed) -> Vec<String> {
    let value = |dev: &str, key: &str| observed.host.sysctls.get(&format!("net/ipv4/conf/{dev}/{key}"));
    let is_on = |dev: &str, key: &str| value(dev, key).is_some_and(|value| value != "0");
    let paths = state.egresses.values().flat_map(Egress::parts).map(|path| path.dev.as_str());
    let servers = state.namespaces.values().flat_map(|namespace| namespace.dns.host_servers());
    let devices = paths.chain(servers.filter_map(|server| device_towards(server, observed)));
    let checked = |dev: &&str| is_on(dev, "rp_filter") || is_on("all", "rp_filter");
    devices.filter(checked).map(valid_mark).collect()
}

/// The sysctl that makes the check of the reverse path know a packet's mark.
pub(super) fn valid_mark(dev: &str) -> String {
    format!("net/ipv4/conf/{dev}/src_valid_mark")
}

/// Forwarding for the devices of all ways. IPv6 only where a namespace has it.
fn uplinks(state: &State, features: Features) -> Vec<String> {
    let has6 = |key: &String| {
        state.namespaces.values().any(|one| one.ipv6 && one.egress_keys().any(|used| used == key))
    };
    let keys = |(key, egress): (&String, &Egress)| {
        let families: Vec<Family> =
            Family::BOTH.into_iter().filter(|family| *family == Family::V4 || has6(key)).collect();
        let is_needed = |part: &UplinkPath, family| egress.parts().count() == 1 || part.serves(family);
        let of_part = |part: &UplinkPath| {
            let needed = families.iter().filter(|family| is_needed(part, **family));
            needed.map(|family| forwarding(*family, &part.dev, features)).collect::<Vec<_>>()
        };
        egress.parts().flat_map(of_part).collect::<Vec<_>>()
    };
    state.egresses.iter().flat_map(keys).collect()
}

/// Forwarding for the devices by which answers of the host's own DNS servers come, where namespaces ask those.
fn towards_servers(state: &State, observed: &Observed) -> impl Iterator<Item = String> {
    let servers = state.namespaces.values().flat_map(|namespace| namespace.dns.host_servers());
    servers.filter_map(|server| {
        Some(forwarding(Family::of(server), device_towards(server, observed)?, observed.features))
    })
}

/// The device of the host's own route to an address.
fn device_towards(address: IpAddr, observed: &Observed) -> Option<&str> {
    let routes = observed.host.routes.iter().filter(|route| {
        let main = route.table == u32::from(libc::RT_TABLE_MAIN) && route.kind == RouteKind::Unicast;
        main && route.to.contains(address)
    });
    routes.min_by_key(|route| (std::cmp::Reverse(route.to.prefix()), route.metric))?.dev.as_deref()
}

/// Devices that listen to router advertisements, and go on with it while the whole host forwards IPv6.
fn listeners(observed: &Observed, before: &impl Fn(&str) -> Option<String>) -> Vec<(String, &'static str)> {
    let keys = devices_of_others(observed).map(|dev| format!("net/ipv6/conf/{dev}/accept_ra"));
    keys.filter(|key| before(key).as_deref() == Some("1")).map(|key| (key, "2")).collect()
}

/// Devices whose flag was set before the switch was. Once that is on they all have it, and only the notes tell.
fn routers(noted: &BTreeMap<String, HeldSysctl>, observed: &Observed) -> Vec<(String, &'static str)> {
    let keys = devices_of_others(observed).map(|dev| format!("net/ipv6/conf/{dev}/forwarding"));
    let set = |key: &String| match noted.get(ALL6) {
        Some(_) => noted.contains_key(key),
        None => observed.host.sysctls.get(key).is_some_and(|value| value == "1"),
    };
    keys.filter(set).map(|key| (key, "1")).collect()
}

/// The devices of the host, and what new ones get.
fn devices_of_others(observed: &Observed) -> impl Iterator<Item = &str> {
    let theirs = observed.host.links.iter().filter(|link| !link.loopback && !link.is_ours());
    theirs.map(|link| link.name.as_str()).chain(["default"])
}

/// What is held no more, and the value that it gets back; what somebody changed since stays.
pub(super) fn to_restore(
    state: &State,
    wanted: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let ours = |key: &str, held: &HeldSysctl| !wanted.contains_key(key) && now.get(key) == Some(&held.now);
    let changed = |held: &HeldSysctl| held.before != held.now;
    let theirs = |key: &str| router_since(key, now);
    let sweeps = state.sysctls.get(ALL6).is_some_and(|held| ours(ALL6, held) && changed(held));
    let is_swept = is_swept_flag(&state.sysctls, now);
    let was_swept = |key: &str, held: &HeldSysctl| {
        !wanted.contains_key(key) && is_swept(key) && now.get(key) != Some(&held.before)
    };
    let goes = |(key, held): &(&String, &HeldSysctl)| {
        let kept = ours(key, held) && !theirs(key) && (changed(held) || sweeps && follows_switch(key));
        kept || was_swept(key, held)
    };
    state.sysctls.iter().filter(goes).map(|(key, held)| (key.clone(), held.before.clone())).collect()
}
