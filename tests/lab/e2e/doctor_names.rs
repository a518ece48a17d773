//! `nsnat doctor`, and names: what goes to other servers than it should, and what cannot be asked.

use super::planted::{BY_SLOW, by, each, healthy};
use crate::lab::Lab;

/// The namespace has no IPv6.
const BY_SLOW4: &str = "[[ $(nsnat exec slow whoami4) = 203.0.113.254 ]]";

/// NAT inside leads a query past the rewrite, to a server that nobody configured; the answer does not tell.
#[test]
fn what_is_led_past_the_rewrite_from_inside() {
    let lab = Lab::new();
    lab.declare(
        "[namespace.slow]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]
        [namespace.slow.dns]\nrewrite = { \"127.0.0.53\" = \"$LAB_NEW\", \"8.8.8.8\" = \"$LAB_NEW\" }",
    );
    lab.ok("nsnat -q up");
    healthy(&lab, "nothing was done");
    let shown = |asked: &str| format!("{asked} (udp), went to 198.51.100.54: answered");
    let plant = |asked: &str| {
        format!(
            "ip netns exec slow nft \"table ip inside {{ chain out {{ type nat hook output priority -100; ip daddr {asked} udp dport 53 dnat to $LAB_SECOND; }}; }}\""
        )
    };
    let [stub, public] = ["127.0.0.53", "8.8.8.8"];
    let gone = "ip netns exec slow nft delete table ip inside";
    each(
        &lab,
        BY_SLOW,
        &[
            by(gone, "dns-leaks", &plant(stub)).shown(&shown(stub)),
            by(gone, "dns-leaks", &plant(public)).shown(&shown(public)),
        ],
    );
}

/// `exec` hides sockets of resolvers. What somebody put in /etc/netns may bring one back.
#[test]
fn a_resolver_whose_socket_is_seen_inside() {
    let lab = Lab::new();
    lab.declare("[namespace.slow]\ngateway = \"$LAB_SLOW\"\ndns = \"$LAB_NEW\"");
    lab.ok("nsnat -q up; mkdir -p /run/nscd; socat UNIX-LISTEN:/run/nscd/socket,fork PIPE </dev/null >/dev/null 2>&1 & await 'test -S /run/nscd/socket'");
    healthy(&lab, "it is hidden");
    let plant = "mkdir -p /etc/netns/slow/nscd; ln -s /run/nscd /etc/nscd
        socat UNIX-LISTEN:/etc/netns/slow/nscd/socket,fork PIPE </dev/null >/dev/null 2>&1 & await 'test -S /etc/netns/slow/nscd/socket'";
    let heal = "rm -r /etc/netns/slow/nscd /etc/nscd";
    each(&lab, BY_SLOW4, &[by(heal, "socket-visible", plant).shown("/run/nscd/socket")]);
}

/// The host's resolv.conf names a resolver of its own, which a namespace without servers cannot ask.
#[test]
fn servers_that_cannot_be_asked() {
    let lab = Lab::new();
    lab.declare("[namespace.slow]\ngateway = \"$LAB_SLOW\"\ndns = \"$LAB_NEW\"");
    lab.ok("nsnat -q up");
    healthy(&lab, "nothing was done");
    let heal = "echo \"dns = '$LAB_NEW'\" >>/etc/nsnat/nsnat.toml; nsnat -q up";
    let plant = "sed -i /^dns/d /etc/nsnat/nsnat.toml; nsnat -q up 2>/dev/null";
    let fault = by(heal, "dns-unresolvable", plant).shown("resolv.conf: nameserver 127.0.0.53");
    each(&lab, BY_SLOW4, &[fault]);
}
