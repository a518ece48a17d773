//! What others hang on devices, where packets pass before all chains of IP or after them: it is named, with its cure.

use crate::lab::Lab;

fn lab() -> Lab {
    let lab = Lab::new();
    lab.declare("[namespace.slow]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\ndns = \"$LAB_NEW\"\n[namespace.third]\ngateway = \"$LAB_THIRD\"");
    lab
}

fn problems(lab: &Lab, name: &str) -> String {
    lab.ok(&format!("nsnat status {name} -o json | jq -r '.namespaces[] | .state, .problems[]'"))
}

/// What stops everything is told by status, up and exec, and what is told to help does.
#[track_caller]
fn stops(lab: &Lab, by: &str, named: &str) {
    // (So that no neighbour is known but by asking.)
    lab.ok("nsnat -q up; nsnat exec slow whoami4; nsnat exec third true");
    lab.ok(by);
    lab.ok("ip neigh flush all; nsnat -q up 2>/dev/null");
    let told = problems(lab, "slow");
    assert!(told.starts_with("broken\n") && told.contains(named), "{named}\n{told}");
    let said = lab.sh("nsnat up 2>&1");
    assert!(said.status == 0 && said.stdout.contains(named), "{said}");
    let job =
        lab.sh("timeout 100 nsnat exec slow timeout 2 socat -u TCP4:$LAB_SERVICE:80,connect-timeout=1 -");
    assert!(job.status != 0 && job.stderr.contains(named), "{job}");
    let third = problems(lab, "third");
    assert!(third.starts_with("up") && !third.contains(named), "it is no other's: {third}");
    let (_, cure) = named.rsplit_once("; ").unwrap();
    lab.ok(cure);
    lab.ok("nsnat -q up");
    // The kernel may be about to give up a neighbour that it asked for before the cure.
    lab.until("nsnat exec slow whoami4");
    lab.says("nsnat status -o json | jq -r '.namespaces[].state'", "up\nup");
}

#[test]
fn chains_of_devices_that_drop_everything() {
    let lab = lab();
    for (chain, of) in [
        (
            "netdev theirs in { type filter hook ingress device eth0 priority 0; policy drop; }",
            "ingress of eth0, policy drop",
        ),
        (
            "netdev theirs out { type filter hook egress devices = { eth0, lo } priority 0; counter drop; }",
            "egress of eth0, rule 2",
        ),
        (
            "inet theirs in { type filter hook ingress device eth0 priority 0; policy drop; }",
            "ingress of eth0, policy drop",
        ),
        (
            "netdev theirs in { type filter hook ingress device nsn-slow priority 0; drop; }",
            "ingress of nsn-slow, rule 2",
        ),
    ] {
        let mut words = chain.split(' ');
        let (family, name) = (words.next().unwrap(), words.nth(1).unwrap());
        let body = chain.split_once('{').unwrap().1.trim_end_matches('}');
        let load = format!("nft -f - <<END\ntable {family} theirs {{\nchain {name} {{\n{body}\n}}\n}}\nEND");
        let named = format!(
            "packets are stopped by table {family} theirs, chain {name} ({of}); nft delete chain {family} theirs {name}"
        );
        stops(&lab, &load, &named);
        lab.ok(&format!("nft delete table {family} theirs"));
    }
}

/// Real tc, as far as this kernel has filters and actions.
#[test]
fn filters_that_take_everything() {
    let lab = lab();
    for (dev, side) in [("eth0", "egress"), ("eth0", "ingress"), ("nsn-slow", "ingress")] {
        let by = format!("tc qdisc add dev {dev} clsact
            tc filter add dev {dev} {side} pref 7 protocol all u32 match u32 0 0 action mirred egress redirect dev lo");
        let named = format!(
            "a filter of tc on {dev} ({side}, pref 7, u32) redirects all packets; tc filter del dev {dev} {side} pref 7"
        );
        stops(&lab, &by, &named);
        lab.ok(&format!("tc qdisc del dev {dev} clsact"));
    }
}

/// Neighbours cannot be asked; and on a bridge that is the uplink.
#[test]
fn chains_of_arp_and_of_bridges() {
    let lab = lab();
    lab.ok("nsnat -q up; nft -f - <<END
table arp theirs {
    chain in {
        type filter hook input priority 0; policy drop;
    }
}
END
        ip neigh flush all");
    let told = problems(&lab, "slow");
    assert!(
        told.starts_with("broken\n")
            && told.contains(
                "table arp theirs, chain in (ingress, policy drop); nft delete chain arp theirs in"
            ),
        "{told}"
    );
    lab.ok("nft delete table arp theirs; nsnat down");

    let bridge = "nft -f - <<END
table bridge theirs {
    chain out {
        type filter hook output priority 0; policy drop;
    }
}
END";
    let named = "packets are stopped by table bridge theirs, chain out (egress, policy drop); nft delete chain bridge theirs out";
    lab.ok(&format!("nsnat -q up; {bridge}"));
    let told = problems(&lab, "slow");
    assert!(!told.contains(named), "no bridge, no business of theirs: {told}");
    lab.ok("nft delete table bridge theirs; nsnat down");
    lab.ok(
        "ip link add br0 type bridge; ip addr flush dev eth0; ip link set eth0 master br0; ip link set br0 up
        ip addr add $LAB_HOST/24 dev br0; ip route add default via $LAB_FAST
        ip addr add $LAB_HOST6/64 dev br0 nodad",
    );
    stops(&lab, bridge, named);
}

/// What drops only some is told and not called broken: a packet alone can tell.
#[test]
fn what_may_stop_some_is_no_fault() {
    let lab = lab();
    lab.ok("nsnat -q up; tc qdisc add dev eth0 clsact
        tc filter add dev eth0 egress pref 9 protocol ip u32 match ip dport 9999 0xffff action mirred egress redirect dev lo
        tc qdisc add dev nsn-slow root handle 1: pfifo limit 10 2>/dev/null || tc qdisc add dev nsn-slow root handle 1: prio
        nft -f - <<END
table netdev theirs {
    chain in {
        type filter hook ingress device eth0 priority 0; policy drop;
        meta protocol { arp, ip, ip6 } accept
    }
    chain marks {
        type filter hook ingress device eth0 priority 1; policy accept;
        tcp dport 9999 drop
    }
}
END");
    lab.says("nsnat exec slow whoami4; nsnat exec slow whoami6", "203.0.113.254\n2001:db8:f::fe");
    let told = problems(&lab, "slow");
    let lines: Vec<&str> = told.lines().collect();
    assert!(
        lines.len() == 4
            && lines[0] == "up"
            && lines[1].contains("table netdev theirs, chain in (ingress of eth0, policy drop) drops what it does not know")
            && lines[2].contains("a filter of tc on eth0 (egress, pref 9, u32) redirects what it matches; tc filter del dev eth0 egress pref 9")
            && lines[3].contains("nsn-slow has a queue that is not nsnat's"),
        "{told}"
    );
    lab.says("nsnat up 2>&1", "nothing to do");
    lab.says("nsnat exec slow true 2>&1", "");
    let before = lab.ok("nft -s list table netdev theirs; tc filter show dev eth0 egress");
    lab.ok("nsnat down");
    lab.says("nft -s list table netdev theirs; tc filter show dev eth0 egress", &before);
}
