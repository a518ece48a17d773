//! `nsnat up`.

use super::config;
use super::neighbours::SilentNextHops;
use super::session::{Recorded, Session};
use crate::config::Config;
use crate::doctor::silence;
use crate::error::Result;
use crate::model::{Event, EventKind, Finding, Name, Observed, State, changes};
use crate::plan;
use crate::reconcile::Policy;
use crate::report;
use crate::ui::Ui;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::mem::ManuallyDrop;
use std::thread;

pub(super) fn run(ui: &Ui<'_>, names: &[Name], repair: bool) -> Result<()> {
    thread::scope(|scope| {
        let reading = config::Reading::begin(scope, || config::open(ui))?;
        let session = Session::begin(ui, "up")?;
        let policy = Policy { narrow: !names.is_empty(), ..Policy::default() };
        // What was made and what was read is not taken to pieces: of thousands of namespaces that takes time, and the process
        // ends here.
        let outcome = ManuallyDrop::new(make(session, ui, || reading.get(), names, repair, policy)?);
        tell_of_up(ui, reading.get()?, names, &outcome)?;
        reading.forget();
        Ok(())
    })
}

fn tell_of_up(ui: &Ui<'_>, config: &Config, names: &[Name], outcome: &Recorded) -> Result<()> {
    tell_all(ui, config, outcome)?;
    let forgotten = outcome.before.state.namespaces.iter().filter(|(name, namespace)| {
        let is_declarable = namespace.owner.is_none() && namespace.attached.is_none();
        is_declarable && !config.namespaces.contains_key(*name) && names.is_empty()
    });
    for (name, _) in forgotten {
        ui.note(format!("{name} is up and not declared any more; nsnat down {name} removes it"));
    }
    Ok(())
}

/// Says which next hops of what came up or changed do not answer. That may pass, so it is no failure, and
/// neither is it when that cannot be known.
fn tell_silent(ui: &Ui<'_>, observed: &Observed, after: &State) {
    let before = &observed.state;
    let all = changes(before, after).into_iter();
    let there = all.filter_map(|change| Some((change.name, change.before, change.after?)));
    let moved = there.filter(|(_, old, new)| old.is_none_or(|old| before.path_of(old) != after.path_of(new)));
    let changed: Vec<_> = moved.map(|(name, _, namespace)| (name, namespace)).collect();
    if ui.global.quiet || changed.is_empty() {
        return;
    }
    let Ok(silent) = SilentNextHops::ask(changed.iter().map(|(_, namespace)| *namespace), after, observed)
    else {
        return;
    };
    let mut told: BTreeMap<Finding, Vec<&str>> = BTreeMap::new();
    for (name, namespace) in changed {
        for one in after.path_of(namespace).into_iter().flat_map(|path| silent.of_path(path, observed)) {
            told.entry(silence(&one)).or_default().push(name.as_str());
        }
    }
    for (why, names) in told {
        ui.note(format!("{}: {why}", names.join(", ")));
    }
}

/// What was declared just now comes up, or is not declared either.
pub(super) fn add(ui: &Ui<'_>, config: &Config, name: &Name) -> Result<()> {
    let session = Session::begin(ui, "add")?;
    let policy = Policy { narrow: true, all_or_nothing: true, ..Policy::default() };
    let outcome = make(session, ui, || Ok(config), std::slice::from_ref(name), false, policy)?;
    tell_all(ui, config, &outcome)
}

/// Says what changed, and what about the host may keep a job from getting out.
pub(super) fn tell_all(ui: &Ui<'_>, config: &Config, outcome: &Recorded) -> Result<()> {
    let (observed, goal) = (&outcome.before, &outcome.goal);
    report(ui, outcome)?;
    tell_silent(ui, observed, goal);
    let unusual = plan::unusual_blocks(&observed.state, goal, config, observed);
    let tapped: BTreeSet<_> = goal
        .namespaces
        .values()
        .flat_map(|namespace| plan::certain_findings(namespace, goal, observed))
        .collect();
    let cut_off: BTreeSet<_> =
        goal.egresses.values().filter_map(|egress| plan::cut_off(egress, goal, observed)).collect();
    for note in plan::closed(goal, observed).into_iter().chain(tapped).chain(cut_off) {
        ui.note(note);
    }
    if let Some(note) = unusual {
        ui.note(note);
    }
    Ok(())
}

/// Makes it so. `config` is asked for when it is needed.
pub(super) fn make<'c>(
    mut session: Session<'_>,
    ui: &Ui<'_>,
    config: impl Fn() -> Result<&'c Config>,
    names: &[Name],
    repair: bool,
    policy: Policy,
) -> Result<Recorded> {
    let goal = if repair { config::goal_of_repair } else { config::state_with };
    let asked: Vec<&Name> =
        if names.is_empty() { config()?.names().collect() } else { names.iter().collect() };
    session.reconcile(policy, &asked, |observed| goal(ui, config()?, names, observed))
}

/// Says what changed, and where that is not enough to resolve names.
pub(super) fn report(ui: &Ui<'_>, outcome: &Recorded) -> Result<()> {
    let (observed, after, done) = (&outcome.before, &outcome.goal, outcome.done.len());
    for problem in super::status::not_preceded(after, observed) {
        ui.note(problem);
    }
    let events = &outcome.events;
    if ui.json() {
        let events: Vec<_> = events.iter().map(report::event::json).collect();
        ui.print_json(&json!({ "version": 1, "actions": done, "events": events }))?;
    }
    if done == 0 {
        ui.say("nothing to do");
        return Ok(());
    }
    let changes: Vec<&Event> = events.iter().filter(|event| event.kind != EventKind::Repaired).collect();
    for event in &changes {
        ui.say(report::event::describe(event));
        let why = event.namespace.as_ref().and_then(|name| {
            let namespace = after.namespaces.get(name)?;
            let why = super::status::unresolvable(name, namespace, after.path_of(namespace), observed)?;
            Some(format!("{name}: {why}"))
        });
        if let Some(why) = why {
            ui.note(why);
        }
    }
    if changes.is_empty() {
        ui.say(format_args!("repaired ({done} {})", if done == 1 { "action" } else { "actions" }));
    }
    Ok(())
}
