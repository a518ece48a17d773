//! Several servers: the first one that lives is asked, in the order in which they were written.

use super::programs::{ASKS, MUSL};
use super::watched::{OneSocket, Watched};

const NEW_THEN_SECOND: &str = "dns = [\"$LAB_NEW\", \"$LAB_SECOND\"]";

/// A server that is silent, as one whose machine is off.
fn silence(lab: &Watched, server: &str) {
    lab.ok(&format!(
        "at inet nft \"add table inet dead; add chain inet dead c {{ type filter hook prerouting priority -300; }}
            add rule inet dead c ip daddr {server} drop\""
    ));
}

fn revive(lab: &Watched) {
    lab.ok("at inet nft delete table inet dead");
    // As after the minute in which they are not asked.
    lab.ok("for set in asked recent down1 down2; do nft flush set inet nsnat dns_$set; done");
}

fn getent(name: &str) -> String {
    format!("bash -c \"getent ahostsv4 {name} | sed 's/ .*//;q'\"")
}

#[test]
fn the_order_is_kept_while_the_first_one_answers() {
    let lab = Watched::new();
    lab.slow(NEW_THEN_SECOND);
    for n in 0..5 {
        lab.inside(&format!("ask 8.8.8.8 to-new.{n}.example.test"), "192.0.2.53");
        lab.inside(&format!("ask 127.0.0.53 to-new.tcp{n}.example.test +tcp"), "192.0.2.53");
    }
    lab.says("nft list set inet nsnat dns_down1 | grep -c elements || true", "0");
    lab.finish();
}

/// The very first resolution works: asking again, by the same socket as glibc and musl do, asks the next one.
#[test]
fn a_silent_first_server_does_not_stop_resolution() {
    for (who, program) in [
        ("glibc", getent("to-second.a.example.test")),
        ("musl", format!("{} to-second.a.example.test", *MUSL)),
    ] {
        let lab = Watched::new();
        lab.slow(NEW_THEN_SECOND);
        silence(&lab, "$LAB_NEW");
        lab.inside(&program, "192.0.2.54");
        // From then on without waiting, whoever asks.
        lab.inside("ask 8.8.8.8 to-second.b.example.test", "192.0.2.54");
        lab.inside("ask 8.8.8.8 to-second.c.example.test +tcp", "192.0.2.54");
        revive(&lab);
        lab.inside(&getent(&format!("to-new.{who}.example.test")), "192.0.2.53");
        lab.finish();
    }
}

#[test]
fn one_socket_gets_its_answer_from_the_next_server() {
    let lab = Watched::new();
    lab.slow(NEW_THEN_SECOND);
    silence(&lab, "$LAB_NEW");
    let script = format!(
        "printf '%s\\n' to-second.a.example.test to-second.b.example.test | nsnat exec slow {} 8.8.8.8",
        *ASKS
    );
    let answers = lab.ok(&script);
    assert!(answers.starts_with("error") && answers.ends_with("answer 54"), "{answers}");
    lab.finish();
}

/// Its machine says that nobody listens: there is nothing to wait for.
#[test]
fn a_first_server_that_is_not_running_does_not_stop_resolution() {
    let lab = Watched::new();
    lab.slow(NEW_THEN_SECOND);
    lab.ok("at inet nft \"add table inet dead; add chain inet dead c { type filter hook prerouting priority -300; }
        add rule inet dead c ip daddr $LAB_NEW udp dport 53 reject\"");
    lab.inside(&getent("to-second.a.example.test"), "192.0.2.54");
    revive(&lab);
    lab.inside(&getent("to-new.a.example.test"), "192.0.2.53");
    lab.finish();
}

#[test]
fn the_third_server() {
    let lab = Watched::new();
    lab.slow("dns = [\"$LAB_NEW\", \"$LAB_SECOND\", \"$LAB_OLD\"]");
    silence(&lab, "{ $LAB_NEW, $LAB_SECOND }");
    // A resolver asks two or three times: two dead servers may take it a second run.
    lab.ok("nsnat exec slow getent ahostsv4 to-old.a.example.test || true");
    lab.inside(&getent("to-old.b.example.test"), "192.0.2.1");
    lab.finish();
}

#[test]
fn all_servers_dead_is_a_failure_and_goes_nowhere_else() {
    let lab = Watched::new();
    lab.slow(NEW_THEN_SECOND);
    silence(&lab, "{ $LAB_NEW, $LAB_SECOND }");
    lab.fails(2, "nsnat exec slow getent ahostsv4 to-nobody.example.test");
    lab.fails(2, "nsnat exec slow getent ahostsv4 to-nobody.example.test");
    revive(&lab);
    lab.inside(&getent("to-new.a.example.test"), "192.0.2.53");
    lab.finish();
}

#[test]
fn both_families_fail_over() {
    let lab = Watched::new();
    lab.slow("dns = [\"$LAB_NEW6\", \"$LAB_SECOND6\"]");
    lab.ok("at inet nft \"add table inet dead; add chain inet dead c { type filter hook prerouting priority -300; }
        add rule inet dead c ip6 daddr $LAB_NEW6 drop\"");
    lab.resolv_conf(&["2001:4860:4860::8888"]);
    lab.inside(&getent("to-second.a.example.test"), "192.0.2.54");
    lab.finish();
}

/// A resolver that gives up before the server is known to be down: its next run, whenever that is, is answered.
#[test]
fn a_resolver_that_gives_up_early_fails_once() {
    let lab = Watched::new();
    lab.slow(NEW_THEN_SECOND);
    silence(&lab, "$LAB_NEW");
    lab.ok("printf 'nameserver 127.0.0.53\\noptions timeout:1 attempts:2\\n' >/etc/resolv.conf");
    lab.fails(2, "nsnat exec slow getent ahostsv4 to-nobody.example.test");
    lab.ok("sleep 11");
    lab.inside(&getent("to-second.a.example.test"), "192.0.2.54");
    lab.finish();
}

/// Its flow was answered for longer than a new one is given, and lives on by every question.
#[test]
fn a_kept_socket_follows_when_its_server_dies() {
    let lab = Watched::new();
    lab.slow(NEW_THEN_SECOND);
    let socket = OneSocket::new(&lab);
    socket.asks("to-new.a.example.test", "answer 53");
    lab.ok("sleep 2.5");
    socket.asks("to-new.b.example.test", "answer 53");
    silence(&lab, "$LAB_NEW");
    socket.asks("to-nobody.example.test", "error");
    socket.asks("to-second.c.example.test", "answer 54");
    lab.finish();
}

/// Not a hop limit, not a server that has nothing to do with these, not the other family.
#[test]
fn only_what_becomes_of_its_own_questions_tells_about_a_server() {
    let lab = Watched::new();
    lab.slow(
        "dns = { servers = [\"$LAB_NEW\", \"$LAB_SECOND\", \"$LAB_NEW6\"], rewrite = { \"9.9.9.9\" = \"198.51.100.99\" } }",
    );
    silence(&lab, "198.51.100.99");
    lab.ok("at slow ip -6 route del default");
    for (n, other) in [
        "echo traceroute | nsnat exec slow -- socat -t 0.5 - UDP4:9.9.9.8:53,ttl=2",
        "nsnat exec slow -- dig @9.9.9.9 to-nobody.example.test +tries=2 +time=2",
        "nsnat exec slow -- dig @9.9.9.9 to-nobody.example.test +tries=2 +time=2 +tcp",
        "nsnat exec slow -- dig @2001:4860:4860::8888 to-nobody.example.test +tries=2 +time=2",
        "nsnat dns slow test to-new.test.example.test",
    ]
    .iter()
    .enumerate()
    {
        lab.ok(&format!("{other} || true"));
        lab.inside(&format!("ask 8.8.8.8 to-new.{n}.example.test"), "192.0.2.53");
        lab.inside(&format!("ask 8.8.8.8 to-new.again{n}.example.test"), "192.0.2.53");
    }
    lab.finish();
}

/// Answers of a server that is rewritten by itself do not hide that the first one is silent.
#[test]
fn answers_of_another_server_hide_nothing() {
    let lab = Watched::new();
    lab.slow(
        "dns = { servers = [\"$LAB_NEW\", \"$LAB_SECOND\"], rewrite = { \"9.9.9.9\" = \"$LAB_NEW:5353\" } }",
    );
    silence(&lab, "$LAB_NEW udp dport 53");
    lab.ok("while [ ! -e /run/lab/enough ]; do
            for tcp in +notcp +tcp; do nsnat exec slow ask 9.9.9.9 to-new-5353.other.example.test $tcp; done; sleep 0.3
        done >/dev/null 2>&1 & echo $! >/run/lab/other");
    lab.inside(&getent("to-second.a.example.test"), "192.0.2.54");
    lab.ok("touch /run/lab/enough; while kill -0 $(cat /run/lab/other) 2>/dev/null; do sleep 0.02; done");
    lab.finish();
}

/// A name that takes long is answered as with one server, and its server goes on being the first.
#[test]
fn a_late_answer_is_an_answer() {
    let lab = Watched::new();
    lab.ok("at inet ip addr add 198.51.100.55/32 dev lo
        echo \"sleep 2.5; while [ -e /run/lab/hold ]; do sleep 0.02; done; exec socat -t 9 - UDP4:$LAB_NEW:53\" >/run/lab/late
        at inet socat -t 200 UDP4-RECVFROM:53,bind=198.51.100.55,fork EXEC:'sh /run/lab/late' </dev/null >/dev/null 2>&1 & echo $! >/run/lab/server
        await 'at inet ss -Hlun src 198.51.100.55 | grep -q .'");
    lab.slow("dns = [\"198.51.100.55\", \"$LAB_SECOND\"]");
    for name in ["late.a", "late.b"] {
        lab.inside(&format!("dig @8.8.8.8 {name}.example.test +short +tries=1 +time=60"), "192.0.2.53");
    }
    // Somebody who does not wait for it is answered by the next; the late answer brings the first one back.
    lab.ok("touch /run/lab/hold; nsnat exec slow ask 8.8.8.8 late.c.example.test +time=150 >/run/lab/answer & late=$!
        await 'grep late.c /proc/*/cmdline'; sleep 3; nsnat exec slow ask 8.8.8.8 to-second.example.test | grep -x 192.0.2.54
        rm /run/lab/hold; wait $late; grep -x 192.0.2.53 /run/lab/answer");
    lab.says("nft list set inet nsnat dns_down1 | grep -c elements || true", "0");
    lab.ok("kill $(cat /run/lab/server)");
    lab.finish();
}

/// What was learned of others in their places does not count for new servers.
#[test]
fn new_servers_start_anew() {
    let lab = Watched::new();
    lab.slow("dns = [\"198.51.100.99\", \"$LAB_SECOND\"]");
    silence(&lab, "198.51.100.99");
    lab.inside(&getent("to-second.a.example.test"), "192.0.2.54");
    lab.ok("nsnat dns slow set $LAB_NEW $LAB_SECOND");
    lab.inside("ask 8.8.8.8 to-new.a.example.test", "192.0.2.53");
    lab.finish();
}

/// They were asked in vain because no answer came back, which is not their fault.
#[test]
fn a_repair_forgets_who_was_asked_in_vain() {
    let lab = Watched::new();
    lab.slow(NEW_THEN_SECOND);
    // The next hop is known from then on.
    lab.inside("ask 8.8.8.8 to-new.a.example.test", "192.0.2.53");
    lab.ok("ip -4 rule del to $(ip -4 rule | sed -n 's/.* to \\([0-9./]*\\) lookup main.*/\\1/p;T;q') lookup main");
    let in_vain = "nsnat exec slow ask 8.8.8.8 to-nobody.example.test +tries=1 +time=2";
    lab.ok(&format!("! {in_vain}; ! {in_vain}"));
    lab.says("nft list set inet nsnat dns_down1 | grep -c elements", "1");
    lab.ok("nsnat up");
    lab.says("nft list set inet nsnat dns_down1 | grep -c elements || true", "0");
    lab.inside("ask 8.8.8.8 to-new.b.example.test", "192.0.2.53");
    lab.finish();
}

/// The same where the answers of IPv6 alone found no way back.
#[test]
fn a_rule_of_ipv6_that_comes_back_is_a_repair_too() {
    let lab = Watched::new();
    lab.slow(NEW_THEN_SECOND);
    lab.ok("nft add element inet nsnat dns_down1 '{ \"nsn-slow\" . ipv6 }'");
    lab.ok("ip -6 rule del to $(ip -6 rule | sed -n 's/.* to \\([0-9a-f:/]*\\) lookup main.*/\\1/p;T;q') lookup main");
    lab.says("nft list set inet nsnat dns_down1 | grep -c elements", "1");
    lab.ok("nsnat up");
    lab.says("nft list set inet nsnat dns_down1 | grep -c elements || true", "0");
    lab.finish();
}

#[test]
fn after_the_last_one_the_first_is_asked_again() {
    let lab = Watched::new();
    lab.slow(NEW_THEN_SECOND);
    silence(&lab, "{ $LAB_NEW, $LAB_SECOND }");
    lab.fails(2, "nsnat exec slow getent ahostsv4 to-nobody.example.test");
    lab.ok("at inet nft delete table inet dead");
    silence(&lab, "$LAB_SECOND");
    lab.inside(&getent("to-new.a.example.test"), "192.0.2.53");
    lab.finish();
}

/// A question that does not get out says nothing about the server.
#[test]
fn while_the_uplink_is_down_nothing_is_learned() {
    let lab = Watched::new();
    lab.slow(NEW_THEN_SECOND);
    lab.ok("ip link set eth0 down
        nsnat exec slow dig @8.8.8.8 to-nobody.example.test +tries=1 +time=1 || true; sleep 2
        ip link set eth0 up; ip addr add $LAB_HOST6/64 dev eth0 nodad 2>/dev/null || true; nsnat up");
    lab.inside("ask 8.8.8.8 to-new.a.example.test", "192.0.2.53");
    lab.ok("ip route replace default via $LAB_FAST; ip -6 route replace default via $LAB_FAST6 dev eth0");
    lab.finish();
}
