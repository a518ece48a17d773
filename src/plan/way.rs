//! Finding an uplink on the host: which device, which next hops, which subnets.

use crate::config::{Located, Problem, Uplink};
use crate::model::{Family, Link, Observed, Route, RouteKind, Way, numbers};
use ipnetwork::IpNetwork;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Resolves the first usable of `uplinks`. All of them are looked at: a problem is reported even where another
/// uplink would do, but a device that is merely absent is one only where it is the only way.
pub(super) fn resolve(uplinks: &[Uplink], observed: &Observed) -> Result<Option<Way>, Vec<Problem>> {
    let (mut ways, mut problems) = (Vec::new(), Vec::new());
    for uplink in uplinks {
        match one(uplink, observed) {
            Ok(way) => ways.push(way),
            Err(Trouble::Absent(problem)) if uplinks.len() == 1 => problems.push(*problem),
            Err(Trouble::Absent(_)) => {}
            Err(Trouble::Wrong(problem)) => problems.push(*problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let best = ways.iter().position(super::desired::usable).unwrap_or(0);
    Ok(ways.into_iter().nth(best))
}

enum Trouble {
    /// The device is not there, or has no address yet.
    Absent(Box<Problem>),
    /// No device ever fits.
    Wrong(Box<Problem>),
}

fn absent(problem: Problem) -> Trouble {
    Trouble::Absent(Box::new(problem))
}

fn wrong(problem: Problem) -> Trouble {
    Trouble::Wrong(Box::new(problem))
}

fn one(uplink: &Uplink, observed: &Observed) -> Result<Way, Trouble> {
    let link = device(uplink, observed)?;
    if link.name.contains(['"', '\\']) {
        let dev = uplink.dev.as_ref();
        return Err(wrong(problem(dev, format!("device {:?} has a name that nft cannot carry", link.name))));
    }
    let subnets = subnets(&link.name, observed);
    let gateways = gateways(uplink, link, &subnets, observed)?;
    let near = |gateway: &IpAddr| is_link_local(*gateway) || subnets.iter().any(|net| net.contains(*gateway));
    Ok(Way {
        uplink: uplink.name.clone(),
        dev: link.name.clone(),
        up: link.up,
        mtu: link.mtu,
        onlink: !gateways.iter().all(near),
        direct: direct(uplink, link, observed),
        gateways,
        subnets: subnets.into_iter().collect(),
    })
}

/// The device: named, or the one whose subnet holds the gateway.
fn device<'a>(uplink: &Uplink, observed: &'a Observed) -> Result<&'a Link, Trouble> {
    if let Some(dev) = &uplink.dev {
        return observed.host.link(&dev.value).ok_or_else(|| {
            let why = Problem {
                help: Some(format!("devices here: {}", devices(observed))),
                ..problem(Some(dev), format!("there is no device {:?}", dev.value))
            };
            absent(why)
        });
    }
    let Some(gateway) = uplink.gateways.first() else {
        return Err(wrong(problem::<String>(None, "neither a device nor a gateway".into())));
    };
    let fits = candidates(gateway.value, observed);
    match fits.as_slice() {
        [link] => Ok(link),
        [] => Err(absent(Problem {
            label: "in no subnet of a device".into(),
            help: Some(format!("devices and their subnets here: {}", devices(observed))),
            ..problem(Some(gateway), format!("no device reaches the gateway {}", gateway.value))
        })),
        several => {
            let names: Vec<_> = several.iter().map(|link| link.name.as_str()).collect();
            Err(wrong(Problem {
                help: Some("say which one: dev = \"…\" (--dev)".into()),
                ..problem(
                    Some(gateway),
                    format!("{} is reached by {}", gateway.value, names.join(" and by ")),
                )
            }))
        }
    }
}

/// Whether the device of a way that was found earlier is still there and up, with its next hops in reach.
pub(super) fn takes_routes(way: &Way, observed: &Observed) -> bool {
    let on_dev = || observed.host.addresses.iter().filter(|address| address.dev == way.dev);
    let near = |ip: &IpAddr| way.onlink || is_link_local(*ip) || on_dev().any(|a| a.net.contains(*ip));
    observed.host.link(&way.dev).is_some_and(|link| link.up) && way.gateways.iter().all(near)
}

/// Devices with a subnet that holds the gateway; of several, those with the longest prefix.
fn candidates(gateway: IpAddr, observed: &Observed) -> Vec<&Link> {
    let prefix = |link: &Link| {
        let nets = observed.host.addresses.iter().filter(|a| a.dev == link.name).map(|a| a.net);
        nets.filter(|net| net.contains(gateway) && net.ip() != gateway).map(|net| net.prefix()).max()
    };
    let fits: Vec<_> = uplink_devices(observed).filter_map(|link| Some((prefix(link)?, link))).collect();
    let longest = fits.iter().map(|(prefix, _)| *prefix).max();
    fits.into_iter().filter(|(prefix, _)| Some(*prefix) == longest).map(|(_, link)| link).collect()
}

/// Devices that can be uplinks at all.
fn uplink_devices(observed: &Observed) -> impl Iterator<Item = &Link> {
    let ours = |link: &Link| [numbers::LINK_GROUP, numbers::DOOMED_GROUP].contains(&link.group);
    observed.host.links.iter().filter(move |link| !link.loopback && !ours(link))
}

fn devices(observed: &Observed) -> String {
    let one = |link: &Link| {
        let nets: Vec<_> = subnets(&link.name, observed).iter().map(ToString::to_string).collect();
        format!("{} ({})", link.name, if nets.is_empty() { "no address".into() } else { nets.join(", ") })
    };
    let all: Vec<_> = uplink_devices(observed).map(one).collect();
    if all.is_empty() { "none".into() } else { all.join(", ") }
}

/// Subnets directly on a device; link-local ones stay where they are, and a single address is no subnet.
fn subnets(dev: &str, observed: &Observed) -> BTreeSet<IpNetwork> {
    let net = |net: IpNetwork| IpNetwork::new(net.network(), net.prefix()).ok();
    let wide = |net: &IpNetwork| match net {
        IpNetwork::V4(net) => (1..32).contains(&net.prefix()),
        IpNetwork::V6(net) => (1..128).contains(&net.prefix()),
    };
    let on_dev = observed.host.addresses.iter().filter(|a| a.dev == dev && !is_link_local(a.net.ip()));
    on_dev.filter_map(|a| net(a.net)).filter(wide).collect()
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// The next hops: declared, or the device's own default gateways, looked for in every table but ours.
fn gateways(
    uplink: &Uplink,
    link: &Link,
    subnets: &BTreeSet<IpNetwork>,
    observed: &Observed,
) -> Result<Vec<IpAddr>, Trouble> {
    if uplink.gateways.is_empty() {
        return Ok(own_gateways(&link.name, observed));
    }
    for gateway in &uplink.gateways {
        check_gateway(gateway, link, subnets, observed)?;
    }
    Ok(uplink.gateways.iter().map(|gateway| gateway.value).collect())
}

fn own_gateways(dev: &str, observed: &Observed) -> Vec<IpAddr> {
    let via = |family| {
        let defaults = default_routes(dev, family, observed).filter(|route| route.via.is_some());
        defaults.min_by_key(|route| route.metric).and_then(|route| route.via)
    };
    Family::BOTH.into_iter().filter_map(via).collect()
}

fn default_routes<'a>(
    dev: &'a str,
    family: Family,
    observed: &'a Observed,
) -> impl Iterator<Item = &'a Route> {
    let ours = numbers::TABLE_BASE..=numbers::TABLE_BASE + numbers::MAX_EGRESS;
    observed.host.routes.iter().filter(move |route| {
        route.to == family.everything()
            && route.kind == RouteKind::Unicast
            && route.dev.as_deref() == Some(dev)
            && !ours.contains(&route.table)
    })
}

fn check_gateway(
    gateway: &Located<IpAddr>,
    link: &Link,
    subnets: &BTreeSet<IpNetwork>,
    observed: &Observed,
) -> Result<(), Trouble> {
    let ip = gateway.value;
    if observed.host.addresses.iter().any(|address| address.net.ip() == ip) {
        let why = format!("{ip} is an address of this host, not a gateway");
        return Err(wrong(problem(Some(gateway), why)));
    }
    let family = subnets.iter().any(|net| net.is_ipv4() == ip.is_ipv4());
    let single = observed.host.addresses.iter().any(|a| a.dev == link.name && is_single(a.net, ip));
    let reached = is_link_local(ip) || subnets.iter().any(|net| net.contains(ip)) || (single && !family);
    if reached {
        return Ok(());
    }
    let nets: Vec<_> = subnets.iter().map(ToString::to_string).collect();
    let nets = if nets.is_empty() { "no subnet".into() } else { nets.join(", ") };
    Err(absent(Problem {
        label: format!("not on {}", link.name),
        help: Some(format!("{} has {nets}; devices here: {}", link.name, devices(observed))),
        ..problem(Some(gateway), format!("the gateway {ip} is in no subnet of {}", link.name))
    }))
}

/// A `/32` or `/128` of the gateway's family: a cloud's NIC, whose gateway is reached by `onlink`.
fn is_single(net: IpNetwork, gateway: IpAddr) -> bool {
    net.is_ipv4() == gateway.is_ipv4() && net.prefix() == if net.is_ipv4() { 32 } else { 128 }
}

/// Families for which a point-to-point device needs no next hop: those it has an address or a default route of.
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

fn problem<T>(at: Option<&Located<T>>, message: String) -> Problem {
    let place = at.and_then(|located| located.place.clone());
    Problem { message, place, label: String::new(), other: None, help: None }
}
