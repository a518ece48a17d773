//! Beside other network software: its rules and marks take no job's packets, and nsnat takes nobody else's.

use crate::lab::Lab;

/// Two namespaces, one by a second router of the LAN and one by a second device, both families, with names.
pub(crate) fn two() -> Lab {
    let lab = Lab::new();
    lab.declare(
        "[namespace.slow]
        gateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]
        dns = [\"$LAB_NEW\", \"$LAB_NEW6\"]
        [namespace.third]
        gateway = [\"$LAB_THIRD\", \"$LAB_THIRD6\"]
        dns = [\"$LAB_NEW\", \"$LAB_NEW6\"]",
    );
    lab
}

/// Which router each of them leaves by, in both families and by both transports, and which server answers.
pub(crate) const JOBS: &str = r"
    for name in slow third; do
        nsnat exec $name whoami4; nsnat exec $name whoami6; nsnat exec $name whoami4 80 udp
        nsnat exec $name ask 127.0.0.53 a.example.test; nsnat exec $name ask $LAB_OLD a.example.test +tcp
    done";

pub(crate) const WELL: &str = "203.0.113.254\n2001:db8:f::fe\n203.0.113.254\n192.0.2.53\n192.0.2.53\n\
    203.0.113.3\n2001:db8:f::3\n203.0.113.3\n192.0.2.53\n192.0.2.53";

/// What a rule of somebody takes everything to: the fast router, in both families. The host's strict reverse-path check
/// then refuses the third router's question for the host's link-layer address (ARP), whether nsnat is there or not. That
/// router would ask after five seconds; here it knows.
const TABLE_77: &str =
    "ip route add default via $LAB_FAST table 77; ip -6 route add default via $LAB_FAST6 table 77
    at third ip neigh replace $LAB_HOST_THIRD lladdr $(cat /sys/class/net/eth1/address) dev lan0 nud permanent";

/// Rules that take what a namespace sends, each with and without a preference of its own.
const TAKERS: [&str; 12] = [
    "from all lookup 77",
    "not fwmark 0xca6c lookup 77",
    "fwmark 0/0x10 lookup 77",
    "uidrange 0-0 lookup 77",
    "ipproto tcp dport 80 lookup 77",
    "iif nsn-slow lookup 77",
    "not from 192.0.2.0/24 lookup 77",
    "to 198.18.0.0/15 lookup 77",
    "from $POOL lookup 77",
    "to 0.0.0.0/1 lookup 77",
    "from all lookup main suppress_prefixlength 0",
    "from all goto 32766",
];

/// The same for IPv6.
fn six(rule: &str) -> String {
    let rule = rule.replace("198.18.0.0/15", "2001:db8:80::/48").replace("192.0.2.0/24", "2001:db8:9::/48");
    rule.replace("0.0.0.0/1", "2000::/3").replace("$POOL", "fd6e:736e:6174::/48")
}

#[test]
fn rules_of_others_come_first_and_do_not_take() {
    let lab = two();
    lab.ok("nsnat up");
    lab.ok(TABLE_77);
    let before = lab.snapshot();
    for (at, rule) in TAKERS.iter().enumerate() {
        let pref = if at % 2 == 0 { String::new() } else { format!("pref {}", 100 + at) };
        let add = |verb: &str| {
            format!(
                "export POOL=10.213.0.0/16; ip rule {verb} {pref} {rule}; ip -6 rule {verb} {pref} {}",
                six(rule)
            )
        };
        lab.ok(&add("add"));
        let told = lab.ok("nsnat status -o json");
        assert!(told.contains("comes first and takes its packets"), "{rule}: {told}");
        assert!(told.contains("\"state\": \"broken\""), "{rule}: {told}");
        lab.ok("nsnat up -q");
        lab.says(JOBS, WELL);
        lab.says("nsnat plan; nsnat status -o json | jq -r .namespaces[].state", "up\nup");
        lab.ok(&add("del"));
        lab.ok("nsnat up -q");
        lab.same(&before, &format!("after {rule} went"));
    }
}

/// While others' rule is first, not even the errors that the guard has for a job leave by the other router.
#[test]
fn nothing_of_a_job_leaves_before_up_has_run() {
    let lab = two();
    lab.ok("nsnat up");
    lab.ok(TABLE_77);
    let capture = lab.capture("fast", "net 10.213.0.0/16 or net fd6e:736e:6174::/48 or dst port 80");
    lab.ok("ip rule add lookup 77; ip -6 rule add lookup 77
        for ask in whoami4 whoami6 'whoami4 80 udp'; do nsnat exec slow timeout 1 $ask || true; done
        nsnat exec third timeout 1 whoami4 || true; nsnat exec third ask 127.0.0.53 a.example.test +time=1 || true");
    lab.says("whoami4", "203.0.113.1");
    let seen = capture.seen();
    let host = |line: &&str| line.contains("192.168.1.10") || line.contains("203.0.113.1");
    let (control, leaked): (Vec<&str>, Vec<&str>) = seen.lines().partition(host);
    assert!(!control.is_empty() && leaked.is_empty(), "by the fast router: {seen}");
    assert!(!seen.contains("10.213.") && !seen.contains("fd6e:"), "by the fast router: {seen}");
}

#[test]
fn a_rule_that_nothing_can_precede_is_named() {
    let lab = two();
    lab.ok("nsnat up");
    lab.ok(TABLE_77);
    for pref in [0, 5] {
        lab.ok(&format!("ip rule add pref {pref} from all lookup 77"));
        let told = lab.ok("nsnat up 2>&1; nsnat status");
        let named = format!("and nothing can come before it: pref {pref} lookup 77; ip");
        assert_eq!(told.matches(&named).count(), 4, "{told}");
        assert!(told.contains("broken"), "{told}");
        lab.ok(&format!("ip rule del pref {pref} lookup 77"));
    }
    // One that only refuses.
    lab.ok("ip rule add pref 50 from all prohibit");
    let told = lab.ok("nsnat up 2>&1; nsnat status");
    assert!(told.contains("refuses its packets (IPv4): pref 50 prohibit"), "{told}");
    assert!(told.contains("broken"), "{told}");
}

/// The block has moved, and the state file is lost, or the run was killed: `down` finds all the same.
#[test]
fn a_block_that_moved_is_found_again() {
    let lab = two();
    lab.ok(TABLE_77);
    // What was in /run/netns before is lost with the state file, so there is something.
    lab.ok("ip netns add other; ip rule add pref 900 lookup 77");
    let before = lab.snapshot();
    lab.ok("nsnat up -q");
    lab.says("ip rule | grep -c '^89[3-9]:'", "10");
    lab.ok("rm /run/nsnat/state.json; nsnat down -q");
    lab.same(&before, "after down without a state file");
    for at in [1, 4, 9, 15, 24, 30] {
        lab.ok("nsnat up -q; ip rule add pref 400 lookup 77");
        // Killed at one of the rules that it adds or removes.
        lab.sh(&format!(
            "strace -qq -o /dev/null -e trace=sendto,sendmsg -e inject=sendto,sendmsg:signal=KILL:when={at} nsnat up -q"
        ));
        lab.ok("nsnat down -q; ip rule del pref 400");
        lab.same(&before, &format!("killed at message {at}, then down"));
    }
}

/// Marks that others write: Tailscale's, howtos' `--restore-mark`, wg-quick's for UDP, somebody's own anywhere.
#[test]
fn marks_are_given_again() {
    let rulesets = [
        "chain a { type filter hook prerouting priority mangle; ct state established,related meta mark set ct mark and 0x00ff0000; }",
        "chain a { type filter hook prerouting priority mangle; meta mark set ct mark; }
         chain b { type filter hook postrouting priority mangle; ct mark set meta mark; }",
        "chain a { type filter hook prerouting priority mangle; meta l4proto udp meta mark set ct mark; }
         chain b { type filter hook postrouting priority mangle; meta l4proto udp meta mark 0xca6c ct mark set meta mark; }",
        "chain a { type filter hook prerouting priority 0; meta mark set 0x5; }",
        "chain a { type filter hook prerouting priority 100; iifgroup 7238510 meta mark set 0x2000000; }",
        "chain a { type filter hook forward priority mangle; meta mark set 0; }",
        "chain a { type filter hook forward priority mangle; meta mark set 0x1000000; }",
    ];
    let lab = two();
    lab.ok("nsnat up");
    for ruleset in rulesets {
        lab.ok(&format!("nft -f - <<'END'\ntable inet theirs {{\n{ruleset}\n}}\nEND"));
        lab.says(JOBS, WELL);
        lab.says("whoami4; nsnat status -o json | jq -r .namespaces[].state", "203.0.113.1\nup\nup");
        lab.ok("nft delete table inet theirs");
    }
    // Bits of others in a mark that keeps ours survive.
    lab.ok("nft -f - <<'END'
table inet theirs {
chain a { type filter hook prerouting priority mangle; meta mark set meta mark or 0x40; }
chain b { type filter hook postrouting priority mangle; meta mark and 0x40 == 0x40 counter; }
}
END");
    lab.ok("nsnat exec slow whoami4");
    assert_ne!(lab.ok("nft list table inet theirs | grep -o 'packets [1-9][0-9]*' | head -1"), "");
}

/// Frames that go from port to port of the uplink's bridge pass `forward`, too, where br_netfilter is on.
#[test]
fn guests_of_a_bridge_are_left_alone() {
    let lab = two();
    lab.ok(r"
        ip link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
        ip link set eth0 master br0; ip link set br0 up
        ip addr flush dev eth0; ip addr add 192.168.1.10/24 dev br0; ip addr add 2001:db8:1::10/64 dev br0 nodad
        ip route replace default via 192.168.1.1; ip -6 route replace default via 2001:db8:1::1
        touch /run/lab/net/guest; unshare --net=/run/lab/net/guest true
        ip link add port type veth peer name eth0 netns /run/lab/net/guest
        ip link set port master br0 up
        at guest ip link set eth0 up; at guest ip addr add 192.168.1.30/24 dev eth0
        at guest ip addr add 2001:db8:1::30/64 dev eth0 nodad
        at guest ip route add default via 192.168.1.1; at guest ip -6 route add default via 2001:db8:1::1
        echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables; echo 1 >/proc/sys/net/bridge/bridge-nf-call-ip6tables");
    let guest = "await 'at guest whoami6'; at guest whoami4; at guest whoami6; at guest whoami4 80 udp";
    lab.says(guest, "203.0.113.1\n2001:db8:f::1\n203.0.113.1");
    lab.ok("nsnat up");
    lab.says(guest, "203.0.113.1\n2001:db8:f::1\n203.0.113.1");
    // By a connection that the guest has not begun.
    lab.says(
        "at guest socat -u TCP-LISTEN:99,reuseaddr - >/run/lab/heard &
        await 'at guest ss -Hltn sport = :99 | grep -q .'; echo hello | at printer socat - TCP:192.168.1.30:99; wait; cat /run/lab/heard",
        "hello",
    );
    lab.says(JOBS, WELL);
}

/// A question goes where it was told to go now, whatever the flow that it belongs to was told at its beginning; and
/// nowhere while the table is gone.
#[test]
fn questions_are_held_back_by_the_guard() {
    let lab = two();
    lab.ok("nsnat up");
    let asks = |server: &str, rest: &str| {
        format!("nsnat exec slow ask {server} a.example.test +time=1 {rest} || true")
    };
    // The maps that rewrite are gone, as in a run that was cut off; what the guard compares with is there.
    let capture = lab.capture("slow", "port 53");
    lab.ok("nft flush map inet nsnat dns_first4; nft flush map inet nsnat dns_first6; nft flush set inet nsnat dns_only
        nft add element inet nsnat dns_only '{ nsn-slow }'");
    for (server, rest) in [("$LAB_OLD", ""), ("$LAB_OLD", "+tcp"), ("$LAB_OLD6", ""), ("127.0.0.53", "")] {
        lab.ok(&asks(server, rest));
    }
    lab.ok("nft flush ruleset");
    for (server, rest) in [("$LAB_OLD", ""), ("$LAB_OLD", "+tcp"), ("$LAB_OLD6", ""), ("$LAB_NEW", "")] {
        lab.ok(&asks(server, rest));
    }
    lab.ok("nsnat up -q");
    lab.says("nsnat exec slow ask $LAB_OLD a.example.test", "192.0.2.53");
    let seen = capture.seen();
    assert!(seen.contains("198.51.100.53.53"), "the capture sees nothing: {seen}");
    assert!(!seen.contains("8.8.8.8.53") && !seen.contains("2001:4860:4860::8888"), "unrewritten: {seen}");
}

/// A flow that began before the rewriting does not go on to the server that was asked then.
#[test]
fn an_old_flow_of_questions_ends_though_it_was_not_forgotten() {
    let lab = Lab::new();
    lab.declare("[namespace.slow]\ngateway = \"$LAB_SLOW\"");
    lab.ok("nsnat up -q 2>/dev/null");
    // One socket that asks again and again.
    lab.ok(r"cat >/run/lab/asker.py <<'END'
import socket, sys, time
question = b'\x12\x34\x01\0\0\1\0\0\0\0\0\0\1a\7example\4test\0\0\1\0\1'
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('8.8.8.8', 53)); s.settimeout(0.2)
while True:
    try:
        s.send(question); s.recv(500); print('answered', flush=True)
    except OSError as error:
        print('error', flush=True)
    time.sleep(0.02)
END
        ");
    let asker = lab.job("slow", "python3 /run/lab/asker.py");
    asker.says("answered");
    // As a run leaves it that is killed after the elements and before conntrack is told to forget.
    lab.ok("nft -f - <<END
add element inet nsnat told_to4 { \"nsn-slow\" . 198.51.100.53 . 53 }
add element inet nsnat dns_only { \"nsn-slow\" }
add element inet nsnat watched_ports { 53 }
END");
    let capture = lab.capture("slow", "udp and dst host 8.8.8.8");
    asker.says_lines("error", 5);
    asker.kill();
    // The capture began after the change: it holds nothing; its marker shows that it works.
    let seen = capture.seen();
    assert_eq!(seen.trim(), "", "the old server was asked");
}
