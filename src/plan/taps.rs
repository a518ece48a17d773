//! What others hang on devices: what is said of it. Nothing can be done about it from here.

use crate::model::gate::Stop;
use crate::model::tap::{FilterEffect, Layer, Tap, TapHook};
use crate::model::{ActiveNamespace, Code, Cure, Family, Finding, Link, Observed, State, UplinkPath};

/// What surely stops a namespace.
pub fn certain_findings(namespace: &ActiveNamespace, state: &State, observed: &Observed) -> Vec<Finding> {
    findings(namespace, state, observed).filter(|finding| finding.code == Code::DeviceDrops).collect()
}

/// What may stop some of what it sends or gets: a packet alone can tell.
pub fn possible_findings(namespace: &ActiveNamespace, state: &State, observed: &Observed) -> Vec<Finding> {
    findings(namespace, state, observed).filter(|finding| finding.code != Code::DeviceDrops).collect()
}

fn findings<'a>(
    namespace: &'a ActiveNamespace,
    state: &'a State,
    observed: &'a Observed,
) -> impl Iterator<Item = Finding> {
    let path = state.path_of(namespace);
    observed.gates.taps.iter().filter_map(move |tap| finding_of(tap, namespace, path, observed))
}

fn finding_of(
    tap: &Tap,
    namespace: &ActiveNamespace,
    path: Option<&UplinkPath>,
    observed: &Observed,
) -> Option<Finding> {
    let on = |dev: &String| {
        *dev == namespace.link || path.is_some_and(|path| path.parts().any(|part| part.dev == *dev))
    };
    match tap {
        Tap::Chain { layer, table, name, side, devices, stop, all } => {
            let of = described_packets(*layer, devices, namespace, path, observed)?;
            let (family, side) = (layer.name(), side_name(*side));
            let stop = match stop {
                Stop::Policy => "policy drop".to_owned(),
                Stop::Rule { handle, .. } => format!("rule {handle}"),
            };
            let place = format!("table {family} {table}, chain {name} ({side}{of}, {stop})");
            // A neighbour may be known already, or need not be.
            let code = if *all && *layer != Layer::Arp { Code::DeviceDrops } else { Code::DeviceMayDrop };
            let (what, cure) = if *all {
                let delete = Cure::command(format!("nft delete chain {family} {table} {name}"));
                (format!("packets are stopped by {place}"), delete)
            } else {
                let accept = Cure::person("where a job is stopped, let it accept that");
                (format!("{place} drops what it does not know"), accept)
            };
            Some(Finding::new(code, what, cure).shown_by([place]))
        }
        // From a device of that kind, packets come back to where they were, once they have waited there.
        Tap::Filter { to: Some(to), .. } if observed.host.link(to).is_some_and(Link::only_queues) => None,
        Tap::Filter { device, side, preference, kind, deed, all, .. } => on(device).then(|| {
            let (side, device) = (side_name(*side), crate::plan::line::quote(device));
            let deed = if *deed == FilterEffect::Drops { "drops" } else { "redirects" };
            let (code, what) = match all {
                true => (Code::DeviceDrops, "all packets"),
                false => (Code::DeviceMayDrop, "what it matches"),
            };
            let place = format!("a filter of tc on {device} ({side}, pref {preference}, {kind})");
            let cure = Cure::command(format!("tc filter del dev {device} {side} pref {preference}"));
            Finding::new(code, format!("{place} {deed} {what}"), cure).shown_by([place])
        }),
        // Whoever made the container may have limited it (the plugin "bandwidth" of CNI).
        Tap::Queue { kind, .. } if namespace.attached.is_some() && kind == "tbf" => None,
        Tap::Queue { device, kind } => (*device == namespace.link).then(|| {
            let what = format!("{device} has a queue that is not nsnat's ({kind}), which may drop or delay");
            let finding = Finding::new(
                Code::DeviceQueue,
                what,
                Cure::command(format!("tc qdisc del dev {device} root")),
            );
            finding.shown_by([format!("tc qdisc show dev {device}")])
        }),
        Tap::Flowtable { family, table, name, devices } => devices.iter().any(on).then(|| {
            let place = format!("table {family} {table}, flowtable {name}");
            let what = format!("{place} takes flows past all chains, nsnat's guard among them");
            let cure = "let no rule add flows of nsn-* to it (iifgroup 7238510, oifgroup 7238510)";
            Finding::new(Code::FlowsOffloaded, what, Cure::person(cure)).shown_by([place])
        }),
    }
}

fn side_name(side: TapHook) -> &'static str {
    match side {
        TapHook::Ingress => "ingress",
        TapHook::Egress => "egress",
    }
}

/// Describes which packets of a namespace a chain sees; none where it sees none of them.
fn described_packets(
    layer: Layer,
    devices: &std::collections::BTreeSet<String>,
    namespace: &ActiveNamespace,
    path: Option<&UplinkPath>,
    observed: &Observed,
) -> Option<String> {
    let parts = || path.into_iter().flat_map(UplinkPath::parts);
    let mut mine = std::iter::once(namespace.link.as_str()).chain(parts().map(|part| part.dev.as_str()));
    let named =
        |name: &String, dev: &str| name.strip_suffix('*').map_or(name == dev, |begin| dev.starts_with(begin));
    match layer {
        Layer::Netdev | Layer::Inet => {
            let dev = mine.find(|dev| devices.iter().any(|name| named(name, dev)))?;
            Some(format!(" of {dev}"))
        }
        Layer::Arp => path.is_none_or(|path| path.carries(Family::V4)).then(String::new),
        Layer::Bridge => {
            let mut links = parts().filter_map(|part| observed.host.link(&part.dev));
            links.any(|link| link.kind.as_deref() == Some("bridge")).then(String::new)
        }
    }
}
