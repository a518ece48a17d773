//! Several servers: the first one that lives is asked, in the order in which they were written.

use crate::programs::{ASKS, MUSL};
use crate::watched::Watched;

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
