//! What others hang on devices: what is said of it. Nothing can be done about it from here.

use crate::model::gate::Stop;
use crate::model::tap::{Deed, Layer, Side, Tap};
use crate::model::{Family, Journal, Member, Observed, Way};

/// What a tap does to a namespace, with what helps.
struct Told {
    /// It stops the namespace, whatever is sent.
    certain: bool,
    words: String,
}

/// What surely stops a namespace.
pub fn tapped(member: &Member, journal: &Journal, observed: &Observed) -> Vec<String> {
    all(member, journal, observed).filter(|told| told.certain).map(|told| told.words).collect()
}

/// What may stop some of what it sends or gets: a packet alone can tell.
pub fn doubts(member: &Member, journal: &Journal, observed: &Observed) -> Vec<String> {
    all(member, journal, observed).filter(|told| !told.certain).map(|told| told.words).collect()
}

fn all<'a>(member: &'a Member, journal: &'a Journal, observed: &'a Observed) -> impl Iterator<Item = Told> {
    let way = journal.way(member);
    observed.gates.taps.iter().filter_map(move |tap| told(tap, member, way, observed))
}

fn told(tap: &Tap, member: &Member, way: Option<&Way>, observed: &Observed) -> Option<Told> {
    let on = |dev: &String| *dev == member.link || way.is_some_and(|way| way.dev == *dev);
    match tap {
        Tap::Chain { layer, table, name, side, devices, stop, all } => {
            let of = of(*layer, devices, member, way, observed)?;
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
            Some(Told { certain: *all && *layer != Layer::Arp, words })
        }
        Tap::Filter { device, side, preference, kind, deed, all } => on(device).then(|| {
            let (side, device) = (side_name(*side), crate::plan::line::quote(device));
            let deed = if *deed == Deed::Drops { "drops" } else { "redirects" };
            let what = if *all { "all packets" } else { "what it matches" };
            let words = format!("a filter of tc on {device} ({side}, pref {preference}, {kind}) {deed} {what}: tc filter del dev {device} {side} pref {preference}");
            Told { certain: *all, words }
        }),
        Tap::Queue { device, kind } => (*device == member.link).then(|| Told {
            certain: false,
            words: format!("{device} has a queue that is not nsnat's ({kind}), which may drop or delay: tc qdisc del dev {device} root"),
        }),
        Tap::Flowtable { family, table, name, devices } => devices.iter().any(on).then(|| Told {
            certain: false,
            words: format!("table {family} {table}, flowtable {name} takes flows past all chains, nsnat's guard among them: let no rule add flows of nsn-* to it (iifgroup 7238510, oifgroup 7238510)"),
        }),
    }
}

fn side_name(side: Side) -> &'static str {
    match side {
        Side::Ingress => "ingress",
        Side::Egress => "egress",
    }
}

/// Whose packets a chain sees, in words; none where it sees none of a namespace's.
fn of(
    layer: Layer,
    devices: &std::collections::BTreeSet<String>,
    member: &Member,
    way: Option<&Way>,
    observed: &Observed,
) -> Option<String> {
    let mine = [Some(member.link.as_str()), way.map(|way| way.dev.as_str())];
    let named =
        |name: &String, dev: &str| name.strip_suffix('*').map_or(name == dev, |begin| dev.starts_with(begin));
    match layer {
        Layer::Netdev | Layer::Inet => {
            let dev = mine.into_iter().flatten().find(|dev| devices.iter().any(|name| named(name, dev)))?;
            Some(format!(" of {dev}"))
        }
        Layer::Arp => way.is_none_or(|way| way.serves(Family::V4)).then(String::new),
        Layer::Bridge => {
            let link = way.and_then(|way| observed.host.link(&way.dev))?;
            (link.kind.as_deref() == Some("bridge")).then(String::new)
        }
    }
}
