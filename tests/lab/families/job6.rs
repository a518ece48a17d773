//! The main job by IPv6, and by both families at once.

use crate::lab::Lab;

#[test]
fn leaves_by_the_slow_router_by_both_families() {
    let lab = Lab::new();
    let before = lab.snapshot();
    lab.declare(
        "[namespace.slow]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\ndns = [\"$LAB_NEW\", \"$LAB_NEW6\"]",
    );
    lab.says("nsnat up", "slow: up, by eth0 via 192.168.1.254, 2001:db8:1::fe");
    for (ask, slow, fast) in [
        ("whoami4", "203.0.113.254", "203.0.113.1"),
        ("whoami6", "2001:db8:f::fe", "2001:db8:f::1"),
        ("whoami6 80 udp", "2001:db8:f::fe", "2001:db8:f::1"),
    ] {
        lab.says(&format!("nsnat exec slow {ask}"), slow);
        lab.says(ask, fast);
    }
    for old in ["$LAB_OLD6", "$LAB_OLD", "2001:db8:1::1"] {
        for tcp in ["", "+tcp"] {
            lab.says(&format!("nsnat exec slow -- ask {old} a.example.test AAAA {tcp}"), "2001:db8:c::53");
        }
    }
    lab.says("nsnat -v up", "nothing to do");
    lab.ok("nsnat plan");
    lab.ok("rm -r /etc/nsnat; nsnat down");
    lab.same(&before, "after down");
}

#[test]
fn the_second_device_with_one_family_or_both() {
    let lab = Lab::new();
    let before = lab.snapshot();
    lab.declare(
        "[namespace.both]\ngateway = [\"$LAB_THIRD\", \"$LAB_THIRD6\"]\n[namespace.six]\ngateway = \"$LAB_THIRD6\"\n\
         [namespace.four]\ngateway = \"$LAB_THIRD\"",
    );
    lab.ok("nsnat up");
    lab.says("nsnat exec both whoami4; nsnat exec both whoami6", "203.0.113.3\n2001:db8:f::3");
    lab.says("nsnat exec six whoami6; nsnat exec four whoami4", "2001:db8:f::3\n203.0.113.3");
    for refused in ["six whoami4", "four whoami6"] {
        let output = lab.sh(&format!("nsnat exec {refused}"));
        let at_once = ["Connection refused", "unreachable", "No route to host"];
        assert!(output.status == 1 && at_once.iter().any(|e| output.stderr.contains(e)), "{output}");
    }
    lab.says("whoami4; whoami6", "203.0.113.1\n2001:db8:f::1");
    lab.says("nsnat up", "nothing to do");
    lab.ok("rm -r /etc/nsnat; nsnat down");
    lab.same(&before, "after down");
}

/// The routers of the lab have `fe80::1`, `fe80::fe` and `fe80::3`.
#[test]
fn link_local_gateways() {
    let lab = Lab::new();
    let before = lab.snapshot();
    lab.declare(
        "[namespace.slow]\ndev = \"eth0\"\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW_LL\"]\n\
         [namespace.third]\ndev = \"eth1\"\ngateway = \"$LAB_THIRD_LL\"",
    );
    lab.ok("nsnat up");
    lab.says("nsnat exec slow whoami6; nsnat exec third whoami6", "2001:db8:f::fe\n2001:db8:f::3");
    lab.says("nsnat up", "nothing to do");
    lab.ok("rm -r /etc/nsnat; nsnat down");
    lab.same(&before, "after down");
}

/// The kernel takes a second to find out whether an address is a duplicate; nobody waits for that here.
#[test]
fn duplicate_address_detection_delays_nothing() {
    let lab = Lab::new();
    // Link-local addresses are the kernel's own: for a moment it calls even those tentative that it does not look at.
    let tentative = "ip -6 addr show tentative scope global; ip -n slow -6 addr show tentative scope global";
    lab.says(
        &format!(
            "nsnat -q add slow --gateway $LAB_SLOW --gateway $LAB_SLOW6; {tentative}; nsnat exec slow whoami6
             cat /proc/sys/net/ipv6/conf/nsn-slow/accept_dad; nsnat exec slow cat /proc/sys/net/ipv6/conf/eth0/accept_dad"
        ),
        "2001:db8:f::fe\n0\n0",
    );
    // The same look sees an address that is tentative.
    lab.ok("ip link add other type veth peer name rehto; ip link set rehto up; ip link set other up
        ip addr add 2001:db8:99::1/64 dev other");
    assert!(lab.ok(tentative).contains("2001:db8:99::1"));
}

#[test]
fn namespaces_do_not_reach_each_other_and_nobody_reaches_them() {
    let lab = Lab::new();
    lab.declare(
        "[namespace.a]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\n[namespace.b]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\n\
         [namespace.c]\ngateway = [\"$LAB_THIRD\", \"$LAB_THIRD6\"]",
    );
    lab.ok("nsnat up");
    for name in ["a", "b", "c"] {
        lab.serve(name, "TCP6-LISTEN:99,ipv6only=0,fork,reuseaddr", "SYSTEM:'echo reached'");
    }
    lab.ok("for name in a b c; do
        ip -n $name -br addr show dev eth0 scope global |
            tr ' ' '\\n' | sed -n \"s,/.*,,; s/^10/$name 10/p; s/^fd/$name fd/p\"; done >/run/lab/addresses
        test $(wc -l </run/lab/addresses) = 6");
    // From other namespaces, and from the LAN by a neighbour that knows the way.
    lab.ok("at printer ip route add 10.213.0.0/16 via $LAB_HOST; at printer ip -6 route add fd6e:736e:6174::/48 via $LAB_HOST6");
    let everybody = "while read -r name address; do
            case $address in *:*) to=TCP6:[$address]:99;; *) to=TCP4:$address:99;; esac
            for from in a b c; do [ $from = $name ] ||
                nsnat exec $from socat -u -T 1 $to,connect-timeout=1 - 2>/dev/null </dev/null || true; done
            at printer socat -u -T 1 $to,connect-timeout=1 - 2>/dev/null </dev/null || true
        done </run/lab/addresses | wc -l";
    lab.says(everybody, "0");
    // The host itself does reach them; and without the guard the neighbour does, so the guard it is.
    lab.says("while read -r name address; do case $address in *:*) to=TCP6:[$address]:99;; *) to=TCP4:$address:99;; esac
        socat -u $to -; done </run/lab/addresses | grep -c reached", "6");
    lab.ok("nft flush chain inet nsnat guard");
    assert_ne!(lab.ok(everybody), "0");
}
