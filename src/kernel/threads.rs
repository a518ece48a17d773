//! Threads that really run at the same time.
//!
//! A kernel may start a thread on its maker's processor although another one is idle, and move one of the two only with a later tick
//! of the scheduler; or it wakes the thread there after a lock. That takes some milliseconds, which is as long as a command has for
//! what its second thread does. So each thread of a task keeps away from the processors of those that began before it.

use crate::error::{Context, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle, yield_now};

/// The calling thread, where the scheduler takes a number.
const SELF: Pid = Pid::from_raw(0);

/// Processors on which threads of one task run.
#[derive(Default)]
pub(super) struct Taken(Mutex<Vec<usize>>);

impl Taken {
    /// The one of this thread.
    fn here() -> Self {
        let taken = Self::default();
        taken.take();
        taken
    }

    /// Takes one for this thread that is not taken. Whatever stands against that is no error: the thread then runs where it is.
    pub(super) fn take(&self) {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = leave(&taken).or_else(|_| sched_getcpu());
        taken.extend(place);
    }
}

/// Keeps this thread, and what it starts, away from these processors. Says where it is then.
fn leave(taken: &[usize]) -> nix::Result<usize> {
    let mut free = sched_getaffinity(SELF)?;
    for number in taken {
        free.unset(*number)?;
    }
    // An empty set is refused, and all is as it was.
    sched_setaffinity(SELF, &free)?;
    sched_getcpu()
}

/// How many processors this process may use. What a control group allows is not asked for: in one of version 1 that means to
/// read a line of each mount, and every namespace is a mount.
pub(super) fn processors() -> usize {
    let Ok(allowed) = sched_getaffinity(SELF) else { return 1 };
    (0..CpuSet::count()).filter(|number| allowed.is_set(*number).unwrap_or(false)).count().max(1)
}

/// Does a job in a thread of its own, while this one goes on.
pub(crate) fn beside<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    job: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    let taken = Taken::here();
    let job = move || {
        taken.take();
        job()
    };
    let thread = Builder::new().spawn_scoped(scope, job).what(|| "start a thread")?;
    // It has to run here for a moment to get away from here, and a scheduler may let it wait until this thread pauses.
    yield_now();
    Ok(thread)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_thread_keeps_away_from_a_taken_processor() {
        let allowed = sched_getaffinity(SELF).expect("asked of itself");
        let here = sched_getcpu().expect("asked of itself");
        let (place, left) = thread::scope(|scope| {
            let away = || (leave(&[here]), sched_getaffinity(SELF).expect("asked of itself"));
            beside(scope, away).expect("a thread").join().expect("it ends")
        });
        assert_eq!(sched_getaffinity(SELF), Ok(allowed), "the maker goes where it may");
        if processors() == 1 {
            assert!(place.is_err() && left == allowed, "{place:?}");
        } else {
            assert!(place.is_ok_and(|place| place != here), "{place:?}");
            assert_eq!(left.is_set(here), Ok(false));
        }
    }

    #[test]
    fn two_on_one_processor_take_two() {
        let taken = Taken::here();
        let both = thread::scope(|scope| {
            let second = || {
                taken.take();
                taken.0.lock().expect("not poisoned").clone()
            };
            scope.spawn(second).join().expect("it ends")
        });
        assert_eq!(both.len(), 2);
        assert_eq!(both[0] == both[1], processors() == 1, "{both:?}");
    }
}
