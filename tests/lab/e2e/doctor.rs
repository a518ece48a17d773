//! `nsnat doctor`: each planted fault is named by its code, with what shows it, and what it says helps.

use super::planted::{BY_SLOW, Fault, by, cured, each, healthy, mended};
use crate::lab::Lab;

pub(super) fn lab() -> Lab {
    let lab = Lab::new();
    lab.declare(DECLARED);
    lab.ok("nsnat -q up");
    healthy(&lab, "nothing was done");
    lab
}

const DECLARED: &str =
    "[namespace.slow]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\ndns = [\"$LAB_NEW\", \"$LAB_SECOND\"]";

#[track_caller]
fn all(lab: &Lab, faults: &[Fault<'_>]) {
    each(lab, BY_SLOW, faults);
}

#[test]
fn what_of_nsnats_is_gone() {
    let lab = lab();
    let gone = [
        ("rule-missing", "ip rule del pref 4210"),
        ("route-missing", "ip route flush table 213001"),
        ("table-missing", "nft flush ruleset"),
        ("elements-missing", "nft flush set inet nsnat ways4"),
        ("link-missing", "ip link del nsn-slow"),
        ("link-changed", "ip link set nsn-slow mtu 1300"),
        ("address-missing", "ip -4 addr flush dev nsn-slow"),
        ("setting-changed", "sysctl -qw net.ipv4.conf.nsn-slow.forwarding=0"),
    ];
    all(&lab, &gone.map(|(code, plant)| mended(code, plant)));
}

#[test]
fn what_is_lost_of_a_namespace() {
    let lab = lab();
    all(
        &lab,
        &[
            mended("netns-missing", "ip netns del slow"),
            // Its file is there, and is no namespace any more.
            mended("netns-missing", "umount /run/netns/slow; test -e /run/netns/slow"),
            mended(
                "netns-file-missing",
                "nsnat exec slow -- sleep 1000 >/dev/null 2>&1 & await 'nsnat ps slow | grep -q sleep'; ip netns del slow",
            ),
            cured("name-taken", "umount /run/netns/slow; rm /run/netns/slow; ip netns add slow"),
            mended("state-lost", "rm /run/nsnat/state.json"),
            mended("not-up", "nsnat -q down --kill slow 2>/dev/null").asked("nsnat doctor slow"),
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
    let back = "sed -i 's/fast[]]/slow]/' /etc/nsnat/nsnat.toml; nsnat -q up";
    let taken_away = format!("ip netns del theirs; {undo}");
    all(
        &lab,
        &[
            by(&taken_away, "name-foreign", &foreign),
            cured("not-declared", renamed).works("[[ ! -e /run/netns/slow ]]").then(back),
            by(
                "sed -i '/^subnet/d' /etc/nsnat/nsnat.toml",
                "declaration-refused",
                "sed -i 's/^gateway.*/&\\nsubnet = \"192.168.1.64\\/30\"/' /etc/nsnat/nsnat.toml",
            ),
            cured("subnet-taken", "ip route add 10.213.0.2 dev eth1")
                .then("ip route del 10.213.0.2 dev eth1"),
        ],
    );
    lab.ok("nsnat -q down slow");
    lab.says("nsnat doctor", "nothing is wrong");
}

#[test]
fn the_uplink() {
    let lab = lab();
    let addresses = "ip addr add $LAB_HOST/24 dev eth0 2>/dev/null || :; ip -6 addr add $LAB_HOST6/64 dev eth0 2>/dev/null || :; nsnat -q up";
    let silent = "at slow nft 'table netdev off { chain in { type filter hook ingress device lan0 priority 0; drop; }; }'; ip neigh flush dev eth0";
    all(
        &lab,
        &[
            cured("uplink-down", "sysctl -qw net.ipv6.conf.eth0.keep_addr_on_down=1; ip link set eth0 down"),
            by(
                "at lan ip link set host up; await 'nsnat -q up'",
                "uplink-carrier",
                "at lan ip link set host down",
            ),
            by(addresses, "uplink-address", "ip address del $LAB_HOST/24 dev eth0"),
            by(addresses, "uplink-address", "ip address del $LAB_HOST6/64 dev eth0"),
            by("at slow nft delete table netdev off", "gateway-silent gateway-silent", silent),
            by(
                "at printer ip addr del $LAB_HOST/32 dev eth0; at slow ip neigh flush dev lan0",
                "address-duplicate",
                "at printer ip addr add $LAB_HOST/32 dev eth0",
            ),
            by(
                "at printer ip addr del $LAB_SLOW/32 dev eth0; ip neigh flush dev eth0",
                "gateway-duplicate",
                "at printer ip addr add $LAB_SLOW/32 dev eth0",
            ),
        ],
    );
}

/// A packet is seen on the device of the uplink, and on the one below it, which is no other way out.
#[test]
fn an_uplink_on_another_device_is_no_fault() {
    let bridge = "ip link add top0 type bridge forward_delay 0 mcast_snooping 0; ip addr flush dev eth0
        ip link set eth0 master top0";
    let macvlan = "ip addr flush dev eth0; ip link add link eth0 name top0 type macvlan mode bridge";
    for make in [bridge, macvlan] {
        let lab = Lab::new();
        lab.ok(&format!(
            "{make}; ip link set top0 up; ip addr add $LAB_HOST/24 dev top0; ip -6 addr add $LAB_HOST6/64 dev top0 nodad
            ip route replace default via $LAB_FAST; ip -6 route replace default via $LAB_FAST6"
        ));
        lab.declare(DECLARED);
        lab.ok("nsnat -q up");
        healthy(&lab, make);
        lab.until(BY_SLOW);
    }
}

#[test]
fn what_others_put_in_the_way() {
    let lab = lab();
    let theirs = "nft delete table inet theirs";
    lab.ok("ip route add default via $LAB_THIRD dev eth1 table 77");
    all(
        &lab,
        &[
            mended("rule-precedes", "ip rule add pref 100 lookup 77").then("ip rule del pref 100; nsnat -q up"),
            cured("rule-unpassable", "ip rule add pref 1 lookup 77").then("ip rule flush table 77"),
            cured("rule-refuses", "ip rule add pref 100 from 10.213.0.0/16 unreachable")
                .then("ip rule del from 10.213.0.0/16 unreachable"),
            mended(
                "policy-precedes",
                "ip xfrm policy add dir out src 0.0.0.0/0 dst 0.0.0.0/0 action block priority 100",
            )
            .then("ip xfrm policy flush; nsnat -q up"),
            by(
                "ip xfrm policy flush ptype sub",
                "policy-unpassable",
                "ip xfrm policy add dir out src 0.0.0.0/0 dst 0.0.0.0/0 action block ptype sub priority 0",
            ),
            mended(
                "firewall-drops",
                "nft 'table inet theirs { chain forward { type filter hook forward priority 0; policy drop; }; }'",
            )
            .then(theirs),
            // One family alone.
            mended(
                "firewall-drops",
                "nft 'table ip theirs { chain forward { type filter hook forward priority 0; policy drop; }; }'",
            )
            .then("nft delete table ip theirs"),
            // Not even neighbour discovery on the links of namespaces gets in.
            mended(
                "firewall-drops",
                "for device in lo eth0 eth1; do ip6tables -w -A INPUT -i $device -j ACCEPT; done; ip6tables -w -P INPUT DROP",
            )
            .then("ip6tables -w -P INPUT ACCEPT; ip6tables -w -F INPUT"),
            cured(
                "firewall-closed",
                "nft 'table inet theirs { chain a { type filter hook prerouting priority -150; policy drop; tcp dport 22 accept; meta l4proto { icmp, icmpv6 } accept; }; }'",
            )
            .then(theirs),
            // An nft that was built without JSON. One that is too old for that (0.6) was tried by hand.
            by(
                "rm /run/lab/bin/nft; nsnat -q up",
                "firewall-closed",
                "nft 'table inet theirs { chain forward { type filter hook forward priority 0; policy drop; }; }'
                echo '#!/bin/sh
                    [ \"$1\" != -j ] || { echo \"JSON support not compiled-in\" >&2; exit 1; }
                    exec /usr/sbin/nft \"$@\"' >/run/lab/bin/nft
                chmod +x /run/lab/bin/nft",
            )
            .then(theirs),
            cured(
                "device-drops",
                "nft 'table netdev theirs { chain in { type filter hook ingress device eth0 priority 0; policy drop; }; }'",
            )
            .then("nft delete table netdev theirs"),
            cured(
                "device-drops",
                "tc qdisc add dev nsn-slow clsact; tc filter add dev nsn-slow ingress protocol all pref 7 u32 match u32 0 0 action mirred egress redirect dev lo",
            )
            .then("tc qdisc del dev nsn-slow clsact"),
            by(
                "nft delete table netdev theirs",
                "device-may-drop",
                "nft 'table netdev theirs { chain in { type filter hook ingress device eth0 priority 0; policy drop; ether type arp accept; ip version 4 accept; ip6 version 6 accept; }; }'",
            ),
            cured("device-queue", "tc qdisc add dev nsn-slow root tbf rate 1mbit burst 10k latency 50ms"),
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
            mended(
                "setting-changed",
                "sysctl -qw net.ipv4.conf.eth0.rp_filter=1 net.ipv4.conf.eth0.src_valid_mark=0",
            ),
            mended("setting-changed", "ip netns exec slow sysctl -qw net.ipv4.conf.eth0.rp_filter=1"),
            mended("leftover", "sysctl -qw net.ipv4.ip_forward=1")
                .then("sysctl -qw net.ipv4.ip_forward=0; nsnat -q up"),
            mended(
                "elements-missing setting-changed",
                "sysctl -qw net.ipv4.ip_forward=1; nsnat -q up; sysctl -qw net.ipv4.ip_forward=0",
            ),
            mended(
                "leftover",
                "ip rule add pref 4210 fwmark 0x7000000/0xff000000 lookup 213007 protocol kernel",
            ),
            by(renamed, "uplink-gone", "ip link set eth0 down; ip link set eth0 name old0"),
            cured(
                "proxy-cut-off",
                "ip rule add pref 20000 fwmark 1 lookup 100; ip route add local default dev lo table 100",
            ),
        ],
    );
}

/// One that was taken down is nothing wrong, unless it is asked for.
#[test]
fn what_the_daemon_leaves_down() {
    let lab = lab();
    let down = "await 'nsnat down slow; nsnat status slow | grep -q \"taken down\"'";
    lab.ok(&format!("nsnat watch >/dev/null 2>&1 & echo $! >/run/lab/watch; {down}"));
    lab.says("nsnat doctor", "nothing is wrong");
    lab.ok("nsnat -q up slow");
    healthy(&lab, "up again");
    all(
        &lab,
        &[
            mended("taken-down", down).asked("nsnat doctor slow"),
            by(
                "sed -i /^subnet/d /etc/nsnat/nsnat.toml; await '[[ $(nsnat status 2>&1) != *\"nsnat watch\"* ]]'",
                "daemon-complains declaration-refused",
                "echo 'subnet = \"192.168.1.64/30\"' >>/etc/nsnat/nsnat.toml; await 'nsnat status 2>&1 | grep -q \"^nsnat: nsnat watch: the subnet\"'",
            )
            .shown("the subnet 192.168.1.64/30 is in use"),
        ],
    );
    lab.ok("kill $(cat /run/lab/watch)");
}

/// What takes systemd to be cured is in tests/systest/watch.sh.
#[test]
fn the_host() {
    let lab = lab();
    all(
        &lab,
        &[
            cured(
                "unit-without-namespace",
                "mkdir -p /etc/systemd/system/job.service.d; printf '[Service]\\nNetworkNamespacePath=/run/netns/gone\\n' >/etc/systemd/system/job.service.d/50-nsnat.conf",
            ),
            by(
                "umount /usr/local/bin",
                "two-versions",
                "mount -t tmpfs none /usr/local/bin; printf '#!/bin/sh\\necho nsnat 0.0.1\\n' >/usr/local/bin/nsnat; chmod +x /usr/local/bin/nsnat",
            ),
            by(
                "sed -i 's/\"version\":99/\"version\":3/' /run/nsnat/state.json",
                "state-newer",
                "sed -i 's/\"version\":[0-9]*/\"version\":99/' /run/nsnat/state.json",
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
    all(&lab, &[by(renewed, "lease-ends", &plant)]);
}

/// Programs that ask for names by themselves; and the text for a report of a bug, without what need not be told.
#[test]
fn what_is_asked_past_the_servers_and_what_is_reported() {
    let lab = lab();
    lab.serve("inet", "TCP4-LISTEN:8530,fork,ignoreeof", "PIPE");
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
    // The other side does not end the connection: this side has it for a minute, and no program does.
    lab.until("[[ $(ip netns exec slow ss -Hnt state fin-wait-2) = *9.9.9.9:443* ]]");
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
