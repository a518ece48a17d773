//! `nsnat watch`.

use super::config;
use super::refusals::need_root;
use super::session::{Session, seconds};
use crate::config::{Config, locate, report};
use crate::error::{Error, Result};
use crate::health::{self, Moment, Monitor};
use crate::kernel::{Hooks, Scope, Signal, files};
use crate::model::{
    Answers, Asked, CheckKind, Checkup, Condition, Egress, Event, EventKind, Family, Name, State,
    stack::device_of,
};
use crate::plan;
use crate::reconcile::{Outcome, Policy};
use crate::report::event;
use crate::ui::{self, Ui};
use crate::watch::{self, Causes, Done, Flaps, Keeper, Sources};
use sd_notify::NotifyState;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tracing::{error, info, warn};

/// SIGHUP reads the configuration again, the others end the daemon.
const SIGNALS: [Signal; 3] = [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT];

const REFUSED: &str = "the configuration has mistakes; the last good one stays in force";
const FIGHT: &str = "another program undoes each repair at once; from now on repairs are put off";

pub(super) fn run(ui: &Ui<'_>) -> Result<()> {
    need_root("watch")?;
    ui::log();
    let Some(watch) = files::watch()? else {
        return Err(Error::new("watch", "another nsnat watch runs").hint("systemctl status nsnat"));
    };
    // From here on nothing that changes is missed, neither before the first look nor during it.
    let mut sources = Sources::open(directories(ui), &SIGNALS)?;
    let mut keeper = Kept {
        ui,
        watch,
        config: None,
        refused: None,
        problems: Vec::new(),
        settings: Vec::new(),
        next_hops: Vec::new(),
        flaps: Flaps::default(),
        monitor: Monitor::new(&files::last_health()),
        checkups: BTreeMap::new(),
        news: false,
        heard: Vec::new(),
        hooks: Hooks::default(),
        failure: None,
        fights: false,
        ready: false,
    };
    // Half of what systemd waits for, as sd_watchdog_enabled(3) recommends.
    let beat = sd_notify::watchdog_enabled().map(|limit| limit / 2);
    let result = watch::run(&mut sources, &mut keeper, beat);
    notify(&[NotifyState::Stopping]);
    result
}

/// The directories in which declarations are, or will be, and those above them.
fn directories(ui: &Ui<'_>) -> Vec<PathBuf> {
    let layout = locate(ui.global.config.as_deref());
    let main = layout.main.parent().map(Path::to_owned);
    let all: Vec<PathBuf> = main.into_iter().chain(layout.drop_ins).chain(layout.temporary).collect();
    let above = all.iter().filter_map(|directory| directory.parent()).map(Path::to_owned);
    let mut directories: Vec<PathBuf> = above.chain(all.iter().cloned()).collect();
    directories.sort();
    directories.dedup();
    directories
}

/// Tells systemd. Where it does not want to know, or cannot be told, nothing depends on it.
fn notify(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}

/// Keeps what is declared, as the commands do it.
struct Kept<'a> {
    ui: &'a Ui<'a>,
    /// What `nsnat status` reads.
    watch: files::Watch,
    /// The last configuration that was in order.
    config: Option<Config>,
    /// The mistakes of the present configuration, as they were told.
    refused: Option<String>,
    /// What stands in the way of some namespaces, as it was told.
    problems: Vec<String>,
    /// The settings below `/proc/sys` that were looked at.
    settings: Vec<(String, Scope)>,
    /// The next hops of the uplinks that are used.
    next_hops: Vec<IpAddr>,
    /// Lines that go and come.
    flaps: Flaps,
    /// The scores of the uplinks that are asked.
    monitor: Monitor,
    /// Those, and what is asked.
    checkups: BTreeMap<Name, Checkup>,
    /// The last look found uplinks better or worse than it took them for.
    news: bool,
    /// What became of uplinks since the last look: to be recorded for each namespace that has them.
    heard: Vec<Event>,
    /// The programs that are run when something happened.
    hooks: Hooks,
    /// Why the last run failed, as it was told.
    failure: Option<String>,
    /// Another program undoes each repair.
    fights: bool,
    /// The service manager was told that the daemon is ready.
    ready: bool,
}

impl Keeper for Kept<'_> {
    fn keep(&mut self, causes: &Causes) -> Result<Done> {
        self.read()?;
        self.note_health();
        let Some(config) = &self.config else { return Ok(Done::Nothing) };
        let mut session = Session::begin(self.ui, "watch")?;
        let concerned = causes.namespaces();
        let policy = Policy { narrow: concerned.is_some(), ..Policy::default() };
        // A namespace that is not up is always looked for: another program may have made one of that name.
        let up = session.state()?.namespaces;
        let is_asked = |name: &&Name| {
            concerned.as_ref().is_none_or(|concerned| concerned.contains(name)) || !up.contains_key(*name)
        };
        let is_attached = |name: &&Name| up.get(*name).is_some_and(|known| known.attached.is_some());
        let attached = up.keys().filter(is_attached);
        let names: Vec<&Name> = config.names().chain(attached).filter(is_asked).collect();
        let problems = RefCell::default();
        let outcome = session.reconcile_unrecorded(policy, &names, |observed| {
            let (goal, found) = config::goal_of_watch(config, observed)?;
            problems.replace(found);
            Ok(goal)
        })?;
        self.failure = None;
        self.next_hops = next_hops(&outcome.goal);
        self.settings = settings(&outcome);
        self.checkups = plan::checkups(config, &outcome.goal, &outcome.before);
        let before = self.monitor.unhealthy();
        self.monitor.follow(&self.checkups, now());
        self.news = self.monitor.unhealthy() != before;
        let changes = changes(&outcome, causes);
        changes.iter().for_each(tell);
        tell_flaps(&mut self.flaps, &changes, &outcome);
        let heard = self.heard.drain(..).flat_map(|event| for_each_namespace(event, config, &outcome.goal));
        session.record(&outcome, heard.chain(changes).collect());
        let told = |problem| report(std::slice::from_ref(problem), &config.sources, false).to_string();
        let problems = problems.borrow().iter().map(told).collect();
        self.tell_problems(problems);
        self.say();
        self.note_health();
        let up = outcome.goal.namespaces.values().filter(|namespace| namespace.checks.is_none()).count();
        let status = format!("{up} {} up", if up == 1 { "namespace is" } else { "namespaces are" });
        if !std::mem::replace(&mut self.ready, true) {
            info!("ready; {status}");
        }
        notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
        Ok(what_was_done(&outcome))
    }

    fn next_hops(&self) -> Vec<IpAddr> {
        self.next_hops.clone()
    }

    fn settings(&self) -> Vec<(String, Scope)> {
        self.settings.clone()
    }

    fn heartbeat(&mut self) {
        notify(&[NotifyState::Watchdog]);
    }

    fn reloading(&mut self) {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            notify(&[NotifyState::Reloading, now]);
        }
    }

    fn checkups(&self) -> BTreeMap<Name, Checkup> {
        self.checkups.clone()
    }

    fn heard(&mut self, uplink: &Name, answers: &Answers) -> bool {
        let changes = self.monitor.observe(uplink, answers, now());
        for change in &changes {
            let event = self.event_of_uplink(uplink, *change);
            let (told, name, kind) = (event::describe(&event), uplink.as_str(), event.kind.name());
            if event.kind == EventKind::Dead {
                warn!(uplink = name, event = kind, "{told}");
            } else {
                info!(uplink = name, event = kind, "{told}");
            }
            self.heard.push(event);
        }
        if !changes.is_empty() {
            self.note_health();
        }
        !changes.is_empty()
    }

    fn has_news(&self) -> bool {
        self.news
    }

    fn happened(&mut self, event: Event) {
        let Some(name) = event.namespace.clone() else { return };
        let declared = self.config.as_ref().and_then(|config| config.namespaces.get(&name));
        let words: Vec<String> = declared
            .into_iter()
            .flat_map(|declared| &declared.on_change)
            .map(|word| word.value.clone())
            .collect();
        if !words.is_empty() {
            self.hooks.run(words, &name, event);
        }
    }

    fn failed(&mut self, why: Error) {
        let why = why.to_string().trim_start_matches("nsnat: ").to_owned();
        if self.failure.as_ref() != Some(&why) {
            error!("{why}");
        }
        self.failure = Some(why);
        self.say();
    }

    fn fighting(&mut self, fights: bool) {
        self.fights = fights;
        if fights {
            warn!("{FIGHT}");
        } else {
            info!("no other program undoes repairs any more");
        }
        self.say();
    }
}

impl Kept<'_> {
    /// What an uplink has become, as an event that is of no namespace yet.
    fn event_of_uplink(&self, uplink: &Name, (family, condition): health::Change) -> Event {
        let asked = self.checkups.get(uplink).map(|checkup| asked(checkup, family)).unwrap_or_default();
        let reason = match condition {
            Condition::Dead => format!("no answer from {asked}"),
            Condition::Unsteady => format!("{asked}; one that is well is better"),
            Condition::Well => asked,
        };
        Event {
            uplink: Some(uplink.clone()),
            family,
            reason: Some(reason),
            ..Event::new(seconds(), None, condition.into())
        }
    }

    /// Writes a line about each thing that is not as it should be. A full disk does not prevent repairs.
    fn say(&mut self) {
        let first =
            |text: &String| text.lines().next().unwrap_or_default().trim_start_matches("nsnat: ").to_owned();
        let refused = self.refused.as_ref().map(|why| format!("{REFUSED}: {}", first(why)));
        let fight = self.fights.then(|| FIGHT.to_owned());
        let lines = refused
            .into_iter()
            .chain(self.failure.as_ref().map(first))
            .chain(fight)
            .chain(self.problems.iter().map(first));
        let _ = self.watch.say(&lines.map(|line| line + "\n").collect::<String>());
    }

    /// Tells the plan, that of every command, which uplinks are not well. On a full disk the next change says it.
    fn note_health(&mut self) {
        if let Err(why) = self.watch.note_health(&self.monitor.unhealthy()) {
            warn!("what was found out about uplinks is not noted: {}", why.reason());
        }
    }

    /// Reads the configuration. One with mistakes is told once, and the last good one stays in force.
    fn read(&mut self) -> Result<()> {
        match config::open(self.ui) {
            Ok(config) => {
                self.config = Some(config);
                self.refused = None;
                Ok(())
            }
            Err(why) if self.config.is_none() => Err(why),
            Err(why) => {
                let text = why.to_string();
                if self.refused.as_ref() != Some(&text) {
                    error!("{REFUSED}\n{text}");
                }
                self.refused = Some(text);
                Ok(())
            }
        }
    }

    /// Tells problems that are new.
    fn tell_problems(&mut self, problems: Vec<String>) {
        for problem in problems.iter().filter(|problem| !self.problems.contains(problem)) {
            warn!("{problem}");
        }
        self.problems = problems;
    }
}

fn now() -> Moment {
    Moment { instant: Instant::now(), seconds: seconds() }
}

fn what_was_done(outcome: &Outcome) -> Done {
    let (before, after) = (&outcome.before.state, &outcome.goal);
    let wants_the_same = after.egresses == before.egresses && after.namespaces == before.namespaces;
    match (outcome.done.is_empty(), wants_the_same) {
        (true, _) => Done::Nothing,
        (false, true) => Done::Repaired,
        (false, false) => Done::Followed,
    }
}

/// The next hops by which namespaces leave.
fn next_hops(state: &State) -> Vec<IpAddr> {
    let paths = state.egresses.values().flat_map(Egress::parts);
    let hops: BTreeSet<IpAddr> = paths.flat_map(|path| path.gateways.iter().copied()).collect();
    hops.into_iter().collect()
}

/// A line that goes and comes is told as that, besides each time that it does.
fn tell_flaps(flaps: &mut Flaps, changes: &[Event], outcome: &Outcome) {
    let closed = changes.iter().filter(|event| event.kind == EventKind::Closed);
    for name in closed.filter_map(|event| event.namespace.as_ref()) {
        let before = &outcome.before.state;
        let path = before.namespaces.get(name).and_then(|namespace| before.path_of(namespace));
        let dev = path.map_or("its line", |path| path.dev.as_str());
        if let Some(often) = flaps.went(name, seconds()) {
            warn!(
                namespace = name.as_str(),
                "{name}: {dev} goes and comes, {often} times in the last minute"
            );
        }
    }
}

/// The settings of the host that were looked at.
fn settings(outcome: &Outcome) -> Vec<(String, Scope)> {
    let ends: BTreeMap<&str, &Name> =
        outcome.goal.namespaces.iter().map(|(name, namespace)| (namespace.link.as_str(), name)).collect();
    let scope = |key: &str| match device_of(key).and_then(|device| ends.get(device)) {
        Some(name) => Scope::Namespace((*name).clone()),
        None => Scope::Host,
    };
    let keys = outcome.before.host.sysctls.keys().chain(outcome.goal.sysctls.keys());
    keys.map(|key| (key.clone(), scope(key))).collect()
}

/// What became of namespaces, or was put back; and what had changed before, and by which programs.
fn changes(outcome: &Outcome, causes: &Causes) -> Vec<Event> {
    let reason = reason(causes);
    let events = outcome.events(seconds()).into_iter();
    events.map(|event| Event { reason: reason.clone(), ..event }).collect()
}

fn tell(event: &Event) {
    let [namespace, uplink, previous_uplink] =
        [&event.namespace, &event.uplink, &event.previous_uplink].map(|name| name.as_ref().map(Name::as_str));
    let (kind, told) = (event.kind.name(), event::describe(event));
    info!(namespace, event = kind, uplink, previous_uplink, "{told}");
}

/// What was asked about an uplink, of one family or of all that are asked about.
fn asked(checkup: &Checkup, family: Option<Family>) -> String {
    let is_meant = |address: IpAddr| family.is_none_or(|family| Family::of(address) == family);
    let targets = || checkup.check.targets.iter().filter(|target| is_meant(target.ip()));
    let asked: Vec<String> = match &checkup.asked {
        Asked::NextHops(hops) => {
            let hops = hops.iter().filter(|hop| is_meant(hop.address));
            hops.map(|one| format!("{} on {}", one.address, one.dev)).collect()
        }
        Asked::HostsFrom(_) if checkup.check.kind == CheckKind::Tcp => {
            targets().map(ToString::to_string).collect()
        }
        Asked::HostsFrom(_) => targets().map(|target| target.ip().to_string()).collect(),
        Asked::Nothing => Vec::new(),
    };
    asked.join(" and ")
}

/// What happened to an uplink, for each namespace that is up and names it.
fn for_each_namespace<'a>(
    event: Event,
    config: &'a Config,
    state: &'a State,
) -> impl Iterator<Item = Event> + use<'a> {
    let uplink = event.uplink.clone();
    let namespaces = config.namespaces.iter().filter(move |(name, namespace)| {
        state.namespaces.contains_key(*name) && namespace.uplinks.iter().any(|one| one.name == uplink)
    });
    namespaces.map(move |(name, _)| Event { namespace: Some(name.clone()), ..event.clone() })
}

/// What had changed, and by which programs, as far as that is known.
fn reason(causes: &Causes) -> Option<String> {
    let known = |what: &str| causes.changes.iter().any(|change| change.what == what && change.by.is_some());
    let told = causes.changes.iter().filter(|change| change.by.is_some() || !known(change.what));
    let mut reasons: Vec<String> = told
        .map(|change| match &change.by {
            Some((program, process)) => format!("{} by {program} (process {process})", change.what),
            None => change.what.to_owned(),
        })
        .collect();
    reasons.dedup();
    reasons.extend(causes.declared.then(|| "the declarations".to_owned()));
    reasons.extend(causes.health.then(|| "the health of an uplink".to_owned()));
    (!reasons.is_empty()).then(|| reasons.join(", "))
}
