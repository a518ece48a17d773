//! `nsnat doctor`: each planted fault is named by its code, with what shows it, and what it says helps.

use crate::lab::Lab;

/// How a fault goes.
pub(super) enum Healed<'a> {
    /// By the commands that doctor prints.
    ByCure,
    /// By a person: nothing that can be typed on this host helps, or it is for the person to decide.
    By(&'a str),
}
pub(super) use Healed::{By, ByCure};

/// What codes doctor says, what does it, what ends it.
pub(super) type Fault<'a> = (&'a str, &'a str, Healed<'a>);

fn lab() -> Lab {
    let lab = Lab::new();
    lab.declare(DECLARED);
    lab.ok("nsnat -q up");
    healthy(&lab, "nothing was done");
    lab
}

const DECLARED: &str =
    "[namespace.slow]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\ndns = [\"$LAB_NEW\", \"$LAB_SECOND\"]";

/// Nothing is wrong. A neighbour may have to be learnt first, and a server that did not answer is passed over for a minute.
#[track_caller]
pub(super) fn healthy(lab: &Lab, when: &str) {
    let told = lab.sh("for try in {1..20}; do
            for set in asked recent down1 down2; do nft flush set inet nsnat dns_$set; done
            nsnat doctor >/tmp/told && break
        done; cat /tmp/told");
    assert!(told.stdout == "nothing is wrong\n", "{when}: {told}");
}

#[track_caller]
fn all(lab: &Lab, faults: &[Fault<'_>]) {
    each(lab, faults);
    lab.says("nsnat exec slow whoami4; nsnat exec slow whoami6", "203.0.113.254\n2001:db8:f::fe");
}

/// Plants each and heals it.
#[track_caller]
pub(super) fn each(lab: &Lab, faults: &[Fault<'_>]) {
    for (codes, plant, heal) in faults {
        lab.ok(plant);
        let told =
            lab.sh("nsnat doctor -o json >/tmp/told || [[ $? == 1 ]]; jq -r '.findings[] | .code' /tmp/told");
        assert!(
            told.stdout.split_whitespace().eq(codes.split(' ')),
            "{codes} by {plant}: {told}\n{}",
            report(lab)
        );
        lab.says("jq -r '.findings[] | select(.evidence == []) | .code' /tmp/told", "");
        match heal {
            ByCure => {
                let cured = lab.sh("jq -r '.findings[].cure.commands[]' /tmp/told >/tmp/cure; [[ -s /tmp/cure ]]; bash -eux /tmp/cure");
                assert!(cured.status == 0, "the cure of {codes}: {cured}");
            }
            By(script) => drop(lab.ok(script)),
        }
        healthy(lab, codes);
    }
}

fn report(lab: &Lab) -> String {
    lab.sh("cat /tmp/told; nsnat status").stdout
}

#[test]
fn what_of_nsnats_is_gone() {
    let lab = lab();
    all(
        &lab,
        &[
            ("rule-missing", "ip rule del pref 4210", ByCure),
            ("route-missing", "ip route flush table 213001", ByCure),
            ("table-missing", "nft flush ruleset", ByCure),
            ("elements-missing", "nft flush set inet nsnat ways4", ByCure),
            ("link-missing", "ip link del nsn-slow", ByCure),
            ("link-changed", "ip link set nsn-slow mtu 1300", ByCure),
            ("address-missing", "ip -4 addr flush dev nsn-slow", ByCure),
            ("setting-changed", "sysctl -qw net.ipv4.conf.nsn-slow.forwarding=0", ByCure),
            ("netns-missing", "ip netns del slow", ByCure),
            // Its file is there, and is no namespace any more.
            ("netns-missing", "umount /run/netns/slow; test -e /run/netns/slow", ByCure),
            (
                "netns-file-missing",
                "nsnat exec slow -- sleep 1000 >/dev/null 2>&1 & await 'nsnat ps slow | grep -q sleep'; ip netns del slow",
                ByCure,
            ),
            ("name-taken", "umount /run/netns/slow; rm /run/netns/slow; ip netns add slow", ByCure),
            ("state-lost", "rm /run/nsnat/state.json", ByCure),
        ],
    );
}

#[test]
fn what_is_declared_and_cannot_be() {
    let lab = lab();
    let declare = |toml: &str| format!("printf '{toml}' >>/etc/nsnat/nsnat.toml");
    let undo = "sed -i '/^# more/,$d' /etc/nsnat/nsnat.toml";
    let foreign = format!(
        "ip netns add theirs; {}",
        declare("# more\\n[namespace.theirs]\\ngateway = \"192.168.1.1\"\\n")
    );
    let renamed = "sed -i 's/slow[]]/fast]/; /^# more/,$d' /etc/nsnat/nsnat.toml";
    let back = "sed -i 's/fast[]]/slow]/' /etc/nsnat/nsnat.toml";
    all(
        &lab,
        &[
            ("name-foreign", &foreign, By(&format!("ip netns del theirs; {undo}"))),
            ("not-declared", renamed, By(back)),
            (
                "declaration-refused",
                "sed -i 's/^gateway.*/&\\nsubnet = \"192.168.1.64\\/30\"/' /etc/nsnat/nsnat.toml",
                By("sed -i '/^subnet/d' /etc/nsnat/nsnat.toml"),
            ),
            ("subnet-taken", "ip route add 10.213.0.2 dev eth1", By("ip route del 10.213.0.2 dev eth1")),
        ],
    );
    lab.ok("nsnat -q down slow");
    lab.says("nsnat doctor", "nothing is wrong");
    lab.says("nsnat doctor slow -o json | jq -r '.findings[].code' || :", "not-up");
}

#[test]
fn the_uplink() {
    let lab = lab();
    let addresses = "ip addr add $LAB_HOST/24 dev eth0 2>/dev/null || :; ip -6 addr add $LAB_HOST6/64 dev eth0 2>/dev/null || :; nsnat -q up";
    let silent = |node: &str| {
        format!(
            "at {node} nft 'table netdev off {{ chain in {{ type filter hook ingress device lan0 priority 0; drop; }}; }}'; ip neigh flush dev eth0"
        )
    };
    let dead = |what: &str| {
        format!(
            "at inet nft 'table inet off {{ chain in {{ type filter hook input priority 0; {what} drop; }}; }}'"
        )
    };
    let forward = |what: &str| {
        format!(
            "at slow nft 'table inet off {{ chain in {{ type filter hook forward priority 0; {what} drop; }}; }}'"
        )
    };
    all(
        &lab,
        &[
            ("uplink-down", "ip link set eth0 down", By(&format!("ip link set eth0 up; {addresses}"))),
            (
                "uplink-carrier",
                "at lan ip link set host down",
                By("at lan ip link set host up; await 'nsnat -q up'"),
            ),
            ("uplink-address", "ip address del $LAB_HOST/24 dev eth0", By(addresses)),
            ("uplink-address", "ip address del $LAB_HOST6/64 dev eth0", By(addresses)),
            ("gateway-silent gateway-silent", &silent("slow"), By("at slow nft delete table netdev off")),
            (
                "address-duplicate",
                "at printer ip addr add $LAB_HOST/32 dev eth0",
                By("at printer ip addr del $LAB_HOST/32 dev eth0; at slow ip neigh flush dev lan0"),
            ),
            (
                "gateway-duplicate",
                "at printer ip addr add $LAB_SLOW/32 dev eth0",
                By("at printer ip addr del $LAB_SLOW/32 dev eth0; ip neigh flush dev eth0"),
            ),
            ("nothing-behind", &forward(""), By("at slow nft delete table inet off")),
            ("mtu-hole", &forward("meta length > 1400"), By("at slow nft delete table inet off")),
            (
                "dns-server-dead",
                &dead("ip daddr $LAB_NEW th dport 53").replace('\'', "\""),
                By("at inet nft delete table inet off"),
            ),
            (
                "dns-silent",
                &dead("meta l4proto { tcp, udp } th dport 53").replace('\'', "\""),
                By("at inet nft delete table inet off"),
            ),
        ],
    );
}

#[test]
fn what_others_put_in_the_way() {
    let lab = lab();
    let table = |text: &str| format!("nft 'table {text}'");
    all(
        &lab,
        &[
            (
                "rule-precedes",
                "ip route add default via $LAB_THIRD dev eth1 table 77; ip rule add pref 100 lookup 77",
                ByCure,
            ),
            ("rule-unpassable", "ip rule del pref 100; ip rule add pref 1 lookup 77", ByCure),
            (
                "rule-refuses",
                "ip rule flush table 77; ip rule add pref 100 from 10.213.0.0/16 unreachable",
                ByCure,
            ),
            (
                "policy-precedes",
                "ip rule del pref 4300 || :; ip xfrm policy add dir out src 0.0.0.0/0 dst 0.0.0.0/0 action block priority 100",
                ByCure,
            ),
            (
                "policy-unpassable",
                "ip xfrm policy flush; nsnat -q up; ip xfrm policy add dir out src 0.0.0.0/0 dst 0.0.0.0/0 action block ptype sub priority 0",
                By("ip xfrm policy flush ptype sub"),
            ),
            (
                "firewall-drops",
                &table(
                    "inet theirs { chain forward { type filter hook forward priority 0; policy drop; }; }",
                ),
                ByCure,
            ),
            (
                "firewall-closed",
                "nft delete table inet theirs; nft 'table inet theirs { chain a { type filter hook prerouting priority -150; policy drop; tcp dport 22 accept; meta l4proto { icmp, icmpv6 } accept; }; }'",
                ByCure,
            ),
            (
                "device-drops",
                "nft delete table inet theirs; nft 'table netdev theirs { chain in { type filter hook ingress device eth0 priority 0; policy drop; }; }'",
                ByCure,
            ),
            (
                "device-drops",
                "tc qdisc add dev nsn-slow clsact; tc filter add dev nsn-slow ingress protocol all pref 7 u32 match u32 0 0 action mirred egress redirect dev lo",
                ByCure,
            ),
            (
                "device-may-drop",
                "tc qdisc del dev nsn-slow clsact; nft 'table netdev theirs { chain in { type filter hook ingress device eth0 priority 0; policy drop; ether type arp accept; ip version 4 accept; ip6 version 6 accept; }; }'",
                By("nft delete table netdev theirs"),
            ),
            ("device-queue", "tc qdisc add dev nsn-slow root tbf rate 1mbit burst 10k latency 50ms", ByCure),
        ],
    );
}

#[test]
fn what_becomes_of_packets() {
    let lab = lab();
    let table = |text: &str| format!("nft 'table {text}'");
    let theirs = By("nft delete table inet theirs");
    all(
        &lab,
        &[
            (
                "packet-dropped",
                &table(
                    "inet theirs { chain a { type filter hook forward priority 5; udp dport 53 drop; tcp dport 443 drop; }; }",
                ),
                ByCure,
            ),
            (
                "answer-dropped",
                "nft delete table inet theirs; nft 'table inet theirs { chain a { type filter hook forward priority 5; icmp type time-exceeded drop; icmpv6 type time-exceeded drop; }; }'",
                ByCure,
            ),
            (
                "packet-caught",
                "nft delete table inet theirs; nft 'table inet theirs { chain a { type nat hook prerouting priority -199; tcp dport 80 redirect to :8080; }; }'",
                theirs,
            ),
            (
                "source-rewritten",
                &table(
                    "inet theirs { chain a { type nat hook postrouting priority -199; oifname eth0 ip saddr 10.213.0.0/16 snat ip to 192.168.1.99; }; }",
                ),
                By("nft delete table inet theirs; conntrack -F 2>/dev/null || :"),
            ),
            (
                "answer-untracked",
                &table(
                    "inet theirs { chain a { type filter hook prerouting priority raw; iifname eth0 notrack; }; }",
                ),
                By("nft delete table inet theirs"),
            ),
            (
                "packet-unsent",
                "ip -n slow route add unreachable 192.0.2.0/24",
                By("ip -n slow route del unreachable 192.0.2.0/24"),
            ),
            (
                "packet-refused",
                "ip route add 192.0.2.0/24 via $LAB_FAST table 213001",
                By(
                    "jq -e '.findings[0].evidence | index(\"route: table 213001: via 192.168.1.1, eth0\")' /tmp/told; ip route del 192.0.2.0/24 table 213001",
                ),
            ),
            (
                "device-may-drop packet-strayed",
                "tc qdisc add dev eth0 clsact; tc filter add dev eth0 egress protocol ip pref 7 u32 match ip dst 192.0.2.1/32 action mirred egress redirect dev eth1",
                ByCure,
            ),
            (
                "answer-lost",
                "ip netns exec slow nft 'table inet inside { chain in { type filter hook input priority 0; icmp type time-exceeded drop; }; }'",
                By(
                    "jq -e '.findings[0].evidence | index(\"answer: arrived by eth0, and none was heard inside within 0.9 s\")' /tmp/told; ip netns exec slow nft delete table inet inside",
                ),
            ),
            (
                "dns-unseen dns-unseen dns-unseen dns-unseen",
                &table(
                    "inet theirs { chain a { type filter hook forward priority 5; tcp dport 53 drop; }; }",
                ),
                By("nft delete table inet theirs"),
            ),
        ],
    );
}

/// What other programs change in passing: checks of the way back, forwarding, marks, names of devices.
#[test]
fn what_others_change() {
    let lab = lab();
    let renamed = "ip link set old0 down; ip link set old0 name eth0; ip link set eth0 up; ip addr replace $LAB_HOST/24 dev eth0
        ip -6 addr replace $LAB_HOST6/64 dev eth0; nsnat -q up";
    all(
        &lab,
        &[
            (
                "setting-changed",
                "sysctl -qw net.ipv4.conf.eth0.rp_filter=1 net.ipv4.conf.eth0.src_valid_mark=0",
                ByCure,
            ),
            ("setting-changed", "ip netns exec slow sysctl -qw net.ipv4.conf.eth0.rp_filter=1", ByCure),
            ("leftover", "sysctl -qw net.ipv4.ip_forward=1", ByCure),
            ("elements-missing setting-changed", "sysctl -qw net.ipv4.ip_forward=0", ByCure),
            (
                "packet-lost",
                "nft 'table inet theirs { chain a { type filter hook prerouting priority 2000; iifname nsn-slow meta mark set 0; }; }'",
                ByCure,
            ),
            (
                "leftover",
                "nft delete table inet theirs; ip rule add pref 4210 fwmark 0x7000000/0xff000000 lookup 213007 protocol kernel",
                ByCure,
            ),
            (
                "nothing-behind",
                "at slow nft 'table inet off { chain in { type filter hook forward priority 0; iifname wan0 drop; }; }'",
                By("at slow nft delete table inet off"),
            ),
            ("uplink-gone", "ip link set eth0 down; ip link set eth0 name old0", By(renamed)),
            (
                "proxy-cut-off",
                "ip rule add pref 20000 fwmark 1 lookup 100; ip route add local default dev lo table 100",
                ByCure,
            ),
        ],
    );
}

/// One that was taken down is nothing wrong, unless it is asked for.
#[test]
fn what_the_daemon_leaves_down() {
    let lab = lab();
    lab.ok("nsnat watch >/dev/null 2>&1 & echo $! >/run/lab/watch; await 'nsnat down slow; nsnat status slow | grep -q \"taken down\"'");
    lab.says("nsnat doctor", "nothing is wrong");
    lab.says("nsnat doctor slow -o json | jq -r '.findings[].code' || :", "taken-down");
    lab.ok("nsnat -q up slow");
    healthy(&lab, "up again");
    let complains = "jq -e '.findings[0].evidence == [\"the subnet 192.168.1.64/30 is in use\"]' /tmp/told";
    each(
        &lab,
        &[(
            "daemon-complains declaration-refused",
            "echo 'subnet = \"192.168.1.64/30\"' >>/etc/nsnat/nsnat.toml; await 'nsnat status 2>&1 | grep -q \"^nsnat: nsnat watch: the subnet\"'",
            By(&format!(
                "{complains}; sed -i /^subnet/d /etc/nsnat/nsnat.toml; await '[[ $(nsnat status 2>&1) != *\"nsnat watch\"* ]]'"
            )),
        )],
    );
    lab.ok("kill $(cat /run/lab/watch)");
}

#[test]
fn the_host() {
    let lab = lab();
    all(
        &lab,
        &[
            (
                "unit-without-namespace",
                "mkdir -p /etc/systemd/system/job.service.d; printf '[Service]\\nNetworkNamespacePath=/run/netns/gone\\n' >/etc/systemd/system/job.service.d/50-nsnat.conf",
                ByCure,
            ),
            (
                "daemon-stopped",
                "mkdir -p /etc/systemd/system/multi-user.target.wants; ln -s /lib/systemd/system/nsnat.service /etc/systemd/system/multi-user.target.wants/",
                By("rm /etc/systemd/system/multi-user.target.wants/nsnat.service"),
            ),
            (
                "two-versions",
                "mount -t tmpfs none /usr/local/bin; printf '#!/bin/sh\\necho nsnat 0.0.1\\n' >/usr/local/bin/nsnat; chmod +x /usr/local/bin/nsnat",
                By("umount /usr/local/bin"),
            ),
            (
                "state-newer",
                "sed -i 's/\"version\":[0-9]*/\"version\":99/' /run/nsnat/state.json",
                By("sed -i 's/\"version\":99/\"version\":3/' /run/nsnat/state.json"),
            ),
        ],
    );
}

/// Seven eighths of its time go by first, in which a client would have renewed it.
#[test]
fn a_lease_that_nobody_renews() {
    let lab = lab();
    let left = "ip -j addr show dev eth0 | jq '.[0].addr_info[] | select(.local == env.LAB_HOST) | .valid_life_time'";
    let plant = format!(
        "ip addr change $LAB_HOST/24 dev eth0 valid_lft 96 preferred_lft 96; until (($({left}) < 11)); do sleep 1; done"
    );
    let renewed = "ip addr change $LAB_HOST/24 dev eth0 valid_lft forever preferred_lft forever";
    all(&lab, &[("lease-ends", &plant, By(renewed))]);
}

/// Programs that ask for names by themselves; and the text for a report of a bug, without what need not be told.
#[test]
fn what_is_asked_past_the_servers_and_what_is_reported() {
    let lab = lab();
    lab.serve("inet", "TCP4-LISTEN:8530,fork", "PIPE");
    lab.ok("at inet nft \"insert rule inet services prerouting ip daddr 9.9.9.9 tcp dport 443 dnat ip to $LAB_SERVICE:8530\"");
    lab.ok("nsnat exec slow -- sleep 1000 >/dev/null 2>&1 & nsnat exec slow -- bash -c 'exec 3<>/dev/tcp/9.9.9.9/443; sleep 1000' >/dev/null 2>&1 & echo $! >/run/lab/asks");
    lab.until("[[ $(nsnat doctor -o json | jq -r '.findings[] | .code, .evidence[]') = $'names-encrypted\na TCP connection inside to 9.9.9.9:443' ]]");
    lab.ok("mkdir -p /etc/nsnat/conf.d; printf '# 81.2.69.142 xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\n' >/etc/nsnat/conf.d/note.toml
        nsnat doctor --bundle /run/lab/report >/dev/null || [[ $? = 1 ]]; [[ $(stat -c %a /run/lab/report) = 600 ]]
        { nsnat doctor --bundle /run/lab/report 2>&1 || :; } | grep 'write /run/lab/report: File exists' >/dev/null");
    for needed in [
        "==== nft list ruleset\ntable inet nsnat",
        "\"code\": \"names-encrypted\"",
        "[namespace.slow]",
        "10.213.0.",
        "# PUBLIC4.2 KEY1",
    ] {
        lab.ok(&format!("[[ $(</run/lab/report) == *{}* ]]", quoted(needed)));
    }
    lab.fails(1, "grep -E '81\\.2\\.69|xTIBA5|9\\.9\\.9\\.9' /run/lab/report");
    lab.ok("rm /etc/nsnat/conf.d/note.toml; kill $(cat /run/lab/asks)");
    healthy(&lab, "after the program has ended");
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A fault of every kind at once is no reason to end otherwise than with what is wrong; and --fix does what nsnat can.
#[test]
fn what_is_nsnats_own_is_mended() {
    let lab = lab();
    lab.ok("ip rule del pref 4210; ip link set nsn-slow mtu 1300");
    lab.says("nsnat doctor -o json | jq -r '.findings[].code' || :", "link-changed\nrule-missing");
    lab.ok("nsnat doctor --fix");
    healthy(&lab, "after --fix");
    lab.ok("tc qdisc add dev nsn-slow root tbf rate 1mbit burst 10k latency 50ms; ip rule del pref 4210");
    lab.fails(1, "nsnat doctor --fix >/tmp/told");
    lab.says("grep -o '\\[[a-z-]*\\]' /tmp/told", "[device-queue]");
}
