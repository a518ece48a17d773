//! An uplink with a smaller MTU, and nobody who would say so: TCP works all the same, thanks to the clamp.

use crate::lab::Lab;

/// 3 MB down and up by both families, with every ICMP error dropped on the router.
fn transfers(lab: &Lab, name: &str) {
    for address in ["$LAB_SERVICE", "[$LAB_SERVICE6]"] {
        lab.says(&format!("nsnat exec {name} timeout 200 socat -u TCP:{address}:9999 - | wc -c"), "3000000");
        lab.says(
            &format!(
                "head -c 3000000 /dev/zero | nsnat exec {name} timeout 200 socat -t 100 - TCP:{address}:9998"
            ),
            "3000000",
        );
    }
}

/// The segment of the third router takes 1280 bytes, and the router says nothing about what it drops.
const NARROW: &str = "ip link set eth1 mtu 1280; at third ip link set lan0 mtu 1280
    ip addr replace $LAB_HOST_THIRD6/64 dev eth1 nodad
    at third nft 'add table inet silent; add chain inet silent out { type filter hook output priority 0; }
        add rule inet silent out meta l4proto icmp drop
        add rule inet silent out icmpv6 type { destination-unreachable, packet-too-big } drop'
    at inet nft 'add table inet silent; add chain inet silent in { type filter hook input priority 0; }
        add rule inet silent in meta l4proto icmp drop; add rule inet silent in icmpv6 type packet-too-big drop'";

#[test]
fn a_narrow_uplink_with_all_icmp_dropped() {
    let lab = Lab::new();
    lab.ok(NARROW);
    lab.declare(
        "[uplink.third]\ngateway = [\"$LAB_THIRD\", \"$LAB_THIRD6\"]\n[namespace.wide]\nuplink = \"third\"\nmtu = 1500\n\
         [namespace.plain]\nuplink = \"third\"",
    );
    lab.ok("nsnat up");
    lab.says("cat /sys/class/net/nsn-wide/mtu /sys/class/net/nsn-plain/mtu", "1500\n1280");
    transfers(&lab, "wide");
    transfers(&lab, "plain");
}

/// Without the clamp the same transfer hangs: it is the clamp that does it.
#[test]
fn it_is_the_clamp() {
    let lab = Lab::new();
    lab.ok(NARROW);
    lab.declare("[namespace.wide]\ngateway = [\"$LAB_THIRD\", \"$LAB_THIRD6\"]\nmtu = 1500");
    lab.ok("nsnat up; nft -a list table inet nsnat | sed -n 's/.*maxseg size set rt mtu.*handle \\([0-9]*\\)$/\\1/p' >/run/lab/handles
        test $(wc -l </run/lab/handles) = 2
        for handle in $(cat /run/lab/handles); do
            nft delete rule inet nsnat outwards handle $handle 2>/dev/null || nft delete rule inet nsnat inwards handle $handle; done");
    let got = lab.ok("nsnat exec wide timeout 3 socat -u TCP:$LAB_SERVICE:9999 - | wc -c || true");
    assert_ne!(got, "3000000");
}

#[test]
fn the_veth_follows_its_uplink() {
    let lab = Lab::new();
    let mtu = "cat /sys/class/net/nsn-third/mtu; ip -n third link show eth0 | sed -n 's/.* mtu \\([0-9]*\\) .*/\\1/p'";
    lab.ok("nsnat add third --gateway $LAB_THIRD --gateway $LAB_THIRD6");
    lab.says(mtu, "1500\n1500");
    for size in ["1400", "9000", "1280"] {
        lab.ok(&format!("ip link set eth1 mtu {size}; nsnat up"));
        lab.says(mtu, &format!("{size}\n{size}"));
        lab.says("nsnat exec third whoami6; nsnat up", "2001:db8:f::3\nnothing to do");
    }
    // IPv6 needs 1280 bytes: the kernel takes it off the device, and the namespace goes on by IPv4.
    lab.ok("ip link set eth1 mtu 1000; nsnat up");
    lab.says(mtu, "1000\n1000");
    lab.says("nsnat exec third whoami4; nsnat up", "203.0.113.3\nnothing to do");
    lab.ok("ip link set eth1 mtu 1500; ip addr add $LAB_HOST_THIRD6/64 dev eth1 nodad; nsnat up");
    lab.says("nsnat exec third whoami6; nsnat up", "2001:db8:f::3\nnothing to do");
}
