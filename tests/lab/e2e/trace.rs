//! `nsnat trace` names what stops a packet, or leads it elsewhere; and nothing of it stays.

use crate::lab::Lab;

fn lab() -> Lab {
    let lab = Lab::new();
    lab.declare(
        "[namespace.slow]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\ndns = [\"$LAB_NEW\", \"$LAB_NEW6\"]",
    );
    lab.ok("nsnat up -q");
    lab
}

/// The trace is wrong, and its text has all of these.
#[track_caller]
fn names(lab: &Lab, goal: &str, all: &[&str]) {
    let output = lab.sh(&format!("nsnat trace slow {goal}"));
    assert_eq!(output.status, 1, "{output}");
    for text in all {
        assert!(output.stdout.contains(text), "{text}: {output}");
    }
    assert!(output.stdout.lines().count() <= 18, "{output}");
}

/// It gets out; whoever answers.
#[track_caller]
fn is_right(lab: &Lab, goal: &str) {
    let output = lab.sh(&format!("nsnat trace slow {goal}"));
    assert!(output.status == 0 && output.stdout.contains("it went where it should"), "{output}");
}

#[test]
fn a_host_on_which_nothing_is_wrong() {
    let lab = lab();
    let before = lab.ok("settled");
    let output = lab.sh("nsnat trace slow");
    assert_eq!(output.status, 0, "{output}");
    assert!(output.stdout.lines().count() <= 15, "{output}");
    let table = "lookup 213001";
    for text in
        [table, "via 192.168.1.254, eth0", "left by      eth0", "192.168.1.254: the hop limit is used up"]
    {
        assert!(output.stdout.contains(text), "{text}: {output}");
    }
    for goal in ["[2001:db8::1]:443", "2001:db8::1", "198.51.100.80:80", "8.8.8.8/udp", "192.0.2.1"] {
        is_right(&lab, goal);
    }
    let rewritten = lab.ok("nsnat trace slow 8.8.8.8:53");
    assert!(rewritten.contains("8.8.8.8:53 → 198.51.100.53:53"), "{rewritten}");
    lab.says(
        "nsnat trace slow 192.0.2.1:80 -o json | jq -r '.version, .right, .left_by[], .fault'",
        "1\ntrue\neth0\nnull",
    );
    lab.says("settled", &before);
    lab.fails(1, "nsnat trace nothing");
    lab.fails(2, "nsnat trace slow example.com");
}

/// The wire agrees: the probe reaches the slow router, and nothing of it the internet.
#[test]
fn the_probe_ends_at_the_gateway() {
    let lab = lab();
    let near = lab.capture("slow", "tcp dst port 81 or tcp dst port 80");
    let far = lab.capture("inet", "dst host 198.51.100.80");
    is_right(&lab, "198.51.100.80:81");
    lab.ok("nsnat exec slow whoami4");
    let (near, far) = (near.seen(), far.seen());
    assert!(near.contains("198.51.100.80.81"), "{near}");
    assert!(far.contains("198.51.100.80.80") && !far.contains("198.51.100.80.81"), "{far}");
}

/// Chains of others, in both families, with and without a policy.
#[test]
fn rules_that_drop() {
    let lab = lab();
    for (family, goal) in [("ip", "192.0.2.1:80"), ("ip6", "[2001:db8::1]:80"), ("inet", "")] {
        for (hook, priority) in [("forward", 5), ("prerouting", -150), ("postrouting", 0)] {
            lab.ok(&format!(
                "nft -f - <<'END'
table {family} theirs {{
chain a {{ type filter hook {hook} priority {priority}; jump b; }}
chain b {{ tcp dport 80 drop comment \"no web\"; }}
}}
END"
            ));
            names(
                &lab,
                goal,
                &[
                    "dropped by a rule that is not nsnat's",
                    &format!("table {family} theirs, chain b: tcp dport 80 drop comment \"no web\""),
                ],
            );
            lab.ok(&format!("nft delete table {family} theirs"));
        }
    }
    // status sees no packet, unless it is told to send one.
    lab.ok("nft 'table ip theirs { chain a { type filter hook forward priority 5; udp dport 53 drop; }; }'");
    let state = "-o json | jq -r '.namespaces[] | .state, .problems[]'";
    lab.says(&format!("nsnat status {state}"), "up");
    lab.fails(3, "nsnat status --check");
    let told = lab.ok(&format!("set +o pipefail; nsnat status --check {state}"));
    let named = "table ip theirs, chain a: udp dport 53 drop";
    assert!(told.starts_with("broken\na packet to 192.0.2.1:53 (udp): ") && told.contains(named), "{told}");
    lab.ok("nft delete table ip theirs");
    lab.says(&format!("nsnat status --check {state}"), "up");
    lab.ok("nft 'table ip theirs { chain a { type filter hook postrouting priority 0; policy drop; udp dport 7 accept; icmp type time-exceeded accept; }; }'");
    names(&lab, "192.0.2.1:80", &["the policy of table ip theirs, chain a"]);
    is_right(&lab, "192.0.2.1:7/udp");
    lab.ok("nft delete table ip theirs");
    lab.ok("iptables -w -I FORWARD -p tcp --dport 80 -j REJECT");
    names(&lab, "", &["table ip filter, chain FORWARD: ", "reject"]);
    is_right(&lab, "[2001:db8::1]:80");
    lab.ok("iptables -w -F");
    is_right(&lab, "192.0.2.1:80");
}

/// What comes back is followed, too.
#[test]
fn rules_that_drop_answers() {
    let lab = lab();
    lab.ok("nft 'table inet theirs { chain a { type filter hook forward priority 5; icmp type time-exceeded drop; icmpv6 type time-exceeded drop; }; }'");
    for goal in ["192.0.2.1:80", "[2001:db8::1]:80"] {
        names(
            &lab,
            goal,
            &["the answer was dropped by a rule", "table inet theirs, chain a: icmp", "time-exceeded drop"],
        );
    }
    // Before connection tracking knows what it belongs to.
    lab.ok("nft delete table inet theirs; nft 'table inet theirs { chain a { type filter hook prerouting priority raw; icmp type time-exceeded drop; icmpv6 type time-exceeded drop; }; }'");
    for goal in ["192.0.2.1:80", "[2001:db8::1]:80", "192.0.2.1", "2001:db8::1"] {
        names(&lab, goal, &["the answer was dropped by a rule", "table inet theirs, chain a: icmp"]);
    }
}

/// A probe that no server can answer says nothing about a server: jobs go on to ask the first one.
#[test]
fn no_server_is_passed_over_for_it() {
    let lab = Lab::new();
    lab.declare("[namespace.slow]\ngateway = \"$LAB_SLOW\"\ndns = [\"$LAB_NEW\", \"$LAB_SECOND\"]");
    lab.ok("nsnat -q up");
    let asked = "nft list set inet nsnat dns_asked | grep -c elements || :";
    is_right(&lab, "8.8.8.8/udp");
    lab.says(asked, "0");
    // A question of a job is noted while nobody answers it.
    lab.ok(
        "at inet nft 'table inet off { chain in { type filter hook input priority 0; th dport 53 drop; }; }'",
    );
    lab.fails(9, "nsnat exec slow dig +tries=1 +timeout=1 @8.8.8.8 a.example.test >/dev/null");
    lab.says(asked, "1");
}

#[test]
fn nat_of_others() {
    let lab = lab();
    // As early as nsnat's, and loaded later.
    lab.ok("nft 'table ip theirs { chain a { type nat hook prerouting priority -199; tcp dport 80 redirect to :8080; }; }'");
    names(
        &lab,
        "",
        &["NAT of others led it elsewhere", "table ip theirs, chain a: tcp dport 80 redirect to :8080"],
    );
    is_right(&lab, "192.0.2.1:81");
    lab.ok("nft delete table ip theirs; nft 'table ip theirs { chain a { type nat hook prerouting priority -199; tcp dport 80 dnat to 192.168.1.20; }; }'");
    names(&lab, "192.0.2.1:80", &["NAT of others led it elsewhere", "dnat to 192.168.1.20"]);
    lab.ok("nft delete table ip theirs; nft 'table ip theirs { chain a { type nat hook postrouting priority -199; oifname eth0 snat to 192.168.1.99; }; }'");
    names(
        &lab,
        "192.0.2.1:80",
        &["its source was rewritten to 192.168.1.99", "table ip theirs, chain a: ", "snat to 192.168.1.99"],
    );
    // Later than nsnat's, none of it matters.
    lab.ok("nft delete table ip theirs; nft 'table ip theirs { chain a { type nat hook prerouting priority -100; tcp dport 80 redirect to :8080; }; }'");
    is_right(&lab, "192.0.2.1:80");
}

/// What leaves the namespace is tracked whatever others say, and gets out. An answer that is not, nobody can give back.
#[test]
fn notrack() {
    let lab = lab();
    // A router that answers each probe, and not one in a second.
    lab.ok("at slow sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0");
    let load = |family: &str, priority: &str, rule: &str| {
        lab.ok(&format!(
            "nft 'table {family} theirs {{ chain a {{ type filter hook prerouting priority {priority}; {rule}; }}; }}'"
        ));
    };
    let goals = ["192.0.2.1:80", "192.0.2.1/udp", "192.0.2.1", "[2001:db8::1]:80", "2001:db8::1"];
    // Before nsnat's chains, and after them.
    for (family, priority) in
        [("ip", "raw"), ("ip", "-400"), ("ip6", "raw"), ("ip6", "-400"), ("inet", "-302")]
    {
        load(family, priority, "meta l4proto { tcp, udp } th dport 53 notrack");
        is_right(&lab, "");
        is_right(&lab, "8.8.8.8:53/udp");
        is_right(&lab, "[2001:4860:4860::8888]:53");
        lab.ok(&format!("nft delete table {family} theirs"));
        load(family, priority, "notrack comment \"all of it\"");
        for goal in goals.iter().filter(|goal| family == "inet" || goal.contains("::") == (family == "ip6")) {
            names(
                &lab,
                goal,
                &[
                    "an answer arrived, and connection tracking does not know it",
                    &format!("table {family} theirs, chain a: notrack comment \"all of it\""),
                ],
            );
        }
        lab.ok(&format!("nft delete table {family} theirs"));
    }
    // What the gateway itself answers.
    lab.ok("for family in 4 6; do at slow socat UDP$family-LISTEN:5300,fork EXEC:cat </dev/null >/dev/null 2>&1 & done
        until (($(at slow ss -Hlnu 'sport = :5300' | wc -l) == 2)); do sleep 0.02; done");
    for (goal, family) in [("$LAB_SLOW:5300/udp", "ip"), ("[$LAB_SLOW6]:5300/udp", "ip6")] {
        is_right(&lab, goal);
        load(family, "raw", "iifname eth0 udp sport 5300 notrack");
        names(&lab, goal, &[&format!("table {family} theirs, chain a: ")]);
        lab.ok(&format!("nft delete table {family} theirs"));
    }
    for (tables, family, goal) in
        [("iptables", "ip", "192.0.2.1:80"), ("ip6tables", "ip6", "[2001:db8::1]:80")]
    {
        lab.ok(&format!("{tables} -w -t raw -A PREROUTING -p udp --dport 53 -j CT --notrack"));
        is_right(&lab, "");
        lab.ok(&format!("{tables} -w -t raw -A PREROUTING -j CT --notrack"));
        names(&lab, goal, &[&format!("table {family} raw, chain PREROUTING: ")]);
        lab.ok(&format!("{tables} -w -t raw -F"));
        is_right(&lab, goal);
    }
}

/// A program that takes packets for others.
#[test]
fn tproxy() {
    let lab = lab();
    lab.serve("host", "TCP4-LISTEN:8080,reuseaddr,fork,ip-transparent", "SYSTEM:'echo proxy'");
    lab.ok("nft 'table ip theirs { chain a { type filter hook prerouting priority mangle; tcp dport 80 tproxy to :8080; }; }'");
    names(&lab, "", &["would have caught it (TPROXY)", "table ip theirs, chain a: ", "tproxy to :8080"]);
}

#[test]
fn rules_of_routing() {
    let lab = lab();
    lab.ok("ip route add default via $LAB_FAST dev eth0 table 77; ip rule add pref 3 iif nsn-slow lookup 77");
    names(&lab, "192.0.2.1:80", &["guard refused it", "lookup 77; ip rule add pref"]);
    lab.ok("ip rule del pref 3; ip rule add pref 3 iif nsn-slow prohibit");
    names(&lab, "192.0.2.1:80", &["prohibit"]);
    lab.ok("ip rule del pref 3");
    is_right(&lab, "192.0.2.1:80");
    lab.ok("ip link set eth0 down");
    names(&lab, "192.0.2.1:80", &["no route", "eth0 is down"]);
}

/// Past what nf_tables sees, and before it.
#[test]
fn devices() {
    let lab = lab();
    for (dev, hook, told) in [
        ("eth0", "egress", "table netdev theirs, chain a: tcp dport 80 drop"),
        ("nsn-slow", "ingress", "nothing of it came in"),
        ("eth0", "ingress", "an answer arrived"),
    ] {
        lab.ok(&format!("nft 'table netdev theirs {{ chain a {{ type filter hook {hook} device {dev} priority 0; tcp dport 80 drop; icmp type time-exceeded drop; }}; }}'"));
        names(&lab, "192.0.2.1:80", &[told]);
        lab.ok("nft delete table netdev theirs");
        is_right(&lab, "192.0.2.1:80");
    }
}

/// What has neither a chain nor a rule of routing, and is known by observation.
#[test]
fn ipsec() {
    let lab = lab();
    lab.ok("for end in \"$LAB_HOST 0.0.0.0/0\" \"$LAB_HOST6 2000::/3\"; do
        set -- $end; ip xfrm policy add dir out src $1 dst $2 priority 99 tmpl src $1 dst $1 proto esp reqid 7 mode tunnel; done");
    for goal in ["192.0.2.1:80", "[2001:db8::1]:80", ""] {
        names(&lab, goal, &["an IPsec policy that is not nsnat's takes its packets"]);
    }
    lab.ok("nsnat up -q");
    is_right(&lab, "192.0.2.1:80");
    is_right(&lab, "[2001:db8::1]:80");
}

/// Filters of tc, and rules of the older iptables, which no chain of nftables shows.
#[test]
fn what_nftables_does_not_show() {
    let lab = lab();
    lab.ok("tc qdisc add dev eth0 clsact
        tc filter add dev eth0 egress protocol all u32 match u32 0 0 action mirred egress redirect dev lo");
    names(&lab, "192.0.2.1:80", &["its way out is eth0", "a filter of tc on eth0 (egress"]);
    lab.ok("tc qdisc del dev eth0 clsact");
    is_right(&lab, "192.0.2.1:80");
    lab.ok("iptables-legacy -w -A FORWARD -p tcp --dport 80 -j DROP");
    names(&lab, "", &["it was lost after nsnat's guard let it through", "iptables-legacy -L FORWARD -v"]);
    lab.ok("iptables-legacy -w -F");
    is_right(&lab, "192.0.2.1:80");
}

/// One that comes after nsnat: named, with what helps.
#[test]
fn a_kill_switch() {
    let lab = lab();
    lab.ok("nft 'table inet guard { chain f { type filter hook forward priority 0; policy drop; ct mark 0xf41 accept; }; }'");
    names(&lab, "192.0.2.1:80", &["the policy of table inet guard, chain f", "nsnat up lets them through"]);
    lab.ok("nsnat up -q");
    is_right(&lab, "192.0.2.1:80");
}

#[test]
fn a_gateway_that_is_not_there() {
    let lab = Lab::new();
    lab.ok("nsnat -q add slow --gateway 192.168.1.77 2>/dev/null");
    names(&lab, "192.0.2.1:80", &["did not leave by eth0", "the gateway 192.168.1.77 does not answer"]);
}

/// Killed at work, it leaves no table: that goes with its owner.
#[test]
fn killed_it_leaves_nothing() {
    let lab = Lab::new();
    lab.ok("nsnat -q add slow --gateway 192.168.1.77 2>/dev/null");
    let before = lab.ok("settled");
    lab.ok("nsnat trace slow 192.0.2.1:80 >/dev/null 2>&1 & id=$!
        await 'nft list tables | grep nsnat-trace || ! kill -0 '$id; kill -0 $id
        kill -KILL $id; wait $id || true
        while nft list tables | grep -q nsnat-trace; do sleep 0.02; done");
    lab.says("settled", &before);
}
