//! A namespace whose queries all go to NEW, asked by every kind of resolver, at every kind of address.

use super::programs::{CARES, MUSL};
use super::watched::Watched;

/// What a host's resolv.conf may name: the stubs of systemd-resolved, a local daemon, servers anywhere.
const NAMESERVERS: [&str; 6] =
    ["127.0.0.53", "127.0.0.54", "127.0.0.1", "8.8.8.8", "2001:4860:4860::8888", "192.168.1.1"];

const TO_NEW: &str = "dns = [\"$LAB_NEW\", \"$LAB_NEW6\"]";

/// A program that reads resolv.conf, whatever that names.
fn reads_resolv_conf(who: &str, command: impl Fn(&str) -> String) {
    let lab = Watched::new();
    lab.slow(TO_NEW);
    for (n, server) in NAMESERVERS.iter().enumerate() {
        lab.resolv_conf(&[server]);
        lab.inside(&command(&format!("to-new.{who}{n}.example.test")), "192.0.2.53");
    }
    // With the host's own, so that it is known what would be without nsnat.
    lab.resolv_conf(&["127.0.0.53"]);
    lab.says(&command("host.example.test"), "192.0.2.1");
    lab.finish();
}

#[test]
fn glibc_by_files_and_dns() {
    reads_resolv_conf("glibc", |name| format!("bash -c \"getent ahostsv4 {name} | sed 's/ .*//;q'\""));
}

#[test]
fn musl() {
    reads_resolv_conf("musl", |name| format!("{} {name}", *MUSL));
}

#[test]
fn c_ares() {
    reads_resolv_conf("cares", |name| format!("{} {name}", *CARES));
}

#[test]
fn ldns() {
    reads_resolv_conf("ldns", |name| format!("bash -c \"drill {name} | sed -n 's/^{name}.*\\tA\\t//p'\""));
}

#[test]
fn ipv6_addresses_of_a_name() {
    let lab = Watched::new();
    lab.slow(TO_NEW);
    lab.inside("bash -c \"getent ahostsv6 to-new.six.example.test | sed 's/ .*//;q'\"", "2001:db8:c::53");
    lab.finish();
}

#[test]
fn hard_coded_servers_over_udp_and_tcp_in_both_families() {
    let lab = Watched::new();
    lab.slow(TO_NEW);
    // The last two are the very servers that queries are rewritten to.
    for (n, server) in [
        "8.8.8.8",
        "198.51.100.54",
        "2001:4860:4860::8888",
        "2001:db8:53::54",
        "198.51.100.53",
        "2001:db8:53::53",
    ]
    .iter()
    .enumerate()
    {
        for tcp in ["", "+tcp"] {
            lab.inside(&format!("ask {server} to-new.hard{n}{}.example.test {tcp}", tcp.len()), "192.0.2.53");
        }
    }
    // By its own way and over its own family: what came over IPv6 went on over IPv6.
    assert_eq!(lab.queries("new", "to-new.*from 2001:db8:f::fe"), 6);
    assert_eq!(lab.queries("new", "to-new.*from 203.0.113.254"), 6);
    lab.finish();
}

#[test]
fn loopback_stubs_over_udp_and_tcp() {
    let lab = Watched::new();
    lab.slow(TO_NEW);
    for stub in ["127.0.0.53", "127.0.0.54", "127.0.0.1", "127.1.2.3"] {
        for tcp in ["", "+tcp"] {
            lab.inside(&format!("ask {stub} to-new.{stub}.{}.example.test {tcp}", tcp.len()), "192.0.2.53");
        }
    }
    lab.finish();
}

/// The kernel takes no packet to ::1 from any device but lo: it stays inside, where nobody listens.
#[test]
fn a_query_to_the_ipv6_loopback_is_an_error_at_once() {
    let lab = Watched::new();
    lab.slow(TO_NEW);
    for tcp in ["", "+tcp"] {
        let output = lab.sh(&format!(
            "nsnat exec slow timeout 60 dig @::1 to-nobody.example.test +time=50 +tries=1 {tcp}"
        ));
        let said = output.stdout.contains("connection refused");
        assert!(output.status != 0 && output.status != 124 && said, "{output}");
        lab.says(&format!("ask ::1 host.example.test {tcp}"), "192.0.2.1");
    }
    lab.finish();
}

/// 2000 bytes: by EDNS0 in fragments, or, after a truncated answer, over tcp.
#[test]
fn large_answers() {
    let lab = Watched::new();
    lab.slow(TO_NEW);
    for (server, fragments) in [
        ("8.8.8.8", "ip[6:2] & 0x3fff != 0"),
        ("2001:4860:4860::8888", "ip6[6] == 44"),
        ("127.0.0.53", "ip[6:2] & 0x3fff != 0"),
    ] {
        let ask = |options: &str| {
            let dig = format!("dig @{server} big.test TXT +tries=1 +time=20 {options}");
            lab.ok(&format!("nsnat exec slow -- {dig} | grep -v '^;.*bytes' >/run/lab/answer; grep -c 'TXT.*\"' /run/lab/answer; grep -o '(UDP)\\|(TCP)' /run/lab/answer"))
        };
        let capture = lab.capture("slow", fragments);
        assert_eq!(ask("+bufsize=4096 +ignore"), "8\n(UDP)", "{server}");
        let fragments = capture.seen();
        assert_ne!(fragments, "", "the large answer came in one piece");
        assert_eq!(ask("+bufsize=512"), "8\n(TCP)", "{server}");
    }
    lab.says("grep -c 'query.* big.test from 203.0.113.254\\|query.* big.test from 2001:db8:f::fe' /run/lab/dns/new.log", "9");
    lab.says("cat /run/lab/dns/{old,second,stub}.log | grep -c 'query.* big.test' || true", "0");
    lab.finish();
}
