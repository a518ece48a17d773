//! `nsnat down`.

use super::{session::Session, up};
use crate::error::{Error, Result};
use crate::kernel::{self, Process, files, netns, processes_in};
use crate::model::{Name, Observed, State};
use crate::plan;
use crate::reconcile::Policy;
use crate::ui::Ui;
use std::time::{Duration, Instant};

/// How long processes may take to end after SIGTERM, and then after SIGKILL.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn run(ui: &Ui<'_>, names: &[Name], kill: bool) -> Result<()> {
    let mut session = Session::begin(ui, "down")?;
    let asked: Vec<&Name> = names.iter().collect();
    let policy = Policy { narrow: !names.is_empty(), ..Policy::default() };
    let outcome =
        session.reconcile(policy, &asked, |observed| state_after_down(ui, names, kill, observed))?;
    up::report(ui, &outcome)
}

/// The state without these namespaces (all, when none is named), in which nobody is any more.
fn state_after_down(ui: &Ui<'_>, names: &[Name], kill: bool, observed: &Observed) -> Result<State> {
    if let Some(name) = names.iter().find(|name| !is_up(name, observed)) {
        return Err(not_up(name, observed));
    }
    let gone = |name: &Name| names.is_empty() || names.contains(name);
    let is_attached =
        |name: &Name| observed.state.namespaces.get(name).is_some_and(|known| known.attached.is_some());
    let ours = observed.namespaces.iter().filter(|(name, netns)| observed.is_ours(name, netns) && gone(name));
    // Only what nsnat has in the namespace of an attachment goes: it does not end, and nobody needs to leave it.
    for (name, _) in ours.filter(|(name, _)| !is_attached(name)) {
        empty(ui, name, kill)?;
    }
    let mut goal = plan::state_without(observed, gone);
    // Otherwise `nsnat watch` would bring them up again. With the last namespace it forgets that, unless it runs.
    if files::is_watched() {
        let namespaces = observed.state.namespaces.iter().filter(|(_, namespace)| namespace.checks.is_none());
        let declared = namespaces.map(|(name, _)| name).filter(|name| gone(name) && !is_attached(name));
        goal.down.extend(declared.cloned());
    } else if names.is_empty() {
        goal.down.clear();
    }
    Ok(goal)
}

fn is_up(name: &Name, observed: &Observed) -> bool {
    observed.state.namespaces.contains_key(name)
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
    let inside = processes_in(identity);
    if inside.is_empty() {
        return Ok(());
    }
    if !kill {
        return Err(Error::new(format!("namespace {name}"), format!("in use by {}", first_few(&inside)))
            .hint(format!("wait for it to end, or: nsnat down {name} --kill")));
    }
    ui.note(format!("{name}: ending {}", first_few(&inside)));
    for signal in [kernel::Signal::SIGTERM, kernel::Signal::SIGKILL] {
        for process in processes_in(identity) {
            kernel::send_signal(process.pid, signal);
        }
        if wait_until(|| processes_in(identity).is_empty()) {
            return Ok(());
        }
    }
    let left = first_few(&processes_in(identity));
    Err(Error::new(format!("namespace {name}"), format!("these processes do not end: {left}")))
}

fn wait_until(done: impl Fn() -> bool) -> bool {
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
fn first_few(processes: &[Process]) -> String {
    const FEW: usize = 5;
    let mut out: Vec<_> = processes.iter().take(FEW).map(|p| format!("{} ({})", p.comm, p.pid)).collect();
    if processes.len() > FEW {
        out.push(format!("and {} more", processes.len() - FEW));
    }
    out.join(", ")
}
