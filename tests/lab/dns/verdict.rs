//! `nsnat dns NAME test` says over which path who answers, and finds a leak.

use super::watched::Watched;

/// The rows of one kind of path, without the time.
fn rows(lab: &Watched, status: i32) -> String {
    let output = lab.sh("nsnat dns slow test to-new.test.example.test");
    assert_eq!(output.status, status, "{output}");
    output.stdout
}

fn count(text: &str, what: &str) -> usize {
    text.lines().filter(|line| line.contains(what)).count()
}

#[test]
fn every_path_as_configured() {
    let lab = Watched::new();
    lab.resolv_conf(&["127.0.0.53", "8.8.8.8"]);
    lab.slow("dns = { servers = [\"$LAB_NEW\", \"$LAB_NEW6\"], block = [\"dot\", \"doq\"] }");
    let text = rows(&lab, 0);
    // Two of resolv.conf, three stubs, a hard-coded server of each family: each by udp and tcp.
    assert_eq!(count(&text, "as configured"), 14, "{text}");
    // ::1, and four ways of private DNS.
    assert_eq!(count(&text, "refused"), 6, "{text}");
    assert_eq!(count(&text, "LEAKS") + count(&text, "no answer") + count(&text, "reachable"), 0, "{text}");
    assert_eq!(lab.queries("new", "to-new.test.example.test"), 14);
    lab.finish();
}

#[test]
fn a_rewrite_that_somebody_took_away_is_a_leak() {
    let lab = Watched::new();
    lab.slow("dns = \"$LAB_NEW\"");
    lab.ok("for set in dns_first4 dns_only; do nft delete element inet nsnat $set '{ nsn-slow }'; done");
    let output = lab.sh("nsnat dns slow test leak.example.test");
    assert_eq!(output.status, 1, "{output}");
    let said = "! a query to 8.8.8.8 (udp) went to 8.8.8.8, which is not configured; nsnat up slow";
    assert!(output.stdout.contains(said), "{output}");
    assert_ne!(lab.queries("old", "leak.example.test from 203.0.113.254"), 0);
    lab.ok("nsnat up");
    assert_eq!(count(&rows(&lab, 0), "LEAKS"), 0);
    lab.finish();
}

/// A connection that nobody accepts went somewhere, too.
#[test]
fn a_silent_connection_to_the_wrong_server_is_a_leak() {
    let lab = Watched::new();
    lab.slow("dns = \"$LAB_NEW\"");
    lab.ok("at inet nft \"add table inet dead; add chain inet dead c { type filter hook prerouting priority -300; }
        add rule inet dead c tcp dport 53 drop\"
        for set in dns_first4 dns_only; do nft delete element inet nsnat $set '{ nsn-slow }'; done");
    let output = lab.sh("nsnat dns slow test leak.example.test");
    assert_eq!(output.status, 1, "{output}");
    assert!(output.stdout.contains("! a query to 8.8.8.8 (tcp) went to 8.8.8.8"), "{output}");
}

/// Somebody's firewall drops it before it is known where it goes.
#[test]
fn what_cannot_be_seen_is_no_success() {
    let lab = Watched::new();
    lab.slow("dns = \"$LAB_NEW\"");
    lab.ok(
        "nft \"add table inet theirs; add chain inet theirs c { type filter hook prerouting priority -150; }
        add rule inet theirs c iifname nsn-slow ip daddr 8.8.8.8 drop\"",
    );
    let output = lab.sh("nsnat dns slow test to-new.a.example.test");
    assert_eq!(output.status, 1, "{output}");
    for how in ["udp", "tcp"] {
        assert!(
            output.stdout.contains(&format!("! where a query to 8.8.8.8 ({how}) went cannot be seen")),
            "{output}"
        );
    }
    lab.finish();
}

#[test]
fn no_answer_at_all_is_a_failure() {
    let lab = Watched::new();
    lab.slow("dns = \"$LAB_NEW\"");
    lab.ok("at inet nft \"add table inet dead; add chain inet dead c { type filter hook prerouting priority -300; }
        add rule inet dead c ip daddr $LAB_NEW drop\"");
    let text = rows(&lab, 1);
    assert!(text.contains("! no server answers at all"), "{text}");
    assert_eq!(count(&text, "LEAKS"), 0, "{text}");
    lab.finish();
}

#[test]
fn sockets_of_resolvers() {
    for (dns, word) in [("\"$LAB_NEW\"", "hidden from exec"), ("\"host\"", "visible to exec")] {
        let lab = Watched::new();
        lab.slow(&format!("dns = {dns}"));
        lab.ok("mkdir -p /run/nscd; socat UNIX-LISTEN:/run/nscd/socket,fork /dev/null </dev/null >/dev/null 2>&1 & echo $! >/run/lab/nscd
            await '[ -S /run/nscd/socket ]'");
        let text = lab.ok("nsnat dns slow test by-host.example.test");
        assert!(text.contains(&format!("socket /run/nscd/socket: {word}")), "{text}");
        lab.ok("kill $(cat /run/lab/nscd)");
    }
}

#[test]
fn for_programs() {
    let lab = Watched::new();
    lab.slow("dns = \"$LAB_NEW\"");
    let query = ".version, .namespace, .host, (.problems | length), (.paths[] | select(.server == \"8.8.8.8\" and .transport == \"tcp\")
        | .path, .answered_by, .verdict, .error)";
    lab.says(
        &format!("nsnat -o json dns slow test to-new.a.example.test | jq -c '[{query}]'"),
        "[1,\"slow\",\"to-new.a.example.test\",0,\"hard-coded\",\"198.51.100.53\",\"configured\",null]",
    );
    lab.finish();
}
