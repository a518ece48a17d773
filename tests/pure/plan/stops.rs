//! Every command is stopped at each of its actions, in each way that there is; so is the roll-back that follows.
//!
//! # What has to hold
//!
//! * Nothing leaks on the way: the guard is there as long as a link of ours is, and no host veth's mark is let out by a
//!   way that is neither its namespace's old one nor its new one.
//! * After an error, each namespace is as it was before or as it should be after, and nothing is left to do; where
//!   nothing is complete and nothing was damaged, the kernel holds what it held before, to the last line.
//! * After a kill, what is remembered covers what is there.
//! * Whatever happened, `up` completes, with nothing left to do; and `down` leaves what it would have left had the
//!   command never been run.

use super::fault::{Fault, Kind, Leak, Write};
use super::scenarios::{self, Scenario};
use super::world::{World, difference, inventory};
use nsnat::model::{ActiveNamespace, Name, NamespaceRecord, Netns, Observed, State, numbers};
use nsnat::plan::{self, Action, Selection};
use nsnat::reconcile::{Aftermath, Failure, Outcome};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::sync::Mutex;

const KINDS: [Kind; 5] =
    [Kind::Error, Kind::NotHeard, Kind::KilledBefore, Kind::KilledAfter, Kind::Interrupt];

/// So many namespaces are a crowd.
const CROWD: usize = 20;
/// At so many places in it a command about a crowd is stopped, and at its last action.
const POINTS: usize = 10;

type Done = Result<Outcome, Failure>;
type Verdict = Result<(), String>;

/// A command that is stopped again and again.
struct Stopped<'a> {
    scenario: &'a Scenario,
    goal: State,
    /// What is before the command.
    before: BTreeSet<String>,
    /// It is as it should be; otherwise others damaged it.
    is_whole: bool,
    /// `up` of everything is refused from the beginning.
    is_refused: bool,
    /// What is not up any more, because somebody else took its name.
    foreign: BTreeSet<Name>,
    /// What is to be done for namespaces that the command passes by: afterwards it still is.
    of_others: Vec<Action>,
    /// What `down` leaves when the command was never run.
    bare: BTreeSet<String>,
    /// Digests of what was left so far: what follows from the same is the same.
    left: RefCell<BTreeSet<u64>>,
}

impl<'a> Stopped<'a> {
    /// None where the command is refused, or has nothing to do.
    fn new(scenario: &'a Scenario) -> Option<(Self, usize)> {
        let start = &scenario.start;
        let mut observed = start.observe(&scenario.names());
        let mut goal = scenario.goal(&observed)?;
        if plan::concerns_others(&goal, &observed) {
            observed = everything(start);
            goal = scenario.goal(&observed)?;
        }
        let actions = plan::actions(&goal, &observed).len();
        let is_whole = plan::actions(&plan::state_without(&observed, |_| false), &observed).is_empty();
        let bare = inventory(&down(start).unwrap().kernel.observed);
        let before = inventory(&start.kernel.observed);
        let is_refused = start.plan(&scenario.config, Selection::All).is_err();
        let known = plan::state_without(&observed, |_| false).namespaces;
        let foreign = observed.state.namespaces.keys().filter(|name| !known.contains_key(*name));
        let foreign = foreign.cloned().collect();
        let owners = plan::Owners::new(&start.disk.state);
        let is_unseen = |name: &Name| observed.is_unseen(name);
        let of_others =
            rest(start).into_iter().filter(|action| owners.of(action).is_some_and(is_unseen)).collect();
        let left = RefCell::default();
        let stopped = Self { scenario, goal, before, is_whole, is_refused, foreign, of_others, bare, left };
        (actions > 0).then_some((stopped, actions))
    }

    fn run(&self, faults: Vec<Fault>) -> (World, Done) {
        let mut world = self.scenario.start.clone();
        world.faults = faults;
        world.leak = Leak::between([&world.disk.state, &self.goal], &world.kernel.observed);
        let done = world.run(&self.scenario.names(), |_| Ok(self.goal.clone()));
        (world, done)
    }

    /// Runs the command with these faults, and looks at what came of it.
    fn check(&self, faults: &[Fault]) -> Verdict {
        let (mut world, done) = self.run(faults.to_vec());
        world.leak.found.clone().map_or(Ok(()), Err)?;
        // What follows may open other ways.
        world.leak = Leak::default();
        match &done {
            Ok(_) => self.is_reached(&world)?,
            Err(Failure { aftermath: Aftermath::RolledBack { complete }, .. }) => {
                self.is_rolled_back(&world, complete)?;
            }
            Err(Failure { aftermath: Aftermath::Untouched, .. }) => same(&self.before, &world)?,
            Err(Failure { aftermath: Aftermath::Unfinished(why), .. }) => {
                let killed = faults.len() > 1 || faults.iter().any(|fault| kills(*fault));
                if !killed {
                    return Err(format!("the roll-back failed: {why}"));
                }
                self.is_covered(&world)?;
            }
        }
        if !self.left.borrow_mut().insert(digest(&world)) {
            return Ok(());
        }
        self.up_completes(&world)?;
        let left = down(&world).map_err(|why| format!("down: {why}"))?;
        left_nothing(&left)?;
        same(&self.bare, &left).map_err(|why| format!("after down: {why}"))
    }

    /// A pass that was refused is all that may be left to do.
    fn is_reached(&self, world: &World) -> Verdict {
        self.left_to_do(world)
            .map_or(Ok(()), |rest| Err(format!("it is done, and this is left to do: {rest}")))?;
        let state = &world.disk.state;
        let wrong =
            self.goal.namespaces.iter().find(|(name, namespace)| !is_as(state, name, Some(namespace)));
        wrong.map_or(Ok(()), |(name, _)| Err(format!("it is done, and {name} is not as it should be")))
    }

    /// The first action that is left to do, or that was and is done though nobody asked for it. Passes do not count: one
    /// that is refused is left out.
    fn left_to_do(&self, world: &World) -> Option<Action> {
        let rest = rest(world);
        let done = self.of_others.iter().find(|action| !rest.contains(action)).cloned();
        let is_new = |action: &Action| !self.of_others.contains(action);
        done.or_else(|| {
            rest.into_iter().filter(is_new).find(|action| !matches!(action, Action::AddPass { .. }))
        })
    }

    fn is_rolled_back(&self, world: &World, complete: &[Name]) -> Verdict {
        let (old, now) = (&self.scenario.start.disk.state, &world.disk.state);
        for name in old.namespaces.keys().chain(self.goal.namespaces.keys()).chain(now.namespaces.keys()) {
            let is_new = complete.contains(name) || self.foreign.contains(name);
            let should = if is_new { &self.goal } else { old };
            let should = should.namespaces.get(name).filter(|_| !self.has_ended(world, name));
            if !is_as(now, name, should) {
                return Err(format!("rolled back, and {name} is neither as before nor as it should be"));
            }
        }
        if let Some(rest) = self.left_to_do(world) {
            return Err(format!("rolled back, and this is left to do: {rest}"));
        }
        // A pass that is refused on the way back is left out.
        let passes = |world: &World| world.kernel.observed.gates.passes.len();
        let is_whole = self.is_whole && !old.namespaces.keys().any(|name| self.has_ended(world, name));
        if complete.is_empty() && is_whole && passes(world) >= passes(&self.scenario.start) {
            let (before, now) = (&self.scenario.start.kernel.observed, &world.kernel.observed);
            let (before, now) = (inventory(&comparable(before)), inventory(&comparable(now)));
            if before != now {
                return Err(format!("rolled back, and not as before: {}", difference(&before, &now)));
            }
        }
        Ok(())
    }

    /// Whether it was an attachment whose interface an engine took: once that is gone, nothing brings it back.
    fn has_ended(&self, world: &World, name: &Name) -> bool {
        let before = self.scenario.start.disk.state.namespaces.get(name);
        before.is_some_and(|one| one.is_handed() && world.kernel.observed.host.link(&one.link).is_none())
    }

    /// What is there and was not there before is remembered.
    fn is_covered(&self, world: &World) -> Verdict {
        let (old, now) = (&self.scenario.start.kernel.observed, &world.kernel.observed);
        let state = &world.disk.state;
        let known =
            |name: &&Name| !state.namespaces.contains_key(*name) && !old.namespaces.contains_key(*name);
        let namespaces = now.namespaces.keys().filter(known).map(|name| format!("namespace {name}"));
        let is_of = |link: &str| {
            let mut known = state.namespaces.values();
            known.any(|known| known.link == link || (known.is_handed() && known.ifname() == link))
        };
        let links = now.host.links.difference(&old.host.links).map(|link| &link.name);
        let links = links.filter(|link| old.host.link(link).is_none() && !is_of(link)).cloned();
        let is_ours = |key: &str| key.split('/').nth(3).is_some_and(&is_of);
        let changed = |(key, value): &(&String, &String)| old.host.sysctls.get(*key) != Some(*value);
        let sysctls = now.host.sysctls.iter().filter(changed).map(|(key, _)| key);
        let follows = |key: &str| {
            key.ends_with("/forwarding") && state.sysctls.contains_key("net/ipv6/conf/all/forwarding")
        };
        let sysctls = sysctls.filter(|key| !is_ours(key) && !follows(key));
        let sysctls = sysctls.filter(|key| !state.sysctls.contains_key(*key)).cloned();
        let passes = now.gates.passes.iter().map(|found| &found.pass);
        let passes = passes.filter(|pass| !old.gates.passes.iter().any(|found| found.pass == **pass));
        let passes = passes.filter(|pass| !state.passes.contains(pass)).map(|pass| format!("{pass:?}"));
        let tables = now.host.routes.difference(&old.host.routes).filter(|r| r.table > numbers::TABLE_BASE);
        let numbers: BTreeSet<u32> = state.egresses.values().map(|egress| egress.number).collect();
        let tables = tables.map(|route| route.table - numbers::TABLE_BASE).filter(|n| !numbers.contains(n));
        let tables = tables.map(|number| format!("egress {number}"));
        let mut unknown = namespaces.chain(links).chain(sysctls).chain(passes).chain(tables);
        unknown.next().map_or(Ok(()), |what| Err(format!("it is there, and not remembered: {what}")))
    }

    fn up_completes(&self, world: &World) -> Verdict {
        let mut world = world.clone();
        world.policy = nsnat::reconcile::Policy::default();
        let config = &self.scenario.config;
        match world.up(config, Selection::All) {
            Err(_) if self.is_refused => return Ok(()),
            Err(problems) => return Err(format!("up is refused: {problems:?}")),
            Ok(done) => done.map_err(|why| format!("up: {why}"))?,
        };
        if let Some(rest) = rest(&world).first() {
            return Err(format!("after up, this is left to do: {rest}"));
        }
        let left = down(&world).map_err(|why| format!("down after up: {why}"))?;
        left_nothing(&left)?;
        same(&self.bare, &left).map_err(|why| format!("after up and down: {why}"))
    }
}

/// Without what may be another after a roll-back: settings of our own devices, and of what is inside.
fn comparable(observed: &Observed) -> Observed {
    let mut out = observed.clone();
    let ours = |key: &str| {
        let link = key.split('/').nth(3).and_then(|dev| observed.host.link(dev));
        link.is_some_and(|link| link.group == numbers::LINK_GROUP)
    };
    out.host.sysctls.retain(|key, _| !ours(key));
    for netns in out.namespaces.values_mut() {
        if let Netns::Alive { stack, .. } = netns {
            stack.sysctls.clear();
        }
    }
    out
}

fn digest(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{:?} {:?}", world.kernel, world.disk).hash(&mut hasher);
    hasher.finish()
}

fn kills(fault: Fault) -> bool {
    matches!(fault, Fault::Action(_, Kind::KilledBefore | Kind::KilledAfter))
}

/// Whether a namespace is in the state as another one has it, but for what only the kernel knows.
fn is_as(state: &State, name: &Name, should: Option<&ActiveNamespace>) -> bool {
    let plain = |namespace: &ActiveNamespace| {
        let known_to_all = (**namespace).clone();
        NamespaceRecord { inode: None, cookie: None, tuned: None, ..known_to_all }
    };
    state.namespaces.get(name).map(plain) == should.map(plain)
}

/// What is to be done for what is remembered.
fn rest(world: &World) -> Vec<Action> {
    let observed = everything(world);
    plan::actions(&observed.state, &observed)
}

fn everything(world: &World) -> Observed {
    let mut world = world.clone();
    world.policy = nsnat::reconcile::Policy::default();
    world.observe(&[])
}

fn down(world: &World) -> Result<World, String> {
    let mut world = world.clone();
    world.policy = nsnat::reconcile::Policy::default();
    let names: Vec<Name> = world.kernel.observed.namespaces.keys().cloned().collect();
    world.down(&names.iter().collect::<Vec<_>>(), |_| true)?;
    Ok(world)
}

fn left_nothing(world: &World) -> Verdict {
    let observed = &world.kernel.observed;
    let ours = observed.host.links.iter().find(|link| link.group == numbers::LINK_GROUP);
    match ours {
        Some(link) => Err(format!("down left {}", link.name)),
        None if observed.table.exists => Err("down left the table".into()),
        None if !world.disk.state.namespaces.is_empty() => Err("down left something to remember".into()),
        None if !world.disk.targets.is_empty() => Err("down left what exec reads".into()),
        None => Ok(()),
    }
}

fn same(before: &BTreeSet<String>, world: &World) -> Verdict {
    let now = inventory(&world.kernel.observed);
    if *before == now { Ok(()) } else { Err(difference(before, &now)) }
}

/// How often what was stopped.
#[derive(Default)]
struct Figures {
    scenarios: usize,
    actions: usize,
    points: usize,
    faults: Vec<String>,
}

impl Figures {
    fn add(&mut self, other: Self) {
        self.scenarios += other.scenarios;
        self.actions += other.actions;
        self.points += other.points;
        self.faults.extend(other.faults);
    }

    /// Stops a command with these faults.
    fn stop(&mut self, stopped: &Stopped<'_>, faults: &[Fault]) {
        self.points += 1;
        if let Err(why) = stopped.check(faults) {
            self.faults.push(format!("{}, {faults:?}: {why}", stopped.scenario.name));
        }
    }
}

/// Stops a command at these actions in each way.
fn stop_at(figures: &mut Figures, stopped: &Stopped<'_>, actions: impl IntoIterator<Item = usize>) {
    for at in actions {
        for kind in KINDS {
            figures.stop(stopped, &[Fault::Action(at, kind)]);
        }
    }
}

/// Stops a command at each of its actions and writes, and then what follows at each of its own.
fn stop_everywhere(scenario: &Scenario) -> Figures {
    let mut figures = Figures::default();
    let Some((stopped, actions)) = Stopped::new(scenario) else { return figures };
    (figures.scenarios, figures.actions) = (1, actions);
    for write in [Write::Intent, Write::Result] {
        for kind in [Kind::Error, Kind::NotHeard] {
            figures.stop(&stopped, &[Fault::Disk(write, kind)]);
        }
    }
    stop_at(&mut figures, &stopped, 0..actions);
    // The longest way back is from the last action; others are begun half way.
    for at in BTreeSet::from([actions / 3, actions - 1]) {
        let first = Fault::Action(at, Kind::Error);
        let begun = stopped.run(vec![first]).0.begun;
        for second in at + 1..begun {
            for kind in [Kind::Error, Kind::NotHeard, Kind::KilledBefore] {
                figures.stop(&stopped, &[first, Fault::Action(second, kind)]);
            }
        }
    }
    figures
}

/// `NSNAT_SCENARIO` names those that are stopped, by a part of their names.
#[test]
fn at_every_action_of_every_scenario() {
    let mut scenarios = scenarios::all();
    let only = std::env::var("NSNAT_SCENARIO").unwrap_or_default();
    // With a crowd of namespaces there are more actions, and none of another kind.
    scenarios.retain(|scenario| scenario.name.contains(&only) && scenario.config.namespaces.len() < CROWD);
    let queue: Mutex<Vec<&Scenario>> = Mutex::new(scenarios.iter().collect());
    let figures = Mutex::new(Figures::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(scenario) = { queue.lock().unwrap().pop() } {
                    let done = stop_everywhere(scenario);
                    figures.lock().unwrap().add(done);
                }
            });
        }
    });
    let Figures { scenarios, actions, points, faults } = figures.into_inner().unwrap();
    // Past the capture of the test harness: these figures are for every run.
    let faulty = faults.len();
    #[expect(clippy::disallowed_methods, reason = "a test prints by itself")]
    let mut out = std::io::stderr();
    writeln!(out, "stops: {scenarios} scenarios, {actions} actions, {points} points, {faulty} faults")
        .unwrap();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// So many namespaces have more actions, and hardly any of another kind, so only some are looked at. `NSNAT_CROWD` says how many
/// there are.
#[test]
fn at_some_actions_of_a_crowd() {
    let count = std::env::var("NSNAT_CROWD").map_or(CROWD, |text| text.parse().unwrap());
    for scenario in scenarios::crowd(count) {
        let (stopped, actions) = Stopped::new(&scenario).unwrap();
        assert!(actions > count, "{}: {actions} actions", scenario.name);
        let mut figures = Figures::default();
        stop_at(&mut figures, &stopped, (0..=POINTS).map(|n| (actions - 1) * n / POINTS));
        assert!(figures.faults.is_empty(), "{}", figures.faults.join("\n"));
        assert_eq!(figures.points, (POINTS + 1) * KINDS.len());
    }
}

/// What the other tests look for, they would find: each of these is wrong on purpose.
#[test]
fn what_is_wrong_is_found() {
    let scenarios = scenarios::all();
    let scenario =
        scenarios.iter().find(|scenario| scenario.name == "two-routers: every way changes").unwrap();
    let stopped = || Stopped::new(scenario).unwrap().0;
    let found = |stopped: Stopped<'_>, kind| stopped.check(&[Fault::Action(9, kind)]).unwrap_err();
    let foreign = || BTreeSet::from(["something of others".to_owned()]);

    let left = Stopped { bare: foreign(), ..stopped() };
    assert!(found(left, Kind::KilledAfter).contains("- something of others"));
    let not_back = Stopped { goal: scenario.start.disk.state.clone(), ..stopped() };
    assert!(not_back.is_reached(&stopped().run(Vec::new()).0).is_err());
    let (killed, _) = stopped().run(vec![Fault::Action(40, Kind::KilledAfter)]);
    assert!(stopped().is_rolled_back(&killed, &[]).is_err());
    let mut forgotten = killed.clone();
    forgotten.disk = scenario.start.disk.clone();
    assert!(stopped().is_covered(&killed).is_ok() && stopped().is_covered(&forgotten).is_err());

    let mut leaking = scenario.start.clone();
    leaking.leak = Leak::between([&State::default(); 2], &Observed::default());
    let _ = leaking.run(&scenario.names(), |_| Ok(stopped().goal));
    assert!(leaking.leak.found.is_some_and(|found| found.contains("may leave by")));
}
