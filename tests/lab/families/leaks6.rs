//! Nothing leaks by IPv6: as `e2e/leaks.rs`, with connections of both families that talk all the time.

use crate::lab::Lab;

/// What a program gets at once when it may not get out.
const ERRORS: [&str; 5] = [
    "Network is unreachable",
    "No route to host",
    "Connection refused",
    "Connection reset by peer",
    "Permission denied",
];

const RULES: &str = "for pref in 4210 4211 4212 4213; do for family in -4 -6; do
    while ip $family rule del pref $pref 2>/dev/null; do :; done; done; done";
const TABLE: &str = "ip route flush table 213001; ip -6 route flush table 213001";

/// Does `damage` while connections by the namespace's way are established, and looks for what leaks; then `repair`s.
fn nothing_leaks(gateways: [&str; 2], damage: &str, repair: &str) {
    let lab = Lab::new();
    lab.ok(&format!("nsnat add slow --gateway {} --gateway {}", gateways[0], gateways[1]));
    lab.ok("cat >/run/lab/job <<'END'
        exec 3<>/dev/tcp/$1/7
        echo first >&3; read -r -t 60 answer <&3; echo got $answer
        while [ ! -e /run/lab/damaged ]; do sleep 0.02; done
        # An established connection may learn of its end when it sends, or when it reads.
        for ((i = 0; i < 100; i++)); do echo again >&3 || break; read -r -t 0.1 answer <&3 || [ $? -gt 128 ] || break; done
        echo ended after $i
END");
    let jobs =
        ["$LAB_SERVICE", "$LAB_SERVICE6"].map(|to| lab.job("slow", &format!("bash /run/lab/job {to}")));
    for job in &jobs {
        job.says("got");
    }
    let capture = lab.capture("fast", "host $LAB_SERVICE or host $LAB_SERVICE6");
    lab.ok(damage);
    lab.ok("touch /run/lab/damaged");
    for ask in ["whoami4", "whoami6", "whoami4 80 udp", "whoami6 80 udp"] {
        let output = lab.sh(&format!("nsnat exec slow timeout 60 {ask}"));
        let error = ERRORS.iter().any(|error| output.stderr.contains(error));
        assert!(
            output.status != 124 && error,
            "an error at once is needed after {damage}:\n{output}\n{}",
            lab.state()
        );
    }
    let ended = jobs.map(|job| job.ends()).concat();
    assert!(ended.matches("ended after").count() == 2 && !ended.contains("after 100"), "{ended}");
    // Packets of the host, as control: one that it could send if it had a way.
    lab.ok(repair);
    lab.says("whoami4; whoami6", "203.0.113.1\n2001:db8:f::1");
    let seen = capture.seen();
    let ports = |host: &str, service: &str| -> usize {
        let from = |line: &str| Some(line.split(&format!(" {host}.")).nth(1)?.split(' ').next()?.to_owned());
        let lines = seen.lines().filter(|line| line.contains(&format!("> {service}.80:")));
        lines.filter_map(from).collect::<std::collections::BTreeSet<_>>().len()
    };
    let counts = (ports("192.168.1.10", "198.51.100.80"), ports("2001:db8:1::10", "2001:db8:80::80"));
    assert!(counts == (1, 1), "the host's one packet each, and none of others: {counts:?}\n{seen}");
    assert!(!seen.contains("10.213.") && !seen.contains("fd6e:"), "{seen}");
    lab.ok("nsnat up");
    let by = if gateways[0] == "$LAB_SLOW" {
        "203.0.113.254\n2001:db8:f::fe"
    } else {
        "203.0.113.3\n2001:db8:f::3"
    };
    lab.says("nsnat exec slow whoami4; nsnat exec slow whoami6", by);
    lab.says("nsnat up", "nothing to do");
}

const SLOW: [&str; 2] = ["$LAB_SLOW", "$LAB_SLOW6"];
const THIRD: [&str; 2] = ["$LAB_THIRD", "$LAB_THIRD6"];

#[test]
fn rules_deleted() {
    nothing_leaks(THIRD, RULES, "true");
}

#[test]
fn rules_deleted_with_both_gateways_on_one_device() {
    nothing_leaks(SLOW, RULES, "true");
}

#[test]
fn table_flushed_with_both_gateways_on_one_device() {
    nothing_leaks(SLOW, TABLE, "true");
}

#[test]
fn table_flushed() {
    nothing_leaks(THIRD, TABLE, "true");
}

/// A device that goes down loses its IPv6 addresses, and takes the host's own default route along.
#[test]
fn the_hosts_own_device_down_and_up_again() {
    let repair = "ip link set eth0 up; ip addr add $LAB_HOST6/64 dev eth0 nodad
        ip route add default via $LAB_FAST dev eth0; ip route add default via $LAB_FAST6 dev eth0";
    nothing_leaks(SLOW, "ip link set eth0 down", repair);
}

#[test]
fn the_second_device_down_and_up_again() {
    nothing_leaks(
        THIRD,
        "ip link set eth1 down",
        "ip link set eth1 up; ip addr add $LAB_HOST_THIRD6/64 dev eth1 nodad",
    );
}

/// `up` in every state between down and whole: never an error, never a packet by another way.
#[test]
fn up_while_the_link_flaps() {
    let lab = Lab::new();
    lab.ok("nsnat add third --gateway $LAB_THIRD --gateway $LAB_THIRD6");
    let capture = lab.capture("fast", "host $LAB_SERVICE6");
    let ask6 = "nsnat exec third whoami6 2>/dev/null || echo refused";
    lab.ok("ip link set eth1 down; nsnat up; nsnat up | grep 'nothing to do'");
    lab.says(ask6, "refused");
    lab.ok("ip link set eth1 up; nsnat up; nsnat up | grep 'nothing to do'");
    lab.says(ask6, "refused");
    lab.says("nsnat exec third whoami4", "203.0.113.3");
    lab.ok("ip addr flush dev eth1; nsnat up; nsnat up | grep 'nothing to do'");
    lab.says(ask6, "refused");
    lab.ok("ip link set eth1 name gone; nsnat up; nsnat up | grep 'nothing to do'");
    lab.says(ask6, "refused");
    lab.ok("ip link set gone down; ip link set gone name eth1; ip link set eth1 up
        ip addr add $LAB_HOST_THIRD/24 dev eth1; ip addr add $LAB_HOST_THIRD6/64 dev eth1 nodad; nsnat up");
    lab.says("nsnat exec third whoami6; nsnat exec third whoami4", "2001:db8:f::3\n203.0.113.3");
    lab.says("nsnat up", "nothing to do");
    assert_eq!(capture.seen(), "");
    let control = lab.capture("fast", "host $LAB_SERVICE6");
    lab.ok("whoami6");
    assert_ne!(control.seen(), "");
}
