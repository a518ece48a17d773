//! Uplinks that are not a plain device with one subnet and a gateway in it.

use crate::lab::Lab;

/// A tunnel to the third router: a tun device at either end, their packets in UDP between socats.
/// A packet that comes while the device is down ends one socat, and its port's being closed the other: the devices
/// outlive them, and they are started again.
const TUNNEL: &str = "ip tuntap add dev tun0 mode tun; ip addr add 10.9.0.1/30 dev tun0; ip link set tun0 up
    (while :; do socat TUN,tun-name=tun0,tun-type=tun,iff-no-pi UDP4-DATAGRAM:$LAB_THIRD:5000,bind=$LAB_HOST_THIRD:5000 || :; sleep 0.02; done) </dev/null >/dev/null 2>&1 &
    at third ip tuntap add dev tun0 mode tun; at third ip addr add 10.9.0.2/30 dev tun0; at third ip link set tun0 up
    (while :; do at third socat TUN,tun-name=tun0,tun-type=tun,iff-no-pi UDP4-DATAGRAM:$LAB_HOST_THIRD:5000,bind=$LAB_THIRD:5000 || :; sleep 0.02; done) </dev/null >/dev/null 2>&1 &
    for node in host third; do await \"at $node ip link show tun0 up | grep -q LOWER_UP\"; done
    ip addr add fd09::1/126 dev tun0 nodad; at third ip addr add fd09::2/126 dev tun0 nodad";

#[test]
fn a_point_to_point_device_needs_no_gateway() {
    let lab = Lab::new();
    lab.ok(TUNNEL);
    lab.says("nsnat add vpn --dev tun0", "vpn: up, by tun0");
    let capture = lab.capture("fast", "host $LAB_SERVICE or host $LAB_SERVICE6");
    lab.ok(
        "at third nft 'add table inet count; add chain inet count in { type filter hook forward priority 0; }
            add rule inet count in iifname tun0 counter'",
    );
    lab.says("nsnat exec vpn whoami4; nsnat exec vpn whoami6", "203.0.113.3\n2001:db8:f::3");
    lab.says("at third nft list chain inet count in | grep -c 'counter packets 0 ' || true", "0");
    assert_eq!(capture.seen(), "");
    lab.says("cat /sys/class/net/nsn-vpn/mtu; nsnat up", "1500\nnothing to do");
    // The tunnel ends: nothing goes out by another way, and up is content with that.
    let capture = lab.capture("fast", "host $LAB_SERVICE or host $LAB_SERVICE6");
    lab.ok("ip link set tun0 down");
    lab.says("nsnat exec vpn whoami4 2>/dev/null || echo refused; nsnat exec vpn whoami6 2>/dev/null || echo refused", "refused\nrefused");
    lab.ok("nsnat up; nsnat up | grep 'nothing to do'");
    assert_eq!(capture.seen(), "");
    lab.ok("whoami4; ip link set tun0 up; ip addr add fd09::1/126 dev tun0 nodad
        for node in host third; do await \"at $node ip link show tun0 | grep -q LOWER_UP\"; done; nsnat up");
    // Traffic after a device is back is `failover`'s: the lab's tunnel does not survive its device's going down.
    lab.ok("nsnat remove vpn");
    lab.says("nsnat plan; ip rule show pref 4210; nft list tables", "");
}

/// `dev` alone: the device's own default gateway, in whatever table it is.
#[test]
fn a_device_alone_follows_its_own_default_gateway() {
    for table in ["main metric 9000", "51820", "4242424242"] {
        let lab = Lab::new();
        lab.ok(&format!(
            "ip route add default via $LAB_THIRD dev eth1 table {table}; ip -6 route add default via $LAB_THIRD_LL dev eth1 table {table}"
        ));
        lab.says("nsnat add third --dev eth1", "third: up, by eth1 via 10.20.0.1, fe80::3");
        lab.says("nsnat exec third whoami4; nsnat exec third whoami6", "203.0.113.3\n2001:db8:f::3");
        lab.says("nsnat up", "nothing to do");
        // The gateway moves, the route goes away: no error, and nothing by the old one.
        lab.ok(&format!(
            "ip route flush table {}; ip -6 route flush table {0}",
            table.split(' ').next().unwrap().replace("main", "main dev eth1 default")
        ));
    }
}

/// The main table before those of others; and a route by several next hops.
#[test]
fn of_several_default_routes_the_main_tables() {
    let lab = Lab::new();
    lab.ok("ip route add default via $LAB_SLOW dev eth0 table 100; ip route replace default via $LAB_FAST dev eth0 metric 100; ip route del default metric 0");
    lab.says("nsnat add one --dev eth0", "one: up, by eth0 via 192.168.1.1, 2001:db8:1::1");
    lab.ok("ip route del default; ip route add default nexthop via $LAB_FAST dev eth0 nexthop via $LAB_THIRD dev eth1");
    lab.says(
        "nsnat add two --dev eth1; nsnat exec two whoami4",
        "two: up, by eth1 via 10.20.0.1\n203.0.113.3",
    );
}

/// Routes by which a VPN takes everything are no use of the pool.
#[test]
fn beside_a_vpn_that_takes_everything() {
    let lab = Lab::new();
    lab.ok("for half in 0.0.0.0/1 128.0.0.0/1; do ip route add $half via $LAB_THIRD; done
        for half in ::/1 8000::/1; do ip -6 route add $half via $LAB_THIRD6; done");
    lab.says("whoami4; whoami6", "203.0.113.3\n2001:db8:f::3");
    lab.ok("nsnat add slow --gateway $LAB_SLOW --gateway $LAB_SLOW6 --dns $LAB_NEW");
    lab.says(
        "nsnat exec slow whoami4; nsnat exec slow whoami6; nsnat exec slow ask 127.0.0.53 a.example.test",
        "203.0.113.254\n2001:db8:f::fe\n192.0.2.53",
    );
}

#[test]
fn addresses_that_are_no_gateways() {
    let lab = Lab::new();
    for (gateway, why) in [
        ("$LAB_HOST", "an address of this host"),
        ("192.168.1.255", "the whole of 192.168.1.0/24"),
        ("192.168.1.0", "the whole of 192.168.1.0/24"),
    ] {
        for dev in ["", "--dev eth0"] {
            let said = lab.fails(2, &format!("nsnat add x --gateway {gateway} {dev}"));
            assert!(said.contains(why), "{said}");
        }
    }
}

#[test]
fn a_device_alone_without_a_default_gateway_is_told() {
    let lab = Lab::new();
    let said = lab.fails(2, "nsnat add third --dev eth1");
    assert!(said.contains("eth1 has no default gateway") && said.contains("--gateway"), "{said}");
    // Once it is up, a gateway that goes away is weather.
    lab.ok("ip route add default via $LAB_THIRD dev eth1 metric 9000; nsnat add third --dev eth1");
    lab.says("nsnat exec third whoami4", "203.0.113.3");
    lab.ok(
        "ip route del default via $LAB_THIRD dev eth1 metric 9000; nsnat up; nsnat up | grep 'nothing to do'",
    );
    lab.says("nsnat exec third whoami4 2>/dev/null || echo refused", "refused");
    lab.ok("ip route add default via $LAB_THIRD dev eth1 metric 9000; nsnat up");
    lab.says("nsnat exec third whoami4", "203.0.113.3");
}

#[test]
fn several_devices_with_the_same_subnet() {
    let lab = Lab::new();
    lab.ok("ip addr add 10.20.0.77/24 dev eth0; ip addr add 2001:db8:2::77/64 dev eth0 nodad");
    for gateway in ["$LAB_THIRD", "$LAB_THIRD6"] {
        let said = lab.fails(2, &format!("nsnat add third --gateway {gateway}"));
        assert!(said.contains("is reached by eth0 and by eth1") && said.contains("--dev"), "{said}");
    }
    lab.ok("nsnat add third --dev eth1 --gateway $LAB_THIRD --gateway $LAB_THIRD6");
    lab.says("nsnat exec third whoami4; nsnat exec third whoami6", "203.0.113.3\n2001:db8:f::3");
    lab.says("nsnat up", "nothing to do");
}

/// A cloud's network card: a single address, and a gateway that is reached by a route of its own.
#[test]
fn a_single_address_with_its_gateway_on_the_link() {
    let lab = Lab::new();
    lab.ok("ip addr flush dev eth1; ip addr add $LAB_HOST_THIRD/32 dev eth1; ip addr add $LAB_HOST_THIRD6/128 dev eth1 nodad
        ip route add $LAB_THIRD dev eth1; ip -6 route add $LAB_THIRD6 dev eth1
        ip route add default via $LAB_THIRD dev eth1 metric 900 onlink; ip -6 route add default via $LAB_THIRD6 dev eth1 metric 9000 onlink");
    reached_on_the_link(&lab);
    // And without that route, where all that is known is the default route's own flag.
    lab.ok("ip route del $LAB_THIRD dev eth1; ip -6 route del $LAB_THIRD6 dev eth1");
    reached_on_the_link(&lab);
}

fn reached_on_the_link(lab: &Lab) {
    let before = lab.snapshot();
    for how in ["--dev eth1 --gateway $LAB_THIRD --gateway $LAB_THIRD6", "--dev eth1"] {
        lab.ok(&format!("nsnat add third {how}"));
        lab.says("nsnat exec third whoami4; nsnat exec third whoami6", "203.0.113.3\n2001:db8:f::3");
        lab.says("nsnat up; nsnat remove third", "nothing to do\nthird: down");
        lab.same(&before, "after remove");
    }
}

/// DHCPv6 gives a single address; which network is on the link comes from advertisements, as a route.
#[test]
fn a_single_address_in_a_subnet_that_only_a_route_tells_of() {
    let lab = Lab::new();
    lab.ok("ip addr del $LAB_HOST6/64 dev eth0; ip addr add $LAB_HOST6/128 dev eth0 nodad
        ip -6 route add 2001:db8:1::/64 dev eth0 proto ra; ip -6 route replace default via $LAB_FAST_LL dev eth0
        nsnat add slow --gateway $LAB_SLOW --gateway $LAB_SLOW6");
    lab.says("nsnat exec slow whoami6", "2001:db8:f::fe");
    // A neighbour is reached directly, not by the router, who would forward to it just as well.
    let by_router = "id=$(capture slow \"tcp and host $LAB_PRINTER6\")
        nsnat exec slow socat -u TCP6:[$LAB_PRINTER6]:80 - >&2; captured $id | wc -l";
    lab.says(by_router, "0");
    lab.says("nsnat up", "nothing to do");
    lab.ok("echo 'lan = false' >>/etc/nsnat/conf.d/slow.toml; nsnat up");
    assert_ne!(lab.ok(by_router), "0", "the capture sees what does go by the router");
}

/// Names that mean something to a shell, to nft or to sysctl(8), and one that nft cannot say.
#[test]
fn devices_with_odd_names() {
    for name in [
        "eth0.100",
        "a;b",
        "x'y",
        "$(id)",
        "é",
        "100",
        "a b".replace(' ', "#").as_str(),
        "-n",
        "*x",
        "{}",
        "all,",
    ] {
        let lab = Lab::new();
        let quoted = format!("'{}'", name.replace('\'', r"'\''"));
        lab.ok(&format!(
            "ip link set eth1 down; ip link set dev eth1 name {quoted}; ip link set dev {quoted} up
            ip addr replace $LAB_HOST_THIRD6/64 dev {quoted} nodad"
        ));
        let before = lab.snapshot();
        lab.ok(&format!("nsnat add third --dev={quoted} --gateway $LAB_THIRD --gateway $LAB_THIRD6"));
        lab.says("nsnat exec third whoami4; nsnat exec third whoami6", "203.0.113.3\n2001:db8:f::3");
        lab.says("nsnat up", "nothing to do");
        lab.ok("nsnat remove third");
        lab.same(&before, &format!("after remove, with the device {name}"));
        // The lines of the plan, in a shell, do what they say.
        lab.declare(
            &format!("[namespace.third]\ndev = '''{name}'''\ngateway = [\"$LAB_THIRD\", \"$LAB_THIRD6\"]")
                .replace('$', "\\$")
                .replace("\\$LAB", "$LAB"),
        );
        lab.ok("nsnat plan --commands >/run/lab/plan || true; bash -eu /run/lab/plan");
        lab.says("ip netns exec third whoami4; ip netns exec third whoami6", "203.0.113.3\n2001:db8:f::3");
    }
}

#[test]
fn names_that_nft_cannot_say() {
    for name in ["a\"b", "back\\slash", "eth*", "@set"] {
        let lab = Lab::new();
        lab.ok(&format!(
            "ip link set eth1 down; ip link set dev eth1 name '{name}'; ip link set dev '{name}' up
            until ip -br link show dev '{name}' | grep -q ' UP '; do sleep 0.02; done
            until ip -6 addr show dev '{name}' | grep -q fe80:; do sleep 0.02; done"
        ));
        let before = lab.snapshot();
        let said = lab.fails(2, &format!("nsnat add third --dev '{name}' --gateway $LAB_THIRD"));
        assert!(said.contains("has a name that nft cannot carry"), "{said}");
        // Other uplinks are not affected by it.
        lab.ok("nsnat add slow --gateway $LAB_SLOW; nsnat exec slow whoami4; nsnat remove slow");
        lab.same(&before, "after an error");
    }
}

/// A name that is no text: the kernel allows it, and other uplinks work.
#[test]
fn a_device_whose_name_is_no_text() {
    let lab = Lab::new();
    lab.ok("ip link add \"$(printf 'a\\377b')\" type veth peer name rehto");
    lab.ok("nsnat add slow --gateway $LAB_SLOW --gateway $LAB_SLOW6");
    lab.says("nsnat exec slow whoami4; nsnat up", "203.0.113.254\nnothing to do");
}
