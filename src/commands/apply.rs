//! The circle that `up`, `down` and everything else that changes something goes through:
//! lock, observe, plan, write the intent down, perform, observe again, which must leave nothing to do.
//!
//! # What is left when it does not work
//!
//! When an action fails, or somebody interrupts, each namespace is left as it was before or as it should be
//! after: those that are complete stay, the others get their old entry of the journal back, and the circle is
//! gone through once more with that. When even that fails, or nsnat is killed, the journal on disk holds the union
//! of old and new, and the next `up` or `down` completes it.

use super::Context;
use crate::error::{Class, Error, Result};
use crate::kernel::{Depth, Kernel, Step, declarations, files, interrupt, netns};
use crate::model::{Egress, Journal, Member, Name, Netns, Observed, Pass, Target};
use crate::plan::{self, Action, Place};
use std::collections::BTreeSet;

/// What is, without a lock and without a trace of the look. Where another nsnat changed something meanwhile, it is looked
/// at again.
pub(super) fn look(context: &Context<'_>, names: &[&Name], depth: Depth) -> Result<Observed> {
    const TRIES: usize = 5;
    let mut kernel = Kernel::open_to_look()?;
    for _ in 0..TRIES {
        let mut observed = kernel.observe(names, depth)?;
        if let Some(namespace) = observed.elsewhere() {
            return Err(elsewhere(namespace));
        }
        if observed.journal == files::read_journal()? {
            if files::is_locked() {
                context
                    .note("another nsnat changes something at this moment; what follows may be half of it");
            }
            observed.note_numbers();
            plan::recall(&mut observed);
            return Ok(observed);
        }
    }
    Err(Error::new("look", "what is up changes faster than it can be read").hint("try again"))
}

/// Access to the kernel, alone.
pub(super) struct Session<'a> {
    context: &'a Context<'a>,
    lock: files::Lock,
    kernel: Kernel,
    depth: Depth,
    /// The namespaces that were asked for.
    named: BTreeSet<Name>,
    /// After a failure everything goes back, also what is complete.
    or_nothing: bool,
    /// Interrupts are looked at.
    stoppable: bool,
    /// Passes that others' programs refused. The namespaces are complete without them; status tells.
    refused: BTreeSet<Pass>,
    /// Later than the lock: who is stopped holds nobody up.
    _no_stop: interrupt::Mask,
}

impl<'a> Session<'a> {
    /// Takes the lock; waits for another nsnat to finish.
    pub(super) fn begin(context: &'a Context<'a>, what: &str) -> Result<Self> {
        super::need_root(what)?;
        interrupt::catch();
        let kernel = Kernel::open()?;
        let lock = files::lock(|| context.note("waiting for another nsnat to finish"))?;
        let no_stop = interrupt::hold_stop();
        files::sweep(&lock)?;
        declarations::sweep_unless_busy()?;
        Ok(Self {
            context,
            lock,
            kernel,
            depth: Depth::All,
            named: BTreeSet::new(),
            or_nothing: false,
            stoppable: true,
            refused: BTreeSet::new(),
            _no_stop: no_stop,
        })
    }

    /// Looks only into the namespaces that are named.
    pub(super) fn narrow(mut self) -> Self {
        self.depth = Depth::Named;
        self
    }

    /// What cannot be finished is not wanted by halves.
    pub(super) fn or_nothing(mut self) -> Self {
        self.or_nothing = true;
        self
    }

    /// Nothing but SIGKILL stops it.
    pub(super) fn unstoppable(mut self) -> Self {
        self.stoppable = false;
        self
    }

    /// What is.
    pub(super) fn observe(&mut self, names: &[&Name]) -> Result<Observed> {
        self.named = names.iter().copied().cloned().collect();
        let mut observed = self.kernel.observe(names, self.depth)?;
        if let Some(namespace) = observed.elsewhere() {
            return Err(elsewhere(namespace));
        }
        observed.note_numbers();
        plan::recall(&mut observed);
        Ok(observed)
    }

    /// Makes `goal` true; says how many actions that took.
    pub(super) fn apply(&mut self, goal: &Journal, observed: &Observed) -> Result<usize> {
        let actions = plan::actions(goal, observed);
        if actions.is_empty() && *goal == observed.journal {
            self.finish(goal, observed)?;
            return Ok(0);
        }
        Self::intend(goal, observed, &actions)?;
        match self.circle(goal, &actions) {
            Ok(()) => Ok(actions.len()),
            Err(error) => Err(self.settle(goal, &observed.journal, error)),
        }
    }

    /// Performs, observes, and writes down what came of it.
    fn circle(&mut self, goal: &Journal, actions: &[Action]) -> Result<()> {
        self.perform(actions)?;
        let mut goal = self.accepted(goal.clone());
        if actions.iter().any(|action| matches!(action, Action::LoadSkeleton { .. })) {
            // How the new one reads back is not known yet.
            goal.skeleton = None;
        }
        let mut rest = self.verify(&goal)?;
        // What a new namespace begins with is known once it is there.
        if !rest.is_empty() && rest.iter().all(|action| matches!(action, Action::Tune { .. })) {
            self.perform(&rest)?;
            goal = self.accepted(goal);
            rest = self.verify(&goal)?;
        }
        let Some(first) = rest.first() else { return Ok(()) };
        let why = format!("still to do after everything was done: {first}");
        Err(Error::new("the kernel's state is not what it should be", why)
            .hint("does another program change the network at this moment? try again, or see: nsnat plan"))
    }

    fn perform(&mut self, actions: &[Action]) -> Result<()> {
        let removing = !actions.iter().any(is_addition);
        let mut errors = Vec::new();
        let context = self.context;
        let stoppable = self.stoppable;
        let interrupted = || stoppable && interrupt::caught().is_some();
        let (mut adding, refused) = (None, &mut self.refused);
        self.kernel.perform(actions, &mut |step| match step {
            Step::Before(action) => {
                adding = if let Action::AddPass { pass } = action { Some(pass.clone()) } else { None };
                if context.global.verbose > 0 {
                    context.say(action);
                }
                !interrupted()
            }
            Step::Failed(error) if adding.is_some() => {
                context.note(error.to_string().trim_start_matches("nsnat: "));
                refused.extend(adding.take());
                true
            }
            // Taking away goes on after an error; what is made stops at the first.
            Step::Failed(error) => {
                errors.push(error);
                removing
            }
        });
        if let Some(error) = errors.into_iter().next() {
            return Err(error);
        }
        if interrupted() && !actions.is_empty() {
            return Err(Error::new("interrupted", "stopped before everything was done"));
        }
        Ok(())
    }

    /// The goal without what namespaces did not take of the host's settings.
    fn accepted(&mut self, mut goal: Journal) -> Journal {
        let refused = self.kernel.refused();
        goal.inherited.retain(|key, _| !refused.contains_key(key));
        goal.left_alone.extend(refused);
        goal
    }

    /// What is, of the namespaces of both journals as far as they are looked into.
    fn look_again(&mut self, goal: &Journal, before: &Journal) -> Result<Observed> {
        let seen = |name: &&Name| self.depth == Depth::All || self.named.contains(*name);
        let names: Vec<&Name> = goal.members.keys().chain(before.members.keys()).filter(seen).collect();
        self.kernel.observe(&names, self.depth)
    }

    /// Observing again must leave nothing to do; then the result is written down. Says what is left.
    fn verify(&mut self, goal: &Journal) -> Result<Vec<Action>> {
        let observed = self.look_again(goal, goal)?;
        let mut rest = plan::actions(goal, &Observed { journal: goal.clone(), ..observed.clone() });
        let refused =
            |action: &Action| matches!(action, Action::AddPass { pass } if self.refused.contains(pass));
        rest.retain(|action| !refused(action));
        if !rest.is_empty() {
            return Ok(rest);
        }
        let mut noted = goal.clone();
        noted.skeleton.clone_from(&observed.table.rules);
        noted.earlier.clear();
        for (name, member) in &mut noted.members {
            if let Some(Netns::Alive { inode, cookie, .. }) = observed.namespaces.get(name) {
                member.inode = Some(*inode);
                member.cookie = *cookie;
            }
        }
        self.finish(&noted, &observed)?;
        Ok(rest)
    }

    /// Writes the union of old and new down, before anything is changed.
    fn intend(goal: &Journal, observed: &Observed, actions: &[Action]) -> Result<()> {
        let mut intent = union(goal, &observed.journal);
        intent.made_netns_dir |= !netns::dir_exists();
        if actions.iter().any(|action| matches!(action, Action::LoadSkeleton { .. })) {
            intent.skeleton = None;
        }
        // What is there already needs no writing: taking away works on a full disk. Otherwise, what is written when
        // all is done must not fail for want of room, so nothing is begun without it.
        if intent != files::read_journal()? {
            files::check_room(&intent)?;
            files::write_journal(&intent)?;
        }
        for name in observed.journal.members.keys().filter(|name| !goal.members.contains_key(*name)) {
            files::remove_target(name)?;
        }
        Ok(())
    }

    /// Writes the result down; what `exec` reads comes last.
    fn finish(&mut self, journal: &Journal, observed: &Observed) -> Result<()> {
        let made_dir = files::read_journal()?.made_netns_dir;
        if journal.members.is_empty() {
            if made_dir {
                netns::remove_dir()?;
            }
            return files::clear(&self.lock);
        }
        files::write_journal(&Journal { made_netns_dir: made_dir, ..journal.clone() })?;
        let stopped = plan::stopped(journal, observed).into_iter().next();
        let tapped = |member| plan::tapped(member, journal, observed).into_iter().next();
        let stops = |member| stopped.clone().or_else(|| tapped(member));
        let write = |(name, member)| files::write_target(name, &target(member, stops(member)));
        journal.members.iter().try_for_each(write)
    }

    /// After a failure: whole namespaces stay, the others go back.
    fn settle(&mut self, goal: &Journal, before: &Journal, error: Error) -> Error {
        self.stoppable = false;
        match self.go_back(goal, before) {
            Ok(left) if left.is_empty() => error.hint("everything is as it was before"),
            Ok(left) => error.hint(format!("complete: {}; everything else is as it was before", names(&left))),
            Err(second) => error.hint(format!(
                "going back failed, too ({}); nsnat plan shows what is missing, nsnat up or nsnat down completes it",
                second.reason()
            )),
        }
        .class(Class::Failed)
    }

    /// Says which of the changed namespaces are as they should be.
    fn go_back(&mut self, goal: &Journal, before: &Journal) -> Result<Vec<Name>> {
        self.kernel.reopen()?;
        let observed = self.look_again(goal, before)?;
        let names: BTreeSet<&Name> = goal.members.keys().chain(before.members.keys()).collect();
        let incomplete =
            incomplete(goal, &plan::actions(goal, &observed)).filter(|_| can_be_mixed(before, goal));
        // What holds for all is as it was looked at now; there is no earlier one where nothing was up.
        let (mask, host) = (goal.mask, goal.host);
        let (inherited, left_alone) = (goal.inherited.clone(), goal.left_alone.clone());
        let mut mixed = Journal { mask, host, inherited, left_alone, ..union(before, goal) };
        // What sysctls were was looked at last for the goal.
        mixed.sysctls.extend(goal.sysctls.clone());
        let mut complete = Vec::new();
        for name in names {
            let (old, new) = (before.members.get(name), goal.members.get(name));
            let whole = incomplete.as_ref().is_some_and(|names| !names.contains(name)) && !self.or_nothing;
            if old == new || !whole {
                put(&mut mixed, name, old);
            } else {
                put(&mut mixed, name, new);
                complete.push(name.clone());
            }
        }
        plan::tidy(&mut mixed, &observed);
        let actions = plan::actions(&mixed, &observed);
        self.circle(&mixed, &actions)?;
        Ok(complete)
    }
}

/// nsnat changes the host; from inside of a namespace that would be what it takes for one.
fn elsewhere(namespace: Option<&Name>) -> Error {
    match namespace {
        Some(name) => Error::new("not here", format!("this is inside of namespace {name}, and not the host"))
            .hint("leave it first (exit), or: sudo nsenter -t 1 -n nsnat …"),
        None => Error::new("not here", "this is another network namespace than the host of what is up")
            .hint(format!("run it there; if that one is gone: rm -r {}", files::RUN)),
    }
}

impl Drop for Session<'_> {
    /// Where nothing is up, nothing of ours stays below `/run`, not even the lock, whatever came of it.
    fn drop(&mut self) {
        if files::read_journal().is_ok_and(|journal| journal.members.is_empty()) {
            // What cannot be removed is an empty file; the error that matters is told already.
            let _ = files::clear(&self.lock);
        }
    }
}

/// Whether some namespaces can be as in one journal and others as in the other: what is one egress in one is one in the
/// other.
fn can_be_mixed(one: &Journal, other: &Journal) -> bool {
    let same = |(a, b): (&String, &Egress), (c, d): (&String, &Egress)| (a == c) == (b.number == d.number);
    one.egresses.iter().all(|a| other.egresses.iter().all(|b| same(a, b)))
}

fn put(journal: &mut Journal, name: &Name, member: Option<&Member>) {
    match member {
        Some(member) => journal.members.insert(name.clone(), member.clone()),
        None => journal.members.remove(name),
    };
}

/// The namespaces that actions are still needed for; none (all) when something that several share is missing.
fn incomplete(goal: &Journal, actions: &[Action]) -> Option<BTreeSet<Name>> {
    actions.iter().map(|action| owner(action, goal)).collect()
}

/// The namespace that an action is for; none when several share what it changes.
pub(super) fn owner(action: &Action, journal: &Journal) -> Option<Name> {
    let by_link =
        |link: &str| journal.members.iter().find(|(_, m)| m.link == link).map(|(name, _)| name.clone());
    concerns(action, by_link)
}

fn concerns(action: &Action, owner: impl Fn(&str) -> Option<Name>) -> Option<Name> {
    match action {
        Action::MakeNetns { name, .. }
        | Action::AttachNetns { name, .. }
        | Action::RemoveNetns { name }
        | Action::Tune { name, .. }
        | Action::AddVeth { name, .. } => Some(name.clone()),
        Action::RemoveLink { link } | Action::ForgetServers { link } => owner(link),
        Action::SetLink { place, dev, .. } => at(place, dev, owner),
        Action::AddAddress { place, address } | Action::RemoveAddress { place, address } => {
            at(place, &address.dev, owner)
        }
        Action::AddRoute { place, route, .. } | Action::RemoveRoute { place, route } => {
            at(place, route.dev.as_deref().unwrap_or_default(), owner)
        }
        Action::Sysctl { place, key, .. } => at(place, key.split('/').nth(3).unwrap_or_default(), owner),
        Action::AddRule { place, .. } | Action::RemoveRule { place, .. } => at(place, "", owner),
        Action::LoadSkeleton { .. }
        | Action::RemoveTable
        | Action::Elements { .. }
        | Action::AddPass { .. }
        | Action::RemovePass { .. }
        | Action::AddPolicy { .. }
        | Action::RemovePolicy { .. }
        | Action::ForgetFlows { .. } => None,
    }
}

fn at(place: &Place, dev: &str, owner: impl Fn(&str) -> Option<Name>) -> Option<Name> {
    match place {
        Place::Inside(name) => Some(name.clone()),
        Place::Host => owner(dev),
    }
}

fn is_addition(action: &Action) -> bool {
    matches!(
        action,
        Action::MakeNetns { .. }
            | Action::AttachNetns { .. }
            | Action::LoadSkeleton { .. }
            | Action::AddVeth { .. }
            | Action::AddAddress { .. }
            | Action::AddRoute { .. }
            | Action::AddRule { .. }
            | Action::AddPass { .. }
            | Action::AddPolicy { .. }
    )
}

/// Both, the first one's entries where both have one. To the kernel an egress is its number: a member that only the
/// second has stays with that, whatever it is called in the first.
fn union(first: &Journal, second: &Journal) -> Journal {
    let mut out = first.clone();
    for (key, egress) in &second.egresses {
        if !out.egresses.values().any(|other| other.number == egress.number) {
            let taken = out.egresses.contains_key(key);
            let key = if taken { format!("{key} #{}", egress.number) } else { key.clone() };
            out.egresses.insert(key, egress.clone());
        }
    }
    for (name, member) in &second.members {
        let number = second.egresses.get(&member.egress).map(|egress| egress.number);
        let key =
            out.egresses.iter().find(|(_, egress)| Some(egress.number) == number).map(|(key, _)| key.clone());
        let egress = key.unwrap_or_else(|| member.egress.clone());
        out.members.entry(name.clone()).or_insert_with(|| Member { egress, ..member.clone() });
    }
    for (key, held) in &second.sysctls {
        out.sysctls.entry(key.clone()).or_insert_with(|| held.clone());
    }
    out.passes.extend(second.passes.iter().cloned());
    out.made_netns_dir |= second.made_netns_dir;
    out.earlier.extend(second.earlier.iter().chain([&second.first]));
    out.earlier.remove(&out.first);
    out
}

fn target(member: &Member, stopped: Option<String>) -> Target {
    Target {
        hide_resolvers: member.dns.host.is_none(),
        inode: member.inode,
        cookie: member.cookie,
        nameservers: member.dns.nameservers.clone(),
        allowed: member.allowed.clone(),
        stopped,
        proxy: member.proxy,
    }
}

/// Names in a sentence; of many, the first ones.
fn names(names: &[Name]) -> String {
    const MANY: usize = 10;
    let first = names.iter().take(MANY).map(Name::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MANY) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
