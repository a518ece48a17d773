//! `nsnat up`.

use super::{Context, apply::Session, config};
use crate::config::Config;
use crate::error::Result;
use crate::model::{Journal, Name, Observed};
use crate::plan;
use std::collections::BTreeSet;

pub(super) fn run(context: &Context<'_>, names: &[Name]) -> Result<()> {
    let config = config::open(context)?;
    let (observed, goal, done) = make(context, &config, names)?;
    report(context, &observed, &goal, done);
    let unusual = plan::unusual_blocks(&observed.journal, &goal, &config, &observed);
    if let Some(note) = unusual {
        context.note(note);
    }
    let forgotten = observed.journal.members.iter().filter(|(name, member)| {
        member.owner.is_none() && !config.namespaces.contains_key(*name) && names.is_empty()
    });
    for (name, _) in forgotten {
        context.note(format!("{name} is up and not declared any more; nsnat down {name} removes it"));
    }
    Ok(())
}

/// Makes it so; what was before, the journal after, and how many actions that took.
pub(super) fn make(
    context: &Context<'_>,
    config: &Config,
    names: &[Name],
) -> Result<(Observed, Journal, usize)> {
    let mut session = Session::begin(context, "up")?;
    let observed = session.observe(&config.namespaces.keys().collect::<Vec<_>>())?;
    let goal = config::goal(context, config, names, &observed)?;
    let done = session.apply(&goal, &observed)?;
    Ok((observed, goal, done))
}

/// Says what changed, and where that is not enough to resolve names.
pub(super) fn report(context: &Context<'_>, observed: &Observed, after: &Journal, done: usize) {
    let before = &observed.journal;
    for (name, member) in &after.members {
        for shadow in super::status::shadows(member, after, observed).filter(|s| !s.is_passed_by_plan()) {
            context.note(format!("{name}: {}", shadow.problem()));
        }
    }
    if done == 0 {
        return context.say("nothing to do");
    }
    let mut changed = 0;
    let mut say = |line| {
        changed += 1;
        context.say(line);
    };
    for (name, member) in &after.members {
        let verb = match before.members.get(name) {
            None => "up",
            Some(old) if old == member && before.way(old) == after.way(member) => continue,
            Some(_) => "changed",
        };
        say(format!("{name}: {verb}, {}", crate::report::way(after.way(member))));
        if let Some(why) = super::status::unresolvable(name, member, after.way(member), observed) {
            context.note(format!("{name}: {why}"));
        }
    }
    let gone: BTreeSet<&Name> = before.members.keys().chain(observed.orphans()).collect();
    for name in gone.into_iter().filter(|name| !after.members.contains_key(*name)) {
        say(format!("{name}: down"));
    }
    if changed == 0 {
        context.say(format_args!("repaired ({done} {})", if done == 1 { "action" } else { "actions" }));
    }
}
