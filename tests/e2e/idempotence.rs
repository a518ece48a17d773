//! `up` twice does nothing the second time, and `plan` knows it.

use crate::lab::{Lab, Snapshot};

const TWO: &str = "[namespace.slow]\ngateway = \"$LAB_SLOW\"\ndns = \"$LAB_NEW\"\n\
    [namespace.third]\ngateway = \"$LAB_THIRD\"";

#[test]
fn the_second_up_has_nothing_to_do() {
    let lab = Lab::new();
    lab.declare(TWO);
    let plan = lab.sh("nsnat plan");
    assert!(plan.status == 2 && plan.stdout.contains("ip netns add slow"), "{plan}");
    lab.says("nsnat up", "slow: up, by eth0 via 192.168.1.254\nthird: up, by eth1 via 10.20.0.1");
    let before = lab.snapshot();
    let plan = lab.sh("nsnat plan");
    assert!(plan.status == 0 && plan.stdout.is_empty(), "{plan}");
    // -v shows each action that is performed: none.
    lab.says("nsnat -v up", "nothing to do");
    lab.same(&before, "after up did nothing");
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
        "ip rule del pref 4211; ip rule del pref 4213",
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
        let plan = lab.sh("nsnat plan");
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

/// Rules, routes and nft: what does not carry numbers that the kernel gives anew.
fn kernel_state(lab: &Lab) -> Snapshot {
    Snapshot::new(lab.ok("for in in '' '-n slow'; do
            ip $in rule; ip $in -6 rule; ip $in route show table all | grep -v ' fe80::.* table local'
        done | sort
        nft -s list table inet nsnat; echo == mounts"))
}
