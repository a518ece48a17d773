//! A thread that goes into namespaces.
//!
//! What is done inside of a namespace takes a thread that is there, and no thread of nsnat's that works for the host may ever be in
//! another namespace. To start a thread for each such thing takes longer than most of them do. So one thread does them all, one
//! after the other, and enters each namespace anew.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

type Job = Box<dyn FnOnce() + Send>;

/// The thread. It is started for its first job, and ends when this is dropped: until then it keeps the last namespace that it entered.
#[derive(Default)]
pub(super) struct Worker(Option<Started>);

struct Started {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Does a job, which has to enter its namespace by itself, and waits for its end.
    pub(super) fn run<T: Send + 'static>(
        &mut self,
        job: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let started = match &mut self.0 {
            Some(started) => started,
            none => none.insert(Started::new()?),
        };
        let (answer, answered) = channel();
        let job = move || drop(answer.send(job()));
        let ended = |_| io::Error::other("the thread ended early");
        // A thread that ended drops the job, and with it the way of the answer.
        drop(started.jobs.send(Box::new(job)));
        answered.recv().map_err(ended).inspect_err(|_| self.end())?
    }

    /// Ends the thread, which leaves the namespace where it is.
    pub(super) fn end(&mut self) {
        if let Some(Started { jobs, thread }) = self.0.take() {
            drop(jobs);
            // A panic was told of where it happened.
            drop(thread.join());
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

impl Started {
    fn new() -> io::Result<Self> {
        let (jobs, todo): (Sender<Job>, Receiver<Job>) = channel();
        let work = move || todo.into_iter().for_each(|job| job());
        Ok(Self { jobs, thread: Builder::new().spawn(work)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_does_all() {
        let mut worker = Worker::default();
        let mut thread = || worker.run(|| Ok(std::thread::current().id())).unwrap();
        let first = thread();
        assert_eq!(thread(), first);
        assert_ne!(first, std::thread::current().id());
    }

    #[test]
    fn a_job_that_fails_ends_no_other() {
        let mut worker = Worker::default();
        let failed = worker.run(|| Err::<(), _>(io::Error::other("no"))).unwrap_err();
        assert_eq!(failed.to_string(), "no");
        let ended = worker.run(|| if true { panic!("seen") } else { Ok(()) }).unwrap_err();
        assert_eq!(ended.to_string(), "the thread ended early");
        assert_eq!(worker.run(|| Ok(1)).unwrap(), 1, "there is another thread");
    }
}
