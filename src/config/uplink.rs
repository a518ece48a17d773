//! `dev` and `gateway`: a way out, of an uplink or of a namespace itself.

use super::net;
use super::reader::{Reader, Section, Value};
use super::{Located, Problem, Uplink};
use crate::model::Check;
use crate::model::stack::is_link_local;
use std::net::IpAddr;

/// Reads `dev` and `gateway`.
pub(super) fn read(reader: &mut Reader<'_>, section: &Section<'_, '_>) -> Uplink {
    let dev = section.value_of("dev").and_then(|value| reader.parsed("`dev`", value, net::device));
    let gateways = section.value_of("gateway").map_or_else(Vec::new, |value| gateways(reader, value));
    if !section.mentions("dev") {
        gateways
            .iter()
            .filter(|gateway| is_link_local(gateway.value))
            .for_each(|gateway| no_device(reader, gateway));
    }
    let place = Some(section.place.clone());
    Uplink { name: None, place, dev, gateways, check: Check::default() }
}

/// Reads one next hop, or one of each family.
fn gateways(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<Located<IpAddr>> {
    let mut read: Vec<Located<IpAddr>> = Vec::new();
    for value in reader.list("`gateway`", value) {
        let Some(gateway) = reader.parsed("`gateway`", value, net::gateway) else { continue };
        match read.iter().find(|first| first.value.is_ipv4() == gateway.value.is_ipv4()) {
            Some(first) => two_of_a_family(reader, first, &gateway),
            None => read.push(gateway),
        }
    }
    read
}

fn two_of_a_family(reader: &mut Reader<'_>, first: &Located<IpAddr>, second: &Located<IpAddr>) {
    let family = if second.value.is_ipv4() { "IPv4" } else { "IPv6" };
    let problem = Problem::at(second.place.clone(), format!("a second {family} gateway"))
        .label("the second")
        .other(first.place.clone(), "the first")
        .help("one of each family at most; two ways out are two uplinks: uplink = [\"a\", \"b\"]");
    reader.report(problem);
}

fn no_device(reader: &mut Reader<'_>, gateway: &Located<IpAddr>) {
    let message = format!("{} is link-local: it says nothing without a device", gateway.value);
    let problem = Problem::at(gateway.place.clone(), message).label("on which device?");
    reader.report(problem.help("add the device that it is on: dev = \"eth0\""));
}
