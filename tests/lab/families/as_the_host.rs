//! The uplink is found, and left by, as the host itself would: with its preferred source, by next hops that are objects,
//! by any name of a device, by a route to the router alone, and beside a VPN that takes nearly everything.

use crate::lab::Lab;

/// A second address, which is the only one that the slow router lets through; the host's own route prefers it.
const ASSIGNED: &str = "ip addr add 10.44.7.77/32 dev eth0; ip addr add 2001:db8:1::77/64 dev eth0 nodad
    ip route replace default via $LAB_FAST dev eth0 src 10.44.7.77
    ip -6 route replace default via $LAB_FAST6 dev eth0 src 2001:db8:1::77
    at slow ip route add 10.44.7.77 dev lan0
    at slow nft 'add table inet provider; add chain inet provider forward { type filter hook forward priority 0; }
        add rule inet provider forward iifname lan0 ip saddr != 10.44.7.77 drop
        add rule inet provider forward iifname lan0 ip6 saddr != 2001:db8:1::77 drop'";

#[test]
fn the_preferred_source_of_the_hosts_route() {
    let lab = Lab::new();
    let before = lab.snapshot();
    lab.ok(ASSIGNED);
    lab.says(
        "nsnat add slow --gateway $LAB_SLOW --gateway $LAB_SLOW6",
        "slow: up, by eth0 via 192.168.1.254, 2001:db8:1::fe",
    );
    lab.says("nsnat exec slow whoami4; nsnat exec slow whoami6", "203.0.113.254\n2001:db8:f::fe");
    // The device's own subnet sees the address that is in it, as when the host itself asks.
    let printer = "socat -u TCP4:$LAB_PRINTER:80 -";
    lab.says(&format!("nsnat exec slow {printer}; echo; {printer}"), "192.168.1.10\n\n192.168.1.10");
    lab.says("nsnat up; nsnat plan", "nothing to do");
    lab.ok("nsnat down; nsnat up; nsnat exec slow whoami4");
    // An ephemeral namespace leaves likewise.
    lab.says("nsnat exec --gateway $LAB_SLOW -- whoami4", "203.0.113.254");
    lab.ok("nsnat remove slow; ip addr del 10.44.7.77/32 dev eth0; ip addr del 2001:db8:1::77/64 dev eth0
        ip route add default via $LAB_FAST dev eth0");
    lab.same(&before, "after remove");
}

/// The address goes: what began with it is begun anew with another, from the very same port.
#[test]
fn flows_of_a_source_that_went() {
    let lab = Lab::new();
    lab.ok(&format!(
        "{ASSIGNED}\nat slow nft delete table inet provider; nsnat add slow --gateway $LAB_SLOW"
    ));
    let seen = "id=$(capture slow 'udp and dst port 80'); nsnat exec slow timeout 60 \
        bash -c 'echo | socat -t 0.2 - UDP4:'$LAB_SERVICE':80,sourceport=5555' >/dev/null; captured $id | grep -o 'IP [0-9.]* > 198.51.100.80.80' | cut -d' ' -f2 | sort -u";
    lab.says(&format!("{seen} | grep -v ^203"), "10.44.7.77.5555");
    lab.ok("ip addr del 10.44.7.77/32 dev eth0; ip route add default via $LAB_FAST dev eth0");
    assert!(lab.ok("nsnat status").contains("nsnat up repairs it"));
    lab.says(
        "nsnat plan --commands | grep conntrack || true",
        "conntrack -D -s 10.213.0.2 -q 10.44.7.77 || true",
    );
    lab.ok("nsnat up");
    lab.says(&format!("{seen} | grep -v ^203"), "192.168.1.10.5555");
    lab.says("nsnat up", "nothing to do");
}

/// FRR and networkd make routes by such objects. With the compatible mode off, a route names the object and nothing else.
#[test]
fn next_hops_that_are_objects() {
    for compatible in ["1", "0"] {
        let lab = Lab::new();
        lab.ok(&format!(
            "echo {compatible} >/proc/sys/net/ipv4/nexthop_compat_mode
            ip nexthop add id 10 via $LAB_THIRD dev eth1; ip -6 nexthop add id 16 via $LAB_THIRD_LL dev eth1
            ip route add default nhid 10 metric 900; ip -6 route add default nhid 16 metric 9000"
        ));
        lab.says("nsnat add third --dev eth1", "third: up, by eth1 via 10.20.0.1, fe80::3");
        lab.says("nsnat exec third whoami4; nsnat exec third whoami6", "203.0.113.3\n2001:db8:f::3");
        lab.says("nsnat up", "nothing to do");
        // One of several, by turns.
        lab.ok("nsnat remove third; ip route del default metric 900; ip -6 route del default metric 9000
            ip nexthop add id 11 via $LAB_FAST dev eth0; ip nexthop add id 20 group 11/10
            ip -6 nexthop add id 17 via $LAB_FAST_LL dev eth0; ip nexthop add id 26 group 17/16
            ip route add default nhid 20 metric 900; ip -6 route add default nhid 26 metric 9000");
        lab.says("nsnat add third --dev eth1", "third: up, by eth1 via 10.20.0.1, fe80::3");
        lab.says("nsnat exec third whoami4; nsnat exec third whoami6", "203.0.113.3\n2001:db8:f::3");
        lab.says("nsnat up", "nothing to do");
    }
}

#[test]
fn a_device_by_another_of_its_names() {
    let lab = Lab::new();
    let name = "a-name-that-is-longer-than-15-bytes";
    lab.ok(&format!("ip link property add dev eth0 altname enp0s31f6 altname {name}"));
    lab.says("nsnat add a --gateway $LAB_SLOW --dev enp0s31f6", "a: up, by eth0 via 192.168.1.254");
    lab.says("nsnat add b --gateway $LAB_SLOW --dev eth0", "b: up, by eth0 via 192.168.1.254");
    lab.says(&format!("nsnat add c --gateway $LAB_SLOW --dev {name}"), "c: up, by eth0 via 192.168.1.254");
    lab.says(
        "for ns in a b c; do nsnat exec $ns whoami4; done",
        "203.0.113.254\n203.0.113.254\n203.0.113.254",
    );
    lab.says(
        "ip rule show pref 4210 | wc -l; nsnat up; nsnat status a | awk 'NR < 3 { print $2, $3 }'",
        "1\nnothing to do\nSTATE DEVICE\nup eth0",
    );
    lab.says(&format!("nsnat exec --gateway $LAB_SLOW --dev {name} -- whoami4"), "203.0.113.254");
    assert!(
        lab.fails(2, "nsnat add d --gateway $LAB_SLOW --dev enp0s31f7")
            .contains("there is no device \"enp0s31f7\"")
    );
}

/// A cloud's machine has a single address, and a route to its router on the link.
#[test]
fn a_router_that_only_a_route_leads_to() {
    let lab = Lab::new();
    lab.ok("ip addr del $LAB_HOST_THIRD/24 dev eth1; ip addr add $LAB_HOST_THIRD/32 dev eth1
        ip addr del $LAB_HOST_THIRD6/64 dev eth1; ip addr add $LAB_HOST_THIRD6/128 dev eth1 nodad
        ip route add $LAB_THIRD dev eth1 scope link; ip -6 route add $LAB_THIRD6 dev eth1");
    lab.says(
        "nsnat add cloud --gateway $LAB_THIRD --gateway $LAB_THIRD6",
        "cloud: up, by eth1 via 10.20.0.1, 2001:db8:2::1",
    );
    lab.says(
        "nsnat exec cloud whoami4; nsnat exec cloud whoami6; nsnat up",
        "203.0.113.3\n2001:db8:f::3\nnothing to do",
    );
    lab.says("nsnat exec --gateway $LAB_THIRD -- whoami4", "203.0.113.3");
}

/// A VPN that takes a block around the pool: another pool is taken, and said so. One that takes everything: the pool is
/// used all the same, and what leaves goes by its own router.
#[test]
fn a_vpn_around_the_pool() {
    let tunnel = "ip tuntap add vpn0 mode tun; ip link set vpn0 up; ip addr add 172.27.9.9/32 dev vpn0; ip addr add fd0a::9/128 dev vpn0 nodad";
    for (routes, net, note) in [
        (
            "10.0.0.0/8",
            "172.30.0.2/30",
            "nsnat: addresses are taken from 172.30.0.0/16, because 10.0.0.0/8 of this host overlaps 10.213.0.0/16",
        ),
        (
            "0.0.0.0/2 64.0.0.0/2 128.0.0.0/2 192.0.0.0/2",
            "10.213.0.2/30",
            "nsnat: addresses are taken from 10.213.0.0/24, although 0.0.0.0/2",
        ),
    ] {
        let lab = Lab::new();
        lab.ok(&format!("{tunnel}; for net in {routes}; do ip route add $net dev vpn0; done; ip -6 route add fc00::/7 dev vpn0; ip -6 route add 2000::/3 dev vpn0"));
        let said = lab.ok("nsnat add slow --gateway $LAB_SLOW --gateway $LAB_SLOW6 2>&1 >/dev/null");
        assert!(said.contains(note) && said.contains("settings.pool chooses another"), "{said}");
        assert_eq!(said.lines().filter(|line| line.contains("addresses are taken")).count(), 1, "{said}");
        let works = "nsnat exec slow whoami4; nsnat exec slow whoami6";
        lab.says(works, "203.0.113.254\n2001:db8:f::fe");
        lab.says(&format!("nsnat exec slow ip -br -4 addr show eth0 | grep -c ' {net}'"), "1");
        // After a reboot.
        lab.ok("nsnat down; nsnat up -q");
        lab.says(works, "203.0.113.254\n2001:db8:f::fe");
        lab.says("nsnat exec --gateway $LAB_SLOW -- whoami4; nsnat up", "203.0.113.254\nnothing to do");
        // Only who chose a pool can run out of it.
        lab.ok("ip addr add 10.99.0.1/16 dev eth0; mkdir -p /etc/nsnat; printf '[settings]\\npool = \"10.99.0.0/16\"\\n' >/etc/nsnat/nsnat.toml");
        assert!(
            lab.fails(2, "nsnat add more --gateway $LAB_THIRD")
                .contains("the pool 10.99.0.0/16 has no free block left")
        );
    }
}
