//! Nobody catches a job's packets on their way through the host: proxies, NAT of others, untracked traffic.

use crate::lab::Lab;

fn lab() -> Lab {
    let lab = Lab::new();
    lab.declare(
        "[namespace.slow]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\ndns = [\"$LAB_NEW\", \"$LAB_NEW6\"]",
    );
    // A guest of the host's own, which is routed and masqueraded by rules of others.
    lab.ok(r"
        touch /run/lab/net/guest; unshare --net=/run/lab/net/guest true
        ip link add guest type veth peer name eth0 netns /run/lab/net/guest
        ip addr add 10.9.0.1/24 dev guest; ip link set guest up; echo 1 >/proc/sys/net/ipv4/ip_forward
        at guest ip link set lo up; at guest ip link set eth0 up; at guest ip addr add 10.9.0.2/24 dev eth0
        at guest ip route add default via 10.9.0.1
        nft -f - <<'END'
table ip nat {
chain post { type nat hook postrouting priority srcnat; ip saddr 10.9.0.0/24 masquerade; }
}
END");
    lab.serve("host", "TCP4-LISTEN:8080,reuseaddr,fork", "SYSTEM:'echo proxy'");
    lab.ok("nsnat up -q");
    lab
}

const JOB: &str = "nsnat exec slow whoami4; nsnat exec slow whoami6
    nsnat exec slow -- ask 127.0.0.53 a.example.test; nsnat exec slow -- ask $LAB_OLD a.example.test +tcp";
const WELL: &str = "203.0.113.254\n2001:db8:f::fe\n192.0.2.53\n192.0.2.53";

fn load(lab: &Lab, ruleset: &str) {
    lab.ok(&format!("nft -f - <<END\ntable ip theirs {{\n{ruleset}\n}}\nEND"));
}

/// Proxies on the host, as Clash, redsocks, sshuttle, Tor and Squid have their packets sent to them.
#[test]
fn redirects_catch_guests_and_no_job() {
    let lab = lab();
    lab.says("at guest whoami4", "203.0.113.1");
    for priority in ["-100", "-110", "-150", "-198"] {
        for how in ["redirect to :8080", "dnat to 192.168.1.10:8080"] {
            load(
                &lab,
                &format!(
                    "chain a {{ type nat hook prerouting priority {priority}; tcp dport {{ 80, 53 }} {how}; }}"
                ),
            );
            lab.says("at guest whoami4", "proxy");
            lab.says(JOB, WELL);
            lab.ok("nft delete table ip theirs");
        }
    }
}

/// One that stands as early as ours and came later: closed, not caught.
#[test]
fn a_redirect_before_ours_gets_nothing() {
    let lab = lab();
    let capture = lab.capture("fast", "dst host $LAB_SERVICE");
    // Of chains of one priority the one that came last is asked first.
    load(&lab, "chain a { type nat hook prerouting priority -199; tcp dport 80 redirect to :8080; }");
    let output = lab.sh("nsnat exec slow timeout 60 socat -u TCP4:$LAB_SERVICE:80,connect-timeout=50 -");
    assert!(!output.stdout.contains("proxy") && output.stderr.contains("refused"), "{output}");
    load(&lab, "chain b { type nat hook prerouting priority -199; tcp dport 443 dnat to 192.168.1.20:80; }");
    let output = lab.sh("nsnat exec slow timeout 60 socat -u TCP4:$LAB_SERVICE:443,connect-timeout=50 -");
    assert!(output.stdout.is_empty() && output.stderr.contains("refused"), "{output}");
    lab.ok("nft delete table ip theirs");
    lab.says(JOB, WELL);
    lab.says("whoami4", "203.0.113.1");
    let seen = capture.seen();
    let of_host = |line: &str| line.contains("192.168.1.10") || line.contains("203.0.113.1");
    assert!(!seen.is_empty() && seen.lines().all(of_host) && !seen.contains("10.213"), "{seen}");
}

/// The kernel gives a packet to the socket that TPROXY names, and forwards it no more. The job hears that at once.
#[test]
fn a_transparent_proxy_gets_no_job() {
    let lab = lab();
    lab.ok(r"for family in 4 6; do
            ip -$family rule add fwmark 0x1 lookup 100; ip -$family route add local default dev lo table 100
        done
        for listen in TCP4-LISTEN:7777 TCP6-LISTEN:7777,ipv6only UDP4-RECVFROM:7777 UDP6-RECVFROM:7777,ipv6only; do
            socat $listen,ip-transparent,reuseaddr,fork SYSTEM:'echo proxy' >/dev/null 2>&1 &
        done
        until (($(ss -Hlntu 'sport = :7777' | wc -l) == 4)); do sleep 0.02; done");
    load(
        &lab,
        "chain a { type filter hook prerouting priority mangle; meta l4proto { tcp, udp } th dport 80 tproxy to 127.0.0.1:7777 meta mark set 1 accept; }",
    );
    lab.ok("nft -f - <<'END'\ntable ip6 theirs {\nchain a { type filter hook prerouting priority mangle; meta l4proto { tcp, udp } th dport 80 tproxy to [::1]:7777 meta mark set 1 accept; }\n}\nEND");
    for to in ["$LAB_SERVICE", "[$LAB_SERVICE6]"] {
        let tcp = lab.sh(&format!("nsnat exec slow timeout 60 socat -u TCP:{to}:80,connect-timeout=50 -"));
        assert!(tcp.stdout.is_empty() && tcp.stderr.contains("Connection refused"), "{tcp}");
        let udp = lab.sh(&format!("echo x | nsnat exec slow timeout 60 socat -t 50 - UDP:{to}:80"));
        assert!(udp.stdout.is_empty() && udp.status == 1, "an error, and not silence: {udp}");
    }
    // What it does not take, goes on; and what is not of a namespace it gets.
    lab.says("nsnat exec slow whoami4 443; nsnat exec slow whoami6 443", "203.0.113.254\n2001:db8:f::fe");
    lab.says("at guest socat -u TCP4:$LAB_SERVICE:80 -", "proxy");
}

/// A proxy that sends as its clients (Squid's `tproxy`): with rp_filter it hears nothing, which nobody but the host's owner
/// can change. So it is said, with what helps.
#[test]
fn a_proxy_that_sends_as_its_clients_is_named() {
    let lab = lab();
    lab.ok("nsnat -q down; ip rule add pref 20000 fwmark 0x1 lookup 100; ip route add local default dev lo table 100");
    load(
        &lab,
        "chain a { type filter hook prerouting priority mangle; meta l4proto tcp socket transparent 1 meta mark set 1 accept; }",
    );
    let ask = |limit: u32| {
        format!("socat -u TCP4:$LAB_SERVICE:80,bind=10.9.0.2,ip-transparent,connect-timeout={limit} -")
    };
    lab.says(&ask(60), "203.0.113.1");
    let named = "sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0, then: nsnat up";
    for _ in 0..2 {
        let up = lab.sh("nsnat up");
        assert!(up.status == 0 && up.stderr.contains("lookup 100") && up.stderr.contains(named), "{up}");
    }
    let problems = "nsnat status -o json | jq -r '.namespaces[] | .state, .problems[]'";
    let told = lab.ok(problems);
    assert!(told.starts_with("up\n") && told.contains(named), "{told}");
    lab.fails(1, &ask(2));
    lab.says(JOB, WELL);
    // What it says, helps.
    lab.ok("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0");
    let up = lab.sh("nsnat up");
    assert!(up.status == 0 && up.stderr.is_empty(), "{up}");
    lab.says(problems, "up");
    lab.says(&ask(60), "203.0.113.1");
    lab.says(JOB, WELL);
}

/// Source NAT of others at an earlier priority.
#[test]
fn a_job_leaves_with_its_own_masquerade() {
    let lab = lab();
    for priority in ["100", "80", "0", "-150"] {
        load(
            &lab,
            &format!(
                "chain a {{ type nat hook postrouting priority {priority}; oifname \"eth0\" snat to 192.168.1.99; }}"
            ),
        );
        lab.says(JOB, WELL);
        lab.ok("nft delete table ip theirs");
    }
}

/// What guides for DNS servers advise, in every place where it is done; and of everything.
#[test]
fn what_others_do_not_track_is_tracked_for_a_job() {
    let lab = lab();
    for ruleset in [
        "chain a { type filter hook prerouting priority raw; udp dport 53 notrack; tcp dport 53 notrack; }",
        "chain a { type filter hook output priority raw; udp dport 53 notrack; }",
        "chain a { type filter hook prerouting priority raw; iifname \"nsn-*\" notrack; }",
    ] {
        load(&lab, ruleset);
        lab.says(JOB, WELL);
        lab.ok("nft delete table ip theirs");
    }
}

/// A packet that names the routers on its way: by the fast one.
#[test]
fn source_routes_are_refused() {
    let lab = lab();
    let capture = lab.capture("fast", "ip and src host $LAB_HOST or src net 10.213.0.0/16");
    lab.ok("for conf in /proc/sys/net/ipv4/conf/*; do echo 1 >$conf/accept_source_route; done
        nsnat exec slow bash -c 'echo 1 >/proc/sys/net/ipv4/conf/all/accept_source_route' || true
        cat >/run/lab/routed.py <<'END'
import socket, sys
for kind in (131, 137):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    hops = socket.inet_aton('192.168.1.1') + socket.inet_aton('198.51.100.80')
    s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([kind, 11, 4]) + hops + b'\\0')
    try: s.sendto(b'x', ('10.213.0.1' if len(sys.argv) > 1 else '192.168.1.10', 80))
    except OSError as error: print(error)
END
        nsnat exec slow python3 /run/lab/routed.py; nsnat exec slow python3 /run/lab/routed.py near");
    lab.says("whoami4", "203.0.113.1");
    let seen = capture.seen();
    assert!(seen.contains("192.168.1.10") && !seen.contains("UDP, length 1"), "by the fast router: {seen}");
}

/// The same by IPv6: a routing header (RFC 8200, section 4.4). To the fast router itself, which is a neighbour and may be
/// sent to without one.
#[test]
fn routing_headers_are_refused() {
    let lab = lab();
    let capture = lab.capture("fast", "ip6 and (ip6[6] == 43 or udp port 7)");
    lab.ok(r"cat >/run/lab/routed.py <<'END'
import os, socket
fast, service = (os.environ[name] for name in ('LAB_FAST6', 'LAB_SERVICE6'))
for kind in (0, 2, 4):
    s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 43)
    s.sendto(bytes([253, 2, kind, 1, 0, 0, 0, 0]) + socket.inet_pton(socket.AF_INET6, service) + bytes(8), (fast, 0))
END
        nsnat exec slow -- python3 /run/lab/routed.py; nsnat exec slow -- bash -c 'echo x >/dev/udp/$LAB_FAST6/7'");
    let routed = |seen: &str| seen.lines().filter(|line| !line.contains(".7: UDP")).count();
    let seen = capture.seen();
    assert!(seen.contains(".7: UDP") && routed(&seen) == 0, "{seen}");
    // The control: without that rule they arrive.
    let capture = lab.capture("fast", "ip6 and (ip6[6] == 43 or udp port 7)");
    lab.ok(r"nft -a list chain inet nsnat options | sed -n 's/.*rt exists.* # handle //p' | xargs nft delete rule inet nsnat options handle
        nsnat exec slow -- python3 /run/lab/routed.py; nsnat exec slow -- bash -c 'echo x >/dev/udp/$LAB_FAST6/7'");
    let seen = capture.seen();
    assert!(routed(&seen) > 0, "{seen}");
}
