//! A host with nsnat on it: the model of the kernel, gone through by the same circle as the real one.

use super::model::Model;
use nsnat::config::{Config, Problem};
use nsnat::model::{Journal, Name, Netns, Observed, numbers};
use nsnat::plan::{self, Action, Selection};
use std::collections::BTreeSet;

fn is_alive(observed: &Observed, name: &Name) -> bool {
    matches!(observed.namespaces.get(name), Some(Netns::Alive { .. } | Netns::Unseen { .. }))
}

/// The kernel and nsnat's journal, which is the kernel's as far as the model goes.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) kernel: Model,
    /// Only these namespaces are looked into, as for throw-away ones; none: all.
    pub(crate) only: Option<BTreeSet<Name>>,
}

impl World {
    pub(crate) fn new(host: Observed) -> Self {
        Self { kernel: Model::new(host), only: None }
    }

    /// What nsnat sees: of the namespaces those that it asks for.
    pub(crate) fn observe(&self, names: &[&Name]) -> Observed {
        let state = &self.kernel.state;
        let of_alias = |alias: &String| alias.strip_prefix(numbers::ALIAS_PREFIX)?.parse().ok();
        let aliased = state.host.links.iter().filter_map(|link| of_alias(link.alias.as_ref()?));
        let asked = names.iter().copied().chain(state.journal.members.keys()).cloned();
        let wanted: BTreeSet<Name> = asked.chain(aliased).collect();
        let mut out = state.clone();
        out.namespaces.retain(|name, _| wanted.contains(name));
        let unseen = |name: &Name| self.only.as_ref().is_some_and(|only| !only.contains(name));
        for (_, netns) in out.namespaces.iter_mut().filter(|(name, _)| unseen(name)) {
            if let Netns::Alive { inode, .. } = netns {
                *netns = Netns::Unseen { inode: *inode };
            }
        }
        let lost = state.journal.members.iter().filter(|(name, _)| unseen(name) && !is_alive(&out, name));
        let lost: Vec<_> =
            lost.map(|(name, member)| (name.clone(), member.inode.unwrap_or_default())).collect();
        out.namespaces.extend(lost.into_iter().map(|(name, inode)| (name, Netns::Unseen { inode })));
        // Nor are the sysctls of their devices read.
        let hidden = state.journal.members.iter().filter(|(name, _)| unseen(name)).map(|(_, m)| &m.link);
        for link in hidden {
            out.host.sysctls.retain(|key, _| !key.contains(&format!("/conf/{link}/")));
        }
        plan::recall(&mut out);
        out
    }

    /// The plan of `up`, and where it leads.
    pub(crate) fn plan(
        &self,
        config: &Config,
        selection: Selection<'_>,
    ) -> Result<(Journal, Vec<Action>), Vec<Problem>> {
        let observed = self.observe(&config.namespaces.keys().collect::<Vec<_>>());
        let goal = plan::resolve(config, selection, &observed)?;
        let actions = plan::actions(&goal, &observed);
        Ok((goal, actions))
    }

    /// `up`; the inner result is what the kernel, or the look afterwards, has against it.
    pub(crate) fn up(
        &mut self,
        config: &Config,
        selection: Selection<'_>,
    ) -> Result<Result<usize, String>, Vec<Problem>> {
        let (goal, actions) = self.plan(config, selection)?;
        Ok(self.circle(&goal, &actions))
    }

    /// `down` of what `gone` chooses.
    pub(crate) fn down(&mut self, names: &[&Name], gone: impl Fn(&Name) -> bool) -> Result<usize, String> {
        let observed = self.observe(names);
        let goal = plan::without(&observed, gone);
        let actions = plan::actions(&goal, &observed);
        self.circle(&goal, &actions)
    }

    /// Writes the intent down, performs, observes again, which must leave nothing to do.
    pub(crate) fn circle(&mut self, goal: &Journal, actions: &[Action]) -> Result<usize, String> {
        self.intend(goal);
        for action in actions {
            self.kernel.apply(action).map_err(|why| format!("{action}: {why}"))?;
        }
        let names: Vec<&Name> = goal.members.keys().collect();
        let observed = Observed { journal: goal.clone(), ..self.observe(&names) };
        if let Some(rest) = plan::actions(goal, &observed).first() {
            return Err(format!("still to do after everything was done: {rest}"));
        }
        let mut noted = goal.clone();
        noted.skeleton.clone_from(&observed.table.rules);
        noted.earlier.clear();
        for (name, member) in &mut noted.members {
            if let Some(Netns::Alive { inode, .. }) = observed.namespaces.get(name) {
                member.inode = Some(*inode);
            }
        }
        self.kernel.state.journal = if noted.members.is_empty() { Journal::default() } else { noted };
        Ok(actions.len())
    }

    /// What is on disk while actions are performed: both, the new entries where both have one.
    pub(crate) fn intend(&mut self, goal: &Journal) {
        let old = std::mem::replace(&mut self.kernel.state.journal, goal.clone());
        let journal = &mut self.kernel.state.journal;
        for (key, egress) in old.egresses {
            journal.egresses.entry(key).or_insert(egress);
        }
        for (name, member) in old.members {
            journal.members.entry(name).or_insert(member);
        }
        journal.sysctls.extend(old.sysctls);
        journal.passes.extend(old.passes);
        journal.skeleton = None;
    }
}
