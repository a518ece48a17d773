//! Ports that attachments publish: the same as those of namespaces, in the network namespace of another program.

use super::health::{DECLARED, START};
use super::published::{FORWARD, asks};
use crate::lab::Lab;

const BY_THIRD: &str = "[namespace.third]
    gateway = [\"$LAB_THIRD\", \"$LAB_THIRD6\"]
    dns = \"$LAB_NEW\"
    publish = [\"9000/tcp\"]";

/// Another program's container, with servers in it that say whom they see.
const CONTAINER: &str = r"ip netns add web; ip -n web link set lo up
    for listen in TCP4-LISTEN:80,reuseaddr TCP6-LISTEN:80,ipv6only,reuseaddr UDP4-LISTEN:5301 UDP6-LISTEN:5301,ipv6only; do
        ip netns exec web socat $listen,fork SYSTEM:'read line; echo seen $SOCAT_PEERADDR' </dev/null >/dev/null 2>&1 &
    done
    await '(($(ip netns exec web ss -Hlntu | wc -l) == 4))'";

fn with_container(declared: &str) -> Lab {
    let lab = Lab::new();
    lab.declare(declared);
    lab.ok(CONTAINER);
    lab
}

#[test]
fn an_attachment_is_reached_by_the_right_router_and_by_no_other() {
    let lab = with_container(BY_THIRD);
    let host = lab.snapshot();
    let attach = "nsnat attach /run/netns/web --to third --publish 8080:80 --publish 5300:5301/udp";
    lab.ok(attach);
    lab.is_answered_by_third_alone();
    // Its own are those of the attachment: nothing of the namespace that it leaves like, and nothing that is not published.
    lab.fails(1, &asks("third", "TCP4", "$LAB_HOST_THIRD:9000"));
    lab.fails(1, &asks("third", "TCP4", "$LAB_HOST_THIRD:80"));
    lab.says(
        "nsnat status -o json web | jq -c '.namespaces[0].published'",
        r#"["5300:5301/udp","8080:80/tcp"]"#,
    );
    lab.says("nsnat status web | sed -n 's/^ *published *//p'", "5300:5301/udp, 8080:80/tcp");
    lab.says(attach, "nothing to do");
    lab.ok("nsnat up");
    lab.says("nsnat up", "nothing to do");
    lab.ok("nsnat doctor web && nsnat status --check");
    // What others take away is put back.
    lab.ok("nft flush map inet nsnat publish4; nsnat up");
    lab.says(&asks("third", "TCP4", "$LAB_HOST_THIRD:8080"), "seen 10.20.0.1");
    // To attach with other ports publishes these alone.
    lab.ok("nsnat attach /run/netns/web --to third --publish 8081:80");
    lab.says(&asks("third", "TCP4", "$LAB_HOST_THIRD:8081"), "seen 10.20.0.1");
    lab.fails(1, &asks("third", "TCP4", "$LAB_HOST_THIRD:8080"));
    lab.ok("nsnat detach web");
    lab.fails(1, &asks("third", "TCP4", "$LAB_HOST_THIRD:8081"));
    lab.ok("nsnat down");
    lab.same(&host, "after detach");
}

#[test]
fn flows_of_an_attachment_are_forgotten_when_its_port_is_published_no_more() {
    let lab = with_container(BY_THIRD);
    let flows = "conntrack -L -p tcp --orig-port-dst 8080 2>/dev/null | wc -l";
    let ask = r#"at third socat TCP4:$LAB_HOST_THIRD:8080 EXEC:"sleep 1000" >/dev/null 2>&1 &
        await '(($(conntrack -L -p tcp --orig-port-dst 8080 --state ESTABLISHED 2>/dev/null | wc -l) == 1))'"#;
    for (start, end) in [
        (
            "",
            "kill $(ip netns pids web); ip netns del web; await '! [ -e /sys/class/net/nsn-web ]'; nsnat up third",
        ),
        (CONTAINER, "nsnat attach /run/netns/web --to third"),
        ("", "nsnat detach web"),
    ] {
        lab.ok(&format!("{start}\nnsnat attach /run/netns/web --to third --publish 8080:80"));
        lab.ok(ask);
        lab.says(flows, "1");
        lab.ok(end);
        lab.says(flows, "0");
    }
}

#[test]
fn a_port_of_a_device_belongs_to_one_attachment() {
    let lab = with_container(BY_THIRD);
    lab.ok("nsnat up; for n in 1 2 3 4; do ip netns add c$n; done");
    let refused = lab.fails(1, "nsnat attach /run/netns/c1 --to third --publish 9000:80");
    assert!(refused.contains("port 9000/tcp of eth1 is published by namespace third"), "{refused}");
    let refused = lab.fails(2, "nsnat attach /run/netns/c1 --to third --publish 8080:80 --publish 8080:81");
    assert!(refused.contains("port 8080/tcp of the host is published twice"), "{refused}");
    // Of several that begin at once, one has it, and the others are told which.
    lab.says(
        "for n in 1 2 3 4; do
            { nsnat -q attach /run/netns/c$n --to third --publish 8080:80 2>/run/lab/said.$n && echo has >/run/lab/said.$n || :; } & done
        wait; grep -ho 'has\\|port 8080/tcp of eth1 is published by attachment c[1-4]' /run/lab/said.* | sort | uniq -c | awk '{ print $1, $2 }'",
        "1 has\n3 port",
    );
    lab.says(
        "nsnat status -o json | jq '[.namespaces[] | select(.attached and .state == \"up\")] | length'",
        "1",
    );
    // A namespace that is declared is told so, too; and the port is free when the attachment has ended, with nobody telling nsnat.
    lab.declare(&BY_THIRD.replace("9000/tcp", "8080/tcp"));
    let refused = lab.fails(2, "nsnat up");
    assert!(refused.contains("port 8080/tcp of eth1 is published by attachment c"), "{refused}");
    lab.ok("for n in 1 2 3 4; do ip netns del c$n; done; await '! ls /sys/class/net | grep nsn-c'");
    lab.ok("nsnat attach /run/netns/web --to third --publish 8080:80");
    lab.says(&asks("third", "TCP4", "$LAB_HOST_THIRD:8080"), "seen 10.20.0.1");
}

#[test]
fn a_port_moves_with_its_attachment_from_uplink_to_uplink() {
    let lab = with_container(DECLARED);
    lab.ok(START);
    lab.ok("nsnat attach /run/netns/web --to job --publish 8080:80");
    lab.ok(&format!(
        "{FORWARD}; forward third $LAB_HOST_THIRD $LAB_HOST_THIRD6; forward slow $LAB_HOST $LAB_HOST6"
    ));
    let seen = |router: &str| {
        let by = asks("inet", "TCP4", &format!("$LAB_WAN_{router}:8080"));
        (format!("[[ $({by}) = 'seen 203.0.113.100' ]]"), format!("! {by}"))
    };
    let [(by_a, not_by_a), (by_b, not_by_b)] = ["THIRD", "SLOW"].map(seen);
    lab.until(&by_a);
    lab.ok(&not_by_b);
    lab.ok("ip link set eth1 down");
    lab.until(&by_b);
    lab.until(&not_by_a);
    lab.ok("ip link set eth1 up; ip addr replace $LAB_HOST_THIRD6/64 dev eth1 nodad");
    lab.until(&by_a);
    lab.until(&not_by_b);
}
