//! The uplink: its device, its addresses, its next hops, and the others that could be used.

use super::patient::Patient;
use crate::model::{Code, Cure, Family, Finding, Link, Neighbour, Published, PublishedBy, UplinkPath};
use crate::plan::{self, quote};

/// Whether one can be used at all, and in each family.
pub(super) fn usable(patient: &Patient<'_>) -> Vec<Finding> {
    let path = patient.path();
    let closed = plan::why_closed(path).unwrap_or_default();
    let (code, what) = match path {
        None => (Code::NoUplink, closed),
        Some(path) if path.last_resort && !path.is_split() => {
            (Code::LastResort, "none of its uplinks can be used: it leaves by the host's main table".into())
        }
        Some(path) if path.dead => (Code::UplinksDead, closed),
        Some(path) => return families(patient, path),
    };
    vec![Finding::new(code, what, answer(patient)).shown_by([happened(patient)])]
}

/// The command that shows what became of uplinks.
fn happened(patient: &Patient<'_>) -> String {
    format!("nsnat events {}", patient.name)
}

/// What helps where no uplink can be used.
fn answer(patient: &Patient<'_>) -> Cure {
    patient
        .person_for_way("see that a device of its uplinks is up (ip -br addr), and that its router answers")
}

/// Families in which no uplink answers, while the other one gets out.
fn families(patient: &Patient<'_>, path: &UplinkPath) -> Vec<Finding> {
    let has = |family: &Family| patient.namespace.ipv6 || *family == Family::V4;
    let one = |family: Family| {
        if path.silent.contains(&family) {
            let what = format!("none of its uplinks answers by {family}: nothing gets out by {family}");
            return Some(
                Finding::new(Code::UplinksDead, what, answer(patient)).shown_by([happened(patient)]),
            );
        }
        path.part_of(family).filter(|part| part.last_resort).map(|_| {
            let what = format!(
                "none of its uplinks can be used by {family}: {family} leaves by the host's main table"
            );
            Finding::new(Code::LastResort, what, answer(patient)).shown_by([happened(patient)])
        })
    };
    Family::BOTH.into_iter().filter(has).filter_map(one).collect()
}

/// Its device, or its devices.
pub(super) fn device(patient: &Patient<'_>) -> Vec<Finding> {
    let parts = patient.path().filter(|path| !path.dead).into_iter().flat_map(UplinkPath::parts);
    parts.filter_map(|path| of_device(path, patient.observed.host.link(&path.dev))).collect()
}

fn of_device(path: &UplinkPath, link: Option<&Link>) -> Option<Finding> {
    let (dev, quoted) = (&path.dev, quote(&path.dev));
    let (code, is, cure) = match link {
        None => {
            let cure = Cure::person("plug it in, or start what makes it; then: nsnat up")
                .checked_by(format!("ip link show dev {quoted}"));
            (Code::UplinkGone, format!("the device {dev} is gone"), cure)
        }
        Some(link) if !link.up => {
            let cure = Cure::Commands(vec![format!("ip link set {quoted} up"), "nsnat up".into()]);
            (Code::UplinkDown, format!("{dev} is down"), cure)
        }
        Some(link) if !link.carrier => {
            let cure = Cure::person("look at its cable, and at the other end; then: nsnat up")
                .checked_by(format!("grep 1 /sys/class/net/{quoted}/carrier"));
            (Code::UplinkCarrier, format!("{dev} has no carrier"), cure)
        }
        Some(_) => return None,
    };
    let finding = Finding::new(code, format!("{is}: nothing gets out"), cure);
    Some(finding.shown_by([format!("ip link show {quoted}")]))
}

/// Families whose next hop is out of reach, because the device has no address of theirs.
pub(super) fn addresses(patient: &Patient<'_>) -> Vec<Finding> {
    let parts = patient.path().into_iter().flat_map(UplinkPath::parts).filter(|path| path.up);
    let waiting = parts.flat_map(|path| path.waiting.iter().map(move |family| (&path.dev, family)));
    let one = |(dev, family): (&String, &Family)| {
        let what = format!("{dev} has no {family} address: nothing gets out by {family}");
        let (number, word) = if *family == Family::V4 { (4, "inet") } else { (6, "inet6") };
        let show = format!("ip -{number} address show dev {} scope global", quote(dev));
        let cure = Cure::person("give it one, or have its DHCP client ask for one; then: nsnat up");
        let cure = cure.checked_by(format!("{show} | grep {word}"));
        Finding::new(Code::UplinkAddress, what, cure).shown_by([show])
    };
    waiting.map(one).collect()
}

/// A line that goes and comes.
pub(super) fn flapping(patient: &Patient<'_>) -> Vec<Finding> {
    let dev = patient.path().map_or("its line", |path| path.dev.as_str());
    let one = |often: usize| {
        let what = format!("{dev} goes and comes, {often} times in the last minute");
        let cure = patient.person("look at its cable, at its signal, and at what dials it");
        Finding::new(Code::UplinkFlaps, what, cure).shown_by([happened(patient)])
    };
    patient.flaps.map(one).into_iter().collect()
}

/// Next hops that do not answer.
pub(super) fn next_hops(patient: &Patient<'_>) -> Vec<Finding> {
    let one = |neighbour| {
        let finding = silence(neighbour);
        let cure = patient.person_for_way(finding.cure.to_string());
        Finding { cure, ..finding }
    };
    patient.silent.iter().map(one).collect()
}

/// What is said of a next hop that does not answer.
pub fn silence(Neighbour { dev, address, .. }: &Neighbour) -> Finding {
    let (family, how) = match Family::of(*address) {
        Family::V4 => (Family::V4, "ARP"),
        Family::V6 => (Family::V6, "neighbour discovery"),
    };
    let what =
        format!("the gateway {address} does not answer on {dev} ({how}): nothing gets out by {family}");
    Finding::new(
        Code::GatewaySilent,
        what,
        Cure::person("see that the address is right, and that the router is on"),
    )
    .shown_by([format!("ip neigh show {address} dev {}", quote(dev))])
}

/// The uplinks by which its ports are asked, besides the one by which it leaves.
pub(super) fn published_by(patient: &Patient<'_>) -> Vec<Finding> {
    let is_open = |by: &&PublishedBy| {
        let egress = patient.state.egresses.get(&by.egress);
        egress.and_then(|egress| egress.path.as_ref()).is_some_and(UplinkPath::is_open) && !by.at.is_empty()
    };
    let closed = patient.namespace.published_by.iter().filter(|by| !is_open(by));
    let finding = |by: &PublishedBy| {
        let ports: Vec<String> = by.ports.iter().map(Published::outside_name).collect();
        let what = format!(
            "nobody reaches {} by uplink {}, which cannot be used at the moment",
            ports.join(", "),
            by.uplink
        );
        let cure =
            format!("see that the device of uplink {} is up, and has an address (ip -br addr)", by.uplink);
        Finding::new(Code::PortsUnreached, what, Cure::person(cure))
    };
    closed.map(finding).collect()
}

/// The others that could be used.
pub(super) fn several(patient: &Patient<'_>) -> Vec<Finding> {
    patient.uplinks.clone()
}
