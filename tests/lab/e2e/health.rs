//! Uplinks that stop to answer while their links are up: `nsnat watch` asks them, and namespaces move.

use crate::lab::{Job, Lab};

/// Two uplinks for one namespace, and one of them for another, which has no choice.
pub(super) const DECLARED: &str = "[uplink.a]
    dev = \"eth1\"
    gateway = [\"$LAB_THIRD\", \"$LAB_THIRD6\"]
    check = { interval = \"1s\", timeout = \"1s\", fail = 2, recover = 2 }
    [uplink.b]
    dev = \"eth0\"
    gateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]
    check = { interval = \"1s\", timeout = \"1s\", fail = 2, recover = 2 }
    [namespace.job]
    uplink = [\"a\", \"b\"]
    [namespace.only]
    uplink = \"a\"";

pub(super) const START: &str = "rm -f /run/lab/watch.log; nsnat watch >/run/lab/watch.log 2>&1 & echo $! >/run/lab/watch; await 'grep -q ready /run/lab/watch.log'";

/// The ways of the namespace by each of them, in both families.
pub(super) const BY_A: &str = "[[ $(timeout 1 nsnat exec job whoami4) = 203.0.113.3 && $(timeout 1 nsnat exec job whoami6) = 2001:db8:f::3 ]]";
pub(super) const BY_B: &str = "[[ $(timeout 1 nsnat exec job whoami4) = 203.0.113.254 && $(timeout 1 nsnat exec job whoami6) = 2001:db8:f::fe ]]";

impl Lab {
    /// A router hears nothing any more from its LAN, with its link up.
    #[track_caller]
    pub(super) fn mute(&self, router: &str) {
        self.ok(&format!(
            "at {router} nft 'add table netdev mute; add chain netdev mute inwards {{ type filter hook ingress device lan0 priority 0; policy drop; }}'"
        ));
    }

    /// Files that a web server sends, each by a connection of its own, all under way.
    fn downloads(&self) -> [Job<'_>; 3] {
        self.ok("mkdir /run/lab/www; truncate -s 24M /run/lab/www/file
            at inet python3 -m http.server --bind :: --directory /run/lab/www 8000 </dev/null >/dev/null 2>&1 &
            await \"at inet ss -Hlnt 'sport = :8000' | grep -q .\"");
        let get = |(number, to)| {
            let how = "--limit-rate 6M --retry 9 --retry-all-errors --retry-delay 1";
            self.job(
                "job",
                &format!(
                    "curl -sS {how} -w 'got %{{http_code}}' -o /run/lab/got.{number} http://{to}:8000/file"
                ),
            )
        };
        let jobs = [(1, "$LAB_SERVICE"), (2, "$LAB_SERVICE"), (3, "[$LAB_SERVICE6]")].map(get);
        self.until("(($(nsnat exec job ss -Hnt state established 'dport = :8000' | wc -l) == 3))");
        jobs
    }

    #[track_caller]
    pub(super) fn unmute(&self, router: &str) {
        self.ok(&format!("at {router} nft delete table netdev mute"));
    }
}

#[test]
fn a_gateway_that_dies_silently_is_left_and_taken_again() {
    let lab = Lab::new();
    lab.declare(DECLARED);
    lab.ok(START);
    lab.until(BY_A);
    let fast = lab.capture("fast", "host $LAB_SERVICE or host $LAB_SERVICE6");
    lab.mute("third");
    lab.until(BY_B);
    lab.ok("grep -q 'uplink a is dead: no answer from 10.20.0.1 on eth1 and 2001:db8:2::1 on eth1' /run/lab/watch.log");
    // Everybody knows: status says it, and no command moves it back.
    lab.ok("nsnat status job | grep -q 'uplink a does not answer for .*; b is used'");
    lab.says(
        "nsnat status job -o json | jq -c '.namespaces[0] | .state, .uplink, (.uplinks[] | .condition, (.since | type))'",
        "\"up\"\n\"b\"\n\"dead\"\n\"number\"\n\"well\"\n\"null\"",
    );
    lab.says("nsnat up", "nothing to do");
    // The namespace that has no other uplink stays with it.
    lab.says("ip route show table all dev eth1 via $LAB_THIRD | grep -c default", "1");
    lab.unmute("third");
    lab.until(BY_A);
    lab.until("grep -q 'uplink a is well again' /run/lab/watch.log");
    lab.ok("! nsnat status job | grep -q 'uplink a'; ! test -e /run/nsnat/health.json");
    assert_eq!(fast.seen(), "");
    let fast = lab.capture("fast", "host $LAB_SERVICE or host $LAB_SERVICE6");
    lab.ok("whoami4");
    assert_ne!(fast.seen(), "", "the capture sees what does leave by the third router");
}

#[test]
fn none_that_answers_is_nothing_that_gets_out() {
    let lab = Lab::new();
    lab.declare(DECLARED);
    lab.ok(START);
    lab.until(BY_A);
    lab.mute("third");
    lab.mute("slow");
    lab.until("nsnat status job | grep -q 'none of its uplinks answers'");
    // Refused at once, not waited for.
    lab.says("timeout 20 nsnat exec job whoami4 >/dev/null 2>&1 || echo $?", "1");
    lab.ok("nsnat exec job true 2>&1 | grep -q '^nsnat: job: none of its uplinks answers'");
    lab.says("nsnat up", "nothing to do");
    // One that answers again is taken at once, where there is nothing better.
    lab.unmute("slow");
    lab.until(BY_B);
}

#[test]
fn the_main_table_is_the_last_resort_where_that_is_declared() {
    const BY_MAIN: &str = "[[ $(timeout 1 nsnat exec job whoami4) = 203.0.113.1 && $(timeout 1 nsnat exec job whoami6) = 2001:db8:f::1 ]]";
    let lab = Lab::new();
    let choice = "uplink = [\"a\", \"b\"]";
    let declared = DECLARED.replace(choice, &format!("{choice}\nlast-resort = \"main\""));
    lab.declare(&format!("{declared}\n[namespace.closed]\n{choice}"));
    lab.ok(START);
    lab.until(BY_A);
    let main = lab.capture("fast", "host $LAB_SERVICE or host $LAB_SERVICE6");
    lab.mute("third");
    lab.until(BY_B);
    assert_eq!(main.seen(), "", "an uplink lives");
    lab.mute("slow");
    lab.until(BY_MAIN);
    lab.ok("nsnat status job | grep -q 'it leaves by the host.s main table'");
    lab.until("nsnat events job | grep -q \"moved from b, by the host's main table (eth0) via $LAB_FAST\"");
    lab.says("nsnat up", "nothing to do");
    // Nobody said so of the other one.
    let main = lab.capture("fast", "udp dst port 7788");
    let send = |name| lab.sh(&format!("nsnat exec {name} -- bash -c 'echo >/dev/udp/$LAB_SERVICE/7788'"));
    send("closed");
    assert_eq!(main.seen(), "");
    let main = lab.capture("fast", "udp dst port 7788");
    send("job");
    assert_ne!(main.seen(), "", "the capture sees what does leave by the main table");
    // It is left as soon as an uplink answers, and what cannot go on ends.
    let download = lab
        .job("job", "bash -c 'while :; do socat -u TCP4:$LAB_SERVICE:9997 - 2>/dev/null; echo again; done'");
    download.goes_on();
    lab.unmute("third");
    lab.until(BY_A);
    download.says("again");
    download.goes_on();
    let main = lab.capture("fast", "dst host $LAB_SERVICE or dst host $LAB_SERVICE6");
    lab.ok(BY_A);
    assert_eq!(main.seen(), "");
}

#[test]
fn what_is_known_is_known_while_somebody_asks() {
    let lab = Lab::new();
    let before = lab.snapshot();
    lab.declare(DECLARED);
    lab.ok(START);
    lab.until(BY_A);
    lab.mute("third");
    lab.until(BY_B);
    lab.ok("kill -KILL $(cat /run/lab/watch); await '! kill -0 $(cat /run/lab/watch)'");
    // Without the daemon the first one that is up counts, as ever.
    lab.ok("nsnat up; nsnat status job -o json | jq -e '.namespaces[0].uplink == \"a\"'");
    // The next one knows what the last one knew.
    lab.ok(START);
    lab.ok("nsnat status job -o json | jq -e '.namespaces[0].uplink == \"b\"'");
    // What it leaves goes with the last namespace.
    lab.ok(
        "kill $(cat /run/lab/watch); await '! kill -0 $(cat /run/lab/watch)'; test -e /run/nsnat/health.json",
    );
    lab.ok("nsnat down; rm -r /etc/nsnat");
    lab.same(&before, "after down");
}

#[test]
fn without_a_choice_nobody_is_asked() {
    let lab = Lab::new();
    lab.declare("[uplink.a]\ngateway = \"$LAB_SLOW\"\n[namespace.job]\nuplink = \"a\"");
    lab.ok(START);
    let threads = "ls /proc/$(cat /run/lab/watch)/task | wc -l";
    lab.until(&format!("[[ $({threads}) = 1 ]]"));
    // The control: each uplink has a thread that asks it.
    lab.declare(DECLARED);
    lab.until(&format!("[[ $({threads}) = 3 ]]"));
    lab.declare(
        &DECLARED.replace("{ interval = \"1s\", timeout = \"1s\", fail = 2, recover = 2 }", "\"none\""),
    );
    lab.until(&format!("[[ $({threads}) = 1 ]]"));
    // Then the link alone counts.
    lab.until(BY_A);
    lab.ok("ip link set eth1 down");
    lab.until(BY_B);
}

#[test]
fn connections_that_cannot_go_on_end_at_once() {
    let lab = Lab::new();
    lab.declare(DECLARED);
    lab.ok(START);
    lab.until(BY_A);
    // The host's own service is no further away than before.
    lab.serve("host", "TCP4-LISTEN:7777,fork,reuseaddr", "EXEC:'/run/lab/serve 9997'");
    let beside = lab.job("job", "socat -u TCP4:$LAB_HOST:7777 -");
    // Downloads over several connections, which begin anew with what is left.
    let download = |to: &str| {
        lab.job("job", &format!("bash -c 'while :; do socat -u {to}:9997 - 2>/dev/null; echo again; done'"))
    };
    let downloads = ["TCP4:$LAB_SERVICE", "TCP4:$LAB_SERVICE", "TCP6:[$LAB_SERVICE6]"].map(download);
    beside.goes_on();
    downloads.iter().for_each(Job::goes_on);
    let files = lab.downloads();
    // Nothing more comes in, so there is nothing that would have to be acknowledged.
    lab.ok("at third ip link set lan0 down");
    for download in &downloads {
        download.says("again");
        download.goes_on();
    }
    // Whoever asks again gets the whole file.
    for file in &files {
        let said = file.ends();
        assert!(said.contains("curl: (56)") && said.contains("got 200"), "{said}");
    }
    lab.ok("for file in /run/lab/got.*; do cmp $file /run/lab/www/file; done");
    lab.ok(BY_B);
    beside.goes_on();
    lab.says("nsnat up", "nothing to do");
}
