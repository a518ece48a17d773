//! `nsnat doctor`, and test packets: what becomes of them on this host, and what is behind the next hop.

use super::doctor::lab;
use super::planted::{BY_SLOW, by, cured, each};

/// A table of others with one chain.
fn table(chain: &str) -> String {
    format!("nft 'table inet theirs {{ chain a {{ {chain} }}; }}'")
}

const GONE: &str = "nft delete table inet theirs";

#[test]
fn what_becomes_of_packets() {
    let lab = lab();
    let dropped = table("type filter hook forward priority 5; udp dport 53 drop; tcp dport 443 drop;");
    let dropped_late = table("type filter hook postrouting priority 0; tcp dport 443 drop;");
    let question = table("type filter hook forward priority 5; tcp dport 53 drop;");
    let marked = table("type filter hook prerouting priority 2000; iifname nsn-slow meta mark set 0;");
    let caught = table("type nat hook prerouting priority -199; tcp dport 80 redirect to :8080;");
    let rewritten = table(
        "type nat hook postrouting priority -199; oifname eth0 ip saddr 10.213.0.0/16 snat ip to 192.168.1.99;",
    );
    // What another chain accepts afterwards, that chain did not catch.
    let then_accepted = "chain b { type filter hook prerouting priority 0; tcp dport 80 counter accept; }; chain c { tcp dport 80 redirect to :8080; };";
    let caught_before = format!(
        "nft 'table inet theirs {{ {then_accepted} chain a {{ type nat hook prerouting priority -199; tcp dport 80 redirect to :8080; }}; }}'"
    );
    let caught_elsewhere = format!(
        "nft 'table inet theirs {{ {then_accepted} chain a {{ type nat hook prerouting priority -199; tcp dport 80 jump c; }}; }}'"
    );
    let rewritten_before = "nft 'table inet theirs { chain a { type nat hook postrouting priority -199; oifname eth0 ip saddr 10.213.0.0/16 snat ip to 192.168.1.99; }; chain b { type filter hook postrouting priority 200; counter accept; }; }'";
    let dropped_by_map =
        table("type filter hook forward priority 5; tcp dport vmap { 80 : accept, 443 : drop };");
    let dropped_elsewhere = "nft 'table inet theirs { chain c { tcp dport 443 drop; }; chain a { type filter hook postrouting priority 0; jump c; }; }'";
    let by_iptables = "-p tcp --dport 443 -j DROP";
    // The name of the chain does not tell whose it is; a rule of nft in it would make iptables refuse the table.
    let dropped_in_theirs = format!(
        "iptables -w -N theirs; iptables -w -A theirs {by_iptables}; iptables -w -A FORWARD -j theirs"
    );
    each(
        &lab,
        BY_SLOW,
        &[
            cured("packet-dropped", &dropped).then(GONE),
            cured("packet-dropped", &dropped_late).then(GONE),
            cured("packet-dropped", &format!("iptables -w -A FORWARD {by_iptables}"))
                .then("iptables -w -F FORWARD"),
            cured("packet-dropped", &format!("iptables -w -t mangle -A POSTROUTING {by_iptables}"))
                .then("iptables -w -t mangle -F POSTROUTING"),
            cured("packet-dropped", &dropped_in_theirs)
                .works("iptables -w -S | grep 'FORWARD.*devgroup' >/dev/null")
                .then("iptables -w -F FORWARD; iptables -w -F theirs; iptables -w -X theirs"),
            cured("packet-dropped", &dropped_by_map).then(GONE),
            cured("packet-dropped", dropped_elsewhere).then(GONE),
            // No usual packet, but a question for a name.
            cured("packet-dropped", &question).then(GONE),
            cured("packet-lost", &marked).then(GONE),
            cured("packet-caught", &caught).then(GONE),
            cured("packet-caught", &caught_before)
                .shown("table inet theirs, chain a: tcp dport 80 redirect to :8080")
                .then(GONE),
            cured("packet-caught", &caught_elsewhere)
                .shown("table inet theirs, chain c: tcp dport 80 redirect to :8080")
                .then(GONE),
            cured("source-rewritten", &rewritten).then(&format!("{GONE}; conntrack -F 2>/dev/null || :")),
            cured("source-rewritten", rewritten_before).then(&format!("{GONE}; conntrack -F 2>/dev/null || :")),
            cured("packet-unsent", "ip -n slow route add unreachable 192.0.2.0/24"),
            cured("packet-refused", "ip route add 192.0.2.0/24 via $LAB_FAST table 213001")
                .shown("route: table 213001: via 192.168.1.1, eth0"),
            cured(
                "device-may-drop packet-strayed",
                "tc qdisc add dev eth0 clsact; tc filter add dev eth0 egress protocol ip pref 7 u32 match ip dst 192.0.2.1/32 action mirred egress redirect dev eth1",
            )
            .then("tc qdisc del dev eth0 clsact"),
        ],
    );
}

#[test]
fn what_becomes_of_answers() {
    let lab = lab();
    let exceeded = "icmp type time-exceeded drop; icmpv6 type time-exceeded drop;";
    let dropped = table(&format!("type filter hook forward priority 5; {exceeded}"));
    let dropped_early = table(&format!("type filter hook prerouting priority mangle; {exceeded}"));
    let untracked = table("type filter hook prerouting priority raw; iifname eth0 notrack;");
    // Followed packets are for two hops, and this is for questions alone that go further.
    let unseen = table("type filter hook forward priority 5; ip ttl > 2 tcp dport 53 drop;");
    each(
        &lab,
        BY_SLOW,
        &[
            cured("answer-dropped", &dropped).then(GONE),
            cured("answer-dropped", &dropped_early).then(GONE),
            cured("answer-untracked", &untracked).then(GONE),
            by(
                "ip netns exec slow nft delete table inet inside",
                "answer-lost",
                "ip netns exec slow nft 'table inet inside { chain in { type filter hook input priority 0; icmp type time-exceeded drop; }; }'",
            )
            .shown("answer: arrived by eth0, and none was heard inside within 0.9 s"),
            by(GONE, "dns-unseen dns-unseen dns-unseen dns-unseen", &unseen),
        ],
    );
}

#[test]
fn what_is_behind_the_next_hop() {
    let lab = lab();
    let off = |node: &str, hook: &str, what: &str| {
        format!(
            "at {node} nft 'table inet off {{ chain in {{ type filter hook {hook} priority 0; {what} drop; }}; }}'"
        )
    };
    let nothing = off("slow", "forward", "");
    // Half of a way: questions arrive, and answers are lost.
    let no_answers = off("slow", "forward", "iifname wan0");
    let small_only = off("slow", "forward", "meta length > 1400");
    let one_server = off("inet", "input", "ip daddr 198.51.100.53 th dport 53");
    let no_server = off("inet", "input", "meta l4proto { tcp, udp } th dport 53");
    let router = "at slow nft delete table inet off";
    let servers = "at inet nft delete table inet off";
    each(
        &lab,
        BY_SLOW,
        &[
            by(router, "nothing-behind", &nothing),
            by(router, "nothing-behind", &no_answers),
            by("sed -i '/^gateway/a mtu = 1400' /etc/nsnat/nsnat.toml; nsnat -q up", "mtu-hole", &small_only)
                .shown("ping -M do -s 1372 198.51.100.53: answered")
                .then(&format!("{router}; sed -i '/^mtu/d' /etc/nsnat/nsnat.toml; nsnat -q up")),
            by(servers, "dns-server-dead", &one_server),
            by(servers, "dns-silent", &no_server),
        ],
    );
}
