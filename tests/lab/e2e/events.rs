//! `nsnat events`: what happened to namespaces, by commands and by the daemon.

use super::health::{BY_A, BY_B, DECLARED, START};
use crate::lab::Lab;

/// What happened to a namespace, each event by its name.
const KINDS: &str = "nsnat events job -o json | jq -r .event | paste -sd ' '";

#[test]
fn commands_say_what_they_did() {
    let lab = Lab::new();
    lab.says("nsnat events", "");
    lab.declare("[uplink.a]\ndev = \"eth1\"\ngateway = \"$LAB_THIRD\"\n[uplink.b]\ngateway = \"$LAB_SLOW\"\n[namespace.job]\nuplink = [\"a\", \"b\"]\n[namespace.other]\ngateway = \"$LAB_SLOW\"");
    lab.ok("nsnat up; nsnat up; ip link set nsn-job down; nsnat up");
    lab.says(KINDS, "up repaired");
    lab.ok("ip link set eth1 down; nsnat up; nsnat up");
    lab.says(
        "nsnat events job -o json | tail -n 1 | jq -c '[.version, .namespace, .event, .uplink, .previous_uplink, .device, .gateway]'",
        "[1,\"job\",\"moved\",\"b\",\"a\",\"eth0\",[\"192.168.1.254\"]]",
    );
    lab.ok("ip link set eth0 down; nsnat up; ip link set eth1 up; nsnat up; nsnat down job");
    lab.says(KINDS, "up repaired moved closed opened down");
    // A line for people, with the time; and of one namespace alone.
    lab.ok("nsnat events | grep -qE '^20[0-9-]{8} [0-9:]{8}  other: up, by eth0 via 192.168.1.254$'");
    lab.ok("! nsnat events job | grep other");
    // Everybody may read it.
    lab.says("umask 077; nsnat up -q other; setpriv --reuid 4009 --regid 4009 --clear-groups nsnat events job -o json | wc -l", "6");
    // One that is made for a command is not told of.
    lab.ok("ip link set eth0 up; nsnat exec --gateway $LAB_THIRD -- true");
    lab.says("nsnat events | grep -c ': down'", "1");
    lab.ok("nsnat down; ! test -e /run/nsnat");
    // Each command says it of itself.
    let told = "jq -c '.version, (.actions > 0), [.events[] | .namespace, .event]'";
    for (command, events) in [
        ("up job", "[\"job\",\"up\"]"),
        ("down job", "[\"job\",\"down\"]"),
        ("add more --gateway $LAB_SLOW", "[\"more\",\"up\"]"),
        ("remove more", "[\"more\",\"down\"]"),
    ] {
        lab.says(&format!("nsnat {command} -o json | {told}"), &format!("1\ntrue\n{events}"));
    }
}

#[test]
fn the_daemon_says_what_happened_and_who_did_it() {
    let lab = Lab::new();
    lab.declare(DECLARED);
    lab.ok(START);
    lab.until(BY_A);
    lab.ok("nsnat events job --follow -o json </dev/null >/run/lab/followed 2>&1 &");
    lab.mute("third");
    lab.until(BY_B);
    lab.unmute("third");
    lab.until("nsnat events job -o json | tail -n 1 | jq -e '.event == \"moved\" and .uplink == \"a\"'");
    // It may be moved back at once, or have been well for a while first.
    lab.ok(&format!("{KINDS} | grep -qE '^up dead moved unsteady well moved$'"));
    lab.ok("nsnat events job -o json | jq -se '.[1].uplink == \"a\" and (.[1].reason | startswith(\"no answer from 10.20.0.1\"))'");
    lab.ok("nsnat events job -o json | jq -se '.[2].reason == \"the health of an uplink\"'");
    // The namespace that has no other uplink knows as well that its own does not answer.
    lab.ok("nsnat events only -o json | jq -r .event | paste -sd ' ' | grep -q '^up dead unsteady'");
    lab.ok("nft flush ruleset");
    lab.until(
        "nsnat events | tail -n 1 | grep 'repaired: .*the ruleset of nftables by nft (process [0-9]*)'",
    );
    lab.until("cmp /run/lab/followed <(nsnat events job -o json)");
    // So that it is found in the log, too.
    lab.ok("grep -q 'job: moved from a, by b (eth0)' /run/lab/watch.log");
}

#[test]
fn the_record_is_bounded_and_who_follows_misses_nothing() {
    let lab = Lab::new();
    let before = lab.snapshot();
    lab.declare("[namespace.job]\ngateway = \"$LAB_SLOW\"\n[namespace.other]\ngateway = \"$LAB_SLOW\"");
    lab.ok("nsnat up; nsnat events job --follow -o json </dev/null >/run/lab/followed 2>&1 &");
    lab.until("grep -q up /run/lab/followed");
    // A line that is none, and more than the record holds.
    let fill = "echo nonsense >>/run/nsnat/events.jsonl; awk '{ for (n = 0; n < 3000; n++) print }' /run/lab/one >>/run/nsnat/events.jsonl";
    lab.ok("grep '\"job\"' /run/nsnat/events.jsonl >/run/lab/one");
    for round in 1..=3 {
        lab.ok(&format!("{fill}; nsnat down job; nsnat up"));
        // A reader that is late by a whole file would miss one.
        lab.until(&format!("[[ $(wc -l </run/lab/followed) = {} ]]", 1 + 3002 * round));
    }
    lab.ok("(($(cat /run/nsnat/events* | wc -c) < 1500000))");
    lab.says("jq -r .event /run/lab/followed | sort | uniq -c | awk '{ print $1, $2 }'", "3 down\n9004 up");
    lab.ok("nsnat events job | tail -n 1 | grep -q 'job: up'");
    // With the last namespace it goes, and who follows goes on when there is a namespace again.
    lab.ok("nsnat down; ! test -e /run/nsnat; nsnat up other; nsnat up job");
    lab.until("[[ $(wc -l </run/lab/followed) = 9008 ]]");
    lab.ok("nsnat down; rm -r /etc/nsnat");
    lab.same(&before, "after down");
}
