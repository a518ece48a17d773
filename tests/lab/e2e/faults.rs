//! Whatever system call fails for want of room, or is the last one before a SIGKILL: what is said is true, and the
//! next `up` completes it, or `down` and `remove` leave nothing.
//!
//! strace(1) makes the faults. A clean run is counted first: which process makes which changing call how often. Each of
//! these is then a point, in nsnat alone and in everything that it starts (nft, threads). All of them take an hour, so
//! the suite takes a sample; `NSNAT_FAULTS=all` takes all, a number so many of each scenario, `NSNAT_SEED` repeats a
//! sample, and `NSNAT_POINT` tries a single one, as a failure names it.

use super::kill::Random;
use crate::lab::{Lab, Snapshot};
use std::collections::BTreeMap;
use std::fmt;

/// Calls that change something, or ask the kernel to.
const CALLS: [&str; 20] = [
    "sendmsg",
    "sendto",
    "write",
    "writev",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "mount",
    "umount2",
    "chmod",
    "fchmod",
    "fallocate",
    "fsync",
    "unshare",
    "clone3",
];

/// What a fault is, as strace has it, and whether it is one from then on.
const FAULTS: [(&str, &str); 3] = [("error=ENOSPC", ""), ("error=ENOSPC", "+"), ("signal=KILL", "")];

/// A command that is cut off, and what has to hold then; all in words of bash.
struct Scenario {
    name: &'static str,
    /// What is there before.
    start: &'static str,
    /// What is cut off.
    command: &'static str,
    /// Holds after a run that ended in status 0.
    done: &'static str,
    /// Has to leave nothing, whatever was cut off.
    end: &'static str,
    /// Points that every sample has: those that something was found at.
    always: fn(&Point) -> bool,
}

const DECLARE: &str = r#"declare_by() { mkdir -p /etc/nsnat; printf '[namespace.slow]\ngateway = "%s"\ndns = "%s"\n[namespace.third]\ngateway = "%s"\n' $1 $LAB_NEW $LAB_THIRD >/etc/nsnat/nsnat.toml; }
    forget() { rm -r /etc/nsnat; }
    nothing() { test -z "$(ls -A /run/nsnat /run/netns 2>&- || true)"; }
    declared() { nsnat list | grep -qx $1; }
    undeclared() { if declared $1; then return 1; fi; }
"#;

const ADD: Scenario = Scenario {
    name: "add",
    start: "true",
    command: "nsnat add slow --gateway $LAB_SLOW --dns $LAB_NEW",
    done: "nsnat plan && declared slow",
    end: "if declared slow; then nsnat remove slow; fi; nsnat down",
    always: |point| point.is_single(&["mkdir", "chmod", "rename", "fsync"]),
};

const UP: Scenario = Scenario {
    name: "up",
    start: "declare_by $LAB_SLOW",
    command: "nsnat up",
    done: "nsnat plan",
    end: "nsnat down; forget",
    always: |point| point.is_single(&["sendto"]) && point.nth.is_multiple_of(12),
};

const CHANGE: Scenario = Scenario {
    name: "change",
    start: "declare_by $LAB_SLOW; nsnat -q up; declare_by $LAB_THIRD",
    command: "nsnat up",
    done: "nsnat plan",
    end: "nsnat down; forget",
    always: |point| point.is_single(&["sendto"]) && point.nth.is_multiple_of(12),
};

const DNS_SET: Scenario = Scenario {
    name: "dns_set",
    start: "declare_by $LAB_SLOW; nsnat -q up",
    command: "nsnat dns slow set $LAB_SECOND",
    done: "test $(nsnat status slow -o json | jq -r '.namespaces[0].state') = up",
    end: "nsnat down; forget",
    always: |_| false,
};

const DOWN: Scenario = Scenario {
    name: "down",
    start: "declare_by $LAB_SLOW; nsnat -q up",
    command: "nsnat down",
    done: "nothing",
    end: "nsnat down; forget",
    always: |point| point.is_single(&["sendto"]) && point.nth.is_multiple_of(12),
};

const REMOVE: Scenario = Scenario {
    name: "remove",
    start: "nsnat -q add slow --gateway $LAB_SLOW",
    command: "nsnat remove slow",
    done: "nothing && undeclared slow",
    end: "if declared slow; then nsnat remove slow; fi; nsnat down",
    always: |point| point.is_single(&["rename", "rmdir", "unlink"]),
};

const THROW_AWAY: Scenario = Scenario {
    name: "ephemeral",
    start: "true",
    command: "nsnat exec --gateway $LAB_SLOW --dns $LAB_NEW -- /bin/true",
    // The status is the command's own.
    done: "{ nothing || grep '^nsnat: ' /run/lab/said; }",
    end: "nsnat down",
    always: |_| false,
};

/// Where a run is cut off.
#[derive(Clone, Copy)]
struct Point {
    /// Also in what nsnat starts: whoever comes to that call for the nth time.
    all: bool,
    fault: &'static str,
    call: &'static str,
    nth: usize,
    /// `+`: and each time after that.
    on: &'static str,
    /// `up` comes before the end.
    again: bool,
}

impl Point {
    /// One fault of nsnat's own, at one of these calls; and then the end.
    fn is_single(&self, calls: &[&str]) -> bool {
        !self.all && self.on.is_empty() && !self.again && calls.contains(&self.call)
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { all, fault, call, nth, on, again } = self;
        let (who, then) = (if *all { "all" } else { "nsnat" }, if *again { "up" } else { "end" });
        write!(f, "{who}:{fault}:{call}:{nth}{on}:{then}")
    }
}

#[test]
fn of_add() {
    faults(&ADD);
}

#[test]
fn of_up() {
    faults(&UP);
}

#[test]
fn of_a_change_of_gateway() {
    faults(&CHANGE);
}

#[test]
fn of_dns_set() {
    faults(&DNS_SET);
}

#[test]
fn of_down() {
    faults(&DOWN);
}

#[test]
fn of_remove() {
    faults(&REMOVE);
}

#[test]
fn of_a_ephemeral_namespace() {
    faults(&THROW_AWAY);
}

fn faults(scenario: &Scenario) {
    let mut lab = prepared();
    let all = points(&lab, scenario);
    let sample = sample(&all, scenario.always);
    println!("{}: {} of {} points", scenario.name, sample.len(), all.len());
    assert!(all.len() > 50, "strace saw next to nothing: {}", all.len());
    let mut failed = Vec::new();
    for point in sample {
        if let Err(why) = try_point(&lab, scenario, point) {
            println!("NSNAT_POINT={point} ({})\n{why}", scenario.name);
            failed.push(point.to_string());
            lab = prepared();
        }
    }
    assert!(
        failed.is_empty(),
        "{}: {} points (NSNAT_POINT): {}",
        scenario.name,
        failed.len(),
        failed.join(" ")
    );
}

/// What could not be read is not taken for what is not there: a plan that differs, or none.
#[test]
fn what_cannot_be_read_is_not_taken_for_nothing() {
    let lab = Lab::new();
    lab.ok(&format!(
        "{DECLARE}declare_by $LAB_SLOW; nsnat -q up; strace -f -qq -o /run/lab/trace -e trace=sendto nsnat plan --commands"
    ));
    let calls = lab.ok("grep -c 'sendto(' /run/lab/trace").parse::<usize>().unwrap();
    assert!(calls > 10, "strace saw next to nothing: {calls}");
    let said = lab.ok(&format!(
        "for nth in $(seq {calls}); do status=0
            strace -f -qq -e signal=none -o /dev/null -e trace=sendto -e inject=sendto:error=ENOSPC:when=$nth nsnat plan --commands >/run/lab/plan 2>&1 || status=$?
            echo $status; [[ $status = 1 ]] || cat /run/lab/plan >&2
        done | sort | uniq -c"
    ));
    // The calls of each thread are counted by themselves, so that several fail at a time. Not one of the plans has
    // something to do; and most of them fail.
    assert!(said.lines().all(|line| line.ends_with(" 0") || line.ends_with(" 1")), "{said}");
    assert!(said.lines().any(|line| line.ends_with(" 1")), "{said}");
}

/// A lab with its state before anything noted.
fn prepared() -> Lab {
    let lab = Lab::new();
    lab.ok(&format!(
        "cat >/run/lab/snapshot <<'END'\n{}\nEND\nbash /run/lab/snapshot >/run/lab/before",
        Snapshot::SCRIPT
    ));
    lab
}

/// All points of a run that nothing cuts off.
fn points(lab: &Lab, scenario: &Scenario) -> Vec<Point> {
    let Scenario { start, command, done, end, .. } = scenario;
    let trace = lab.ok(&format!(
        "{DECLARE}exec 3>&1 >&2; {start}
        strace -f -qq -e signal=none -e trace={} -o /run/lab/trace {command} 2>/run/lab/said; {done}; {end}
        bash /run/lab/snapshot | diff /run/lab/before -; cat /run/lab/trace >&3",
        CALLS.join(",")
    ));
    let main = trace.split_whitespace().next().unwrap().to_owned();
    // How often each process made each call.
    let mut counts: BTreeMap<(&'static str, bool), BTreeMap<&str, usize>> = BTreeMap::new();
    for line in trace.lines() {
        let (pid, rest) = line.split_once(' ').unwrap();
        let made =
            |call: &&str| rest.trim_start().strip_prefix(*call).is_some_and(|rest| rest.starts_with('('));
        if let Some(call) = CALLS.into_iter().find(made) {
            *counts.entry((call, pid != main)).or_default().entry(pid).or_default() += 1;
        }
    }
    let mut out = Vec::new();
    for ((call, all), by_pid) in counts {
        for nth in 1..=by_pid.into_values().max().unwrap() {
            for (fault, on) in FAULTS {
                out.extend([true, false].map(|again| Point { all, fault, call, nth, on, again }));
            }
        }
    }
    out
}

fn sample(all: &[Point], always: fn(&Point) -> bool) -> Vec<Point> {
    if let Ok(wanted) = std::env::var("NSNAT_POINT") {
        return all
            .iter()
            .copied()
            .filter(|point| wanted.split(' ').any(|text| text == point.to_string()))
            .collect();
    }
    let number = std::env::var("NSNAT_FAULTS").unwrap_or_else(|_| "8".into());
    if number == "all" {
        return all.to_vec();
    }
    let mut random = Random::seeded();
    let (mut sample, mut rest): (Vec<Point>, Vec<Point>) = all.iter().partition(|point| always(point));
    for _ in 0..number.parse::<usize>().unwrap().min(rest.len()) {
        sample.push(rest.swap_remove(usize::try_from(random.next() % rest.len() as u64).unwrap()));
    }
    sample
}

fn try_point(lab: &Lab, scenario: &Scenario, point: Point) -> Result<(), String> {
    let Scenario { start, command, done, end, .. } = scenario;
    let Point { all, fault, call, nth, on, again } = point;
    // With one fault there is a way back.
    let back =
        if all || on == "+" { "true" } else { "if grep 'going back failed' /run/lab/said; then exit 1; fi" };
    let follow = if all { "-f" } else { "" };
    let up = if again { "nsnat up; nsnat plan" } else { "true" };
    let script = format!(
        "exec 2>&1; {DECLARE}{start}
        status=0; echo '-- cut off'; strace {follow} -qq -e signal=none -o /dev/null -e trace={call} -e inject={call}:{fault}:when={nth}{on} {command} 2>/run/lab/said || status=$?; cat /run/lab/said
        echo \"-- status $status\"; [[ $status != 0 ]] || {{ {done}; }}; {back}
        echo '-- up'; {up}; echo '-- end'; {end}; echo '-- nothing is left'
        bash /run/lab/snapshot | diff /run/lab/before -"
    );
    let output = lab.sh(&script);
    if output.status == 0 { Ok(()) } else { Err(format!("status {}\n{}", output.status, output.stdout)) }
}
