//! A gateway that is not there is told, and only those wait for it who want to know.

use crate::lab::Lab;

const DEAD: &str = "nsnat add dead --gateway 192.168.1.77 --gateway 2001:db8:1::77";
const FORGET: &str = "ip neigh flush to 192.168.1.77; ip -6 neigh flush to 2001:db8:1::77";
/// What the kernel knows of it; an entry is made by whoever asks.
const KNOWN: &str = "ip neigh show to 192.168.1.77; ip -6 neigh show to 2001:db8:1::77";

#[test]
fn a_gateway_that_does_not_answer() {
    let lab = Lab::new();
    let before = lab.snapshot();
    let output = lab.sh(DEAD);
    assert!(
        output.status == 0 && output.stdout.starts_with("dead: up, by eth0 via 192.168.1.77"),
        "{output}"
    );
    let v4 = "the gateway 192.168.1.77 does not answer on eth0 (ARP): nothing gets out by IPv4";
    let v6 =
        "the gateway 2001:db8:1::77 does not answer on eth0 (neighbour discovery): nothing gets out by IPv6";
    assert_eq!(output.stderr.lines().filter(|line| line.contains("does not answer")).count(), 2, "{output}");
    assert!(output.stderr.contains(v4) && output.stderr.contains(v6), "{output}");
    // A live one is told nothing of, also where two share it with nobody.
    let output = lab.sh("nsnat add slow --gateway $LAB_SLOW --gateway $LAB_SLOW6");
    assert!(output.status == 0 && !output.stderr.contains("does not answer"), "{output}");
    let status = lab.ok("nsnat status");
    assert!(status.contains(v4) && status.contains(v6), "{status}");
    let briefly = "nsnat status -o json | python3 -c 'import json, sys
for ns in json.load(sys.stdin)[\"namespaces\"]: print(ns[\"name\"], ns[\"state\"], sum(\"does not answer\" in problem for problem in ns[\"problems\"]))'";
    lab.says(briefly, "dead broken 2\nslow up 0");

    // Who does not want to know does not ask; the positive control is status.
    lab.says(&format!("{FORGET}; nsnat up; nsnat exec dead true; nsnat exec --gateway 192.168.1.77 -- true; nsnat up -q; {KNOWN}"), "nothing to do");
    lab.ok(&format!("{FORGET}; nsnat status >/dev/null; test $({{ {KNOWN}; }} | wc -l) = 2"));
    // Down and up again is a change.
    assert!(lab.ok(&format!("{FORGET}; nsnat down dead; nsnat up dead 2>&1")).contains(v4));

    // It is switched on.
    lab.ok("at printer ip addr add 192.168.1.77/24 dev eth0; at printer ip addr add 2001:db8:1::77/64 dev eth0 nodad");
    lab.says(briefly, "dead up 0\nslow up 0");
    lab.ok("nsnat remove dead; nsnat remove slow");
    lab.same(&before, "after remove");
}

/// What the kernel remembers is not believed for ever: the router may have gone since, or been replaced by another.
#[test]
fn a_gateway_that_answered_once() {
    let lab = Lab::new();
    lab.ok("nsnat add slow --gateway $LAB_SLOW --gateway $LAB_SLOW6");
    let state = |what: &str, expected: &str| {
        lab.says(&format!("{what}; nsnat status slow | awk 'NR == 2 {{ print $2 }}'"), expected);
    };
    let remember =
        "for ip in $LAB_SLOW $LAB_SLOW6; do ip neigh replace $ip dev eth0 lladdr 02:00:00:00:00:09 nud";
    state(&format!("{remember} stale; done"), "up");
    lab.says("nsnat exec slow whoami4", "203.0.113.254");
    state(&format!("at slow ip link set lan0 down; {remember} stale; done"), "broken");
    state(&format!("{remember} permanent; done"), "up");
    state(
        "ip neigh flush all nud permanent; at slow ip link set lan0 up; at slow ip addr replace $LAB_SLOW6/64 dev lan0 nodad",
        "up",
    );
}

/// A device that sends nothing is the reason, and told once.
#[test]
fn a_device_without_a_carrier_is_reason_enough() {
    let lab = Lab::new();
    lab.ok(&format!("{DEAD} 2>/dev/null; at lan ip link set host down"));
    let status = lab.ok("nsnat status dead");
    assert!(status.contains("no carrier") && !status.contains("does not answer"), "{status}");
}
