//! Finding an uplink on the host: which device, which next hops, which subnets.

use super::reach::{addressed, candidates, devices, is_beside, subnets};
use super::source;
use crate::config::{Located, Problem, Uplink};
use crate::model::stack::is_link_local;
use crate::model::{Family, Link, Observed, Route, RouteKind, UplinkPath};
use ipnetwork::IpNetwork;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Whether anything can be sent by a way: up, with a carrier, and some family served.
pub(super) fn is_usable(path: &UplinkPath, observed: &Observed) -> bool {
    let carrier = observed.host.link(&path.dev).is_some_and(|link| link.carrier);
    path.up && carrier && Family::BOTH.iter().any(|family| path.serves(*family))
}

pub(super) enum UplinkError {
    /// The device is not there, or has no address yet.
    Absent(Box<Problem>),
    /// No device ever fits.
    Wrong(Box<Problem>),
}

fn absent_uplink(problem: Problem) -> UplinkError {
    UplinkError::Absent(Box::new(problem))
}

fn wrong_uplink(problem: Problem) -> UplinkError {
    UplinkError::Wrong(Box::new(problem))
}

pub(super) fn resolve_uplink(uplink: &Uplink, observed: &Observed) -> Result<UplinkPath, UplinkError> {
    uplink.gateways.iter().try_for_each(|gateway| check_gateway(gateway, observed))?;
    let link = device(uplink, observed)?;
    if let Some(why) = unquotable_part(&link.name) {
        let message = format!("device {:?} has a name that nft cannot carry: {why}", link.name);
        return Err(wrong_uplink(problem_at(uplink.dev.as_ref(), message)));
    }
    let subnets = subnets(link, observed);
    let (gateways, waiting) = gateways(uplink, link, &subnets, observed)?;
    let direct = direct(uplink, link, observed);
    if gateways.is_empty() && direct.is_empty() {
        return Err(absent_uplink(no_gateway(uplink, link)));
    }
    let mut path = UplinkPath {
        uplink: uplink.name.clone(),
        dev: link.name.clone(),
        up: link.up,
        dead: false,
        last_resort: false,
        mtu: link.mtu,
        direct,
        gateways,
        waiting,
        subnets: subnets.into_iter().collect(),
        sources: Vec::new(),
        altnames: link.altnames.clone(),
        silent: Vec::new(),
        apart: None,
    };
    path.sources = source::preferred(&path, observed);
    Ok(path)
}

/// Refuses addresses that cannot be a router's here: the host's own, and the first and last of a subnet.
fn check_gateway(gateway: &Located<IpAddr>, observed: &Observed) -> Result<(), UplinkError> {
    let ip = gateway.value;
    let addresses = || observed.host.addresses.iter().map(|address| address.net);
    if addresses().any(|net| net.ip() == ip) {
        let why = format!("{ip} is an address of this host, not a gateway");
        return Err(wrong_uplink(problem_at(Some(gateway), why)));
    }
    let whole = |net: &IpNetwork| {
        net.is_ipv4()
            && net.prefix() < 31
            && net.contains(ip)
            && [net.network(), net.broadcast()].contains(&ip)
    };
    match addresses().find(whole) {
        Some(net) => {
            let subnet = format!("{}/{}", net.network(), net.prefix());
            let why = format!("{ip} is the whole of {subnet}, not a gateway in it");
            Err(wrong_uplink(problem_at(Some(gateway), why)))
        }
        None => Ok(()),
    }
}

/// What nft's language cannot say within quotes: it has no escapes but for `*`, which at the end means "and
/// whatever follows" (scanner.l, `string_type_parse`); in its JSON, `@` means a set (parser_json.c).
fn unquotable_part(dev: &str) -> Option<&'static str> {
    let rules = [
        (dev.contains('"'), "a quotation mark"),
        (dev.contains('\\'), "a backslash"),
        (dev.ends_with('*'), "an asterisk at the end"),
        (dev.starts_with('@'), "an @ at the beginning"),
    ];
    rules.into_iter().find(|(holds, _)| *holds).map(|(_, why)| why)
}

/// A device without any next hop, where one is needed.
fn no_gateway(uplink: &Uplink, link: &Link) -> Problem {
    let down = if link.up { "" } else { "is down and " };
    Problem {
        help: Some(
            "name its gateway: gateway = \"…\" (--gateway); only point-to-point devices need none".into(),
        ),
        ..problem_at(uplink.dev.as_ref(), format!("{} {down}has no default gateway", link.name))
    }
}

/// The device: named, or the one whose subnet holds the gateway.
fn device<'a>(uplink: &Uplink, observed: &'a Observed) -> Result<&'a Link, UplinkError> {
    if let Some(dev) = &uplink.dev {
        return observed.host.link_called(&dev.value).ok_or_else(|| {
            let why = Problem {
                help: Some(format!("devices here: {}", devices(observed))),
                ..problem_at(Some(dev), format!("there is no device {:?}", dev.value))
            };
            absent_uplink(why)
        });
    }
    let Some(gateway) = uplink.gateways.first() else {
        return Err(wrong_uplink(problem_at::<String>(None, "neither a device nor a gateway".into())));
    };
    let fits = candidates(gateway.value, observed);
    match fits.as_slice() {
        [link] => Ok(link),
        [] => Err(absent_uplink(Problem {
            label: "in no subnet of a device".into(),
            help: Some(format!("devices and their subnets here: {}", devices(observed))),
            ..problem_at(Some(gateway), format!("no device reaches the gateway {}", gateway.value))
        })),
        several => {
            let names: Vec<_> = several.iter().map(|link| link.name.as_str()).collect();
            Err(wrong_uplink(Problem {
                help: Some("say which one: dev = \"…\" (--dev)".into()),
                ..problem_at(
                    Some(gateway),
                    format!("{} is reached by {}", gateway.value, names.join(" and by ")),
                )
            }))
        }
    }
}

/// Looks again at the device of a way that was found earlier: whether it is up, with its next hops in reach.
pub(super) fn refresh(path: &mut UplinkPath, observed: &Observed) {
    if let Some(apart) = &mut path.apart {
        refresh(apart, observed);
    }
    path.sources.retain(|source| source::is_the_hosts(*source, observed));
    let link = observed.host.link(&path.dev).filter(|link| link.up);
    path.up = link.is_some() && !path.dead;
    let Some(link) = link else { return };
    let subnets = subnets(link, observed);
    let reached = |ip: &IpAddr| {
        let near = is_link_local(*ip) || !path.is_near(*ip) || subnets.iter().any(|net| net.contains(*ip));
        near && addressed(link, *ip, observed)
    };
    let far = path.gateways.iter().filter(|ip| !reached(ip)).map(|ip| Family::of(*ip)).collect();
    path.waiting = far;
}

/// The next hops: declared, or the device's own default gateways, looked for in every table but ours.
fn gateways(
    uplink: &Uplink,
    link: &Link,
    subnets: &BTreeSet<IpNetwork>,
    observed: &Observed,
) -> Result<(Vec<IpAddr>, Vec<Family>), UplinkError> {
    if uplink.gateways.is_empty() {
        return Ok((own_gateways(&link.name, observed), Vec::new()));
    }
    let (mut waiting, mut why) = (Vec::new(), None);
    for gateway in &uplink.gateways {
        if let Reach::Later(problem) = reach_gateway(gateway, link, subnets, observed)? {
            waiting.push(Family::of(gateway.value));
            why = Some(problem);
        }
    }
    // One family may come up before the other, or not at all; but not a single one is a mistake.
    match why {
        Some(problem) if waiting.len() == uplink.gateways.len() => Err(UplinkError::Absent(problem)),
        _ => Ok((uplink.gateways.iter().map(|gateway| gateway.value).collect(), waiting)),
    }
}

fn own_gateways(dev: &str, observed: &Observed) -> Vec<IpAddr> {
    let via = |family| {
        let of_family = |route: &&Route| route.via.is_some_and(|via| Family::of(via) == family);
        let defaults = default_routes(dev, family, observed).filter(of_family);
        // The main table's first: others hold what somebody selects by rules of their own.
        let main = u32::from(libc::RT_TABLE_MAIN);
        defaults.min_by_key(|route| (route.table != main, route.metric)).and_then(|route| route.via)
    };
    Family::BOTH.into_iter().filter_map(via).collect()
}

fn default_routes<'a>(
    dev: &'a str,
    family: Family,
    observed: &'a Observed,
) -> impl Iterator<Item = &'a Route> {
    observed.host.routes.iter().filter(move |route| {
        route.to == family.everything()
            && route.kind == RouteKind::Unicast
            && route.dev.as_deref() == Some(dev)
            && !route.is_ours()
    })
}

/// Whether a next hop can be used.
enum Reach {
    Now,
    /// The device has no address of its family; why that is a problem if nothing else can be used.
    Later(Box<Problem>),
}

fn reach_gateway(
    gateway: &Located<IpAddr>,
    link: &Link,
    subnets: &BTreeSet<IpNetwork>,
    observed: &Observed,
) -> Result<Reach, UplinkError> {
    let ip = gateway.value;
    let of_family = |net: &IpNetwork| net.is_ipv4() == ip.is_ipv4();
    let addressed = addressed(link, ip, observed);
    let near = is_beside(ip, link, subnets, observed);
    // A device that goes down loses its IPv6 addresses. One without a subnet has a single address (a cloud's NIC)
    // and reaches its next hop by `onlink`.
    if !link.up || (addressed && (near || !subnets.iter().any(of_family))) {
        return Ok(Reach::Now);
    }
    let why = no_subnet(gateway, link, subnets, observed);
    if addressed { Err(absent_uplink(why)) } else { Ok(Reach::Later(Box::new(why))) }
}

fn no_subnet(
    gateway: &Located<IpAddr>,
    link: &Link,
    subnets: &BTreeSet<IpNetwork>,
    observed: &Observed,
) -> Problem {
    let nets: Vec<_> = subnets.iter().map(ToString::to_string).collect();
    let nets = if nets.is_empty() { "no subnet".into() } else { nets.join(", ") };
    Problem {
        label: format!("not on {}", link.name),
        help: Some(format!("{} has {nets}; devices here: {}", link.name, devices(observed))),
        ..problem_at(Some(gateway), format!("the gateway {} is in no subnet of {}", gateway.value, link.name))
    }
}

/// Families for which a point-to-point device needs no next hop: the families of its addresses.
fn direct(uplink: &Uplink, link: &Link, observed: &Observed) -> Vec<Family> {
    if !link.point_to_point || !uplink.gateways.is_empty() {
        return Vec::new();
    }
    let has = |family: &Family| {
        let mut addresses = observed.host.addresses.iter().filter(|a| a.dev == link.name);
        addresses.any(|a| Family::of_net(a.net) == *family && !is_link_local(a.net.ip()))
    };
    Family::BOTH.into_iter().filter(has).collect()
}

fn problem_at<T>(at: Option<&Located<T>>, message: String) -> Problem {
    let place = at.and_then(|located| located.place.clone());
    Problem { message, place, label: String::new(), other: None, help: None }
}

/// Why nothing gets out by a path, where that is so; none: the namespace has no path at all.
pub fn why_closed(path: Option<&UplinkPath>) -> Option<String> {
    match path {
        None => Some("no uplink can be used at the moment: nothing gets out".into()),
        Some(path) if path.dead => Some("none of its uplinks answers: nothing gets out".into()),
        Some(path) if !path.is_open() => {
            Some(format!("its uplink {} cannot be used at the moment: nothing gets out", path.dev))
        }
        Some(_) => None,
    }
}
