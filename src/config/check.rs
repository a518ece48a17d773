//! What only all files together show: names that are declared twice or not at all, subnets that overlap.

use super::namespace::DraftNamespace;
use super::reader::{nearest, quoted, quoted_list};
use super::{Located, Namespace, Problem, Span, Uplink};
use crate::model::Name;
use ipnetwork::Ipv4Network;
use std::collections::BTreeMap;

/// Reports a name that is declared a second time.
pub(super) fn declared_twice(kind: &str, name: &Name, again: Option<Span>, first: Option<Span>) -> Problem {
    Problem::at(again, format!("{kind} `{name}` is declared twice"))
        .label("again")
        .other(first, "the first time")
        .help("rename one of them, or make them one")
}

/// Puts the uplinks in the place of their names. `complete`: every file could be read, so that a name that is
/// declared nowhere really is.
pub(super) fn resolve(
    draft: DraftNamespace,
    uplinks: &BTreeMap<Name, Uplink>,
    complete: bool,
    problems: &mut Vec<Problem>,
) -> Namespace {
    let mut namespace = draft.namespace;
    for wanted in draft.wanted {
        match uplinks.get(wanted.value.as_str()) {
            Some(uplink) => namespace.uplinks.push(uplink.clone()),
            None if complete => problems.push(unknown(&wanted, uplinks)),
            None => {}
        }
    }
    let named = namespace.publish.iter().filter_map(|one| Some((one.value.by.as_ref()?, &one.place)));
    let absent = named.filter(|(by, _)| complete && !uplinks.contains_key(*by));
    let asked = absent.map(|(by, place)| Located { value: by.to_string(), place: place.clone() });
    problems.extend(asked.map(|by| unknown(&by, uplinks)));
    namespace
}

fn unknown(wanted: &Located<String>, uplinks: &BTreeMap<Name, Uplink>) -> Problem {
    let known = || uplinks.keys().map(Name::as_str);
    let help = match nearest(&wanted.value, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if uplinks.is_empty() => "declare it as [uplink.NAME]; a device is named by `dev`".to_owned(),
        None => format!("declared are {}; a device is named by `dev`", quoted_list(known())),
    };
    let message = format!("no uplink is called {}", quoted(&wanted.value));
    Problem::at(wanted.place.clone(), message).label("declared nowhere").help(help)
}

/// Reports each subnet that shares an address with an earlier one.
pub(super) fn overlaps(namespaces: &BTreeMap<Name, Namespace>, problems: &mut Vec<Problem>) {
    let own = |(name, ns): (_, &Namespace)| ns.subnet.clone().map(|subnet| (name, subnet));
    let mut subnets: Vec<(&Name, Located<Ipv4Network>)> = namespaces.iter().filter_map(own).collect();
    subnets.sort_by_key(|(_, subnet)| (subnet.value.network(), subnet.value.prefix()));
    // Networks either nest or are apart, so the last one that was not inside another holds all that overlap it.
    let mut outer: Option<&(&Name, Located<Ipv4Network>)> = None;
    for inner in &subnets {
        match outer.filter(|(_, subnet)| subnet.value.overlaps(inner.1.value)) {
            Some(outer) => problems.push(overlap(outer, inner)),
            None => outer = Some(inner),
        }
    }
}

fn overlap(one: &(&Name, Located<Ipv4Network>), two: &(&Name, Located<Ipv4Network>)) -> Problem {
    let at =
        |located: &Located<Ipv4Network>| located.place.as_ref().map(|place| (place.file, place.span.start));
    let (first, second) = if at(&one.1) <= at(&two.1) { (one, two) } else { (two, one) };
    let message = if first.1.value == second.1.value {
        format!("namespaces `{}` and `{}` have one subnet", first.0, second.0)
    } else {
        format!("the subnets of namespaces `{}` and `{}` overlap", first.0, second.0)
    };
    Problem::at(second.1.place.clone(), message)
        .label(format!("of `{}`", second.0))
        .other(first.1.place.clone(), format!("of `{}`", first.0))
        .help("give one of them other addresses, or leave `subnet` out: it comes out of the pool then")
}
