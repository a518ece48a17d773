//! A lab for one test: a host with three ways out, in namespaces of its own (`scripts/lab` draws it).
//!
//! The host of the lab is a namespace, so that no test can touch the machine's own network, and tests run side
//! by side, each with a lab of its own. A lab ends with its [`Lab`]: `scripts/lab hold` waits for the end of its
//! standard input, which also comes when the test is killed.

mod capture;
mod job;
mod snapshot;

pub(crate) use capture::Capture;
pub(crate) use job::Job;
pub(crate) use snapshot::Snapshot;

use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest time for one script, in seconds: a test that hangs must end and say where. Hundreds of jobs at once on a busy
/// machine take minutes.
const PATIENCE: &str = "400";

/// `await CONDITION`, in every script: waits until a condition of bash holds. The limit, some minutes, is for what never
/// happens; a busy machine is given its time. What takes long is looked at less often, so that looking does not keep a
/// processor busy. (On one line, so that bash counts the lines of the script.)
pub(crate) const AWAIT: &str = "await() { local tries=1500 ms=20 pause; until eval \"$1\" >/dev/null 2>&1; do \
    ((--tries)) || { echo \"in vain: await $1\" >&2; return 1; }; printf -v pause 0.%03d $ms; sleep $pause; \
    ((ms = ms < 200 ? ms * 5 / 4 : 250)); done; }; ";

/// The program under test.
pub(crate) const NSNAT: &str = env!("CARGO_BIN_EXE_nsnat");

const LAB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/lab");

/// A running lab.
pub(crate) struct Lab {
    hold: Child,
    stdin: Option<ChildStdin>,
    pid: String,
    /// What `scripts/lab` tells of itself: `LAB_…`.
    variables: Vec<(String, String)>,
}

impl Lab {
    /// Starts a lab; a machine that cannot have one fails the test, in the words of `scripts/lab`.
    pub(crate) fn new() -> Self {
        let mut hold = command(LAB, &["hold"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = hold.stdin.take();
        let mut line = String::new();
        BufReader::new(hold.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(pid) = line.strip_prefix("ready ") else {
            panic!("scripts/lab hold did not start (its words are above): {:?}", hold.wait());
        };
        let env = std::fs::read_to_string(format!("/proc/{}/root/run/lab/env", pid.trim())).unwrap();
        let variable = |line: &str| line.split_once('=').map(|(name, value)| (name.into(), value.into()));
        Self { stdin, pid: pid.trim().into(), variables: env.lines().filter_map(variable).collect(), hold }
    }

    /// Runs a bash script on the lab's host, `nsnat` first on PATH.
    pub(crate) fn sh(&self, script: &str) -> Output {
        let whole = format!("{AWAIT}{script}");
        self.run(&["timeout", "--kill-after=5", PATIENCE, "bash", "-euo", "pipefail", "-c", &whole], script)
    }

    /// Runs a command on the lab's host; `shown` is what a failure calls it. It does what `scripts/lab enter` does, in a
    /// third of its time, because a test does it dozens of times.
    pub(crate) fn run(&self, words: &[&str], shown: &str) -> Output {
        // The directory by name: an open one would still be the machine's.
        let enter = ["-t", &self.pid, "-n", "-m", "-p", "--", "sh", "-c", "cd -- \"$0\" && exec \"$@\""];
        let words: Vec<&str> =
            enter.iter().chain(&[env!("CARGO_MANIFEST_DIR")]).chain(words).copied().collect();
        let path = format!("/run/lab/bin:{}", path());
        let mut command = command("nsenter", &words);
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).env("PATH", path);
        let output = command.stdin(Stdio::null()).output().unwrap();
        Output {
            script: shown.into(),
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The output of a script that must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, script: &str) -> String {
        let output = self.sh(script);
        assert!(output.status == 0, "must succeed:\n{output}\n{}", self.state());
        output.stdout.trim_end().into()
    }

    /// What a script that must end in this status writes to standard error.
    #[track_caller]
    pub(crate) fn fails(&self, status: i32, script: &str) -> String {
        let output = self.sh(script);
        assert!(output.status == status, "must end in status {status}:\n{output}\n{}", self.state());
        output.stderr.trim_end().into()
    }

    /// A script whose output must be this.
    #[track_caller]
    pub(crate) fn says(&self, script: &str, expected: &str) {
        let output = self.sh(script);
        let right = output.status == 0 && output.stdout.trim_end() == expected;
        assert!(right, "must print {expected:?}:\n{output}\n{}", self.state());
    }

    /// Waits until a condition of bash holds.
    #[track_caller]
    pub(crate) fn until(&self, condition: &str) {
        let quoted = condition.replace('\'', r"'\''");
        self.ok(&format!("await '{quoted}'"));
    }

    /// Starts a server on a node, by two addresses of socat, and waits until it listens.
    #[track_caller]
    pub(crate) fn serve(&self, node: &str, listen: &str, answer: &str) {
        let port = listen.split([':', ',']).nth(1).unwrap();
        self.ok(&format!(
            "at {node} socat {listen} {answer} </dev/null >/dev/null 2>&1 &
            await \"at {node} ss -Hlntu 'sport = :{port}' | grep -q .\""
        ));
    }

    /// Writes the configuration; `$LAB_…` stand for addresses of the lab.
    #[track_caller]
    pub(crate) fn declare(&self, toml: &str) {
        self.ok(&format!("mkdir -p /etc/nsnat; cat >/etc/nsnat/nsnat.toml <<END\n{toml}\nEND"));
    }

    /// The host as it is now.
    #[track_caller]
    pub(crate) fn snapshot(&self) -> Snapshot {
        let words = ["timeout", "60", "bash", "-euo", "pipefail", "-c", Snapshot::SCRIPT];
        let output = self.run(&words, "(tests/lab/lab/snapshot.sh)");
        assert!(output.status == 0, "the snapshot failed:\n{output}");
        Snapshot::new(output.stdout)
    }

    /// Fails unless the host is as it was.
    #[track_caller]
    pub(crate) fn same(&self, before: &Snapshot, when: &str) {
        if let Err(difference) = before.same(&self.snapshot()) {
            panic!("{when}: the host is not as it was (- before, + now)\n{difference}\n{}", self.state());
        }
    }

    /// Waits until the host is as it was, while `nsnat watch` is at work.
    #[track_caller]
    pub(crate) fn until_same(&self, before: &Snapshot, when: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        while before.same(&self.snapshot()).is_err() && Instant::now() < end {}
        self.same(before, when);
    }

    /// What a person would look at to understand a failure.
    pub(crate) fn state(&self) -> String {
        let look =
            "set +e; exec 2>&1; ip -br addr; ip rule; ip route show table all | grep -v '^local\\|^broadcast'
            nft list ruleset; ls -l /run/netns /run/nsnat; cat /run/nsnat/state.json";
        format!("---- the lab's host\n{}", self.sh(look).stdout)
    }

    /// Runs this very test again on the lab's host: with [`inside`] true, in the same process tree as what it
    /// starts, for what needs exact control of processes.
    #[track_caller]
    pub(crate) fn again(&self, test: &str) {
        let exe = std::env::current_exe().unwrap();
        let words =
            ["env", "NSNAT_TEST_INSIDE=1", exe.to_str().unwrap(), "--exact", test, "--nocapture", "--quiet"];
        let output = self.run(&words, test);
        assert!(output.status == 0, "{output}");
        assert!(output.stdout.contains("1 passed"), "no test is called {test}:\n{output}");
        // What it printed (a seed, say) is of interest here, too.
        println!("{}", output.stdout);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.hold.wait();
    }
}

/// Whether this process was started by [`Lab::again`].
pub(crate) fn inside() -> bool {
    std::env::var_os("NSNAT_TEST_INSIDE").is_some()
}

/// The directory of `nsnat`.
fn bin() -> &'static Path {
    Path::new(NSNAT).parent().unwrap()
}

/// PATH with `nsnat` first, and the places where a plain user has no programs.
fn path() -> String {
    let rest = std::env::var("PATH").unwrap_or_default();
    format!("{}:{rest}:/usr/local/sbin:/usr/sbin:/sbin", bin().display())
}

/// A command with `nsnat` on PATH. The lab must not hide the place where the program is.
fn command(program: &str, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    for name in ["http_proxy", "https_proxy", "all_proxy", "ftp_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    command.args(words).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
        .env("PATH", path())
        .env("CARGO_TARGET_DIR", bin())
        .env_remove("NSNAT_CONFIG")
        .env("LC_ALL", "C.UTF-8");
    command
}

/// What came of a script.
#[derive(Debug)]
pub(crate) struct Output {
    script: String,
    /// Exit status; -1 when a signal ended it.
    pub(crate) status: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "---- script\n{}", self.script)?;
        writeln!(f, "---- exit status {}", self.status)?;
        writeln!(f, "---- standard output\n{}", self.stdout)?;
        write!(f, "---- standard error\n{}", self.stderr)
    }
}
