//! `nsnat down`.

use super::{session::Session, up};
use crate::error::{Error, Result};
use crate::kernel::{self, Process, members, netns};
use crate::model::{Journal, Name, Observed};
use crate::plan;
use crate::reconcile::Policy;
use crate::ui::Ui;
use std::time::{Duration, Instant};

/// How long processes may take to end after SIGTERM, and then after SIGKILL.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn run(ui: &Ui<'_>, names: &[Name], kill: bool) -> Result<()> {
    let mut session = Session::begin(ui, "down")?;
    let asked: Vec<&Name> = names.iter().collect();
    let outcome = session.reconcile(Policy::default(), &asked, |observed| goal(ui, names, kill, observed))?;
    up::report(ui, &outcome);
    Ok(())
}

/// The journal without these namespaces (all, when none is named), in which nobody is any more.
fn goal(ui: &Ui<'_>, names: &[Name], kill: bool, observed: &Observed) -> Result<Journal> {
    if let Some(name) = names.iter().find(|name| !is_up(name, observed)) {
        return Err(not_up(name, observed));
    }
    let gone = |name: &Name| names.is_empty() || names.contains(name);
    let members =
        observed.namespaces.iter().filter(|(name, netns)| observed.is_ours(name, netns) && gone(name));
    for (name, _) in members {
        empty(ui, name, kill)?;
    }
    Ok(plan::without(observed, gone))
}

fn is_up(name: &Name, observed: &Observed) -> bool {
    observed.journal.members.contains_key(name)
        || observed.namespaces.get(name).is_some_and(|netns| observed.is_ours(name, netns))
}

fn not_up(name: &Name, observed: &Observed) -> Error {
    let what = format!("namespace {name}");
    match observed.namespaces.get(name) {
        Some(_) => Error::new(what, "it is not nsnat's; it is left alone"),
        None => Error::new(what, "it is not up").hint("nsnat status shows what is"),
    }
}

/// Makes sure that nobody is in a namespace: a running job is never cut off, unless that is asked for.
fn empty(ui: &Ui<'_>, name: &Name, kill: bool) -> Result<()> {
    let Some(identity) = netns::identity(name)? else { return Ok(()) };
    let inside = members(identity);
    if inside.is_empty() {
        return Ok(());
    }
    if !kill {
        return Err(Error::new(format!("namespace {name}"), format!("in use by {}", listed(&inside)))
            .hint(format!("wait for it to end, or: nsnat down {name} --kill")));
    }
    ui.note(format!("{name}: ending {}", listed(&inside)));
    for signal in [kernel::Signal::SIGTERM, kernel::Signal::SIGKILL] {
        for process in members(identity) {
            kernel::end(process.pid, signal);
        }
        if wait(|| members(identity).is_empty()) {
            return Ok(());
        }
    }
    let left = listed(&members(identity));
    Err(Error::new(format!("namespace {name}"), format!("these processes do not end: {left}")))
}

fn wait(done: impl Fn() -> bool) -> bool {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if done() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    done()
}

/// The first few processes.
fn listed(processes: &[Process]) -> String {
    const FEW: usize = 5;
    let mut out: Vec<_> = processes.iter().take(FEW).map(|p| format!("{} ({})", p.comm, p.pid)).collect();
    if processes.len() > FEW {
        out.push(format!("and {} more", processes.len() - FEW));
    }
    out.join(", ")
}
