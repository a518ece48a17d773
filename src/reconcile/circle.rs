//! One run of the circle: observe, plan, record the intent, perform, verify, commit; and the way back.

use super::intent::{forget_loaded, intent};
use super::rollback::{Rollback, plan_rollback};
use super::{Aftermath, Failure, Host, Outcome, Policy, Progress, Step, Store};
use crate::error::{Error, Result};
use crate::model::{
    self, ActiveNamespace, ExecRecord, Look, Name, Netns, Observed, Pass, State, state, tuning,
};
use crate::plan::{self, Action};
use std::collections::{BTreeMap, BTreeSet};

/// Changes a host until it has a wanted state. If a step fails, it rolls back, so that each namespace is either as it
/// was before or as it is wanted, and never in between.
pub struct Reconciler<'a, H, S> {
    /// The host that is changed.
    pub host: &'a mut H,
    /// The store of the recorded state.
    pub store: &'a mut S,
    /// What is looked at, and what happens after a failure.
    pub policy: Policy,
    /// Is told what happens.
    pub progress: &'a mut dyn Progress,
}

impl<H: Host, S: Store> Reconciler<'_, H, S> {
    /// Observes the host, asks `choose_goal` for the wanted state, and changes the host until it has that state.
    /// `names`: namespaces that are looked for besides the ones that are up. An error of `choose_goal` ends the run
    /// before anything is changed. Where the host changes during the run, the state that is wanted then is gone for.
    pub fn run(
        &mut self,
        names: &[&Name],
        choose_goal: impl Fn(&Observed) -> Result<State>,
    ) -> std::result::Result<Outcome, Failure> {
        let mut aim = self.find_goal(names, &choose_goal)?;
        let (mut first, mut tries) = (None, 1);
        loop {
            match self.attempt(names, &aim) {
                Ok(done) => return Ok(Outcome { before: first.unwrap_or(aim.before), goal: aim.goal, done }),
                Err(failure) if tries < TRIES => {
                    let next = self.find_other_goal(names, &choose_goal, &aim.goal, failure)?;
                    first.get_or_insert(std::mem::replace(&mut aim, next).before);
                    tries += 1;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Performs what is missing. If that fails, rolls back. Returns what was performed.
    fn attempt(&mut self, names: &[&Name], aim: &Aim) -> std::result::Result<Vec<Action>, Failure> {
        let Aim { before, goal, is_narrow } = aim;
        let actions = plan::actions(goal, before);
        if actions.is_empty() && *goal == before.state {
            self.commit(goal.clone(), before, *is_narrow)?;
            return Ok(Vec::new());
        }
        self.record_intent(goal, before, &actions)?;
        let mut run = Run {
            names: names.iter().copied().cloned().collect(),
            is_narrow: *is_narrow,
            stoppable: !self.policy.unstoppable,
            refused_passes: BTreeSet::new(),
            done: Vec::new(),
            circle: self,
        };
        match run.reach_goal(goal, &actions) {
            Ok(()) => Ok(run.done),
            Err(error) => {
                let aftermath = match run.roll_back(goal, &before.state) {
                    Ok(complete) => Aftermath::RolledBack { complete },
                    Err(second) => Aftermath::Unfinished(Box::new(second)),
                };
                Err(Failure { error, aftermath })
            }
        }
    }

    /// What is observed and wanted first. If the wanted state changes something that other namespaces share, everything
    /// is observed and the wanted state chosen again.
    fn find_goal(
        &mut self,
        names: &[&Name],
        choose_goal: &impl Fn(&Observed) -> Result<State>,
    ) -> Result<Aim> {
        let state = self.store.read()?;
        let look = self.policy.look(names);
        let mut before = prepare(self.host.observe(&state, look)?)?;
        let mut goal = choose_goal(&before);
        if before.idle_passed_by && (goal.is_err() || before.has_lost_its_state()) {
            self.host.look_closer();
            before = prepare(self.host.observe(&state, look)?)?;
            goal = choose_goal(&before);
        }
        let goal = goal?;
        if !self.policy.narrow || !plan::concerns_others(&goal, &before) {
            return Ok(Aim { before, goal, is_narrow: self.policy.narrow });
        }
        let before = prepare(self.host.observe(&state, Look::Everything(names))?)?;
        let goal = choose_goal(&before)?;
        Ok(Aim { before, goal, is_narrow: false })
    }

    /// What is observed and wanted after a run that failed, where the ways out have become others meanwhile: a line went
    /// or came. Where they are the same, the host is not why the run failed, and the failure stands.
    fn find_other_goal(
        &mut self,
        names: &[&Name],
        choose_goal: &impl Fn(&Observed) -> Result<State>,
        failed: &State,
        failure: Failure,
    ) -> std::result::Result<Aim, Failure> {
        let is_stopped = !self.policy.unstoppable && self.progress.is_interrupted();
        if is_stopped || matches!(failure.aftermath, Aftermath::Untouched) {
            return Err(failure);
        }
        match self.find_goal(names, choose_goal) {
            Ok(aim) if aim.goal.egresses == failed.egresses => Err(failure),
            Ok(aim) => Ok(aim),
            // What the host lacks now is why.
            Err(error) => Err(Failure { error, ..failure }),
        }
    }

    /// Writes down what was observed to be reached. What a run that was killed has left of namespaces that were not looked into
    /// may be there still.
    fn commit(&mut self, reached: State, observed: &Observed, is_narrow: bool) -> Result<()> {
        let stopped = plan::reasons_stopped(&reached, observed).first().map(ToString::to_string);
        let all = stopped != reached.stopped;
        let reached = State { stopped, unfinished: reached.unfinished && is_narrow, ..reached };
        self.store.commit(&reached, &exec_records(&reached, observed, all))
    }

    /// Writes the union of old and new down, before anything is changed.
    fn record_intent(&mut self, goal: &State, before: &Observed, actions: &[Action]) -> Result<()> {
        let changes = model::changes(&before.state, goal);
        let gone = changes.iter().filter(|change| change.after.is_none()).map(|change| change.name).collect();
        self.store.record_intent(&intent(goal, before, actions), &gone)
    }
}

/// How often a run is begun at most, where the host changes while it is under way. What changes more often than that keeps
/// nobody waiting: the failure is told.
const TRIES: usize = 3;

/// What a run is for.
struct Aim {
    /// What was observed.
    before: Observed,
    /// What is wanted.
    goal: State,
    /// Only the named namespaces were observed.
    is_narrow: bool,
}

/// A run that has begun.
struct Run<'a, 'b, H, S> {
    circle: &'a mut Reconciler<'b, H, S>,
    /// The namespaces that were asked for.
    names: BTreeSet<Name>,
    /// No others are looked at.
    is_narrow: bool,
    /// Interrupts are looked at.
    stoppable: bool,
    /// Passes (rules of ours in chains of other programs) that could not be added. A namespace is complete without
    /// them; `nsnat status` tells of each chain that still stops packets.
    refused_passes: BTreeSet<Pass>,
    /// What was performed.
    done: Vec<Action>,
}

impl<H: Host, S: Store> Run<'_, '_, H, S> {
    /// Performs, observes, and commits what came of it.
    fn reach_goal(&mut self, goal: &State, actions: &[Action]) -> Result<()> {
        self.perform(actions)?;
        let mut goal = forget_loaded(self.as_accepted(goal.clone()), actions);
        let mut rest = self.verify(&goal)?;
        // Not every initial value of a new namespace's sysctls is known. Verification reads the values, so settings may
        // be left to write; they are written now and verified again.
        if !rest.is_empty() && rest.iter().all(|action| matches!(action, Action::Tune { .. })) {
            self.perform(&rest)?;
            goal = self.as_accepted(goal);
            rest = self.verify(&goal)?;
        }
        let Some(first) = rest.first() else { return Ok(()) };
        let why = format!("all actions were performed, and this one is needed still: {first}");
        Err(Error::new("the kernel's state is not what it should be", why)
            .hint("does another program change the network at this moment? try again, or see: nsnat plan"))
    }

    /// Performs actions. If none of them adds anything, an error does not stop the run: the others are performed, and the
    /// first error is returned. If any of them adds something, the first error stops the run. Nothing takes the guard away
    /// after a link that could not be removed: that of an attachment goes with nothing else.
    fn perform(&mut self, actions: &[Action]) -> Result<()> {
        let only_removes = !actions.iter().any(Action::is_addition);
        let Self { circle, stoppable, refused_passes, done, .. } = self;
        let progress = &mut *circle.progress;
        let (mut first_error, mut is_link_left) = (None, false);
        circle.host.perform(actions, &mut |step| match step {
            Step::Before(next) => {
                for action in next {
                    progress.before(action);
                }
                let unguards = is_link_left && next.contains(&Action::RemoveTable);
                !(unguards || (*stoppable && progress.is_interrupted()))
            }
            Step::Done(actions) => {
                done.extend_from_slice(actions);
                true
            }
            Step::Failed([Action::AddPass { pass }], error) => {
                progress.went_on_without(&error);
                refused_passes.insert(pass.clone());
                true
            }
            Step::Failed(failed, error) => {
                is_link_left |= failed.iter().any(|action| matches!(action, Action::RemoveLink { .. }));
                first_error.get_or_insert(error);
                only_removes
            }
        });
        match first_error {
            Some(error) => Err(error),
            None if *stoppable && !actions.is_empty() && progress.is_interrupted() => {
                Err(Error::new("interrupted", "stopped before everything was done"))
            }
            None => Ok(()),
        }
    }

    /// The goal without what namespaces did not take of the host's settings.
    fn as_accepted(&mut self, mut goal: State) -> State {
        let refused = self.circle.host.take_refused();
        goal.inherited.retain(|key, _| !refused.contains_key(key));
        goal.left_alone.extend(refused);
        goal
    }

    /// Observes the host again with the namespaces of both states; a narrow run observes only the named ones of them.
    fn observe_again(&mut self, goal: &State, before: &State) -> Result<Observed> {
        let seen = |name: &&Name| !self.is_narrow || self.names.contains(*name);
        let names: Vec<&Name> = goal.namespaces.keys().chain(before.namespaces.keys()).filter(seen).collect();
        let state = self.circle.store.read()?;
        let look = if self.is_narrow { Look::These(&names) } else { Look::Everything(&names) };
        self.circle.host.observe(&state, look)
    }

    /// Observing again must leave nothing to do; then the result is committed. Says what is left.
    fn verify(&mut self, goal: &State) -> Result<Vec<Action>> {
        let observed = Observed { state: goal.clone(), ..self.observe_again(goal, goal)? };
        let mut rest = plan::actions(goal, &observed);
        rest.retain(
            |action| !matches!(action, Action::AddPass { pass } if self.refused_passes.contains(pass)),
        );
        if rest.is_empty() {
            self.circle.commit(as_observed(goal.clone(), &observed), &observed, self.is_narrow)?;
        }
        Ok(rest)
    }

    /// After a failure: complete namespaces stay, and are named; the others go back. That may be cut off, too.
    fn roll_back(&mut self, goal: &State, before: &State) -> Result<Vec<Name>> {
        self.stoppable = false;
        self.circle.host.reopen()?;
        let (mut observed, mut rollback) = self.plan_rollback(goal, before)?;
        if self.is_narrow && plan::concerns_others(&rollback.state, &observed) {
            self.is_narrow = false;
            (observed, rollback) = self.plan_rollback(goal, before)?;
        }
        let Rollback { state, complete } = rollback;
        let actions = plan::actions(&state, &observed);
        // On a full disk it is better to go back without a note than not to go back.
        let _ = self.circle.record_intent(&state, &observed, &actions);
        self.reach_goal(&state, &actions)?;
        Ok(complete)
    }

    fn plan_rollback(&mut self, goal: &State, before: &State) -> Result<(Observed, Rollback)> {
        let mut observed = self.observe_again(goal, before)?;
        observed.note_numbers();
        let rollback = plan_rollback(goal, before, &observed, self.circle.policy.all_or_nothing);
        Ok((observed, rollback))
    }
}

/// What was observed, made ready to be planned from. An error where that is not the host.
pub fn prepare(mut observed: Observed) -> Result<Observed> {
    if let Some(namespace) = observed.foreign_namespace() {
        return Err(not_on_the_host(namespace));
    }
    observed.note_numbers();
    plan::recall_held(&mut observed);
    Ok(observed)
}

/// nsnat takes the network namespace in which it runs for the host. Inside of another one it would change the wrong one.
fn not_on_the_host(namespace: Option<&Name>) -> Error {
    match namespace {
        Some(name) => Error::new("not here", format!("this is inside of namespace {name}, and not the host"))
            .hint("leave it first (exit), or: sudo nsenter -t 1 -n nsnat …"),
        None => Error::new("not here", "nsnat was started in another network namespace than the one in which its namespaces were brought up")
            .hint(format!("run nsnat there; if that network namespace is gone: rm -r {}", state::RUN)),
    }
}

/// The state with what only the kernel knows: the numbers of namespaces, that they have what the host is
/// tuned to, and how the skeleton reads back.
fn as_observed(mut state: State, observed: &Observed) -> State {
    state.skeleton.clone_from(&observed.table.rules);
    state.earlier.clear();
    let tuned = tuning::digest(&state.inherited);
    for (name, netns) in &observed.namespaces {
        let Netns::Alive { inode, cookie, .. } = netns else { continue };
        let Some(namespace) = state.namespaces.get_mut(name) else { continue };
        let is_noted = namespace.inode == Some(*inode)
            && namespace.cookie == *cookie
            && namespace.tuned.as_ref() == Some(&tuned);
        if !is_noted {
            namespace.inode = Some(*inode);
            namespace.cookie = *cookie;
            namespace.tuned = Some(tuned.clone());
        }
    }
    state
}

/// What `exec` reads of each namespace. Where the reason why packets are stopped has changed (`all`), the records of all
/// namespaces are written; otherwise only the records of namespaces that were looked into.
fn exec_records<'a>(state: &'a State, observed: &Observed, all: bool) -> BTreeMap<&'a Name, ExecRecord> {
    let stopped = &state.stopped;
    let stopped_of = |namespace: &ActiveNamespace| {
        let tapped = || plan::certain_findings(namespace, state, observed).first().map(ToString::to_string);
        plan::why_closed(state.path_of(namespace)).or_else(|| stopped.clone()).or_else(tapped)
    };
    let record_of = |namespace: &ActiveNamespace| ExecRecord {
        hide_resolvers: namespace.dns.host.is_none(),
        inode: namespace.inode,
        cookie: namespace.cookie,
        nameservers: namespace.dns.nameservers.clone(),
        allowed: namespace.allowed.clone(),
        stopped: stopped_of(namespace),
        proxy: namespace.proxy,
        attached: namespace.attached.as_ref().map(|attached| attached.path.clone()),
    };
    let written = state.namespaces.iter().filter(|(name, _)| all || !observed.is_unseen(name));
    written.map(|(name, namespace)| (name, record_of(namespace))).collect()
}
