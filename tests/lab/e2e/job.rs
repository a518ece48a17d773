//! The main job: a namespace leaves by its own way, its DNS goes where it was told, and the host notices nothing.

use crate::lab::Lab;

#[test]
fn leaves_by_the_slow_router_while_the_host_leaves_by_the_fast_one() {
    let lab = Lab::new();
    lab.says("nsnat add slow --gateway $LAB_SLOW --dns $LAB_NEW", "slow: up, by eth0 via 192.168.1.254");
    for ask in ["whoami4", "whoami4 80 udp"] {
        lab.says(&format!("test $(nsnat exec slow {ask}) = $LAB_WAN_SLOW; echo slow"), "slow");
        lab.says(&format!("test $({ask}) = $LAB_WAN_FAST; echo fast"), "fast");
    }
    lab.says("cat /proc/sys/net/ipv4/ip_forward", "0");
}

#[test]
fn dns_is_rewritten_whatever_server_is_asked() {
    let lab = Lab::new();
    lab.ok("nsnat add slow --gateway $LAB_SLOW --dns $LAB_NEW");
    for old in ["8.8.8.8", "127.0.0.53", "127.0.0.1"] {
        for tcp in ["", "+tcp"] {
            let ask = format!("ask {old} name.example.test {tcp}");
            lab.says(&format!("test $(nsnat exec slow -- {ask}) = $LAB_ANSWER_NEW; echo new"), "new");
            lab.says(&format!("test $({ask}) = $LAB_ANSWER_OLD; echo old"), "old");
        }
    }
    // By name, as programs do it: getaddrinfo, resolv.conf, a loopback stub.
    lab.says("nsnat exec slow getent ahostsv4 name.example.test | sed 's/ .*//;q'", "192.0.2.53");
    // NEW got the queries by the slow router, and OLD none but the host's.
    lab.says("grep -c 'query.*name.example.test from 203.0.113.254' /run/lab/dns/new.log", "7");
    lab.says(
        "grep 'query.*name.example.test' /run/lab/dns/old.log | grep -c -v 'from 203.0.113.1$' || true",
        "0",
    );
    lab.says("grep -c 'query.*name.example.test from 203.0.113.1$' /run/lab/dns/old.log", "6");
}

#[test]
fn one_server_is_rewritten_and_others_are_left_alone() {
    let lab = Lab::new();
    lab.ok("nsnat add slow --gateway $LAB_SLOW --rewrite $LAB_OLD=$LAB_NEW:5353");
    for tcp in ["", "+tcp"] {
        lab.says(&format!("nsnat exec slow -- ask $LAB_OLD a.example.test {tcp}"), "192.0.2.153");
        lab.says(&format!("nsnat exec slow -- ask $LAB_SECOND a.example.test {tcp}"), "192.0.2.54");
    }
}

#[test]
fn another_service_on_loopback_inside_is_still_reached() {
    let lab = Lab::new();
    lab.ok("nsnat add slow --gateway $LAB_SLOW --dns $LAB_NEW");
    // Both ends inside; the server says at which address it was reached.
    lab.ok("cat >/run/lab/local <<'END'
        wait_for() { until ss -Hln $1 | grep -q :8080; do sleep 0.02; done; }
        for address in 127.0.0.1 127.0.0.53; do
            socat TCP4-LISTEN:8080,bind=$address SYSTEM:'echo tcp $SOCAT_SOCKADDR' & server=$!
            wait_for -t
            socat -u TCP4:$address:8080 -
            wait $server
            socat UDP4-RECVFROM:8080,bind=$address SYSTEM:'read line; echo udp' & server=$!
            wait_for -u
            exec 3<>/dev/udp/$address/8080; echo >&3; head -n 1 <&3
            wait $server
        done
END");
    let script = "nsnat exec slow bash /run/lab/local";
    lab.says(script, "tcp 127.0.0.1\nudp\ntcp 127.0.0.53\nudp");
}

#[test]
fn the_uplinks_own_subnet_is_reached_directly_unless_lan_is_off() {
    let lab = Lab::new();
    lab.declare(
        "[namespace.near]\ngateway = \"$LAB_SLOW\"\n[namespace.far]\ngateway = \"$LAB_SLOW\"\nlan = false",
    );
    lab.ok("nsnat up");
    // The printer sees the host itself, or whoever the slow router forwards for.
    lab.says("nsnat exec near socat -u TCP4:$LAB_PRINTER:80 -", "192.168.1.10");
    let filter = "tcp dst port 80 and host $LAB_PRINTER";
    let seen = |name: &str| {
        format!(
            "id=$(capture slow \"{filter}\")
            nsnat exec {name} socat -u TCP4:$LAB_PRINTER:80 - >&2 || true
            captured $id | wc -l"
        )
    };
    lab.says(&seen("near"), "0");
    assert_ne!(lab.ok(&seen("far")), "0", "without lan, the printer is reached by the gateway");
}

#[test]
fn the_second_device_with_a_strict_reverse_path_check() {
    let lab = Lab::new();
    let sysctls = "(cd /proc/sys && grep -rs '' net || true) | grep -v 'nf_conntrack_count\\|/conf/nsn-\\|/neigh/nsn-' | sort";
    lab.ok(&format!(
        "for conf in /proc/sys/net/ipv4/conf/*; do echo 1 >$conf/rp_filter; done; {sysctls} >/run/lab/before"
    ));
    lab.ok("nsnat add up --gateway $LAB_THIRD --dns $LAB_NEW");
    lab.says("nsnat exec up whoami4", "203.0.113.3");
    lab.says("nsnat exec up whoami4 80 udp", "203.0.113.3");
    lab.says("nsnat exec up ask 127.0.0.53 a.example.test", "192.0.2.53");
    lab.says("whoami4", "203.0.113.1");
    lab.says(
        "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/*/rp_filter | sort | uniq -c | tr -s ' '",
        " 1 0\n 6 1",
    );
    let script =
        format!("{sysctls} >/run/lab/after; diff /run/lab/before /run/lab/after | grep '^[<>]' || true");
    // The check asks how the namespace would send, and finds that by the mark.
    let changed = "< net/ipv4/conf/eth1/forwarding:0\n> net/ipv4/conf/eth1/forwarding:1\n\
        < net/ipv4/conf/eth1/src_valid_mark:0\n> net/ipv4/conf/eth1/src_valid_mark:1";
    lab.says(&script, changed);
    // Of the namespace's own device: forwarding, as for a device of its kind that nobody touched.
    lab.ok("ip link add other type veth peer name rehto");
    let script = "cd /proc/sys/net/ipv4/conf; ! diff <(grep -rs '' other | sed s/other/X/) <(grep -rs '' nsn-up | sed s/nsn-up/X/) | sed -n '/^>/p'";
    lab.says(script, "> X/forwarding:1");
}

/// What the host lets its users do they can do inside: ping, and listen on low ports.
#[test]
fn settings_that_users_count_on() {
    let lab = Lab::new();
    let before = lab.snapshot();
    lab.ok("cd /proc/sys/net/ipv4; echo 0 2147483647 >ping_group_range; echo 80 >ip_unprivileged_port_start
        nsnat add slow --gateway $LAB_SLOW; nsnat plan");
    let as_nobody = "nsnat exec slow -u nobody python3 -c 'import socket as s
s.socket(s.AF_INET, s.SOCK_DGRAM, s.IPPROTO_ICMP); s.socket().bind((\"127.0.0.1\", 80)); print(\"may\")'";
    lab.says(as_nobody, "may");
    lab.ok("echo 1024 >/proc/sys/net/ipv4/ip_unprivileged_port_start; nsnat up");
    assert_eq!(lab.sh(as_nobody).status, 1);
    lab.ok("echo 80 >/proc/sys/net/ipv4/ip_unprivileged_port_start; nsnat up");
    lab.says(as_nobody, "may");
    lab.ok("echo 1024 >/proc/sys/net/ipv4/ip_unprivileged_port_start; echo 1 0 >/proc/sys/net/ipv4/ping_group_range; nsnat remove slow; nsnat add slow --gateway $LAB_SLOW");
    assert_eq!(lab.sh(as_nobody).status, 1);
    lab.ok("nsnat remove slow");
    lab.same(&before, "after remove");
}
