//! `ipv6 = "auto" | "off" | "nat"`, uplinks without IPv6, hosts without IPv6.

use crate::lab::Lab;

/// What connect(2) says at once where there is no way.
fn refused(said: &str) -> bool {
    ["Network is unreachable", "No route to host", "Address family not supported"]
        .iter()
        .any(|e| said.contains(e))
}

#[test]
fn the_three_modes() {
    let lab = Lab::new();
    lab.declare(
        "[uplink.both]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\n[namespace.auto]\nuplink = \"both\"\n\
         [namespace.off]\nuplink = \"both\"\nipv6 = \"off\"\n[namespace.nat]\nuplink = \"both\"\nipv6 = \"nat\"",
    );
    lab.ok("nsnat up");
    lab.says("nsnat exec auto whoami6; nsnat exec nat whoami6", "2001:db8:f::fe\n2001:db8:f::fe");
    lab.says(
        "nsnat exec off whoami4; ip -n off -6 addr show dev eth0; ip -6 addr show dev nsn-off",
        "203.0.113.254",
    );
    assert!(refused(&lab.fails(1, "nsnat exec off whoami6")));
}

#[test]
fn nat_without_ipv6_is_told() {
    let lab = Lab::new();
    let before = lab.snapshot();
    lab.declare("[namespace.slow]\ngateway = \"$LAB_SLOW\"\nipv6 = \"nat\"");
    let said = lab.fails(2, "nsnat up");
    assert!(said.contains("ipv6 = \"nat\", but its uplink has no IPv6"), "{said}");
    lab.ok("rm -r /etc/nsnat");
    lab.same(&before, "after an error");
}

/// A name with both families where the uplink has only IPv4: programs get the IPv6 error at once and go on by IPv4, and
/// nothing of IPv6 leaves by the other uplink.
#[test]
fn an_uplink_without_ipv6_falls_back_without_a_packet() {
    let lab = Lab::new();
    lab.ok("nsnat add slow --gateway $LAB_SLOW");
    let ipv6 = "ip6 and ip6[6] != 0 and not (icmp6 or udp port 5353)";
    let capture = lab.capture("lan", ipv6);
    // A service that reads the request to its end: whoever answers before that resets the connection, now and then before the
    // answer is read. curl says by which address it got it, and gives IPv6 the usual head start.
    // (A next header of 0 is multicast listener reports.)
    lab.ok(
        "serve() { at inet socat \"$1,reuseaddr,fork\" SYSTEM:\"sed '/^.$/q' >/dev/null; echo \\$SOCAT_PEERADDR\" </dev/null >/dev/null 2>&1 & }
        serve TCP4-LISTEN:8081; serve TCP6-LISTEN:8081,ipv6only=1
        await 'at inet ss -Hltn sport = :8081 | [ $(wc -l) = 2 ]'",
    );
    let curl = "nsnat exec slow curl -sS --http0.9 --resolve service.test:8081:[$LAB_SERVICE6],$LAB_SERVICE \
        --happy-eyeballs-timeout-ms 20000 --max-time 100 -w '%{remote_ip}' http://service.test:8081/";
    lab.says(curl, "203.0.113.254\n198.51.100.80");
    let said = lab.fails(1, "nsnat exec slow whoami6");
    assert!(refused(&said), "{said}");
    assert_eq!(capture.seen(), "");
    // The same look sees the host's.
    let capture = lab.capture("lan", ipv6);
    lab.ok("whoami6");
    let seen = capture.seen();
    assert!(seen.contains("2001:db8:80::80"), "{seen}");
}

#[test]
fn a_host_with_ipv6_switched_off() {
    let lab = Lab::new();
    lab.ok("sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
    works_by_ipv4(&lab);
}

/// As with `ipv6.disable=1` on the kernel's command line: the directory of settings is not there.
#[test]
fn a_kernel_without_ipv6() {
    let lab = Lab::new();
    lab.ok("mkdir /run/lab/empty; mount --bind /run/lab/empty /proc/sys/net/ipv6");
    works_by_ipv4(&lab);
}

fn works_by_ipv4(lab: &Lab) {
    let before = lab.snapshot();
    lab.declare("[namespace.slow]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\ndev = \"eth0\"");
    lab.ok("nsnat up");
    lab.says("nsnat exec slow whoami4", "203.0.113.254");
    assert!(refused(&lab.fails(1, "nsnat exec slow whoami6")));
    lab.says("nsnat up", "nothing to do");
    lab.ok("nsnat down");
    lab.ok("echo 'ipv6 = \"nat\"' >>/etc/nsnat/nsnat.toml");
    let said = lab.fails(2, "nsnat up");
    assert!(said.contains("ipv6 = \"nat\", but this host has IPv6 switched off"), "{said}");
    lab.ok("rm -r /etc/nsnat");
    lab.same(&before, "after down");
}

/// New devices come without IPv6; those that have it keep it.
#[test]
fn a_host_that_gives_new_devices_no_ipv6() {
    let lab = Lab::new();
    lab.ok("sysctl -qw net.ipv6.conf.default.disable_ipv6=1; nsnat add slow --gateway $LAB_SLOW --gateway $LAB_SLOW6");
    lab.says("nsnat exec slow whoami6", "2001:db8:f::fe");
    lab.says("nsnat up", "nothing to do");
}

/// The `pool6` that somebody chose is the host's own network: IPv4 as ever, and a word where IPv6 is asked for.
#[test]
fn a_pool6_that_is_in_use() {
    let lab = Lab::new();
    lab.ok("ip addr add fd77:1:2::9/48 dev eth1 nodad");
    let path = "[namespace.slow]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]";
    lab.declare(&format!("[settings]\npool6 = \"fd77:1:2::/48\"\n{path}"));
    lab.ok("nsnat up");
    lab.says("nsnat exec slow whoami4", "203.0.113.254");
    lab.ok("nsnat down; echo 'ipv6 = \"nat\"' >>/etc/nsnat/nsnat.toml");
    let said = lab.fails(2, "nsnat up");
    assert!(said.contains("settings.pool6 is in use"), "{said}");
    // Another pool will do, and all of them where a wider network is only routed elsewhere.
    lab.ok("sed -i s/fd77:1:2/2001:db8:aaaa/ /etc/nsnat/nsnat.toml; nsnat up");
    lab.says("nsnat exec slow whoami6", "2001:db8:f::fe");
    lab.ok("nsnat down; ip -6 route add fc00::/7 via $LAB_FAST6; sed -i /pool6/d /etc/nsnat/nsnat.toml; nsnat up");
    lab.says("nsnat exec slow whoami6", "2001:db8:f::fe");
}
