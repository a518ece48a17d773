//! Whatever moment a SIGKILL comes at, `down` leaves nothing; SIGINT and SIGTERM leave whole namespaces.
//!
//! The test runs itself again inside of the lab, where a process that it starts is its own child: the moment of
//! the signal is then a matter of microseconds. `NSNAT_KILLS` sets the number of rounds, `NSNAT_SEED` repeats a run, and with
//! `NSNAT_CROWD` there are so many namespaces more.

use super::down::EVERYTHING;
use crate::lab::{self, Lab, Snapshot};
use nix::sys::signal::Signal;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

type Words = &'static [&'static str];

/// How many of ROUNDS begin with whole namespaces.
const WHOLE: usize = 6;

/// What is up before, and what is cut off.
const ROUNDS: [(&str, Words); 8] = [
    // From and to whole namespaces.
    ("true", &["up"]),
    ("true", &["up", "slow", "own"]),
    ("nsnat -q up slow third", &["up"]),
    ("nsnat -q up", &["down"]),
    ("nsnat -q up", &["down", "slow", "own"]),
    ("nsnat -q up slow", &["down"]),
    // From what others damaged.
    ("nsnat -q up; nft delete table inet nsnat; ip link del nsn-slow", &["up"]),
    ("nsnat -q up; ip netns del third; ip rule del pref 4213", &["down"]),
];

#[test]
fn down_completes_what_was_killed_at_any_moment() {
    if lab::inside() {
        killed(number("NSNAT_KILLS", 200));
    } else {
        with_configuration("e2e::kill::down_completes_what_was_killed_at_any_moment");
    }
}

#[test]
fn interrupted_it_leaves_whole_namespaces() {
    if lab::inside() {
        interrupted(number("NSNAT_KILLS", 200) / 5);
    } else {
        with_configuration("e2e::kill::interrupted_it_leaves_whole_namespaces");
    }
}

fn with_configuration(test: &str) {
    let lab = Lab::new();
    lab.declare(&format!("{EVERYTHING}{}", crowd(number("NSNAT_CROWD", 0))));
    lab.again(test);
}

fn crowd(count: u64) -> String {
    let one = |i| format!("[namespace.n{i}]\ngateway = \"$LAB_SLOW\"\ndns = \"$LAB_NEW\"\n");
    (0..count).map(one).collect()
}

fn killed(rounds: u64) {
    let (mut random, before, durations) = prepare();
    for round in 0..rounds {
        let (start, words, moment) = choose(&mut random, &durations, ROUNDS.len());
        let what =
            format!("round {round}: after `{start}`, `nsnat {}` killed after {moment:?}", words.join(" "));
        must(start, &what);
        cut_off(words, moment, Signal::SIGKILL);
        if random.next().is_multiple_of(3) {
            must("nsnat up && nsnat plan", &what);
        }
        must("nsnat down", &what);
        same(&before, &what);
    }
}

/// A chain that nsnat has to add a rule to by nft.
pub(crate) const STRICT: &str = "nft 'add table inet strict; add chain inet strict forward { type filter hook forward priority 0; policy drop; }'";

/// An nft in /run/lab/slow that is at work whenever it changes something, until it is told to go on.
pub(crate) const SLOW_NFT: &str = r#"mkdir /run/lab/slow; cat >/run/lab/slow/nft <<END
#!/bin/sh
case "\$*" in *'-f -'*) touch /run/lab/at-work; until [ -e /run/lab/go ]; do sleep 0.02; done ;; esac
exec $(type -P nft) "\$@"
END
        chmod +x /run/lab/slow/nft"#;

/// nft goes on when nsnat is killed, and may commit after the next nsnat has looked: that one has to wait for it.
#[test]
fn down_waits_for_an_nft_whose_nsnat_was_killed() {
    let lab = Lab::new();
    lab.ok(STRICT);
    let before = lab.snapshot();
    lab.declare(EVERYTHING);
    lab.ok(SLOW_NFT);
    lab.ok("PATH=/run/lab/slow:$PATH nsnat up & pid=$!
        await '[ -e /run/lab/at-work ]'; kill -9 $pid; wait $pid || true
        nsnat down 2>/run/lab/err & down=$!
        await 'grep waiting /run/lab/err'; touch /run/lab/go; wait $down; await '! pgrep -x nft'");
    lab.ok("rm -r /etc/nsnat");
    lab.same(&before, "after up was killed while nft was at work, and down");
}

/// Each namespace is as it was or as it should be: nothing is broken, and nothing is left to do for what is up.
fn interrupted(rounds: u64) {
    let (mut random, before, durations) = prepare();
    for round in 0..rounds {
        let (start, words, moment) = choose(&mut random, &durations, WHOLE);
        let signal = [Signal::SIGINT, Signal::SIGTERM][usize::from(random.next().is_multiple_of(2))];
        let what =
            format!("round {round}: after `{start}`, `nsnat {}`: {signal} after {moment:?}", words.join(" "));
        must(start, &what);
        let output = cut_off(words, moment, signal);
        // Before the signal is caught, or in time, or too late: dead, 1, or 0.
        assert!(matches!(output.status.code(), None | Some(0 | 1)), "{what}: {output:?}");
        let states = must("nsnat status -o json | jq -r '.namespaces[] | .name + \" \" + .state'", &what);
        assert!(
            states.lines().all(|line| line.ends_with(" up") || line.ends_with(" down")),
            "{what}: {output:?}\n{states}"
        );
        must("nsnat down", &what);
        same(&before, &what);
    }
}

/// The state to come back to, and how long each command takes when it is left alone.
fn prepare() -> (Random, Snapshot, Vec<Duration>) {
    let random = Random::seeded();
    let before = Snapshot::new(must(Snapshot::SCRIPT, "at first"));
    let mut durations = Vec::new();
    for (start, words) in ROUNDS {
        must(start, "measuring");
        let begin = Instant::now();
        let output = nsnat(words).output().unwrap();
        durations.push(begin.elapsed());
        assert!(output.status.success(), "{words:?}: {output:?}");
        must("nsnat down", "measuring");
        same(&before, "measuring");
    }
    (random, before, durations)
}

/// A round, and a moment anywhere between its start and a little after its end.
fn choose(random: &mut Random, durations: &[Duration], rounds: usize) -> (&'static str, Words, Duration) {
    let index = usize::try_from(random.next() % rounds as u64).unwrap();
    let span = u64::try_from(durations[index].as_micros()).unwrap() * 11 / 10;
    let (start, words) = ROUNDS[index];
    (start, words, Duration::from_micros(random.next() % span.max(1)))
}

fn cut_off(words: &[&str], moment: Duration, signal: Signal) -> Output {
    let child = nsnat(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(moment);
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, signal).unwrap();
    child.wait_with_output().unwrap()
}

fn nsnat(words: &[&str]) -> Command {
    let mut command = Command::new(lab::NSNAT);
    command.args(words).stdin(Stdio::null());
    command
}

/// The output of a script that must succeed.
#[track_caller]
fn must(script: &str, what: &str) -> String {
    let output = Command::new("bash").args(["-euo", "pipefail", "-c", script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{what}\n`{script}` failed: {}\n{text}\n{words}", output.status);
    text
}

#[track_caller]
fn same(before: &Snapshot, what: &str) {
    let now = Snapshot::new(must(Snapshot::SCRIPT, what));
    if let Err(difference) = before.same(&now) {
        panic!("{what}\nand then down: the host is not as it was (- before, + now)\n{difference}");
    }
}

pub(crate) fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

/// splitmix64: enough to choose moments, and the same for the same seed.
pub(crate) struct Random(u64);

impl Random {
    /// By NSNAT_SEED, or anew; says which.
    pub(crate) fn seeded() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let seed = number("NSNAT_SEED", u64::from(now.subsec_nanos()));
        println!("NSNAT_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
