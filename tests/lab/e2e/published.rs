//! Published ports: whoever asks a port of the host, by the uplink, reaches a program inside, and is answered by the same way.

use super::health::{BY_A, BY_B, DECLARED, START};
use crate::lab::{Job, Lab};

/// Leaves by the third router, whose segment is not that of the host's default route: a strict check of the reverse path drops
/// what comes in there from elsewhere, unless it knows by which way the answer goes.
const BY_THIRD: &str = "[namespace.job]
    gateway = [\"$LAB_THIRD\", \"$LAB_THIRD6\"]
    dns = \"$LAB_NEW\"
    publish = [\"8080:80/tcp\", \"5300:5301/udp\"]";

/// A router sends on what somebody outside asks it.
pub(super) const FORWARD: &str = "forward() {
    at $1 nft \"table inet forward { chain asked { type nat hook prerouting priority -100;
        iifname wan0 tcp dport 8080 dnat ip to $2:8080; iifname wan0 udp dport 5300 dnat ip to $2:5300
        iifname wan0 tcp dport 8080 dnat ip6 to [$3]:8080; iifname wan0 udp dport 5300 dnat ip6 to [$3]:5300; }; }\"
}";

/// What a client at `node` is told at `address` by the protocol.
pub(super) fn asks(node: &str, protocol: &str, address: &str) -> String {
    let limit = if protocol.starts_with("TCP") { ",connect-timeout=2" } else { "" };
    format!("at {node} sh -c 'echo question | timeout 5 socat -t2 - {protocol}:{address}{limit}'")
}

impl Lab {
    /// A server inside, that says whom it sees.
    #[track_caller]
    pub(super) fn publish_here(&self, namespace: &str) -> [Job<'_>; 4] {
        let serve = |listen: &str| {
            let job = self.job(
                namespace,
                &format!("socat {listen},fork SYSTEM:'read line; echo seen $SOCAT_PEERADDR'"),
            );
            let (protocol, port) = if listen.starts_with("TCP") { ("t", 80) } else { ("u", 5301) };
            let family = &listen[3..4];
            self.until(&format!(
                "nsnat exec {namespace} ss -H{family}ln{protocol} 'sport = :{port}' | grep -q ."
            ));
            job
        };
        [
            "TCP4-LISTEN:80,reuseaddr",
            "TCP6-LISTEN:80,ipv6only,reuseaddr",
            "UDP4-LISTEN:5301",
            "UDP6-LISTEN:5301,ipv6only",
        ]
        .map(serve)
    }

    /// Port 8080 of tcp and port 5300 of udp are asked by the third router, in both families, and answered by it; by another one
    /// they are not published.
    #[track_caller]
    pub(super) fn is_answered_by_third_alone(&self) {
        self.ok(&format!(
            "{FORWARD}; forward third $LAB_HOST_THIRD $LAB_HOST_THIRD6; forward slow $LAB_HOST $LAB_HOST6"
        ));
        let answers_by_fast = || self.capture("fast", "src port 8080 or src port 5300");
        let by_fast = answers_by_fast();
        for (protocol, address, seen) in [
            ("TCP4", "$LAB_WAN_THIRD:8080", "203.0.113.100"),
            ("UDP4", "$LAB_WAN_THIRD:5300", "203.0.113.100"),
            ("TCP6", "[$LAB_WAN_THIRD6]:8080", "[2001:0db8:000f:0000:0000:0000:0000:0100]"),
            ("UDP6", "[$LAB_WAN_THIRD6]:5300", "[2001:0db8:000f:0000:0000:0000:0000:0100]"),
        ] {
            self.says(&asks("inet", protocol, address), &format!("seen {seen}"));
        }
        assert_eq!(by_fast.seen(), "", "no answer leaves by the host's own router");
        // Neighbours on the segment are answered directly.
        self.says(&asks("third", "TCP4", "$LAB_HOST_THIRD:8080"), "seen 10.20.0.1");
        // By another device it is not published, whichever address is asked.
        self.fails(1, &asks("printer", "TCP4", "$LAB_HOST:8080"));
        // The host itself refuses that, by its own router: the capture would have seen answers.
        let by_fast = answers_by_fast();
        self.fails(1, &asks("inet", "TCP4", "$LAB_WAN_SLOW:8080"));
        assert_ne!(by_fast.seen(), "");
    }
}

#[test]
fn a_port_is_reached_by_the_right_router_and_by_no_other() {
    let lab = Lab::new();
    lab.declare(BY_THIRD);
    let host = lab.snapshot();
    lab.ok("nsnat up");
    let _servers = lab.publish_here("job");
    lab.is_answered_by_third_alone();
    lab.ok("at printer ip route add 10.20.0.10 via $LAB_HOST");
    lab.fails(1, &asks("printer", "TCP4", "$LAB_HOST_THIRD:8080"));
    // What is not published stays closed, also for those that know the address inside.
    lab.fails(1, &asks("third", "TCP4", "$LAB_HOST_THIRD:80"));
    lab.ok("nsnat exec job ip -4 -j addr show eth0 | jq -r '.[].addr_info[].local' >/run/lab/inside
        at third ip route add $(cat /run/lab/inside) via $LAB_HOST_THIRD");
    lab.fails(1, &asks("third", "TCP4", "$(cat /run/lab/inside):80").replace('\'', "\""));
    lab.says("nsnat up", "nothing to do");
    lab.ok("nsnat doctor job && nsnat status --check");
    lab.ok("nsnat down --kill; at printer ip route del 10.20.0.10");
    lab.same(&host, "after down");
}

#[test]
fn what_is_not_published_any_more_is_closed_also_for_flows_that_are_open() {
    let lab = Lab::new();
    lab.declare(BY_THIRD);
    lab.ok("nsnat up");
    let _server =
        lab.job("job", "socat TCP4-LISTEN:80,reuseaddr,fork SYSTEM:'while sleep 0.1; do echo line; done'");
    lab.until("nsnat exec job ss -Hltn 'sport = :80' | grep -q .");
    lab.ok("at third socat -u TCP4:$LAB_HOST_THIRD:8080 - >/run/lab/lines 2>/dev/null & await 'test -s /run/lab/lines'");
    let flows = "conntrack -L -p tcp --orig-port-dst 8080 2>/dev/null | wc -l";
    lab.says(flows, "1");
    lab.declare(&BY_THIRD.replace("\"8080:80/tcp\", ", ""));
    lab.ok("nsnat up");
    lab.says(flows, "0");
    lab.ok("lines=$(wc -l </run/lab/lines); sleep 0.5; (($(wc -l </run/lab/lines) <= lines + 1))");
    lab.fails(1, &asks("third", "TCP4", "$LAB_HOST_THIRD:8080"));
    lab.declare(BY_THIRD);
    lab.ok("nsnat up");
    lab.ok(&format!("[[ $({} | head -1) = line ]]", asks("third", "TCP4", "$LAB_HOST_THIRD:8080")));
    lab.ok("nsnat down job --kill");
    lab.says(flows, "0");
}

#[test]
fn a_port_moves_with_its_namespace_from_uplink_to_uplink() {
    let lab = Lab::new();
    lab.declare(&DECLARED.replace("[namespace.only]", "publish = [\"8080:80/tcp\"]\n[namespace.only]"));
    lab.ok(START);
    lab.until(BY_A);
    let _servers = lab.publish_here("job");
    lab.ok(&format!(
        "{FORWARD}; forward third $LAB_HOST_THIRD $LAB_HOST_THIRD6; forward slow $LAB_HOST $LAB_HOST6"
    ));
    let [by_a, by_b] =
        ["$LAB_WAN_THIRD:8080", "$LAB_WAN_SLOW:8080"].map(|address| asks("inet", "TCP4", address));
    lab.says(&by_a, "seen 203.0.113.100");
    lab.fails(1, &by_b);
    lab.ok("ip link set eth1 down");
    lab.until(BY_B);
    lab.says(&by_b, "seen 203.0.113.100");
    lab.ok("ip link set eth1 up; ip addr replace $LAB_HOST_THIRD6/64 dev eth1 nodad");
    lab.until(BY_A);
    lab.says(&by_a, "seen 203.0.113.100");
    lab.fails(1, &by_b);
}

#[test]
fn a_port_of_a_device_belongs_to_one_namespace() {
    let lab = Lab::new();
    let two = "[namespace.one]
        gateway = \"$LAB_SLOW\"
        publish = [\"8080:80/tcp\"]
        [namespace.two]
        gateway = \"$LAB_FAST\"
        publish = [\"8080:81/tcp\"]";
    lab.declare(two);
    let refused = lab.fails(2, "nsnat up");
    assert!(refused.contains("port 8080/tcp of eth0 is published by namespace one"), "{refused}");
    // By another protocol, or another device, it is another port.
    lab.declare(&two.replace("8080:81/tcp", "8080:81/udp"));
    lab.ok("nsnat up");
    lab.ok("nsnat add three --gateway $LAB_THIRD --publish 8080:82");
    lab.says("nsnat up", "nothing to do");
    let refused = lab.fails(2, "nsnat add four --gateway $LAB_SLOW --publish 80:80:80");
    assert!(refused.contains("is not a port"), "{refused}");
    // A run for one leaves what the others publish.
    lab.says("nsnat up two", "nothing to do");
    lab.ok("nsnat down two; nsnat up");
    lab.says("nft -j list map inet nsnat publish4 | jq '.nftables[1].map.elem | length'", "3");
}
