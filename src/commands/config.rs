//! The configuration, for commands: opened, with all its problems, also the ones that only the host shows.

use super::refusals::unknown;
use crate::config::{self, Config, Namespace, NewNamespace, Problem, Source, Trust};
use crate::enter;
use crate::error::{Error, Result};
use crate::kernel::threads::beside;
use crate::model::{Account, Name, Observed, State};
use crate::plan::{self, Selection, resolve};
use crate::ui::Ui;
use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::thread::{Scope, ScopedJoinHandle};

/// Reads and checks the configuration.
pub(super) fn open(ui: &Ui<'_>) -> Result<Config> {
    config::open(ui.global.config.as_deref(), &trust(ui), ui.colour)
}

/// The configuration, while a thread of its own reads it: what does not need it goes on meanwhile.
pub(super) struct Reading<'scope> {
    thread: Cell<Option<ScopedJoinHandle<'scope, Result<Config>>>>,
    config: OnceCell<Config>,
}

impl<'scope> Reading<'scope> {
    /// Begins to read it. `read` is [`open`] or [`load_with`].
    pub(super) fn begin(
        scope: &'scope Scope<'scope, '_>,
        read: impl FnOnce() -> Result<Config> + Send + 'scope,
    ) -> Result<Self> {
        Ok(Self { thread: Cell::new(Some(beside(scope, read)?)), config: OnceCell::new() })
    }

    /// The configuration, once it is read. What is wrong with it is told at the first call.
    pub(super) fn get(&self) -> Result<&Config> {
        if let Some(thread) = self.thread.take() {
            let config = thread.join().unwrap_or_else(|_| Err(unread()))?;
            return Ok(self.config.get_or_init(|| config));
        }
        self.config.get().ok_or_else(unread)
    }

    /// Leaves what was read where it is.
    pub(super) fn forget(self) {
        std::mem::forget(self.config);
    }
}

fn unread() -> Error {
    Error::new("configuration", "it was not read to its end")
}

/// The users whose files are obeyed. A user that called sudo and names a file by `--config` has said what root shall
/// do; that others wrote it is another matter.
fn trust(ui: &Ui<'_>) -> Trust {
    if !nix::unistd::geteuid().is_root() {
        return Trust::everybody();
    }
    Trust::root_and(ui.global.config.as_ref().and_then(|_| enter::caller_number()))
}

/// The configuration with one more namespace, which the command line describes; checked like a file. `origin`: what is
/// named where something is wrong, [`COMMAND_LINE`](config::COMMAND_LINE) where the options are.
pub(super) fn load_with(ui: &Ui<'_>, origin: &str, name: &Name, namespace: &NewNamespace) -> Result<Config> {
    let (mut sources, mut problems) = config::locate(ui.global.config.as_deref()).read(&trust(ui));
    let text = config::declare(None, name, namespace)?;
    sources.push(Source { path: origin.into(), text });
    let (config, more) = config::check(sources);
    problems.extend(more);
    if problems.is_empty() {
        return Ok(config);
    }
    Err(config::report(&problems, &config.sources, ui.colour))
}

/// A namespace that the command line describes, checked like a declaration; what files declare does not matter.
pub(super) fn check_alone(
    ui: &Ui<'_>,
    origin: &str,
    name: &Name,
    namespace: &NewNamespace,
) -> Result<Option<Namespace>> {
    let text = config::declare(None, name, namespace)?;
    let (mut config, problems) = config::check(vec![Source { path: origin.into(), text }]);
    if problems.is_empty() {
        return Ok(config.namespaces.remove(name));
    }
    Err(config::report(&problems, &config.sources, ui.colour))
}

/// The state in which the named namespaces (all, when none is named) are up.
pub(super) fn state_with(ui: &Ui<'_>, config: &Config, names: &[Name], observed: &Observed) -> Result<State> {
    if let Some(name) = names.iter().find(|name| !config.namespaces.contains_key(*name)) {
        return Err(unknown(name, config.namespaces.keys()));
    }
    let selection = if names.is_empty() { Selection::All } else { Selection::These(names) };
    select(ui, config, selection, observed)
}

/// The state in which what is up already is as it is declared, as far as it is named (all, when none is).
pub(super) fn goal_of_repair(
    ui: &Ui<'_>,
    config: &Config,
    names: &[Name],
    observed: &Observed,
) -> Result<State> {
    let is_meant = |name: &&Name| names.is_empty() || names.contains(name);
    let declared = |name: &&Name| config.namespaces.contains_key(*name);
    let up = observed.state.namespaces.keys().filter(is_meant).filter(declared).cloned().collect();
    select(ui, config, Selection::Kept(&up), observed)
}

/// The state in which all that is declared is up, as far as that is possible, and what stands in the way of the rest.
pub(super) fn goal_of_watch(config: &Config, observed: &Observed) -> Result<(State, Vec<Problem>)> {
    Ok(plan::keep(config, &*with_accounts(config, observed)?))
}

/// An error where a device that the configuration names may have been passed by: it tells the run to look at all of them.
pub(super) fn need_devices_of(config: &Config, observed: &Observed) -> Result<()> {
    if !observed.idle_passed_by {
        return Ok(());
    }
    let declared = config.namespaces.values().chain(config.checks.values());
    let uplinks = declared.flat_map(|one| &one.uplinks).chain(config.uplinks.values());
    let mut devices = uplinks.filter_map(|uplink| uplink.dev.as_ref());
    match devices.find(|dev| observed.host.link_called(&dev.value).is_none()) {
        Some(dev) => Err(Error::new(format!("device {}", dev.value), "it was not looked at")),
        None => Ok(()),
    }
}

fn select(ui: &Ui<'_>, config: &Config, selection: Selection<'_>, observed: &Observed) -> Result<State> {
    need_devices_of(config, observed)?;
    let observed = with_accounts(config, observed)?;
    resolve(config, selection, &observed)
        .map_err(|problems| config::report(&problems, &config.sources, ui.colour))
}

/// What `up` has against a namespace as it is declared.
pub(super) fn why_not(config: &Config, name: &Name, observed: &Observed) -> Vec<String> {
    let Ok(observed) = with_accounts(config, observed) else { return Vec::new() };
    let problems = resolve(config, Selection::These(std::slice::from_ref(name)), &observed).err();
    problems.into_iter().flatten().map(|problem| problem.message).collect()
}

/// What was observed, with the accounts that the configuration names.
fn with_accounts<'a>(config: &Config, observed: &'a Observed) -> Result<Cow<'a, Observed>> {
    let accounts = accounts(config)?;
    if accounts == observed.accounts {
        return Ok(Cow::Borrowed(observed));
    }
    Ok(Cow::Owned(Observed { accounts, ..observed.clone() }))
}

/// The numbers of all users and groups that the configuration names.
fn accounts(config: &Config) -> Result<BTreeMap<Account, u32>> {
    let mut found = BTreeMap::new();
    for who in config.namespaces.values().flat_map(|namespace| &namespace.allow) {
        if !found.contains_key(&who.value)
            && let Some(number) = enter::number(&who.value)?
        {
            found.insert(who.value.clone(), number);
        }
    }
    Ok(found)
}
