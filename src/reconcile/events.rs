//! What a run did, as what happened to namespaces.

use super::outcome::Outcome;
use crate::model::{ActiveNamespace, Event, EventKind, Name, State, UplinkPath};
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
        let of_kept = |(name, namespace): (&Name, &ActiveNamespace)| {
            let kind = kind_of_change((before, before.namespaces.get(name)), (after, namespace))?;
            let path = after.path_of(namespace);
            let previous = before.namespaces.get(name).and_then(|old| before.path_of(old)?.uplink.clone());
            let uplink = path.and_then(|path| path.uplink.clone());
            Some(Event {
                previous_uplink: previous.filter(|previous| uplink.as_ref() != Some(previous)),
                uplink,
                last_resort: path.is_some_and(|path| path.last_resort),
                device: path.map(|path| path.dev.clone()),
                gateway: path.map(|path| path.gateways.clone()).unwrap_or_default(),
                ..Event::new(time, Some(name.clone()), kind)
            })
        };
        let mut events: Vec<Event> =
            after.namespaces.iter().filter(|(_, new)| new.checks.is_none()).filter_map(of_kept).collect();
        let known: BTreeSet<&Name> = before.namespaces.keys().chain(self.before.orphans()).collect();
        let is_check = |name: &Name| before.namespaces.get(name).is_some_and(|old| old.checks.is_some());
        let gone = known.into_iter().filter(|name| !after.namespaces.contains_key(*name) && !is_check(name));
        events.extend(gone.map(|name| Event::new(time, Some(name.clone()), EventKind::Down)));
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

/// What became of a namespace; none: it is as it was.
fn kind_of_change(
    (before, old): (&State, Option<&ActiveNamespace>),
    (after, new): (&State, &ActiveNamespace),
) -> Option<EventKind> {
    let Some(old) = old else { return Some(EventKind::Up) };
    let (left_by, leaves_by) = (before.path_of(old), after.path_of(new));
    if old == new && left_by == leaves_by {
        return None;
    }
    Some(match (is_open(left_by), is_open(leaves_by)) {
        (true, false) => EventKind::Closed,
        (false, true) => EventKind::Opened,
        (true, true) if is_move(left_by, leaves_by) => EventKind::Moved,
        _ => EventKind::Changed,
    })
}

fn is_open(path: Option<&UplinkPath>) -> bool {
    path.is_some_and(|path| path.up && !path.dead)
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
