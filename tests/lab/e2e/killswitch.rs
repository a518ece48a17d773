//! Kill switches and other chains that drop what they do not know, on every hook that a job's packets pass.

use crate::lab::Lab;

const SLOW: &str =
    "[namespace.slow]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\ndns = [\"$LAB_NEW\", \"$LAB_NEW6\"]";

/// Mullvad's app while it is connected: its device, and its rules of routing, which have no preferences.
const DEVICE: &str = "ip link add wg0-mullvad type veth peer name wg-peer; ip link set wg-peer up; ip addr add 10.64.0.2/32 dev wg0-mullvad; ip link set wg0-mullvad up
    ip -6 addr add fc00:bbbb::2/128 dev wg0-mullvad nodad
    ip route add default dev wg0-mullvad table 1836018789; ip -6 route add default dev wg0-mullvad table 1836018789
    for f in -4 -6; do ip $f rule add not fwmark 0x6d6f6c65 lookup 1836018789; ip $f rule add lookup main suppress_prefixlength 0; done";

/// Its table, as it is loaded with each change.
const TABLE: &str = r#"
nft -f - <<END
table inet mullvad
delete table inet mullvad
table inet mullvad {
chain prerouting {
 type filter hook prerouting priority -199; policy accept;
 iif != "wg0-mullvad" ct mark 0xf41 meta mark set 0x6d6f6c65
 ip saddr 203.0.113.9 udp sport 51820 meta mark set 0x6d6f6c65
}
chain output {
 type filter hook output priority 0; policy drop;
 oif "lo" accept
 ct mark 0xf41 accept
 udp sport 68 ip daddr 255.255.255.255 udp dport 67 accept
 ip6 saddr fe80::/10 udp sport 546 ip6 daddr { ff02::1:2, ff05::1:3 } udp dport 547 accept
 ip6 daddr ff02::2 icmpv6 type 133 icmpv6 code 0 accept
 ip6 daddr ff02::1:ff00:0/104 icmpv6 type 135 icmpv6 code 0 accept
 ip6 daddr fe80::/10 icmpv6 type 135 icmpv6 code 0 accept
 ip6 daddr fe80::/10 icmpv6 type 136 icmpv6 code 0 accept
 ip daddr 203.0.113.9 udp dport 51820 meta mark 0x6d6f6c65 accept
 oif "wg0-mullvad" udp dport 53 ip daddr 10.64.0.1 accept
 oif "wg0-mullvad" tcp dport 53 ip daddr 10.64.0.1 accept
 udp dport 53 reject
 tcp dport 53 reject with tcp reset
 oif "wg0-mullvad" accept
 reject
}
chain input {
 type filter hook input priority 0; policy drop;
 iif "lo" accept
 ct mark 0xf41 accept
 udp sport 67 udp dport 68 accept
 ip6 saddr fe80::/10 icmpv6 type 134 icmpv6 code 0 accept
 ip6 saddr fe80::/10 icmpv6 type 137 icmpv6 code 0 accept
 ip6 saddr fe80::/10 icmpv6 type 135 icmpv6 code 0 accept
 icmpv6 type 136 icmpv6 code 0 accept
 ip saddr 203.0.113.9 udp sport 51820 ct state established accept
 iif "wg0-mullvad" accept
}
chain forward {
 type filter hook forward priority 0; policy drop;
 ct mark 0xf41 accept
 udp sport 68 ip daddr 255.255.255.255 udp dport 67 accept
 udp sport 67 udp dport 68 accept
 icmpv6 type 136 icmpv6 code 0 accept
 oif "wg0-mullvad" udp dport 53 ip daddr 10.64.0.1 accept
 udp dport 53 reject
 tcp dport 53 reject with tcp reset
 oif "wg0-mullvad" accept
 iif "wg0-mullvad" ct state established accept
 reject
}
chain mangle {
 type route hook output priority -150; policy accept;
 oif "wg0-mullvad" udp dport 53 ip daddr 10.64.0.1 accept
 meta cgroup 5087041 ct mark set 0xf41 meta mark set 0x6d6f6c65
}
chain nat {
 type nat hook postrouting priority 100; policy accept;
 oif "wg0-mullvad" ct mark 0xf41 drop
 oif != "lo" ct mark 0xf41 masquerade
}
}
END"#;

/// As its app writes it where it cannot split tunnels, and so accepts no connection mark.
const NO_SPLIT: &str =
    "nft -a list table inet mullvad | awk '/chain/ { chain = $2 } /0x00000f41/ { print chain, $NF }' |
    while read -r chain handle; do nft delete rule inet mullvad $chain handle $handle; done";

const THEIRS: &str = "nft -s list table inet mullvad";

fn lab(toml: &str) -> Lab {
    let lab = Lab::new();
    lab.declare(toml);
    lab
}

/// In both families, over udp and tcp, and more than one packet of each flow.
#[track_caller]
fn works(lab: &Lab) {
    lab.says(
        "nsnat exec slow whoami4; nsnat exec slow whoami6
        nsnat exec slow ask 8.8.8.8 a.example.test; nsnat exec slow ask 8.8.8.8 a.example.test +tcp
        nsnat exec slow ask 2001:4860:4860::8888 a.example.test",
        "203.0.113.254\n2001:db8:f::fe\n192.0.2.53\n192.0.2.53\n192.0.2.53",
    );
    lab.says("nsnat status -o json | jq -r '.namespaces[] | .state, .problems[]'", "up");
    lab.says("nsnat up", "nothing to do");
}

fn problems(lab: &Lab) -> String {
    lab.ok("nsnat status slow -o json | jq -r '.namespaces[] | .state, .problems[]'")
}

/// The host itself stays behind its kill switch: nothing but the job's packets, by the job's router.
#[test]
fn mullvad() {
    let lab = lab(SLOW);
    let capture = lab.capture("fast", "host $LAB_SERVICE or host $LAB_SERVICE6 or port 53");
    lab.ok("whoami4");
    lab.ok(&format!("{DEVICE}\n{TABLE}"));
    lab.fails(1, "socat -u TCP4:$LAB_SERVICE:80,connect-timeout=2 -");
    let before = lab.ok(THEIRS);
    let plan = lab.sh("nsnat plan --commands");
    assert!(plan.stdout.contains("add element inet nsnat split_mark { \"nsn-slow\" : 0xf41 }"), "{plan}");
    lab.ok("nsnat up");
    works(&lab);
    let theirs = lab.ok(THEIRS);
    let ours: Vec<&str> = theirs.lines().filter(|line| line.contains("nsnat")).map(str::trim).collect();
    assert_eq!(
        ours,
        [
            "oifgroup 7238510 accept comment \"nsnat\"",
            "iifgroup 7238510 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept comment \"nsnat neighbours\"",
        ]
    );
    // A setting is changed, and the table is loaded anew: our rules in it are gone, the mark is not.
    lab.ok(TABLE);
    lab.says(
        "nsnat exec slow whoami4; nsnat exec slow ask 8.8.8.8 a.example.test",
        "203.0.113.254\n192.0.2.53",
    );
    let told = problems(&lab);
    assert!(
        told.contains("table inet mullvad, chain input (policy drop); nsnat up lets them through"),
        "{told}"
    );
    lab.ok("nsnat up");
    works(&lab);
    // The tunnel comes anew, with its rules before ours.
    lab.ok(&format!("ip link del wg0-mullvad; ip rule del lookup main suppress_prefixlength 0; ip rule del lookup 1836018789; {DEVICE}\n{TABLE}"));
    lab.fails(1, "nsnat exec slow whoami4");
    lab.ok("nsnat up");
    works(&lab);
    lab.ok("nsnat down");
    lab.says(THEIRS, &before);
    let seen = capture.seen();
    let tcp = seen.lines().filter(|line| line.contains("lan0  In") && line.contains("Flags [S]")).count();
    assert!(tcp == 1 && !seen.contains(".53:"), "the control, and no job: {seen}");
}

/// Its rules of routing land before ours; when it goes, nothing of what it took stays.
#[test]
fn mullvad_comes_later_and_goes_earlier() {
    let lab = lab(SLOW);
    lab.ok(&format!("nsnat up; {DEVICE}\n{TABLE}"));
    assert!(problems(&lab).starts_with("broken\n"));
    lab.ok("nsnat up");
    works(&lab);
    lab.ok("nft delete table inet mullvad; ip link del wg0-mullvad
        for family in -4 -6; do ip $family rule del lookup main suppress_prefixlength 0; ip $family rule del lookup 1836018789; done
        nsnat up");
    works(&lab);
    lab.says("nft -j list map inet nsnat split_mark | jq '[.nftables[].map.elem // empty] | length'", "0");
    lab.says("jq -c '[.passes, .split]' /run/nsnat/state.json", "[null,null]");
}

#[test]
fn mullvad_that_splits_no_tunnels() {
    let lab = lab(SLOW);
    lab.ok(&format!("{DEVICE}\n{TABLE}\n{NO_SPLIT}"));
    let before = lab.ok(THEIRS);
    assert!(!before.contains("f41"), "{before}");
    lab.ok("nsnat up");
    works(&lab);
    lab.ok("nsnat down");
    lab.says(THEIRS, &before);
}

/// A job whose uplink is the tunnel has no mark: in the tunnel these flows are dropped.
#[test]
fn who_leaves_by_the_tunnel_is_in_it() {
    let lab = lab(
        "[namespace.slow]\ngateway = \"$LAB_SLOW\"\n[namespace.inside]\ngateway = \"10.64.0.1\"\ndev = \"wg0-mullvad\"",
    );
    lab.ok(&format!("{DEVICE}
{TABLE}
        nsnat up; mkdir -p /etc/netns/inside; echo nameserver 10.64.0.1 >/etc/netns/inside/resolv.conf
        touch /run/lab/net/relay; unshare --net=/run/lab/net/relay true; ip link set wg-peer netns /run/lab/net/relay
        at relay ip link set wg-peer up; at relay ip addr add 10.64.0.1/24 dev wg-peer; at relay ip link set lo up"));
    lab.serve("relay", "TCP4-LISTEN:80,reuseaddr,fork", "SYSTEM:'echo relay'");
    lab.says("nsnat exec inside socat -u TCP4:10.64.0.1:80 -", "relay");
    lab.says("nsnat exec slow whoami4", "203.0.113.254");
    let marks = lab.ok("nft list map inet nsnat split_mark");
    assert!(marks.contains("nsn-slow") && !marks.contains("nsn-inside"), "{marks}");
}

/// Before routing and after it, with what such chains say for the host itself.
const AROUND: &str = "nft -f - <<END
table inet mine {
    chain before {
        type filter hook prerouting priority -150; policy drop;
        iifname { lo, eth0 } accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    }
    chain after {
        type filter hook postrouting priority 10; policy drop;
        meta skuid 0 accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
        counter drop
    }
}
END";

#[test]
fn chains_before_and_after_routing_are_passed() {
    let lab = lab(SLOW);
    lab.ok(AROUND);
    let before = lab.ok("nft -s list ruleset");
    lab.ok("nsnat up");
    works(&lab);
    // What the chain closes on the host stays closed to a namespace.
    lab.serve("host", "TCP-LISTEN:2222,fork,reuseaddr", "SYSTEM:'echo open'");
    lab.says("socat -u TCP:127.0.0.1:2222 - </dev/null", "open");
    let knock =
        lab.sh("nsnat exec slow timeout 2 socat -u TCP:$LAB_HOST:2222,connect-timeout=1 - </dev/null");
    assert!(knock.status != 0 && knock.stdout.is_empty(), "{knock}");
    lab.ok("nsnat down");
    lab.says("nft -s list ruleset", &before);
}

#[test]
fn a_chain_that_takes_no_answers_is_named() {
    let lab = lab(SLOW);
    lab.ok("nft -f - <<END
table inet mine {
    chain before {
        type filter hook prerouting priority -250; policy drop;
        tcp dport 22 accept
    }
}
END");
    let named = "packets are stopped by table inet mine, chain before (policy drop): it takes no answers; nft insert rule inet mine before ct state established accept";
    let said = lab.sh("nsnat up 2>&1");
    assert!(said.status == 0 && said.stdout.contains(named), "{said}");
    let told = problems(&lab);
    assert!(told.starts_with("broken\n") && told.contains(named), "{told}");
    let said = lab.fails(0, "nsnat exec slow true");
    assert!(said.contains(named) && said.lines().count() == 1, "{said}");
    lab.says("nft -s list table inet mine | grep -c nsnat || true", "0");
}

/// Questions to the host's own resolver, its answers, and the guard's errors.
const HOST: &str = "[namespace.slow]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\ndns = \"host\"
[namespace.other]\ngateway = \"$LAB_THIRD\"\ndns = \"$LAB_NEW\"";

#[track_caller]
fn asks_the_host(lab: &Lab) {
    lab.says(
        "nsnat exec slow -- ask 127.0.0.53 a.example.test; nsnat exec slow -- ask 127.0.0.53 a.example.test +tcp
        nsnat exec slow whoami4; nsnat exec slow whoami6",
        "192.0.2.1\n192.0.2.1\n203.0.113.254\n2001:db8:f::fe",
    );
    // Towards another namespace: an error of the guard, at once.
    let error = lab.sh("other=$(nsnat exec other -- ip -br -4 addr show eth0 | grep -o '10[0-9.]*')
        echo x | nsnat exec slow timeout 60 socat -t 50 - UDP4:$other:9 2>&1");
    assert!(
        error.stdout.contains("No route to host") || error.stdout.contains("Permission denied"),
        "{error}"
    );
    lab.says("nsnat status -o json | jq -r '.namespaces[] | .state, .problems[]'", "up\nup");
}

#[test]
fn chains_of_what_is_for_the_host_and_from_it() {
    let lab = lab(HOST);
    lab.ok("nft -f - <<END
table inet mine {
    chain in {
        type filter hook input priority 0; policy drop;
        iifname { lo, eth0, eth1 } accept
    }
    chain out {
        type filter hook output priority 0; policy drop;
        oifname { lo, eth0, eth1 } accept
        ct state established accept
    }
}
END");
    let before = lab.ok("nft -s list ruleset");
    lab.ok("nsnat up");
    asks_the_host(&lab);
    lab.ok("nsnat down");
    lab.says("nft -s list ruleset", &before);
    lab.declare(SLOW);
    lab.ok("nsnat up");
    works(&lab);
    let input = lab.ok("nft list chain inet mine in");
    assert!(
        input.contains("nd-neighbor-solicit") && !input.contains("dport"),
        "no more than it takes: {input}"
    );
}

#[test]
fn the_same_of_iptables() {
    let lab = lab(HOST);
    let rules = "for save in iptables-save ip6tables-save; do $save | sed 's/ \\[[0-9:]*\\]$//; /^#/d'; done";
    lab.ok("for program in iptables ip6tables; do
            $program -A INPUT -i lo -j ACCEPT; $program -A INPUT -i eth+ -j ACCEPT; $program -A INPUT -p icmpv6 -j ACCEPT
            $program -A OUTPUT -o lo -j ACCEPT; $program -A OUTPUT -o eth+ -j ACCEPT; $program -A OUTPUT -p icmpv6 -j ACCEPT
            $program -P INPUT DROP; $program -P OUTPUT DROP
        done");
    let before = lab.ok(rules);
    lab.ok("nsnat up");
    asks_the_host(&lab);
    lab.says("nsnat up", "nothing to do");
    lab.ok("nsnat down");
    lab.says(rules, &before);
}
