//! Hosts with many rules of others: what these say is read once, and again when something changed.

use crate::lab::Lab;

/// They stop a few senders of packets that are routed.
const MANY: &str = "(echo 'table inet others { chain in { type filter hook forward priority 10;'
    for ((i = 0; i < 1000; i++)); do echo ip saddr 21.0.$((i / 256)).$((i % 256)) drop; done; printf '}\\n}\\n') | nft -f -";

const PROBLEMS: &str = "nsnat status -o json | jq -r '.namespaces[].problems[]'";
const STOPPED: &str = "packets are stopped by table inet others, chain in";

fn stopped(lab: &Lab) -> bool {
    lab.ok(PROBLEMS).contains(STOPPED)
}

/// Changes what is kept of what was read.
fn edit(lab: &Lab, filter: &str) {
    lab.ok(&format!("jq -c '{filter}' /run/nsnat/rulesets.json >/run/lab/edited; cat /run/lab/edited >/run/nsnat/rulesets.json"));
}

fn many_rules() -> Lab {
    let lab = Lab::new();
    lab.ok(&format!("{MANY}; nsnat -q add slow --gateway $LAB_SLOW --dns $LAB_NEW"));
    lab.says(PROBLEMS, "");
    lab
}

/// Whoever believes a lie about the rules has not read them.
#[test]
fn what_is_known_is_believed_while_nothing_changes() {
    let lab = many_rules();
    let lie = ".chains.bases |= map(.drops = true)";
    edit(&lab, lie);
    assert!(stopped(&lab), "the rules were read again");
    for other_moment in [
        ".at.boot = \"another\"",
        ".at.cookie += 1",
        ".at.generation -= 1",
        ".at.generation += 1",
        ".at.time -= 3600",
        ".at.time += 3600",
        "\"damaged\"",
    ] {
        edit(&lab, other_moment);
        assert!(!stopped(&lab), "{other_moment}");
        lab.ok("nft add table inet more; nft delete table inet more; nsnat -q up");
        lab.says(PROBLEMS, "");
        edit(&lab, lie);
        assert!(stopped(&lab), "after {other_moment} the rules were not read anew");
    }
    lab.ok("nft add rule inet others in ip saddr 22.0.0.1 drop");
    assert!(!stopped(&lab), "one rule more");
}

#[test]
fn one_rule_more_is_seen() {
    let lab = many_rules();
    lab.ok("ls /run/nsnat/rulesets.json");
    lab.ok("nft add rule inet others in counter drop");
    assert!(stopped(&lab));
    lab.ok("nsnat -q up");
    lab.says(PROBLEMS, "");
    lab.says("nsnat exec slow whoami4", "203.0.113.254");
    // A run that changes elements of nsnat's own table alone leaves what is known as it is.
    lab.ok("nsnat -q dns slow set $LAB_OLD; nft delete rule inet others in handle $(nft -a list chain inet others in | sed -n 's/.*iifgroup.*# handle //p' | head -n 1)");
    assert!(stopped(&lab), "a rule less");
    lab.ok("nsnat -q up; nft flush chain inet others in; nsnat -q up; nsnat plan");
    lab.says(PROBLEMS, "");
}

/// The kernel does not count it as a change when a table goes with the program that owned it.
#[test]
fn tables_with_an_owner_may_go_at_any_time() {
    let lab = many_rules();
    lab.ok("mkfifo /run/lab/words; nft -i </run/lab/words >/dev/null 2>&1 & echo $! >/run/lab/owner
        sleep 1000 >/run/lab/words 2>/dev/null & exec 7>/run/lab/words
        echo 'add table inet owned { flags owner; }' >&7
        echo 'add chain inet owned in { type filter hook forward priority 20; policy drop; }' >&7
        until nft list chain inet owned in >/dev/null 2>&1; do sleep 0.02; done");
    lab.ok("nsnat -q up");
    assert!(lab.ok(PROBLEMS).contains("table inet owned"));
    lab.ok(
        "kill $(cat /run/lab/owner); while nft list table inet owned >/dev/null 2>&1; do sleep 0.02; done",
    );
    lab.says(PROBLEMS, "");
}
