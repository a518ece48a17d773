//! `exec --report`: what a job moved, and how long it took.

use crate::kernel::{self, Traffic};
use crate::model::Name;
use crate::report::{Job, Scope};
use crate::ui::tell;
use std::time::Instant;

/// The counters and the time when a job began.
pub(super) struct Start {
    name: Name,
    scope: Scope,
    then: Instant,
    before: Option<Traffic>,
}

impl Start {
    pub(super) fn now(name: &Name, scope: Scope) -> Self {
        Self { name: name.clone(), scope, then: Instant::now(), before: kernel::traffic(name) }
    }

    /// Tells it on standard error, which is nobody's result.
    pub(super) fn print(&self, json: bool) {
        let moved = self.before.zip(kernel::traffic(&self.name));
        let moved = moved.map(|(before, after)| {
            (after.down.saturating_sub(before.down), after.up.saturating_sub(before.up))
        });
        let job =
            Job { name: &self.name, scope: self.scope, moved, seconds: self.then.elapsed().as_secs_f64() };
        let text = if json { job.json().to_string() } else { job.text() };
        tell(text);
    }
}
