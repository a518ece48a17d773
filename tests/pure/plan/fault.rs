//! What goes wrong: the model as a host on which a given action fails, or at which nsnat is killed; and what is
//! remembered, which can fail to be written.

use super::model::{Model, drop_link};
use super::world;
use nsnat::error::{Error, Result};
use nsnat::model::{Datum, Element, ExecRecord, Look, Name, Observed, Set, State, numbers};
use nsnat::plan::{self, Action};
use nsnat::reconcile::{Host, Progress, Step, Store};
use std::collections::{BTreeMap, BTreeSet};

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// At the action of that number, counted over the whole run.
    Action(usize, Kind),
    /// When the store is written.
    Disk(Write, Kind),
    /// The line of an uplink goes, before the action of that number.
    LineGoes(usize),
}

/// The device of the line that goes.
const LINE: &str = "eth1";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is not done, and an error comes back.
    Error,
    /// It is done, and an error comes back.
    NotHeard,
    /// nsnat is killed before it.
    KilledBefore,
    /// nsnat is killed after it.
    KilledAfter,
    /// Somebody interrupts before it.
    Interrupt,
}

/// When the store is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Intent,
    Result,
}

impl Fault {
    pub(super) fn of_disk(&self) -> Option<(Write, Kind)> {
        if let Self::Disk(write, kind) = self { Some((*write, *kind)) } else { None }
    }

    fn of_action(&self, number: usize) -> Option<Kind> {
        if let Self::Action(at, kind) = self { Some(*kind).filter(|_| *at == number) } else { None }
    }
}

/// The model, on which actions are performed while things go wrong.
pub(super) struct Machine<'a> {
    pub(super) kernel: &'a mut Model,
    pub(super) leak: &'a mut Leak,
    pub(super) faults: Vec<Fault>,
    pub(super) begun: usize,
    pub(super) is_dead: bool,
}

impl Machine<'_> {
    /// Performs one action, or does not, as the faults say.
    fn one(&mut self, action: &Action) -> Result<()> {
        let fault = self.faults.iter().find_map(|fault| fault.of_action(self.begun));
        if self.faults.contains(&Fault::LineGoes(self.begun)) {
            drop_link(&mut self.kernel.observed.host, LINE);
        }
        self.begun += 1;
        if !matches!(fault, Some(Kind::Error | Kind::KilledBefore)) {
            let guarded = is_guarded(&self.kernel.observed);
            let done = self.kernel.apply(action);
            if let Err(why) = &done
                && self.has_lines()
            {
                self.leak.found.get_or_insert_with(|| format!("{action}: refused: {why}"));
            } else if guarded && !is_guarded(&self.kernel.observed) {
                self.leak.found.get_or_insert_with(|| format!("{action}: no guard"));
            }
            self.leak.look(&self.kernel.observed, action);
            done.map_err(|why| Error::new(action, why))?;
        }
        self.is_dead = matches!(fault, Some(Kind::KilledBefore | Kind::KilledAfter));
        match fault {
            None | Some(Kind::Interrupt) => Ok(()),
            Some(kind) => Err(Error::new(action, format!("{kind:?}"))),
        }
    }

    /// Whether what is refused is a fault of the plan.
    fn has_lines(&self) -> bool {
        !self.faults.iter().any(|fault| matches!(fault, Fault::LineGoes(_)))
    }

    fn alive(&self) -> Result<()> {
        if self.is_dead { Err(Error::new("nsnat", "killed")) } else { Ok(()) }
    }
}

impl Host for Machine<'_> {
    fn observe(&mut self, state: &State, look: Look<'_>) -> Result<Observed> {
        self.alive()?;
        Ok(world::look(&self.kernel.observed, state, look))
    }

    fn perform(&mut self, actions: &[Action], step: &mut dyn FnMut(Step<'_>) -> bool) {
        for action in actions.chunks(1) {
            if self.is_dead || !step(Step::Before(action)) {
                return;
            }
            let goes_on = match self.one(&action[0]) {
                Ok(()) => step(Step::Done(action)),
                Err(error) => step(Step::Failed(action, error)),
            };
            if !goes_on {
                return;
            }
        }
    }

    fn take_refused(&mut self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn reopen(&mut self) -> Result<()> {
        self.alive()
    }
}

/// Interrupts before the action of a number.
pub(super) struct Signal {
    at: Option<usize>,
    seen: usize,
}

impl Signal {
    pub(super) fn among(faults: &[Fault]) -> Self {
        let at = |fault: &Fault| match fault {
            Fault::Action(at, Kind::Interrupt) => Some(*at),
            _ => None,
        };
        Self { at: faults.iter().find_map(at), seen: 0 }
    }
}

impl Progress for Signal {
    fn before(&mut self, _: &Action) {
        self.seen += 1;
    }

    fn is_interrupted(&mut self) -> bool {
        self.at.is_some_and(|at| self.seen > at)
    }
}

/// What outlives a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) state: State,
    pub(crate) targets: BTreeMap<Name, ExecRecord>,
    /// What goes wrong at the next write.
    pub(super) fault: Option<(Write, Kind)>,
}

impl Disk {
    /// Writes, or does not, as the fault says.
    fn write(&mut self, write: Write, change: impl FnOnce(&mut Self)) -> Result<()> {
        let fault = self.fault.filter(|(at, _)| *at == write).map(|(_, kind)| kind);
        if fault.is_some() {
            self.fault = None;
        }
        if fault != Some(Kind::Error) {
            change(self);
        }
        fault.map_or(Ok(()), |kind| Err(Error::new("write", format!("{kind:?}"))))
    }
}

impl Store for Disk {
    fn read(&mut self) -> Result<State> {
        Ok(self.state.clone())
    }

    fn record_intent(&mut self, intent: &State, gone: &BTreeSet<&Name>) -> Result<()> {
        self.write(Write::Intent, |disk| {
            disk.state = intent.clone();
            disk.targets.retain(|name, _| !gone.contains(name));
        })
    }

    fn commit(&mut self, state: &State, targets: &BTreeMap<&Name, ExecRecord>) -> Result<()> {
        self.write(Write::Result, |disk| {
            let nothing_is_up = state.namespaces.is_empty();
            disk.state = if nothing_is_up { State::default() } else { state.clone() };
            disk.targets.retain(|name, _| state.namespaces.contains_key(name));
            disk.targets.extend(targets.iter().map(|(name, target)| ((*name).clone(), target.clone())));
        })
    }
}

/// What the guard may let a host veth's packets out by, and what it let out all the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leak {
    /// The ways of each host veth, where that is watched.
    may: Option<BTreeMap<Datum, BTreeSet<Vec<Datum>>>>,
    pub(super) found: Option<String>,
}

impl Leak {
    /// The ways of two journals, and what is open already.
    pub(super) fn between(journals: [&State; 2], now: &Observed) -> Self {
        let mut may = paths(&now.table.elements);
        for state in journals {
            for (link, more) in paths(&plan::desired::desired(state, now.features).elements) {
                may.entry(link).or_default().extend(more);
            }
        }
        Self { may: Some(may), found: None }
    }

    fn look(&mut self, now: &Observed, action: &Action) {
        let Some(may) = &self.may else { return };
        let elements = &now.table.elements;
        let is_there = |link: &Datum| matches!(link, Datum::Device(link) if now.host.link(link).is_some());
        for link in opened(action, elements).into_iter().filter(is_there) {
            let none = BTreeSet::new();
            if let Some(path) = ways(elements, &link).difference(may.get(&link).unwrap_or(&none)).next() {
                self.found.get_or_insert_with(|| format!("{action}: {link:?} may leave by {path:?}"));
            }
        }
    }
}

/// The host veths that the guard may let out by more ways after an action than before: one that comes, or of which elements change.
fn opened(action: &Action, elements: &BTreeSet<Element>) -> Vec<Datum> {
    match action {
        Action::AddVeth { link, .. } | Action::AddPair { link, .. } => vec![Datum::Device(link.clone())],
        Action::LoadSkeleton { .. } | Action::RemoveTable => marked(elements).map(|(link, _)| link).collect(),
        Action::Elements { add, .. } => {
            let is_named = |link: &Datum, mark: &Datum| {
                add.iter().any(|one| one.key.contains(link) || one.key.contains(mark))
            };
            marked(elements).filter(|(link, mark)| is_named(link, mark)).map(|(link, _)| link).collect()
        }
        _ => Vec::new(),
    }
}

/// The elements of a set whose keys begin so.
fn beginning<'a>(
    elements: &'a BTreeSet<Element>,
    set: Set,
    first: Option<&'a Datum>,
) -> impl Iterator<Item = &'a Element> {
    let from = Element { set, key: first.into_iter().cloned().collect(), value: Vec::new() };
    let begins =
        move |one: &&Element| one.set == set && first.is_none_or(|first| one.key.first() == Some(first));
    elements.range(from..).take_while(begins)
}

/// The host veths that have a mark, with it.
fn marked(elements: &BTreeSet<Element>) -> impl Iterator<Item = (Datum, Datum)> {
    beginning(elements, Set::MarkOf, None).map(|element| (element.key[0].clone(), element.value[0].clone()))
}

/// Where the guard lets a host veth's packets out.
fn ways(elements: &BTreeSet<Element>, link: &Datum) -> BTreeSet<Vec<Datum>> {
    let sets = [Set::Ways4, Set::Ways6, Set::WaysP2p4, Set::WaysP2p6];
    let mark = beginning(elements, Set::MarkOf, Some(link)).next().map(|element| &element.value[0]);
    let of_mark = sets.into_iter().filter_map(|set| Some(beginning(elements, set, Some(mark?))));
    of_mark.flatten().map(|way| way.key[1..].to_vec()).collect()
}

/// Where the guard lets each host veth's packets out.
fn paths(elements: &BTreeSet<Element>) -> BTreeMap<Datum, BTreeSet<Vec<Datum>>> {
    marked(elements).map(|(link, _)| (link.clone(), ways(elements, &link))).collect()
}

/// The guard is there as long as a link of ours is.
fn is_guarded(observed: &Observed) -> bool {
    observed.table.exists || !observed.host.links.iter().any(|link| link.group == numbers::LINK_GROUP)
}
