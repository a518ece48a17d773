//! A program that runs in a namespace while the test goes on.

use super::Lab;

/// A job; what it prints is kept. It ends with its lab.
pub(crate) struct Job<'a> {
    lab: &'a Lab,
    /// Has its number and its output.
    dir: String,
}

impl Lab {
    /// Starts a program in a namespace and does not wait for it.
    #[track_caller]
    pub(crate) fn job(&self, namespace: &str, command: &str) -> Job<'_> {
        let dir = self.ok("mktemp -d -p /run/lab job.XXXXXX");
        self.ok(&format!(
            "nsnat exec {namespace} -- {command} </dev/null >{dir}/out 2>&1 & echo $! >{dir}/pid"
        ));
        Job { lab: self, dir }
    }

    /// Starts a job with a connection that must not be cut off: the service sends a line ten times a second.
    #[track_caller]
    pub(crate) fn connection(&self, namespace: &str) -> Job<'_> {
        let job = self.job(namespace, "socat -u TCP4:$LAB_SERVICE:9997 -");
        job.goes_on();
        job
    }
}

impl Job<'_> {
    /// Waits until it has printed a line with this.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) {
        self.says_lines(text, 1);
    }

    /// Waits until it has printed so many lines with this.
    #[track_caller]
    pub(crate) fn says_lines(&self, text: &str, lines: usize) {
        self.lab.until(&format!("(($(grep -c '{text}' {}/out) >= {lines}))", self.dir));
    }

    /// It has not printed a line with this.
    #[track_caller]
    pub(crate) fn lacks(&self, text: &str) {
        self.lab.ok(&format!("! grep '{text}' {}/out", self.dir));
    }

    /// Waits until it prints more than it has by now: a job that was cut off never does.
    #[track_caller]
    pub(crate) fn goes_on(&self) {
        let dir = &self.dir;
        self.lab.ok(&format!("lines=$(wc -l <{dir}/out); await '(($(wc -l <{dir}/out) > lines))'"));
    }

    /// Waits for its end, and gives what it printed.
    #[track_caller]
    pub(crate) fn ends(&self) -> String {
        let dir = &self.dir;
        self.lab.ok(&format!("await '! kill -0 $(cat {dir}/pid)'; cat {dir}/out"))
    }

    /// It has ended, and not only by and by.
    #[track_caller]
    pub(crate) fn has_ended(&self) {
        self.lab.ok(&format!("! kill -0 $(cat {}/pid) 2>/dev/null", self.dir));
    }

    /// Its number.
    #[track_caller]
    pub(crate) fn pid(&self) -> String {
        self.lab.ok(&format!("cat {}/pid", self.dir))
    }

    /// Ends it.
    #[track_caller]
    pub(crate) fn kill(&self) {
        self.lab.ok(&format!("kill $(cat {}/pid)", self.dir));
        self.ends();
    }
}
