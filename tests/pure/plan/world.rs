//! A host with nsnat on it: the model of the kernel and what is remembered, changed by the real reconciler.

use super::fault::{Disk, Fault, Leak, Machine, Signal};
use super::model::Model;
use nsnat::config::{Config, Problem};
use nsnat::error::{Error, Result};
use nsnat::model::{Element, Link, Look, Name, Netns, Observed, Stack, State, numbers};
use nsnat::plan::desired::known_elements;
use nsnat::plan::{self, Action, Selection};
use nsnat::reconcile::{Failure, Outcome, Policy, Reconciler, prepare};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// The kernel, what is remembered, and what goes wrong next.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) kernel: Model,
    pub(crate) disk: Disk,
    /// How runs go about their goals.
    pub(crate) policy: Policy,
    /// What goes wrong in the next run.
    pub(crate) faults: Vec<Fault>,
    /// How many actions the last run began, those of its roll-back included.
    pub(crate) begun: usize,
    /// What must not get out on the way; what did in the last run.
    pub(crate) leak: Leak,
}

impl World {
    pub(crate) fn new(host: Observed) -> Self {
        Self {
            kernel: Model::new(host),
            disk: Disk::default(),
            policy: Policy::default(),
            faults: Vec::new(),
            begun: 0,
            leak: Leak::default(),
        }
    }

    /// What nsnat sees: of the namespaces those that are up and those that it asks for.
    pub(crate) fn observe(&self, names: &[&Name]) -> Observed {
        prepare(look(&self.kernel.observed, &self.disk.state, self.policy.look(names))).unwrap()
    }

    /// The plan of `up`, and where it leads.
    pub(crate) fn plan(
        &self,
        config: &Config,
        selection: Selection<'_>,
    ) -> std::result::Result<(State, Vec<Action>), Vec<Problem>> {
        let observed = self.observe(&asked(config, selection, self.policy));
        let goal = plan::resolve(config, selection, &observed)?;
        let actions = plan::actions(&goal, &observed);
        Ok((goal, actions))
    }

    /// `up`; the inner result is what the kernel, or the look afterwards, has against it.
    pub(crate) fn up(
        &mut self,
        config: &Config,
        selection: Selection<'_>,
    ) -> std::result::Result<std::result::Result<Outcome, String>, Vec<Problem>> {
        let refused = RefCell::new(None);
        let goal = |observed: &Observed| {
            plan::resolve(config, selection, observed).map_err(|problems| {
                refused.replace(Some(problems));
                Error::new("up", "refused")
            })
        };
        let done = self.run(&asked(config, selection, self.policy), goal);
        refused.take().map_or_else(|| Ok(self.judged(done)), Err)
    }

    /// `down` of what `gone` chooses.
    pub(crate) fn down(
        &mut self,
        names: &[&Name],
        gone: impl Fn(&Name) -> bool,
    ) -> std::result::Result<Outcome, String> {
        let done = self.run(names, |observed| Ok(plan::state_without(observed, &gone)));
        self.judged(done)
    }

    /// Makes a goal true that was planned before, or says why that is not possible.
    pub(crate) fn reach(&mut self, names: &[&Name], goal: &State) -> std::result::Result<Outcome, String> {
        let done = self.run(names, |_| Ok(goal.clone()));
        self.judged(done)
    }

    fn judged(&self, done: std::result::Result<Outcome, Failure>) -> std::result::Result<Outcome, String> {
        match &self.leak.found {
            Some(why) => Err(why.clone()),
            None => done.map_err(|failure| Error::from(failure).to_string()),
        }
    }

    /// One run of the reconciler.
    pub(crate) fn run(
        &mut self,
        names: &[&Name],
        goal: impl Fn(&Observed) -> Result<State>,
    ) -> std::result::Result<Outcome, Failure> {
        let faults = std::mem::take(&mut self.faults);
        let mut signal = Signal::among(&faults);
        self.disk.fault = faults.iter().find_map(Fault::of_disk);
        self.leak.found = None;
        let mut machine =
            Machine { kernel: &mut self.kernel, leak: &mut self.leak, faults, begun: 0, is_dead: false };
        let mut reconciler = Reconciler {
            host: &mut machine,
            store: &mut self.disk,
            policy: self.policy,
            progress: &mut signal,
        };
        let done = reconciler.run(names, goal);
        self.begun = machine.begun;
        done
    }
}

/// The namespaces that a command names; one that looks into no others names those that it is for.
pub(super) fn asked<'a>(config: &'a Config, selection: Selection<'a>, policy: Policy) -> Vec<&'a Name> {
    match selection {
        Selection::These(names) if policy.narrow => names.iter().collect(),
        Selection::Ephemeral(name, _) | Selection::Attachment(name, _) => vec![name],
        _ => config.namespaces.keys().collect(),
    }
}

/// The part of the kernel's state that a look shows. One at few namespaces asks for the elements that it knows of.
pub(super) fn look(observed: &Observed, state: &State, look: Look<'_>) -> Observed {
    let others = look.others(state, &observed.abandoned);
    let aliased = observed.host.links.iter().filter_map(Link::namespace);
    let asked = look.names().iter().copied().chain(state.namespaces.keys()).cloned();
    let wanted: BTreeSet<Name> = asked.chain(aliased).collect();
    let mut out = Observed { state: state.clone(), ..observed.clone() };
    out.namespaces.retain(|name, _| wanted.contains(name));
    if let Some(known) = known_elements(state, &others.names()) {
        let is_known =
            |element: &Element| known.iter().any(|one| one.set == element.set && one.key == element.key);
        out.table.elements.retain(|element| !element.set.is_of_namespaces() || is_known(element));
    }
    others.hide_in(&mut out);
    out
}

/// All that the kernel holds, a line each, but for numbers that it gives to each thing anew.
pub(super) fn inventory(observed: &Observed) -> BTreeSet<String> {
    let host = &observed.host;
    let links = host.links.iter().map(|link| format!("{link:?}"));
    let addresses = host.addresses.iter().map(|address| format!("{address:?}"));
    let rules = host.rules.iter().map(|rule| format!("{rule:?}"));
    let routes = host.routes.iter().map(|route| format!("{route:?}"));
    let sysctls = host.sysctls.iter().map(|sysctl| format!("{sysctl:?}"));
    // A file without a namespace holds nothing.
    let stack = |(name, netns): (&Name, &Netns)| match netns {
        Netns::Alive { stack, adrift, .. } => Some(format!("{name}: {adrift:?} {:?}", unclosed(stack))),
        Netns::Unseen { .. } | Netns::Handed { .. } | Netns::Stale => None,
    };
    let namespaces = observed.namespaces.iter().filter_map(stack);
    let gates = observed.gates.all.iter().map(|gate| format!("{gate:?}"));
    let passes = observed.gates.passes.iter().map(|found| format!("{:?}", found.pass));
    let policies = observed.policies.iter().map(|policy| format!("{policy:?}"));
    let table = &observed.table;
    let text = [format!("table {} {:?} {:?}", table.exists, table.text, table.rules)];
    let elements = table.elements.iter().map(|element| format!("{element:?}"));
    let stacks = links.chain(addresses).chain(rules).chain(routes).chain(sysctls).chain(namespaces);
    stacks.chain(gates).chain(passes).chain(policies).chain(text).chain(elements).collect()
}

/// Without what keeps an attachment closed that has lost nsnat's way beside another one: it stays, for as long as the
/// namespace is there (`plan::beside`).
fn unclosed(stack: &Stack) -> Stack {
    let mut out = stack.clone();
    out.rules.retain(|rule| !rule.is_ours_beside());
    out.routes.retain(|route| route.table != numbers::BESIDE_TABLE);
    out
}

/// The lines that differ, a line each.
pub(super) fn difference(before: &BTreeSet<String>, after: &BTreeSet<String>) -> String {
    let gone = before.difference(after).map(|line| format!("\n- {line}"));
    let come = after.difference(before).map(|line| format!("\n+ {line}"));
    gone.chain(come).collect()
}
