//! Published ports, asked from this side of the uplink: by the host's own programs, and by the namespace itself.

use super::published::asks;
use crate::lab::Lab;

const TWO: &str = "[namespace.job]
    gateway = [\"$LAB_THIRD\", \"$LAB_THIRD6\"]
    dns = \"$LAB_NEW\"
    publish = [\"8080:80/tcp\", \"5300:5301/udp\"]
    [namespace.other]
    gateway = [\"$LAB_THIRD\", \"$LAB_THIRD6\"]
    dns = \"$LAB_NEW\"";

/// The ports as they are asked, and the address that a program inside then sees.
const ASKED: [(&str, &str, &str); 4] = [
    ("TCP4", "$LAB_HOST_THIRD:8080", "10.20.0.10"),
    ("UDP4", "$LAB_HOST_THIRD:5300", "10.20.0.10"),
    ("TCP6", "[$LAB_HOST_THIRD6]:8080", "[2001:0db8:0002:0000:0000:0000:0000:0010]"),
    ("UDP6", "[$LAB_HOST_THIRD6]:5300", "[2001:0db8:0002:0000:0000:0000:0000:0010]"),
];

/// Servers in a network namespace that say whom they see.
fn serve(inside: &str) -> String {
    format!(
        "for listen in TCP4-LISTEN:80,reuseaddr TCP6-LISTEN:80,ipv6only,reuseaddr UDP4-LISTEN:5301 UDP6-LISTEN:5301,ipv6only; do
            ip netns exec {inside} socat $listen,fork SYSTEM:'read line; echo seen $SOCAT_PEERADDR' </dev/null >/dev/null 2>&1 &
        done
        await '(($(ip netns exec {inside} ss -Hlntu | wc -l) == 4))'"
    )
}

/// What a program here is told: on the host, or inside.
fn asks_inside(name: &str, protocol: &str, address: &str) -> String {
    asks("host", protocol, address).replace("at host", &format!("ip netns exec {name}"))
}

impl Lab {
    #[track_caller]
    fn is_reached_from_here(&self, name: &str) {
        for (protocol, address, seen) in ASKED {
            let seen = format!("seen {seen}");
            self.says(&asks("host", protocol, address), &seen);
            self.says(&asks_inside(name, protocol, address), &seen);
        }
    }
}

#[test]
fn the_host_and_the_namespace_itself_ask_a_published_port() {
    let lab = Lab::new();
    lab.declare(TWO);
    let host = lab.snapshot();
    lab.ok("nsnat up");
    lab.ok(&serve("job"));
    let segment = lab.capture("third", "port 8080 or port 5300 or port 80 or port 5301");
    lab.is_reached_from_here("job");
    assert_eq!(segment.seen(), "", "what is asked here does not leave");
    // The other side reaches it as before, and another namespace does not: they are closed to each other.
    let segment = lab.capture("third", "port 8080");
    lab.says(&asks("third", "TCP4", "$LAB_HOST_THIRD:8080"), "seen 10.20.0.1");
    assert_ne!(segment.seen(), "");
    for (protocol, address, _) in ASKED.into_iter().filter(|(protocol, ..)| protocol.starts_with("TCP")) {
        lab.fails(1, &asks_inside("other", protocol, address));
    }
    // By the host's addresses on other devices, and on its loopback, it is another port.
    for address in ["$LAB_HOST:8080", "127.0.0.1:8080"] {
        lab.fails(1, &asks("host", "TCP4", address));
        lab.fails(1, &asks_inside("job", "TCP4", address));
    }
    lab.says("nsnat up", "nothing to do");
    lab.ok("nsnat doctor job; nsnat status --check; nsnat trace job $LAB_HOST_THIRD:8080");
    // What others take away is put back; another address of the device leads there, too.
    lab.ok("nft flush map inet nsnat publish_at4; ip addr add 10.20.0.77/24 dev eth1; nsnat up");
    lab.is_reached_from_here("job");
    lab.says(&asks("host", "TCP4", "10.20.0.77:8080"), "seen 10.20.0.10");
    lab.says(&asks_inside("job", "TCP4", "10.20.0.77:8080"), "seen 10.20.0.77");
    lab.ok("ip addr del 10.20.0.77/24 dev eth1; nsnat up");
    lab.says("nft list map inet nsnat publish_at4 | grep -c 10.20.0.77 || true", "0");
    lab.ok("nsnat down --kill");
    lab.same(&host, "after down");
}

#[test]
fn it_is_closed_again_also_for_connections_that_are_open() {
    let lab = Lab::new();
    lab.declare(TWO);
    lab.ok("nsnat up");
    lab.ok("ip netns exec job socat TCP4-LISTEN:80,reuseaddr,fork SYSTEM:'while sleep 0.1; do echo line; done' </dev/null >/dev/null 2>&1 &
        await \"ip netns exec job ss -Hltn 'sport = :80' | grep -q .\"");
    let flows = "conntrack -L -p tcp --orig-port-dst 8080 2>/dev/null | wc -l";
    for by in ["", "ip netns exec job"] {
        lab.ok(&format!("{by} socat -u TCP4:$LAB_HOST_THIRD:8080 - >/run/lab/lines 2>/dev/null & await 'test -s /run/lab/lines'"));
        lab.says(flows, "1");
        lab.declare(&TWO.replace("\"8080:80/tcp\", ", ""));
        lab.ok("nsnat up");
        lab.says(flows, "0");
        lab.ok("lines=$(wc -l </run/lab/lines); sleep 0.5; (($(wc -l </run/lab/lines) <= lines + 1))");
        lab.fails(1, &asks("host", "TCP4", "$LAB_HOST_THIRD:8080"));
        lab.declare(TWO);
        lab.ok("rm /run/lab/lines; nsnat up");
    }
}

#[test]
fn an_attachments_port_is_reached_from_here() {
    let lab = Lab::new();
    lab.declare(TWO);
    lab.ok("ip netns add web; ip -n web link set lo up");
    lab.ok(&serve("web"));
    lab.ok("nsnat attach /run/netns/web --to other --publish 8080:80 --publish 5300:5301/udp");
    lab.is_reached_from_here("web");
    lab.ok("nsnat doctor web; nsnat detach web");
    lab.fails(1, &asks("host", "TCP4", "$LAB_HOST_THIRD:8080"));
}
