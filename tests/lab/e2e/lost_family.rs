//! A router that loses one family only: that family leaves by another uplink, and the other family stays where it is.

use super::health::{BY_A, DECLARED, START};
use crate::lab::{Job, Lab};

/// A family, as a test needs it: its name, its frames, the own address of the service, what a job asks, and who answers by
/// the third router and by the slow one.
struct Lost {
    name: &'static str,
    field: &'static str,
    frames: &'static str,
    service: &'static str,
    socat: &'static str,
    asks: &'static str,
    by: [&'static str; 2],
}

const FOUR: Lost = Lost {
    name: "IPv4",
    field: "v4",
    frames: "{ ip, arp }",
    service: "$LAB_SERVICE",
    socat: "TCP4:$LAB_SERVICE",
    asks: "whoami4",
    by: ["203.0.113.3", "203.0.113.254"],
};
const SIX: Lost = Lost {
    name: "IPv6",
    field: "v6",
    frames: "ip6",
    service: "$LAB_SERVICE6",
    socat: "TCP6:[$LAB_SERVICE6]",
    asks: "whoami6",
    by: ["2001:db8:f::3", "2001:db8:f::fe"],
};

impl Lost {
    /// That it leaves by the third router (0), or by the slow one (1).
    fn leaves_by(&self, router: usize) -> String {
        format!("[[ $(timeout 1 nsnat exec job {}) = {} ]]", self.asks, self.by[router])
    }
}

impl Lab {
    /// A router hears nothing any more of one family.
    #[track_caller]
    fn mute_family(&self, router: &str, family: &Lost) {
        let drops = format!("meta protocol {} drop", family.frames);
        self.ok(&format!(
            "at {router} nft 'add table netdev mute; add chain netdev mute inwards {{ type filter hook ingress device lan0 priority 0; }}; add rule netdev mute inwards {drops}'"
        ));
    }

    /// A program that begins its download anew whenever its connection ends.
    fn download(&self, family: &Lost) -> Job<'_> {
        let job = self.job(
            "job",
            &format!("bash -c 'while :; do socat -u {}:9997 - 2>/dev/null; echo again; done'", family.socat),
        );
        job.goes_on();
        job
    }
}

#[track_caller]
fn the_lost_one_moves_and_the_other_stays(lost: &Lost, kept: &Lost) {
    let lab = Lab::new();
    lab.declare(DECLARED);
    lab.ok(START);
    lab.until(BY_A);
    let [of_lost, of_kept] = [lost, kept].map(|family| lab.download(family));
    let kept_by_slow = lab.capture("slow", &format!("dst host {}", kept.service));
    let any_by_fast = lab.capture("fast", "dst host $LAB_SERVICE or dst host $LAB_SERVICE6");
    lab.mute_family("third", lost);
    lab.until(&lost.leaves_by(1));
    of_lost.says("again");
    of_lost.goes_on();
    // By the third router nothing leaves any more of the family that it has lost. What it does not hear is captured before
    // it is dropped.
    let lost_by_third = lab.capture("third", &format!("dst host {}", lost.service));
    lab.ok(&lost.leaves_by(1));
    lab.ok(&kept.leaves_by(0));
    of_lost.goes_on();
    of_kept.goes_on();
    of_kept.lacks("again");
    assert_eq!(lost_by_third.seen(), "");
    told(&lab, lost);
    guarded(&lab, lost);
    lab.ok(START);
    lab.ok(&lost.leaves_by(1));
    lab.unmute("third");
    lab.until(BY_A);
    lab.until("! test -e /run/nsnat/health.json");
    of_kept.goes_on();
    of_kept.lacks("again");
    assert_eq!(kept_by_slow.seen(), "", "{} stays where it is", kept.name);
    assert_eq!(any_by_fast.seen(), "", "the host's own router is nobody's uplink");
    // The captures see what does leave there.
    let [slow, fast] = ["slow", "fast"].map(|node| lab.capture(node, &format!("dst host {}", kept.service)));
    lab.ok(&format!("nsnat exec --gateway $LAB_SLOW --gateway $LAB_SLOW6 -- {}; {}", kept.asks, kept.asks));
    assert_ne!(slow.seen(), "");
    assert_ne!(fast.seen(), "");
}

/// Everybody says which family it is.
#[track_caller]
fn told(lab: &Lab, Lost { name, field, .. }: &Lost) {
    lab.ok(&format!("nsnat status job | grep -q 'uplink a does not answer by {name} for .*; b is used'"));
    lab.ok(&format!(
        "grep 'uplink a is dead by {name}: no answer from [^ ]* on eth1' /run/lab/watch.log >/run/lab/dead; ! grep ' and ' /run/lab/dead"
    ));
    let fields = "jq -c '.namespaces[0] | [.state, ([.uplink, .apart.uplink] | sort)], (.uplinks[0] | .condition, (.families[] | .family, .condition)), .uplinks[1].families'";
    let expected = format!("[\"up\",[\"a\",\"b\"]]\n\"well\"\n\"{field}\"\n\"dead\"\n[]");
    lab.says(&format!("nsnat status job -o json | {fields}"), &expected);
    let event = "jq -c 'select(.event == \"moved\") | [.family, .previous_uplink, .uplink, .device]'";
    lab.says(&format!("nsnat events job -o json | {event}"), &format!("[\"{field}\",\"a\",\"b\",\"eth0\"]"));
    lab.ok(&format!("nsnat events job | grep -q 'job: {name} moved from a, by b (eth0) via [^ ,]*;'"));
    lab.says("nsnat up", "nothing to do");
    lab.ok("{ nsnat doctor job || :; } >/run/lab/doctor 2>&1; grep -q 'uplink a does not answer by' /run/lab/doctor");
}

/// A route that leads the family back is not enough: the guard lets it out by its own uplink alone. Without the daemon nobody
/// puts the route back meanwhile.
#[track_caller]
fn guarded(lab: &Lab, lost: &Lost) {
    let (ip, hop, set) = match lost.field {
        "v4" => ("ip", "$LAB_THIRD", "ways4"),
        _ => ("ip -6", "$LAB_THIRD6", "ways6"),
    };
    lab.ok("kill -KILL $(cat /run/lab/watch); await '! kill -0 $(cat /run/lab/watch)'");
    lab.unmute("third");
    let metric = format!(
        "$({ip} route show table 213001 default | grep -v unreachable | sed 's/.*metric //; s/ .*//')"
    );
    lab.ok(&format!(
        "{ip} route replace default via {hop} dev eth1 table 213001 metric {metric} proto kernel"
    ));
    let by_third = lab.capture("third", &format!("dst host {}", lost.service));
    lab.fails(1, &format!("timeout 20 nsnat exec job {} 2>/dev/null", lost.asks));
    assert_eq!(by_third.seen(), "", "the guard lets {} out by its own uplink alone", lost.name);
    // The control: the guard it is, and nothing else.
    let by_third = lab.capture("third", &format!("dst host {}", lost.service));
    lab.ok(&format!("nft \"add element inet nsnat {set} {{ 0x1000000 . \\\"eth1\\\" . {hop} }}\""));
    // The kernel has given the router up, and passes over a route by it for a minute (rtr_probe_interval).
    lab.ok(&format!("ip neigh del {hop} dev eth1 || :"));
    lab.until(&lost.leaves_by(0));
    assert_ne!(by_third.seen(), "", "the capture sees what does leave by the third router");
    lab.mute_family("third", lost);
}

#[test]
fn ipv6_moves_and_ipv4_stays() {
    the_lost_one_moves_and_the_other_stays(&SIX, &FOUR);
}

#[test]
fn ipv4_moves_and_ipv6_stays() {
    the_lost_one_moves_and_the_other_stays(&FOUR, &SIX);
}

#[test]
fn a_family_that_nobody_has_is_closed_or_has_a_last_resort() {
    const BY_MAIN: &str = "[[ $(timeout 1 nsnat exec resort whoami6) = 2001:db8:f::1 && $(timeout 1 nsnat exec resort whoami4) = 203.0.113.3 ]]";
    let lab = Lab::new();
    lab.ok("printf '#!/bin/sh\\necho $NSNAT_EVENT $NSNAT_FAMILY >>/run/lab/told\\n' >/run/lab/tell; chmod 755 /run/lab/tell");
    let choice = "uplink = [\"a\", \"b\"]";
    let declared = DECLARED.replace(choice, &format!("{choice}\non-change = [\"/run/lab/tell\"]"));
    lab.declare(&format!("{declared}\n[namespace.resort]\n{choice}\nlast-resort = \"main\""));
    lab.ok(START);
    lab.until(BY_A);
    lab.mute_family("slow", &SIX);
    lab.until("nsnat events job | grep -q 'uplink b is dead by IPv6'");
    lab.ok(BY_A);
    let by_main = lab.capture("fast", "dst host $LAB_SERVICE6");
    lab.mute_family("third", &SIX);
    lab.until("nsnat status job | grep -q 'none of its uplinks answers by IPv6: nothing gets out by IPv6'");
    // Refused at once, so that programs turn to the other family, which goes on.
    lab.says("timeout 20 nsnat exec job whoami6 >/dev/null 2>&1 || echo $?", "1");
    lab.says("nsnat exec job whoami4", "203.0.113.3");
    assert_eq!(by_main.seen(), "", "nobody said so of this one");
    lab.ok("nsnat events job | grep -q 'job: IPv6 closed: nothing gets out by IPv6'");
    lab.until("grep -qx 'closed v6' /run/lab/told");
    lab.until(BY_MAIN);
    lab.ok("nsnat status resort | grep -q \"IPv6 leaves by the host's main table\"");
    lab.until(
        "nsnat events resort | grep -q \"IPv6 moved from a, by the host's main table (eth0) via $LAB_FAST6\"",
    );
    lab.says("nsnat up", "nothing to do");
    lab.unmute("slow");
    lab.until(&SIX.leaves_by(1));
    lab.until("grep -qx 'opened v6' /run/lab/told");
    lab.until("[[ $(timeout 1 nsnat exec resort whoami6) = 2001:db8:f::fe ]]");
    lab.unmute("third");
    lab.until(BY_A);
    lab.says("nsnat exec resort whoami6", "2001:db8:f::3");
}
