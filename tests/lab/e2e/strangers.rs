//! Forwarding is on for namespaces only: the host becomes no router for anybody else.

use crate::lab::Lab;

/// The third router tries to reach the LAN through the host, which has a namespace on each side.
const THROUGH_THE_HOST: &str = r#"
    at third ip route replace 192.168.1.0/24 via 10.20.0.10
    at printer ip route replace 10.20.0.0/24 via 192.168.1.10
    id=$(capture printer "udp and dst host 192.168.1.20 and src host 10.20.0.1")
    for i in 1 2 3; do echo $i | at third socat -t 0.1 - UDP:192.168.1.20:80 >/dev/null 2>&1 || true; done
    captured $id | wc -l
"#;

fn both_sides() -> Lab {
    let lab = Lab::new();
    lab.declare("[namespace.slow]\ngateway = \"$LAB_SLOW\"\n[namespace.third]\ngateway = \"$LAB_THIRD\"");
    lab
}

#[test]
fn nobody_else_is_forwarded() {
    let lab = both_sides();
    assert_eq!(lab.ok(THROUGH_THE_HOST).trim(), "0", "before up");
    lab.ok("nsnat up");
    assert_eq!(lab.ok(THROUGH_THE_HOST).trim(), "0", "while namespaces are up");
    lab.says("nsnat exec third whoami4", "203.0.113.3");
    // The capture does see what is forwarded: with the guard's last word changed.
    lab.ok("nft flush chain inet nsnat strangers; nft add rule inet nsnat strangers accept");
    assert_ne!(lab.ok(THROUGH_THE_HOST).trim(), "0", "the control: without that chain they are forwarded");
}

#[test]
fn a_host_that_routes_goes_on_routing() {
    let lab = both_sides();
    lab.ok("echo 1 >/proc/sys/net/ipv4/ip_forward");
    let before = lab.snapshot();
    lab.ok("nsnat up");
    assert_ne!(lab.ok(THROUGH_THE_HOST).trim(), "0", "a router before up");
    lab.ok("nsnat down");
    lab.same(&before, "after down on a router");
}

#[test]
fn a_host_that_is_made_a_router_meanwhile() {
    let lab = both_sides();
    lab.ok("nsnat up; echo 1 >/proc/sys/net/ipv4/ip_forward; nsnat up");
    assert_ne!(lab.ok(THROUGH_THE_HOST).trim(), "0", "up has seen that the host is a router now");
    lab.ok("nsnat down");
    let left = lab.ok("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/eth[01]/forwarding");
    assert_eq!(left.split_whitespace().collect::<Vec<_>>(), ["1"; 3], "what somebody switched on stays on");
}

/// It was a router for a while, and is none any more.
#[test]
fn a_host_that_was_a_router_for_a_while() {
    for first in ["nsnat up; echo 1 >$forward; nsnat up", "echo 1 >$forward; nsnat up"] {
        let lab = both_sides();
        lab.ok(&format!(
            "forward=/proc/sys/net/ipv4/ip_forward; {first}; echo 0 >$forward; nsnat up; nsnat plan"
        ));
        lab.says("nsnat exec third whoami4", "203.0.113.3");
        assert_eq!(lab.ok(THROUGH_THE_HOST).trim(), "0", "after `{first}` it is none");
        lab.says("nsnat -q down; cat /proc/sys/net/ipv4/conf/eth[01]/forwarding", "0\n0");
        assert_eq!(lab.ok(THROUGH_THE_HOST).trim(), "0", "after down");
    }
}

/// What is forgotten is the namespace's alone, in both families.
#[test]
fn flows_of_others_stay() {
    let lab = Lab::new();
    lab.ok("nsnat add slow --gateway $LAB_SLOW --gateway $LAB_SLOW6 --dns $LAB_NEW
        conntrack -I -s 192.168.1.77 -d 8.8.8.8 -p udp --sport 7777 --dport 53 --timeout 1000
        conntrack -I -s 2001:db8:1::77 -d 2001:db8::8 -p udp --sport 7777 --dport 53 --timeout 1000
        nsnat exec slow whoami4 80 udp; nsnat exec slow whoami6 80 udp");
    let flows = |of: &str| {
        format!("for f in ipv4 ipv6; do conntrack -L -f $f 2>/dev/null | grep -c '{of}' || true; done")
    };
    let (others, ours) = (flows("sport=7777 dport=53 "), flows("src=10.213.0.2 \\|src=fd6e:"));
    assert!(lab.ok(&ours).split('\n').all(|count| count != "0"), "the namespace has flows of both families");
    let before = lab.ok(&others);
    lab.ok("nsnat dns slow set $LAB_SECOND");
    lab.says(&others, &before);
    lab.ok("nsnat down");
    lab.says(&others, &before);
    lab.says(&ours, "0\n0");
}

/// What a host sends while no device of its own has an address does not carry nsnat's.
#[test]
fn a_host_without_an_address_borrows_none_of_ours() {
    let lab = Lab::new();
    lab.declare("[namespace.slow]\ngateway = \"$LAB_SLOW\"\ndns = \"$LAB_NEW\"");
    lab.ok("nsnat up");
    lab.ok("ip address flush dev eth1; ip address flush dev eth0; ip route replace default via $LAB_FAST dev eth0 onlink");
    // Linux takes an address of a device that has one. A foreign device shows that it does.
    let source = "ip route get $LAB_SERVICE | grep -o 'dev eth0.*' | xargs";
    assert_eq!(lab.ok(source), "dev eth0 uid 0");
    lab.ok("ip link add other type veth peer name peer; ip address add 198.18.0.1/32 dev other; ip link set other up");
    assert_eq!(lab.ok(source), "dev eth0 src 198.18.0.1 uid 0");
}
