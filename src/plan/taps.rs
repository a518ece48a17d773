//! What others hang on devices: what is said of it. Nothing can be done about it from here.

use crate::model::gate::Stop;
use crate::model::tap::{FilterEffect, Layer, Tap, TapHook};
use crate::model::{ActiveNamespace, Family, Observed, State, UplinkPath};

/// What a tap does to a namespace, and the cure.
struct TapFinding {
    /// The tap stops every packet of the namespace.
    certain: bool,
    words: String,
}

/// What surely stops a namespace.
pub fn certain_findings(namespace: &ActiveNamespace, state: &State, observed: &Observed) -> Vec<String> {
    findings(namespace, state, observed).filter(|told| told.certain).map(|told| told.words).collect()
}

/// What may stop some of what it sends or gets: a packet alone can tell.
pub fn possible_findings(namespace: &ActiveNamespace, state: &State, observed: &Observed) -> Vec<String> {
    findings(namespace, state, observed).filter(|told| !told.certain).map(|told| told.words).collect()
}

fn findings<'a>(
    namespace: &'a ActiveNamespace,
    state: &'a State,
    observed: &'a Observed,
) -> impl Iterator<Item = TapFinding> {
    let path = state.path_of(namespace);
    observed.gates.taps.iter().filter_map(move |tap| finding_of(tap, namespace, path, observed))
}

fn finding_of(
    tap: &Tap,
    namespace: &ActiveNamespace,
    path: Option<&UplinkPath>,
    observed: &Observed,
) -> Option<TapFinding> {
    let on = |dev: &String| *dev == namespace.link || path.is_some_and(|path| path.dev == *dev);
    match tap {
        Tap::Chain { layer, table, name, side, devices, stop, all } => {
            let of = described_packets(*layer, devices, namespace, path, observed)?;
            let (family, side) = (layer.name(), side_name(*side));
            let stop = match stop {
                Stop::Policy => "policy drop".to_owned(),
                Stop::Rule { handle, .. } => format!("rule {handle}"),
            };
            let words = if *all {
                format!("packets are stopped by table {family} {table}, chain {name} ({side}{of}, {stop}): nft delete chain {family} {table} {name}")
            } else {
                format!("table {family} {table}, chain {name} ({side}{of}, {stop}) drops what it does not know; where a job is stopped, let it accept that")
            };
            // A neighbour may be known already, or need not be.
            Some(TapFinding { certain: *all && *layer != Layer::Arp, words })
        }
        Tap::Filter { device, side, preference, kind, deed, all } => on(device).then(|| {
            let (side, device) = (side_name(*side), crate::plan::line::quote(device));
            let deed = if *deed == FilterEffect::Drops { "drops" } else { "redirects" };
            let what = if *all { "all packets" } else { "what it matches" };
            let words = format!("a filter of tc on {device} ({side}, pref {preference}, {kind}) {deed} {what}: tc filter del dev {device} {side} pref {preference}");
            TapFinding { certain: *all, words }
        }),
        Tap::Queue { device, kind } => (*device == namespace.link).then(|| TapFinding {
            certain: false,
            words: format!("{device} has a queue that is not nsnat's ({kind}), which may drop or delay: tc qdisc del dev {device} root"),
        }),
        Tap::Flowtable { family, table, name, devices } => devices.iter().any(on).then(|| TapFinding {
            certain: false,
            words: format!("table {family} {table}, flowtable {name} takes flows past all chains, nsnat's guard among them: let no rule add flows of nsn-* to it (iifgroup 7238510, oifgroup 7238510)"),
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
    let mine = [Some(namespace.link.as_str()), path.map(|path| path.dev.as_str())];
    let named =
        |name: &String, dev: &str| name.strip_suffix('*').map_or(name == dev, |begin| dev.starts_with(begin));
    match layer {
        Layer::Netdev | Layer::Inet => {
            let dev = mine.into_iter().flatten().find(|dev| devices.iter().any(|name| named(name, dev)))?;
            Some(format!(" of {dev}"))
        }
        Layer::Arp => path.is_none_or(|path| path.serves(Family::V4)).then(String::new),
        Layer::Bridge => {
            let link = path.and_then(|path| observed.host.link(&path.dev))?;
            (link.kind.as_deref() == Some("bridge")).then(String::new)
        }
    }
}
