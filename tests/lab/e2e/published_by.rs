//! Ports that are asked by another uplink than the one by which their namespace leaves, and answered by that one.

use super::health::{BY_A, BY_B, DECLARED, START};
use super::published::asks;
use crate::lab::Lab;

/// The other uplink.
pub(super) const UPLINK: &str = "[uplink.third]
    gateway = [\"$LAB_THIRD\", \"$LAB_THIRD6\"]";

/// Leaves by the slow router; its ports are asked by the third one, whose segment is not that of the host's default route.
const BY_THIRD: &str = "[uplink.third]
    gateway = [\"$LAB_THIRD\", \"$LAB_THIRD6\"]
    [namespace.job]
    gateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]
    dns = \"$LAB_NEW\"
    publish = [\"8080:80/tcp@third\", \"5300:5301/udp@third\"]";

/// Another program's container.
const CONTAINER: &str = "ip netns add web; ip -n web link set lo up";

/// The number of flows that came by the published port.
const FLOWS: &str = "conntrack -L -p tcp --orig-port-dst 8080 2>/dev/null | wc -l";

/// A server that says something again and again, and a client of the third router's segment that hears it.
const LISTENER: &str = "ip netns exec job socat TCP4-LISTEN:80,reuseaddr,fork SYSTEM:'while sleep 0.1; do echo line; done' </dev/null >/dev/null 2>&1 &
    await \"ip netns exec job ss -Hltn 'sport = :80' | grep -q .\"
    at third socat -u TCP4:$LAB_HOST_THIRD:8080 - >/run/lab/lines 2>/dev/null & await 'test -s /run/lab/lines'";

/// The client goes on to hear it.
const GOES_ON: &str = "lines=$(wc -l </run/lab/lines); await \"((\\$(wc -l </run/lab/lines) > $lines + 3))\"";

#[test]
fn a_port_is_answered_by_the_uplink_by_which_it_is_asked() {
    let lab = Lab::new();
    lab.declare(BY_THIRD);
    let host = lab.snapshot();
    lab.ok("nsnat up");
    let _servers = lab.publish_here("job");
    let by_slow = lab.capture("slow", "src port 8080 or src port 5300 or src port 80 or src port 5301 or (icmp[0] = 3 and not src host $LAB_SLOW)");
    lab.is_answered_by_third_alone();
    // A port on which nobody listens: the error goes where the question came from.
    lab.ok(
        "kill $(nsnat exec job -- ss -Hulnp 'sport = :5301' | grep -o 'pid=[0-9]*' | cut -d= -f2 | sort -u)",
    );
    lab.until("! nsnat exec job ss -Huln 'sport = :5301' | grep -q .");
    let errors = lab.capture("third", "icmp[0] = 3");
    lab.fails(1, &asks("inet", "UDP4", "$LAB_WAN_THIRD:5300"));
    assert_ne!(errors.seen(), "", "the error leaves by the third router");
    assert_eq!(by_slow.seen(), "", "nothing of these flows leaves by the namespace's own router");
    // What the namespace itself begins leaves by its own uplink.
    lab.says("nsnat exec job whoami4", "203.0.113.254");
    lab.says("nsnat exec job whoami6", "2001:db8:f::fe");
    lab.says("nsnat up", "nothing to do");
    lab.ok("nsnat doctor job && nsnat status --check");
    lab.says(
        "nsnat status -o json job | jq -c '.namespaces[0].published'",
        r#"["8080:80/tcp@third","5300:5301/udp@third"]"#,
    );
    lab.ok("nsnat down --kill");
    lab.same(&host, "after down");
}

#[test]
fn other_uplinks_stay_closed_and_the_host_asks_by_that_uplinks_address() {
    let lab = Lab::new();
    lab.declare(BY_THIRD);
    lab.ok("nsnat up");
    let _servers = lab.publish_here("job");
    // Only the addresses of that uplink's device: a stranger there who asks another one of the host meets the host itself.
    lab.ok("at third ip route add $LAB_HOST via $LAB_HOST_THIRD");
    lab.fails(1, &asks("third", "TCP4", "$LAB_HOST:8080"));
    lab.ok("at third ip route del $LAB_HOST");
    for asked in ["at third", "at host", "ip netns exec job"] {
        lab.says(
            &asks("host", "TCP4", "$LAB_HOST_THIRD:8080").replace("at host", asked),
            if asked == "at third" { "seen 10.20.0.1" } else { "seen 10.20.0.10" },
        );
    }
    // Another address of that device is one more at which it is asked, once nsnat has looked.
    lab.ok("ip addr add 10.20.0.77/24 dev eth1; nsnat up");
    lab.says(&asks("third", "TCP4", "10.20.0.77:8080"), "seen 10.20.0.1");
    lab.says(&asks("third", "TCP4", "$LAB_HOST_THIRD:8080"), "seen 10.20.0.1");
    // While that uplink is down, doctor says what nobody reaches.
    lab.ok("ip link set eth1 down");
    lab.says(
        "{ nsnat doctor -o json job || :; } | jq -r '.findings[] | select(.code != \"leftover\") | .code, .what'",
        "ports-unreached\nnobody reaches 8080/tcp, 5300/udp by uplink third, which cannot be used at the moment",
    );
    lab.says("nsnat exec job whoami4", "203.0.113.254");
    lab.ok("ip link set eth1 up; nsnat up");
    // What others take away is put back.
    lab.ok("nft flush map inet nsnat answer_by4; nft flush map inet nsnat publish_at4; ip rule del pref 4210; ip rule del pref 4210; nsnat up");
    lab.says(&asks("third", "TCP4", "$LAB_HOST_THIRD:8080"), "seen 10.20.0.1");
    lab.says("nsnat up", "nothing to do");
    // Marks of others, before the packet is routed and after that, lead no answer astray.
    lab.ok("nft 'table inet others {
        chain early { type filter hook prerouting priority -150; meta mark set 7; }
        chain late { type filter hook forward priority -50; meta mark set 7; }
    }'");
    lab.says(&asks("third", "TCP4", "$LAB_HOST_THIRD:8080"), "seen 10.20.0.1");
    lab.ok("nft delete table inet others");
}

#[test]
fn it_stays_where_it_is_while_the_namespace_moves() {
    let lab = Lab::new();
    let declared = DECLARED.replace("[\"a\", \"b\"]", "[\"b\", \"a\"]");
    lab.declare(&declared.replace("[namespace.only]", "publish = [\"8080:80/tcp@a\"]\n[namespace.only]"));
    lab.ok(START);
    lab.until(BY_B);
    lab.ok(LISTENER);
    lab.mute("slow");
    lab.until(BY_A);
    lab.ok(GOES_ON);
    lab.says(FLOWS, "1");
    lab.unmute("slow");
    lab.until(BY_B);
    lab.ok(GOES_ON);
    lab.says(FLOWS, "1");
    // The daemon notes another address of that uplink's device, and that one is gone.
    let is_noted = "nft list map inet nsnat publish_at4 | grep -q 10.20.0.77";
    lab.ok("ip addr add 10.20.0.77/24 dev eth1");
    lab.until(is_noted);
    lab.ok("[[ $(at third timeout 5 socat -u TCP4:10.20.0.77:8080 - | head -1) = line ]]");
    lab.ok("ip addr del 10.20.0.77/24 dev eth1");
    lab.until(&format!("! {{ {is_noted}; }}"));
    lab.ok("nsnat status --check && ! grep -q ERROR /run/lab/watch.log");
}

#[test]
fn it_is_closed_again_also_for_connections_that_are_open() {
    let lab = Lab::new();
    lab.declare(BY_THIRD);
    lab.ok("nsnat up");
    lab.ok(LISTENER);
    lab.says(FLOWS, "1");
    // Another namespace comes and goes, by the same uplink; the connection lives on.
    lab.ok("nsnat add other --uplink third --publish 9000; nsnat remove other");
    lab.says(FLOWS, "1");
    lab.ok(GOES_ON);
    lab.declare(&BY_THIRD.replace("8080:80/tcp@third", "8080:80/tcp"));
    lab.ok("nsnat up");
    lab.says(FLOWS, "0");
    lab.fails(1, &asks("third", "TCP4", "$LAB_HOST_THIRD:8080"));
    lab.declare(&BY_THIRD.replace("publish = [\"8080:80/tcp@third\", \"5300:5301/udp@third\"]", ""));
    lab.ok("nsnat up");
    lab.says("ip rule | grep -c 'fwmark 0x2000000' || true", "0");
    lab.says("ip route show table all | grep -c 'table 213002' || true", "0");
    lab.ok("nsnat down --kill");
}

#[test]
fn an_attachment_publishes_by_another_uplink() {
    let lab = Lab::new();
    lab.declare(BY_THIRD);
    lab.ok(CONTAINER);
    lab.ok("ip netns exec web socat TCP4-LISTEN:80,reuseaddr,fork SYSTEM:'echo seen $SOCAT_PEERADDR' </dev/null >/dev/null 2>&1 &
        await \"ip netns exec web ss -Hltn 'sport = :80' | grep -q .\"");
    lab.ok("nsnat attach /run/netns/web --gateway $LAB_SLOW --publish 8080:80@third");
    lab.says(&asks("third", "TCP4", "$LAB_HOST_THIRD:8080"), "seen 10.20.0.1");
    lab.fails(1, &asks("printer", "TCP4", "$LAB_HOST:8080"));
    lab.ok("nsnat doctor web && nsnat status --check");
    // A port of a device belongs to one of them.
    let refused = lab.fails(2, "nsnat up");
    assert!(refused.contains("port 8080/tcp of eth1 is published by attachment"), "{refused}");
    lab.ok("nsnat detach web");
    lab.fails(1, &asks("third", "TCP4", "$LAB_HOST_THIRD:8080"));
    lab.ok("nsnat up");
    let unknown = lab.fails(1, "nsnat attach /run/netns/web --to job --publish 8081:80@thrid");
    assert!(
        unknown.contains("no uplink is called thrid") && unknown.contains("did you mean third?"),
        "{unknown}"
    );
    let unknown = lab.fails(2, "nsnat add more --gateway $LAB_SLOW --publish 8081:80@thrid");
    assert!(unknown.contains("no uplink is called"), "{unknown}");
}
