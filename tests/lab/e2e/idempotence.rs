//! `up` twice does nothing the second time, and `plan` knows it.

use crate::lab::{Lab, Snapshot};

const TWO: &str = "[namespace.slow]\ngateway = \"$LAB_SLOW\"\ndns = \"$LAB_NEW\"\n\
    [namespace.third]\ngateway = \"$LAB_THIRD\"";

#[test]
fn the_second_up_has_nothing_to_do() {
    let lab = Lab::new();
    lab.declare(TWO);
    let plan = lab.sh("nsnat plan --commands");
    assert!(plan.status == 2 && plan.stdout.contains("ip netns add slow"), "{plan}");
    lab.says("nsnat up", "slow: up, by eth0 via 192.168.1.254\nthird: up, by eth1 via 10.20.0.1");
    let before = lab.snapshot();
    let plan = lab.sh("nsnat plan --commands");
    assert!(plan.status == 0 && plan.stdout.is_empty(), "{plan}");
    // -v shows each action that is performed: none.
    lab.says("nsnat -v up", "nothing to do");
    lab.same(&before, "after up did nothing");
}

/// A hook must not bring back what somebody took down.
#[test]
fn repair_is_for_what_is_up() {
    let lab = Lab::new();
    lab.declare(TWO);
    let before = lab.snapshot();
    lab.says("nsnat up --repair; nsnat up --repair slow", "nothing to do\nnothing to do");
    lab.same(&before, "after a repair where nothing is up");
    lab.ok("nsnat up slow; ip rule del pref 4210");
    lab.says(
        "nsnat up --repair; ls /run/netns; nsnat exec slow whoami4",
        "repaired (1 action)\nslow\n203.0.113.254",
    );
    lab.says("nsnat up --repair third; nsnat -q up --repair", "nothing to do");
}

#[test]
fn plan_changes_nothing() {
    let lab = Lab::new();
    lab.declare(TWO);
    let before = lab.snapshot();
    lab.fails(2, "nsnat plan");
    lab.fails(2, "nsnat plan -o json");
    lab.same(&before, "after plan");
}

/// Each piece that is taken away by hand comes back, and nothing else is done.
#[test]
fn up_repairs_what_others_took_away() {
    let lab = Lab::new();
    lab.declare(TWO);
    lab.ok("nsnat up");
    let whole = kernel_state(&lab);
    for damage in [
        "ip rule del pref 4210",
        "ip rule del pref 4208; ip rule del pref 4213",
        "ip route flush table 213001",
        "nft delete table inet nsnat",
        "nft flush ruleset",
        "nft flush map inet nsnat mark_of",
        "nft flush set inet nsnat ways4",
        "nft flush chain inet nsnat guard",
        "nft insert rule inet nsnat guard accept",
        "echo 0 >/proc/sys/net/ipv4/conf/eth0/forwarding",
        "ip -4 addr flush dev nsn-slow",
        "ip link set nsn-slow down",
        "ip link set nsn-slow alias wrong",
        "ip link del nsn-slow",
        "ip -n slow route del default",
        "ip -n slow rule del pref 10",
        "ip netns del slow",
    ] {
        lab.ok(damage);
        let plan = lab.sh("nsnat plan --commands");
        assert!(plan.status == 2, "after {damage}\n{plan}");
        lab.ok("nsnat up");
        lab.ok("nsnat plan");
        let now = kernel_state(&lab);
        if let Err(difference) = whole.same(&now) {
            panic!("after `{damage}` and `nsnat up` (- before, + now)\n{difference}");
        }
        lab.says("nsnat exec slow whoami4", "203.0.113.254");
    }
}

/// A run that was killed has not seen how its table reads back. What another program leaves of that is not taken for whole.
#[test]
fn a_table_that_was_never_seen_whole_is_not_taken_for_it() {
    let lab = Lab::new();
    lab.declare(TWO);
    lab.ok("nsnat up");
    let forget =
        "state=$(jq -c .skeleton=null /run/nsnat/state.json); echo \"$state\" >/run/nsnat/state.json";
    for damage in [
        "nft flush table inet nsnat",
        "nft flush chain inet nsnat dns",
        "nft insert rule inet nsnat guard accept",
        "nft add chain inet nsnat another",
    ] {
        lab.ok(&format!("{forget}; nsnat plan; {damage}"));
        lab.fails(2, "nsnat plan >/dev/null");
        lab.says("nsnat -q up; nsnat plan; nsnat exec slow whoami4", "203.0.113.254");
    }
}

/// Rules, routes and nft: what does not carry numbers that the kernel gives anew.
fn kernel_state(lab: &Lab) -> Snapshot {
    Snapshot::new(lab.ok("for in in '' '-n slow'; do
            ip $in rule; ip $in -6 rule; ip $in route show table all | grep -v ' fe80::.* table local'
        done | sort
        nft -s list table inet nsnat | settled; echo == mounts"))
}

/// Tables of others come and go beside ours.
#[test]
fn chains_of_others_are_nothing_to_do() {
    let lab = Lab::new();
    lab.declare(TWO);
    lab.ok("nsnat up");
    let others = "table inet others {
        set s { type ipv4_addr; elements = { 192.0.2.1 }; }
        chain input { type filter hook input priority 0; ip saddr @s drop; }
        chain plain { counter; }
    }";
    for change in [
        format!("nft '{others}'"),
        "nft flush chain inet others plain".into(),
        "nft delete table inet others".into(),
    ] {
        lab.says(
            &format!("{change}; nsnat plan; nsnat up; nsnat exec --gateway $LAB_SLOW -- true"),
            "nothing to do",
        );
    }
}

/// `ip netns del` takes a namespace's file; what runs inside runs on, and `up` gives the very same namespace its file
/// back. `down` finds the job all the same.
#[test]
fn a_job_survives_the_loss_of_its_namespaces_file() {
    let lab = Lab::new();
    let before = lab.snapshot();
    lab.declare("[namespace.slow]\ngateway = \"$LAB_SLOW\"\n[namespace.other]\ngateway = \"$LAB_SLOW\"");
    lab.ok("nsnat up");
    let job = lab.connection("slow");
    for lose in ["ip netns del slow", "ip netns del slow; touch /run/netns/slow"] {
        lab.ok(lose);
        // Who is inside is still known, also to those who want something else.
        lab.says(&format!("nsnat ps slow | grep -c socat; nsnat which {}", job.pid()), "1\nslow");
        let words = lab.fails(1, "nsnat down slow");
        assert!(words.contains("in use by socat"), "{words}");
        lab.ok("nsnat exec --gateway $LAB_THIRD -- true; nsnat exec other true");
        let planned = lab.sh("nsnat plan --commands").stdout;
        assert!(planned.lines().count() == 1 && planned.contains("ip netns attach slow "), "{planned}");
        lab.says("nsnat up", "repaired (1 action)");
        lab.says("nsnat up; nsnat exec slow whoami4", "nothing to do\n203.0.113.254");
        job.goes_on();
    }
    // Somebody else's has the name: that is left alone, and so is the job.
    lab.ok("ip netns del slow; ip netns add slow; nsnat add two --gateway $LAB_THIRD; nsnat remove two");
    job.goes_on();
    let words = (lab.fails(2, "nsnat up"), lab.fails(1, "nsnat down slow"), lab.ok("nsnat status slow"));
    assert!(words.0.contains("ip netns del slow") && words.1.contains("in use by socat"), "{words:?}");
    assert!(words.2.contains("another namespace has its name"), "{words:?}");
    lab.says("ip netns del slow; nsnat up; nsnat exec slow whoami4", "repaired (1 action)\n203.0.113.254");
    // By the line of the plan, too; and `exec` alone brings it back.
    lab.ok("ip netns del slow; { nsnat plan --commands || true; } >/run/lab/lines; bash -e /run/lab/lines; nsnat plan");
    lab.says("ip netns del slow; nsnat exec slow whoami4; nsnat plan", "203.0.113.254");
    lab.ok("ip netns del slow; nsnat down --kill; rm -r /etc/nsnat");
    job.has_ended();
    lab.same(&before, "after down --kill of a namespace without a file");
}

/// The number of a namespace that is gone is given to the next one: whoever is in that is nobody's business.
#[test]
fn processes_of_others_are_not_taken_for_ours() {
    let lab = Lab::new();
    lab.ok("nsnat add slow --gateway $LAB_SLOW; ip netns add other
        ip netns exec other sleep 1000 >/dev/null 2>&1 & echo $! >/run/lab/pid
        await '[ \"$(nsenter -t '$!' -n ip -br link)\" = \"$(ip -n other -br link)\" ]'");
    // As if slow had had the number that the other one has.
    lab.ok("number=$(stat -Lc %i /run/netns/other); record=$(jq -c .inode=$number /run/nsnat/ns/slow); ip netns del slow
        echo \"$record\" >/run/nsnat/ns/slow; grep -q $number /run/nsnat/ns/slow");
    lab.says(
        "nsnat ps slow 2>&1 || true",
        "nsnat: namespace slow: it is not up\nhint: nsnat status shows what is",
    );
    lab.says("nsnat down slow --kill; kill -0 $(cat /run/lab/pid) && echo alive", "slow: down\nalive");
}

/// What `plan` would do, `status` knows: here the device's own gateway is another one now.
#[test]
fn status_knows_what_plan_would_do() {
    let lab = Lab::new();
    lab.declare("[namespace.slow]\ndev = \"eth0\"");
    lab.ok("nsnat up -q 2>/dev/null");
    lab.says("nsnat status -o json | jq -r .namespaces[].state; nsnat exec slow whoami4", "up\n203.0.113.1");
    lab.ok("ip route replace default via $LAB_SLOW");
    let told = lab.ok("nsnat status");
    assert!(told.contains("broken") && told.contains("nsnat up repairs it"), "{told}");
    lab.fails(2, "nsnat plan >/dev/null");
    lab.ok("nsnat up -q 2>/dev/null");
    lab.says(
        "nsnat status -o json | jq -r .namespaces[].state; nsnat exec slow whoami4",
        "up\n203.0.113.254",
    );
}
