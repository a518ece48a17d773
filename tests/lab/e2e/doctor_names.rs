//! `nsnat doctor`, and names: what goes to other servers than it should, and what cannot be asked.

use super::doctor::{By, each, healthy};
use crate::lab::Lab;

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
    let shown = |asked: &str| {
        let line = format!("\\\"{asked} (udp), went to 198.51.100.54: answered\\\"").replace('\\', "");
        format!(
            "jq -e '.findings[0].evidence == [{line}]' /tmp/told; ip netns exec slow nft delete table ip inside"
        )
    };
    let plant = |asked: &str| {
        format!(
            "ip netns exec slow nft \"table ip inside {{ chain out {{ type nat hook output priority -100; ip daddr {asked} udp dport 53 dnat to $LAB_SECOND; }}; }}\""
        )
    };
    let [stub, public] = ["127.0.0.53", "8.8.8.8"];
    each(
        &lab,
        &[("dns-leaks", &plant(stub), By(&shown(stub))), ("dns-leaks", &plant(public), By(&shown(public)))],
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
    let heal = "jq -e '.findings[0].evidence == [\"/run/nscd/socket\"]' /tmp/told; rm -r /etc/netns/slow/nscd /etc/nscd";
    each(&lab, &[("socket-visible", plant, By(heal))]);
}

/// The host's resolv.conf names a resolver of its own, which a namespace without servers cannot ask.
#[test]
fn servers_that_cannot_be_asked() {
    let lab = Lab::new();
    lab.declare("[namespace.slow]\ngateway = \"$LAB_SLOW\"\ndns = \"$LAB_NEW\"");
    lab.ok("nsnat -q up");
    healthy(&lab, "nothing was done");
    let heal = "jq -e '.findings[0].evidence == [\"resolv.conf: nameserver 127.0.0.53\"]' /tmp/told; echo \"dns = '$LAB_NEW'\" >>/etc/nsnat/nsnat.toml; nsnat -q up";
    each(
        &lab,
        &[("dns-unresolvable", "sed -i /^dns/d /etc/nsnat/nsnat.toml; nsnat -q up 2>/dev/null", By(heal))],
    );
}
