//! Nothing leaks: whatever others do to the host, no packet of a namespace leaves by the fast router, and a program
//! inside gets an error at once.
//!
//! "No packet" is a capture on the fast router of everything that goes to the service. Each capture proves itself:
//! it has to hold the host's own packet, which leaves by the fast router as it should.

use crate::lab::{Job, Lab};

/// What a program gets at once when it may not get out; a timeout is none of them.
const ERRORS: [&str; 5] = [
    "Network is unreachable",
    "No route to host",
    "Connection refused",
    "Connection reset by peer",
    "Permission denied",
];

/// Does `damage` while a connection by the namespace's way is established, and tries everything that may leak.
fn nothing_leaks(gateway: &str, damage: &str) {
    let lab = Lab::new();
    lab.ok(&format!("nsnat add slow --gateway {gateway} --dns $LAB_NEW"));
    // A job that talks all the time: what it sends after the damage must not leave by another way either.
    lab.ok("cat >/run/lab/job <<'END'
        exec 3<>/dev/tcp/$LAB_SERVICE/7
        echo first >&3; read -r -t 60 answer <&3; echo got $answer
        while [ ! -e /run/lab/damaged ]; do sleep 0.02; done
        # An established connection may learn of its end when it sends, or when it reads.
        for ((i = 0; i < 40; i++)); do echo again >&3 || break; sleep 0.05; done
        read -r -t 5 answer <&3; echo answer ${answer-none}
END");
    let job = lab.job("slow", "bash /run/lab/job");
    job.says("got");
    let capture = lab.capture("fast", "host $LAB_SERVICE or host $LAB_NEW or host $LAB_OLD");
    lab.ok(damage);
    lab.ok("touch /run/lab/damaged");
    for ask in ["TCP4:$LAB_SERVICE:80,connect-timeout=50", "TCP4:$LAB_SERVICE:9997,connect-timeout=50"] {
        at_once(&lab, &format!("nsnat exec slow timeout 60 socat -u {ask} -"), damage);
    }
    at_once(
        &lab,
        "nsnat exec slow timeout 60 bash -c 'exec 3<>/dev/udp/$LAB_SERVICE/80; echo >&3; read -r <&3'",
        damage,
    );
    lab.sh("for tcp in +notcp +tcp; do nsnat exec slow -- ask 127.0.0.53 a.example.test $tcp +time=1; done
        nsnat exec slow -- ask $LAB_OLD a.example.test +time=1");
    job.ends();
    // The host's own packet, so that none of the namespace's means none.
    lab.says("whoami4", "203.0.113.1");
    let seen = capture.seen();
    let (control, leaked): (Vec<&str>, Vec<&str>) =
        seen.lines().partition(|line| line.contains("198.51.100.80.80") && !line.contains("10.213."));
    let host = lab.ok("echo $LAB_HOST");
    assert!(control.iter().any(|line| line.contains(&host)), "the capture sees nothing: {seen}");
    // The control is one connection; every other packet is a leak.
    let ports: std::collections::BTreeSet<&str> = control
        .iter()
        .filter_map(|line| line.split(&format!("{host}.")).nth(1)?.split([' ', ':']).next())
        .collect();
    assert!(
        leaked.is_empty() && ports.len() == 1,
        "after {damage}, by the fast router: {seen}\n{}",
        lab.state()
    );
}

#[track_caller]
fn at_once(lab: &Lab, script: &str, damage: &str) {
    let output = lab.sh(script);
    let error = ERRORS.iter().any(|error| output.stderr.contains(error));
    assert!(
        output.status != 124 && error,
        "an error at once is needed after {damage}:\n{output}\n{}",
        lab.state()
    );
}

/// Rules by mark, by source, and all of them.
#[test]
fn rules_deleted_by_hand() {
    nothing_leaks(
        "$LAB_THIRD",
        "for pref in 4210 4211 4212 4213; do
        while ip rule del pref $pref 2>/dev/null; do :; done; done",
    );
}

#[test]
fn rules_deleted_by_hand_with_both_gateways_on_one_device() {
    nothing_leaks(
        "$LAB_SLOW",
        "for pref in 4210 4211 4212 4213; do
        while ip rule del pref $pref 2>/dev/null; do :; done; done",
    );
}

#[test]
fn table_flushed() {
    nothing_leaks("$LAB_THIRD", "ip route flush table 213001");
}

#[test]
fn table_flushed_with_both_gateways_on_one_device() {
    nothing_leaks("$LAB_SLOW", "ip route flush table 213001");
}

#[test]
fn device_down() {
    nothing_leaks("$LAB_THIRD", "ip link set eth1 down");
}

#[test]
fn device_gone() {
    nothing_leaks("$LAB_THIRD", "ip link del eth1");
}

#[test]
fn device_without_its_address() {
    nothing_leaks("$LAB_THIRD", "ip addr flush dev eth1");
}

/// Without our nft rules nothing is masqueraded either: packets go to the right router with an address that nobody
/// answers, so that there is no error; what counts is that none goes to the wrong one.
#[test]
fn whole_ruleset_flushed() {
    let lab = Lab::new();
    lab.ok("nsnat add slow --gateway $LAB_SLOW --dns $LAB_NEW; nsnat add third --gateway $LAB_THIRD");
    lab.ok("nft flush ruleset");
    let capture = lab.capture("fast", "ip or ip6");
    for name in ["slow", "third"] {
        lab.sh(&format!("nsnat exec {name} timeout 1 socat -u TCP4:$LAB_SERVICE:80 -"));
        lab.sh(&format!("nsnat exec {name} ask $LAB_OLD a.example.test +time=1"));
    }
    lab.says("whoami4", "203.0.113.1");
    let seen = capture.seen();
    assert!(seen.contains("192.168.1.10"), "the capture does not see the host's own packet: {seen}");
    // A switch may show the fast router what is not for it: only what it forwards, or what is for it, counts.
    let leaked: Vec<&str> = seen.lines().filter(|line| line.contains(" 10.213.")).collect();
    assert!(leaked.is_empty(), "by the fast router: {leaked:#?}");
    lab.ok("nsnat up");
    lab.says("nsnat exec slow whoami4; nsnat exec third whoami4", "203.0.113.254\n203.0.113.3");
}

/// The guard alone, without rules and table: it checks the next hop, not only the device.
#[test]
fn namespaces_do_not_reach_each_other_nor_does_anybody_reach_them() {
    let lab = Lab::new();
    lab.ok("nsnat add one --gateway $LAB_SLOW; nsnat add two --gateway $LAB_SLOW");
    let two = lab.ok("ip -n two -4 -o addr show dev eth0 | sed 's/.*inet \\([0-9.]*\\).*/\\1/'");
    lab.serve("two", "TCP4-LISTEN:8080,fork,reuseaddr", "SYSTEM:'echo two'");
    // The control: the host itself gets there.
    lab.says(&format!("socat -u TCP4:{two}:8080 -"), "two");
    at_once(
        &lab,
        &format!("nsnat exec one timeout 60 socat -u TCP4:{two}:8080,connect-timeout=50 -"),
        "nothing",
    );
    lab.ok(&format!("at printer ip route add {two} via $LAB_HOST"));
    let output = lab.sh(&format!("at printer timeout 2 socat -u TCP4:{two}:8080,connect-timeout=1 -"));
    assert!(output.status != 0 && output.stdout.is_empty(), "somebody else gets in: {output}");
}

/// What the other side goes on sending when a namespace is gone: conntrack turns it around to an address that is
/// nobody's, and the host's default route would take it.
#[test]
fn answers_to_a_namespace_that_is_gone() {
    for (go, flows) in [
        ("nsnat down --kill a", "0"),
        ("sed -i s/10.5.0.0/10.6.0.0/ /etc/nsnat/nsnat.toml; nsnat up", "0"),
        ("kill $(cat /run/lab/exec.pid); wait", "0"),
        ("ip link del nsn-a", "1"),
        ("ip link set nsn-a down", "1"),
        // As VPNs do it that take everything.
        (
            "ip route add 0.0.0.0/1 via $LAB_FAST; ip route add 128.0.0.0/1 via $LAB_FAST; ip link del nsn-a",
            "1",
        ),
        ("nft flush ruleset; nft -f /run/lab/other; ip link del nsn-a", "1"),
    ] {
        let lab = Lab::new();
        // Somebody else's NAT, so that the kernel goes on translating when ours is gone.
        lab.ok("echo 'table ip other { chain c { type nat hook postrouting priority 200; ip saddr 10.99.0.0/24 masquerade; }; }' >/run/lab/other
            nft -f /run/lab/other; echo 1 >/proc/sys/net/ipv4/ip_forward");
        lab.declare("[namespace.a]\ngateway = \"$LAB_SLOW\"\nsubnet = \"10.5.0.0/30\"\n[namespace.b]\ngateway = \"$LAB_SLOW\"");
        lab.serve("inet", "TCP4-LISTEN:5555,reuseaddr,fork", "SYSTEM:'while echo more; do sleep 0.05; done'");
        lab.ok("nsnat -q up");
        let how = if go.starts_with("kill") { "nsnat exec --gateway $LAB_SLOW --" } else { "nsnat exec a" };
        // Whoever was killed may have said so to the other side; then that falls silent.
        let ended = go.contains("kill");
        let listen = format!("{how} socat -u TCP4:$LAB_SERVICE:5555 /run/lab/got </dev/null >/dev/null 2>&1 & echo $! >/run/lab/exec.pid
            await '[ -s /run/lab/got ]'
            sent() {{ at inet nft -a list chain inet sent out | sed -n 's/.*packets \\([0-9]*\\).*/\\1/p'; }}
            at inet nft 'add table inet sent; add chain inet sent out {{ type filter hook output priority 0; }}; add rule inet sent out tcp sport 5555 counter'
            {go} >/run/lab/go 2>&1 || cat /run/lab/go >&2
            n=$(sent); await '(($(sent) > n + 2)) || {{ {ended} && ! at inet ss -Htn state established sport = 5555 | grep .; }}'");
        let capture = lab.capture("fast", "net 10.0.0.0/8");
        lab.ok(&listen);
        let seen = capture.seen();
        let leaked: Vec<&str> = seen.lines().filter(|line| line.contains(".5555 > 10.")).collect();
        assert!(leaked.is_empty(), "after {go}, by the fast router: {leaked:#?}\n{}", lab.state());
        lab.says("conntrack -L -p tcp --orig-port-dst 5555 2>/dev/null | grep -c ESTABLISHED || true", flows);
    }
}

/// Neither rewritten nor masqueraded: so it does not leave.
#[test]
fn packets_that_conntrack_does_not_follow() {
    let lab = Lab::new();
    lab.ok("nsnat add slow --gateway $LAB_SLOW --gateway $LAB_SLOW6 --dns $LAB_NEW");
    let capture = lab.capture("slow", "net 10.0.0.0/8 or net fd00::/8 or port 53");
    lab.ok("nft 'add table inet x; add chain inet x raw { type filter hook prerouting priority -400; }
            add rule inet x raw udp dport 53 notrack; add rule inet x raw tcp dport 80 notrack'");
    // It follows a job's packets all the same.
    lab.says(
        "nsnat exec slow ask 8.8.8.8 a.example.test; nsnat exec slow whoami4",
        "192.0.2.53\n203.0.113.254",
    );
    let output = lab.sh("nsnat exec slow ask 2001:4860:4860::8888 b.example.test");
    assert!(output.status != 0 && !output.stdout.contains("timed out"), "{output}");
    // A checksum that is wrong makes a packet invalid.
    lab.ok("nft delete table inet x; nsnat exec slow python3 -c 'import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
query = bytes.fromhex(\"123401000001000000000000\") + b\"\\x01i\\x07example\\x04test\\0\\0\\1\\0\\1\"
s.sendto(struct.pack(\"!HHHH\", 4444, 53, 8 + len(query), 0xdead) + query, (\"8.8.8.8\", 0))'");
    // The control, by the same way.
    lab.says("nsnat exec slow ask 8.8.8.8 control.example.test", "192.0.2.53");
    let seen = capture.seen();
    assert!(seen.contains("control.example.test"), "the capture sees nothing: {seen}");
    let leaked = |line: &&str| {
        line.contains("10.213.")
            || line.contains("fd6e:")
            || line.contains("8.8.8.8")
            || line.contains("8888")
    };
    let leaked: Vec<&str> = seen.lines().filter(leaked).collect();
    assert!(leaked.is_empty(), "by the slow router: {leaked:#?}");
}

/// A program that keeps sending while there is no table: what conntrack learned of it then is not what holds later.
#[test]
fn flows_that_began_while_the_ruleset_was_flushed() {
    let lab = Lab::new();
    lab.ok("nsnat add slow --gateway $LAB_SLOW --dns $LAB_NEW
        cat >/run/lab/keeps.py <<'END'
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect((sys.argv[1], int(sys.argv[2]))); s.settimeout(0.2)
query = bytes.fromhex('6e7301000001000000000000') + b'\\x01k\\x07example\\x04test\\0\\0\\1\\0\\1'
while True:
    try: s.send(query); s.recv(4096); print('answer', flush=True)
    except OSError as why: print(why, flush=True)
    time.sleep(0.05)
END
        # Somebody's firewall, for whose sake connections are followed all the while.
        nft flush ruleset; nft 'add table inet other; add chain inet other f { type filter hook forward priority 0; }; add rule inet other f ct state established accept'
        ");
    let jobs =
        ["8.8.8.8 53", "$LAB_NEW 5353"].map(|to| lab.job("slow", &format!("python3 /run/lab/keeps.py {to}")));
    jobs.iter().for_each(Job::goes_on);
    // Nothing is answered without masquerading; from now on it is.
    lab.ok("nsnat up");
    let capture = lab.capture("slow", "net 10.0.0.0/8 or host 8.8.8.8 or port 5353");
    for job in &jobs {
        job.says("answer");
        job.goes_on();
    }
    let seen = capture.seen();
    // What comes to the router; it may still have had some to send on.
    let arrived =
        |line: &&str| line.contains(" lan0  In ") && (line.contains("8.8.8.8.53") || line.contains("10.213"));
    let wrong: Vec<&str> = seen.lines().filter(arrived).collect();
    assert!(wrong.is_empty() && seen.contains("198.51.100.53.5353"), "{wrong:#?}\n{seen}");
}

/// A job that never stops sending while its namespace gets another subnet.
#[test]
fn answers_to_an_address_that_was_changed() {
    let lab = Lab::new();
    lab.declare("[namespace.a]\ngateway = \"$LAB_SLOW\"\nsubnet = \"10.5.0.0/30\"");
    lab.ok("nsnat up; cat >/run/lab/busy.py <<'END'
import os, socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 40001))
while True:
    try: s.sendto(b'x', (os.environ['LAB_SERVICE'], 9999))
    except OSError: pass
    time.sleep(0.001)
END
        ");
    lab.job("a", "python3 /run/lab/busy.py");
    lab.until("conntrack -L -p udp | grep 'src=10.5.0.2 .*sport=40001'");
    lab.ok("sed -i s/10.5.0.0/10.6.0.0/ /etc/nsnat/nsnat.toml; nsnat up");
    lab.until("conntrack -L -p udp | grep 'src=10.6.0.2 .*sport=40001'");
    lab.says(
        "conntrack -L -p udp 2>/dev/null | grep 40001 | grep -o 'src=10[0-9.]*' | sort -u",
        "src=10.6.0.2",
    );
}

/// A server goes on sending to a namespace that went: the host, for which these datagrams are now, does not tell that
/// server by its own router. Errors for others it goes on to send.
#[test]
fn the_host_says_nothing_to_peers_of_a_namespace_that_went() {
    let lab = Lab::new();
    lab.declare(
        "[namespace.slow]
        gateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]
        [namespace.third]
        gateway = \"$LAB_THIRD\"",
    );
    lab.ok(r"cat >/run/lab/server.py <<'END'
import os, socket, threading, time
def serve(family, address):
    s = socket.socket(family, socket.SOCK_DGRAM); s.bind((address, 7777))
    _, asker = s.recvfrom(10)
    while not os.path.exists('/run/lab/enough'):
        try: s.sendto(b'late', asker)
        except OSError: pass
        time.sleep(0.02)
both = [(socket.AF_INET, os.environ['LAB_SERVICE']), (socket.AF_INET6, os.environ['LAB_SERVICE6'])]
threads = [threading.Thread(target=serve, args=one) for one in both]
for t in threads: t.start()
open('/run/lab/ready', 'w')
END
cat >/run/lab/asker.py <<'END'
import os, socket, time
for family, address in ((socket.AF_INET, os.environ['LAB_SERVICE']), (socket.AF_INET6, os.environ['LAB_SERVICE6'])):
    s = socket.socket(family, socket.SOCK_DGRAM); s.connect((address, 7777)); s.send(b'x'); print(s.recv(10), flush=True)
time.sleep(1000)
END
        nsnat up -q 2>/dev/null
        at inet python3 /run/lab/server.py >/dev/null 2>&1 & until [ -e /run/lab/ready ]; do sleep 0.02; done
        ");
    lab.job("slow", "python3 /run/lab/asker.py").says_lines("late", 2);
    // The host's own answers come back to no socket of its own either.
    let fast = lab.capture("fast", "icmp or (icmp6 and ip6[40] == 1) or udp port 7777");
    let slow = lab.capture("slow", "udp and src port 7777");
    lab.ok("
        nsnat -q down slow --kill 2>/dev/null");
    // The control: an error to somebody who is no peer of a namespace leaves as ever.
    lab.ok("id=$(capture printer 'icmp[icmptype] == icmp-unreach')
        for tries in {1..5}; do echo x | at printer socat -t 0.5 - UDP4:$LAB_HOST:9 2>/dev/null || true; done
        captured $id | grep -q 'udp port 9 unreachable'; touch /run/lab/enough");
    let sent = slow.seen();
    assert!(sent.lines().count() > 20, "the server has not gone on: {sent}");
    let seen = fast.seen();
    assert!(!seen.contains("unreachable"), "by the fast router: {seen}");
}
