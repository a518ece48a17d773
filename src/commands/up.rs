//! `nsnat up`.

use super::{Context, apply::Session, config};
use crate::config::Config;
use crate::error::Result;
use crate::model::{Journal, Name};

pub(super) fn run(context: &Context<'_>, names: &[Name]) -> Result<()> {
    let config = config::open(context)?;
    let (before, after, done) = make(context, &config, names)?;
    report(context, &before, &after, done);
    let forgotten = before.members.iter().filter(|(name, member)| {
        member.owner.is_none() && !config.namespaces.contains_key(*name) && names.is_empty()
    });
    for (name, _) in forgotten {
        context.note(format!("{name} is up and not declared any more; nsnat down {name} removes it"));
    }
    Ok(())
}

/// Makes it so; the journal before and after, and how many actions that took.
pub(super) fn make(
    context: &Context<'_>,
    config: &Config,
    names: &[Name],
) -> Result<(Journal, Journal, usize)> {
    let mut session = Session::begin(context, "up")?;
    let observed = session.observe(&config.namespaces.keys().collect::<Vec<_>>())?;
    let goal = config::goal(context, config, names, &observed)?;
    let done = session.apply(&goal, &observed)?;
    Ok((observed.journal, goal, done))
}

/// Says what changed.
pub(super) fn report(context: &Context<'_>, before: &Journal, after: &Journal, done: usize) {
    if done == 0 {
        return context.say("nothing to do");
    }
    for (name, member) in &after.members {
        let way = after.egresses.get(&member.egress).and_then(|egress| egress.way.as_ref());
        let verb = match before.members.get(name) {
            None => "up",
            Some(old) if old == member => continue,
            Some(_) => "changed",
        };
        context.say(format_args!("{name}: {verb}, {}", crate::report::way(way)));
    }
    for name in before.members.keys().filter(|name| !after.members.contains_key(*name)) {
        context.say(format_args!("{name}: down"));
    }
    if before.members == after.members {
        context.say(format_args!("repaired ({done} {})", if done == 1 { "action" } else { "actions" }));
    }
}
