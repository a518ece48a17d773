//! The host, for commands: looked at by everybody, changed by one command at a time.

use super::config::need_devices_of;
use super::refusals::need_root;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::kernel::netns::AttachedNetns;
use crate::kernel::{Files, Kernel, declarations, files, interrupt, state_file};
use crate::model::{Event, Look, Name, Observed, State};
use crate::plan::Action;
use crate::reconcile::{Host, Outcome, Policy, Progress, Reconciler, Store, prepare};
use crate::ui::Ui;
use std::ops::Deref;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is, without a lock and without a trace of the look.
pub(super) fn look(ui: &Ui<'_>, look: Look<'_>) -> Result<Observed> {
    look_by(&mut Kernel::open()?, ui, look)
}

/// The same as far as it matters to what is up and to what is declared.
pub(super) fn look_for(config: &Config, ui: &Ui<'_>, look: Look<'_>) -> Result<Observed> {
    let mut kernel = Kernel::open()?;
    kernel.pass_idle_devices();
    let observed = look_by(&mut kernel, ui, look)?;
    if !observed.idle_passed_by
        || need_devices_of(config, &observed).is_ok() && !observed.has_lost_its_state()
    {
        return Ok(observed);
    }
    kernel.look_closer();
    look_by(&mut kernel, ui, look)
}

/// Where another nsnat changed something meanwhile, it is looked at again.
fn look_by(kernel: &mut Kernel, ui: &Ui<'_>, look: Look<'_>) -> Result<Observed> {
    const TRIES: usize = 5;
    for _ in 0..TRIES {
        let text = state_file::text()?;
        let observed = kernel.observe(&state_file::parse(text.as_deref())?.state, look)?;
        if text == state_file::text()? {
            if files::is_locked() {
                ui.note("another nsnat changes something at this moment; what follows may be half of it");
            }
            return prepare(observed);
        }
    }
    Err(Error::new("look", "what is up changes faster than it can be read").hint("try again"))
}

/// What a run did.
pub(super) struct Recorded {
    outcome: Outcome,
    /// What happened to namespaces by that.
    pub(super) events: Vec<Event>,
}

impl Deref for Recorded {
    type Target = Outcome;
    fn deref(&self) -> &Outcome {
        &self.outcome
    }
}

/// Access to the host, alone.
pub(super) struct Session<'a> {
    ui: &'a Ui<'a>,
    files: Files,
    kernel: Kernel,
    /// Later than the lock: a stopped process holds no other up.
    _no_stop: interrupt::Mask,
}

impl<'a> Session<'a> {
    /// Takes the lock; waits for another nsnat to finish.
    pub(super) fn begin(ui: &'a Ui<'a>, what: &str) -> Result<Self> {
        need_root(what)?;
        interrupt::catch();
        let kernel = Kernel::open_to_change()?;
        let lock = files::lock(|| ui.note("waiting for another nsnat to finish"))?;
        let no_stop = interrupt::hold_stop();
        let files = Files::open(lock)?;
        declarations::sweep_unless_busy()?;
        Ok(Self { ui, files, kernel, _no_stop: no_stop })
    }

    /// What is remembered of what is up.
    pub(super) fn state(&mut self) -> Result<State> {
        self.files.read()
    }

    /// Where an attachment is that may be new.
    pub(super) fn expect_attached(&mut self, name: &Name, place: AttachedNetns) {
        self.kernel.expect_attached(name.clone(), place);
    }

    /// Makes true what `goal` makes of what is, and records what happened by that. A goal that the configuration is a part of is an
    /// error where a device that it names was passed by ([`need_devices_of`]).
    pub(super) fn reconcile(
        &mut self,
        policy: Policy,
        names: &[&Name],
        goal: impl Fn(&Observed) -> Result<State>,
    ) -> Result<Recorded> {
        self.kernel.pass_idle_devices();
        let outcome = self.reconcile_unrecorded(policy, names, goal)?;
        let events = outcome.events(seconds());
        self.record(&outcome, events.clone());
        Ok(Recorded { outcome, events })
    }

    /// Records what happened; but not what happened to an ephemeral namespace, which nobody asks for when it is gone.
    /// Everything holds all the same where that cannot be written.
    pub(super) fn record(&self, outcome: &Outcome, mut events: Vec<Event>) {
        events.retain(|event| !event.namespace.as_ref().is_some_and(|name| is_ephemeral(name, outcome)));
        if let Err(why) = self.files.record_events(&events) {
            self.ui.note(format_args!("what happened is not recorded: {}", why.reason()));
        }
    }

    /// Makes true what `goal` makes of what is; see [`Reconciler::run`].
    pub(super) fn reconcile_unrecorded(
        &mut self,
        policy: Policy,
        names: &[&Name],
        goal: impl Fn(&Observed) -> Result<State>,
    ) -> Result<Outcome> {
        let progress = &mut CliProgress(self.ui);
        let mut reconciler = Reconciler { host: &mut self.kernel, store: &mut self.files, policy, progress };
        Ok(reconciler.run(names, goal)?)
    }
}

fn is_ephemeral(name: &Name, outcome: &Outcome) -> bool {
    let namespaces = [&outcome.goal, &outcome.before.state].map(|state| state.namespaces.get(name));
    namespaces.into_iter().flatten().any(|namespace| namespace.owner.is_some())
}

/// The time, in seconds after 1970.
pub(super) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Drop for Session<'_> {
    /// Where nothing is up, nothing of ours stays below `/run`, not even the lock, whatever came of it.
    fn drop(&mut self) {
        // What cannot be removed is an empty file; the error that matters is told already.
        let _ = self.files.clear_unless_up();
    }
}

/// Progress as the command line tells it.
struct CliProgress<'a>(&'a Ui<'a>);

impl Progress for CliProgress<'_> {
    fn before(&mut self, action: &Action) {
        if self.0.global.verbose > 0 {
            self.0.say(action);
        }
    }

    fn went_on_without(&mut self, refused: &Error) {
        self.0.note(refused.reason());
    }

    fn is_interrupted(&mut self) -> bool {
        interrupt::caught_signal().is_some()
    }
}
