//! `nsnat up`.

use super::{Context, apply::Session, config};
use crate::error::Result;
use crate::model::{Journal, Name};

pub(super) fn run(context: &Context<'_>, names: &[Name]) -> Result<()> {
    let config = config::open(context)?;
    let mut session = Session::begin(context, "up")?;
    let observed = session.observe(&config.namespaces.keys().collect::<Vec<_>>())?;
    let goal = config::goal(context, &config, names, &observed)?;
    let done = session.apply(&goal, &observed)?;
    report(context, &observed.journal, &goal, done);
    let forgotten = observed.journal.members.iter().filter(|(name, member)| {
        member.owner.is_none() && !config.namespaces.contains_key(*name) && names.is_empty()
    });
    for (name, _) in forgotten {
        context.note(format!("{name} is up and not declared any more; nsnat down {name} removes it"));
    }
    Ok(())
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
