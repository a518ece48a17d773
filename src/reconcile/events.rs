//! What a run did, as what happened to namespaces.

use super::outcome::Outcome;
use crate::model::{ActiveNamespace, Change, Event, EventKind, Family, Name, UplinkPath, changes};
use crate::plan::{Action, Owners};
use std::collections::{BTreeMap, BTreeSet};

impl Outcome {
    /// What happened by this run at that time, in seconds after 1970. A namespace that is not as it was has an event that
    /// says what became of it; otherwise what was done for it is a repair.
    pub fn events(&self, time: u64) -> Vec<Event> {
        let mut events = self.changes(time);
        events.extend(self.repairs(time, &events));
        events
    }

    /// What became of each namespace that is not as it was. Those for checks concern nobody.
    fn changes(&self, time: u64) -> Vec<Event> {
        let (before, after) = (&self.before.state, &self.goal);
        let of_kept = |name: &Name, old: Option<&ActiveNamespace>, namespace: &ActiveNamespace| {
            let (left_by, leaves_by) = (old.and_then(|old| before.path_of(old)), after.path_of(namespace));
            let event = |(family, kind): (Option<Family>, EventKind)| {
                let path = part_of(leaves_by, family);
                let previous = part_of(left_by, family).and_then(|path| path.uplink.clone());
                let uplink = path.and_then(|path| path.uplink.clone());
                Event {
                    previous_uplink: previous.filter(|previous| uplink.as_ref() != Some(previous)),
                    uplink,
                    family,
                    last_resort: path.is_some_and(|path| path.last_resort),
                    device: path.map(|path| path.dev.clone()),
                    gateway: path.map(|path| path.gateways.clone()).unwrap_or_default(),
                    ..Event::new(time, Some(name.clone()), kind)
                }
            };
            let kinds = kinds_of_change((old, left_by), (namespace, leaves_by));
            kinds.into_iter().map(event).collect::<Vec<_>>()
        };
        let is_for_jobs = |one: &&ActiveNamespace| one.checks.is_none();
        let (mut events, mut gone) = (Vec::new(), BTreeSet::new());
        for Change { name, before, after } in changes(before, after) {
            match after {
                Some(after) => events.extend(
                    Some(after)
                        .filter(is_for_jobs)
                        .into_iter()
                        .flat_map(|after| of_kept(name, before, after)),
                ),
                None => gone.extend(before.filter(is_for_jobs).map(|_| name)),
            }
        }
        gone.extend(self.before.orphans().filter(|name| !after.namespaces.contains_key(*name)));
        events.extend(gone.into_iter().map(|name| Event::new(time, Some(name.clone()), EventKind::Down)));
        events
    }

    /// What was done for namespaces that are as they were; and for all, where nothing else tells of it.
    fn repairs(&self, time: u64, changes: &[Event]) -> Vec<Event> {
        let owners = Owners::new(&self.goal);
        let mut repairs: BTreeMap<Option<&Name>, Vec<&Action>> = BTreeMap::new();
        for action in &self.done {
            repairs.entry(owners.of(action)).or_default().push(action);
        }
        let is_told = |owner: &Name| changes.iter().any(|event| event.namespace.as_ref() == Some(owner));
        // To make a namespace for a check is no repair.
        let is_kept = |owner: &Name| self.before.state.namespaces.contains_key(owner);
        repairs
            .retain(|owner, _| owner.map_or(changes.is_empty(), |owner| is_kept(owner) && !is_told(owner)));
        let event = |(owner, actions): (Option<&Name>, Vec<&Action>)| Event {
            done: Some(listed(&actions)),
            ..Event::new(time, owner.cloned(), EventKind::Repaired)
        };
        repairs.into_iter().map(event).collect()
    }
}

/// What became of a namespace, or of one family of it; nothing: it is as it was.
fn kinds_of_change(
    (old, left_by): (Option<&ActiveNamespace>, Option<&UplinkPath>),
    (new, leaves_by): (&ActiveNamespace, Option<&UplinkPath>),
) -> Vec<(Option<Family>, EventKind)> {
    let Some(old) = old else { return vec![(None, EventKind::Up)] };
    if old == new && left_by == leaves_by {
        return Vec::new();
    }
    let whole = match (is_open(left_by), is_open(leaves_by)) {
        (true, false) => EventKind::Closed,
        (false, true) => EventKind::Opened,
        (true, true) => {
            let families = kinds_by_family(left_by, leaves_by, new.ipv6);
            if !families.is_empty() {
                return families;
            }
            if is_move(left_by, leaves_by) { EventKind::Moved } else { EventKind::Changed }
        }
        (false, false) => EventKind::Changed,
    };
    vec![(None, whole)]
}

/// What became of each family, where they have different fates, or had.
fn kinds_by_family(
    from: Option<&UplinkPath>,
    to: Option<&UplinkPath>,
    ipv6: bool,
) -> Vec<(Option<Family>, EventKind)> {
    let Some((from, to)) = from.zip(to).filter(|(from, to)| from.is_split() || to.is_split()) else {
        return Vec::new();
    };
    let kind = |family: &Family| match (from.part_of(*family), to.part_of(*family)) {
        (Some(_), None) if to.silent.contains(family) => Some(EventKind::Closed),
        (None, Some(_)) if from.silent.contains(family) => Some(EventKind::Opened),
        (from, to) => is_move(from, to).then_some(EventKind::Moved),
    };
    let has = |family: &Family| ipv6 || *family == Family::V4;
    Family::BOTH.into_iter().filter(has).filter_map(|family| Some((Some(family), kind(&family)?))).collect()
}

/// By what a family leaves, or the namespace as a whole.
fn part_of(path: Option<&UplinkPath>, family: Option<Family>) -> Option<&UplinkPath> {
    path.and_then(|path| family.map_or(Some(path), |family| path.part_of(family)))
}

fn is_open(path: Option<&UplinkPath>) -> bool {
    path.is_some_and(UplinkPath::is_open)
}

/// Only an uplink that has a name, and the last resort, are one of several.
fn is_move(from: Option<&UplinkPath>, to: Option<&UplinkPath>) -> bool {
    let is_choice = |path: &&UplinkPath| path.uplink.is_some() || path.last_resort;
    let choices = from.filter(is_choice).zip(to.filter(is_choice));
    choices.is_some_and(|(from, to)| from.uplink != to.uplink)
}

/// The first action, and how many more there are.
fn listed(actions: &[&Action]) -> String {
    let line = actions.first().map(|action| action.short_line()).unwrap_or_default();
    match actions.len() {
        0 | 1 => line,
        n => format!("{line}, and {} more", n - 1),
    }
}
