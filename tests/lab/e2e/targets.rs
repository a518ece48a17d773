//! Hosts behind uplinks that are asked (`check` of kind `ping`, `tcp`, `dns`): a router that answers, and has lost its own
//! line, is left.

use super::health::START;
use crate::lab::Lab;

/// Both routers are on one LAN, where binding a socket to a device chooses none of them.
const ON_ONE_LAN: &str = "[uplink.a]
    dev = \"eth0\"
    gateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]
    check = { kind = \"ping\", target = [\"$LAB_INET\", \"$LAB_INET6\"], interval = \"1s\", timeout = \"1s\", fail = 2, recover = 2 }
    [uplink.b]
    dev = \"eth0\"
    gateway = [\"$LAB_FAST\", \"$LAB_FAST6\"]
    [namespace.job]
    uplink = [\"a\", \"b\"]";

const BY_SLOW: &str = "[[ $(timeout 1 nsnat exec job whoami4) = 203.0.113.254 && $(timeout 1 nsnat exec job whoami6) = 2001:db8:f::fe ]]";
const BY_FAST: &str = "[[ $(timeout 1 nsnat exec job whoami4) = 203.0.113.1 && $(timeout 1 nsnat exec job whoami6) = 2001:db8:f::1 ]]";
const BY_THIRD: &str = "[[ $(timeout 1 nsnat exec job whoami4) = 203.0.113.3 ]]";

impl Lab {
    /// A router answers on its LAN, and nothing gets through it any more.
    #[track_caller]
    fn cut_off(&self, router: &str) {
        self.ok(&format!(
            "at {router} nft 'add table inet cut; add chain inet cut through {{ type filter hook forward priority 0; policy drop; }}'"
        ));
    }

    #[track_caller]
    fn reconnect(&self, router: &str) {
        self.ok(&format!("at {router} nft delete table inet cut"));
    }
}

/// What is asked, in both families.
const PINGS: &str = "(icmp[0] == 8 and host $LAB_INET) or (icmp6 and ip6[40] == 128 and host $LAB_INET6)";

#[test]
fn a_router_with_nothing_behind_it_is_left_and_taken_again() {
    let lab = Lab::new();
    lab.declare(ON_ONE_LAN);
    lab.ok(START);
    lab.until(BY_SLOW);
    let (fast, third) = (lab.capture("fast", PINGS), lab.capture("third", PINGS));
    let slow = lab.capture("slow", PINGS);
    lab.cut_off("slow");
    lab.until(BY_FAST);
    lab.ok("grep -q 'uplink a is dead: no answer from 203.0.113.100 and 2001:db8:f::100' /run/lab/watch.log");
    // Whatever becomes of rules and rulesets, what is asked about one uplink leaves by no other one.
    lab.ok("nft flush ruleset; for rule in $(ip rule | sed -n 's/^\\(42[0-9]*\\):.*/\\1/p'); do ip rule del pref $rule; done; sleep 1");
    lab.reconnect("slow");
    lab.until(BY_SLOW);
    lab.until("grep -q 'uplink a is well again' /run/lab/watch.log");
    let asked = slow.seen();
    assert!(asked.contains("ICMP echo request") && asked.contains("ICMP6, echo request"), "{asked}");
    assert_eq!((fast.seen(), third.seen()), (String::new(), String::new()));
    let fast = lab.capture("fast", PINGS);
    lab.declare(&ON_ONE_LAN.replace("$LAB_SLOW", "$LAB_FAST"));
    lab.until(BY_FAST);
    lab.ok("sleep 1");
    assert_ne!(fast.seen(), "", "the capture sees what does leave by the other router");
}

#[test]
fn a_line_that_is_lost_in_one_family_is_left_by_that_family() {
    const APART: &str = "[[ $(timeout 1 nsnat exec job whoami4) = 203.0.113.1 && $(timeout 1 nsnat exec job whoami6) = 2001:db8:f::fe ]]";
    let lab = Lab::new();
    lab.declare(ON_ONE_LAN);
    lab.ok(START);
    lab.until(BY_SLOW);
    lab.ok("at slow nft 'add table ip cut; add chain ip cut through { type filter hook forward priority 0; policy drop; }'");
    lab.until(APART);
    // Questions that are not answered in one family, and are in the other: as many as would kill it three times.
    let inet = lab.capture("inet", "icmp6 and src host $LAB_WAN_SLOW6");
    lab.ok("sleep 2");
    lab.ok(APART);
    assert_ne!(inet.seen(), "");
    // Where one family only is asked about, it tells for both, and at once.
    lab.declare(&ON_ONE_LAN.replace(", \"$LAB_INET6\"", ""));
    lab.until(BY_FAST);
    lab.declare(ON_ONE_LAN);
    lab.until(APART);
    lab.ok("at slow nft 'add table ip6 cut; add chain ip6 cut through { type filter hook forward priority 0; policy drop; }'");
    lab.until(BY_FAST);
}

#[test]
fn connections_and_queries_are_questions_too() {
    let lab = Lab::new();
    // By a second device, whose answers come in where the host checks the reverse path strictly.
    lab.declare(
        "[uplink.a]
        dev = \"eth1\"
        gateway = \"$LAB_THIRD\"
        check = { kind = \"tcp\", target = \"$LAB_SERVICE:80\", interval = \"1s\", timeout = \"1s\", fail = 2, recover = 2 }
        [uplink.b]
        gateway = \"$LAB_SLOW\"
        check = { kind = \"dns\", target = \"$LAB_NEW\", interval = \"1s\", timeout = \"1s\", fail = 2, recover = 2 }
        [namespace.job]
        uplink = [\"a\", \"b\"]
        dns = \"$LAB_OLD\"",
    );
    lab.ok(START);
    lab.until(BY_THIRD);
    lab.ok("sleep 1");
    lab.ok(BY_THIRD);
    lab.cut_off("third");
    lab.until("[[ $(timeout 1 nsnat exec job whoami4) = 203.0.113.254 ]]");
    lab.cut_off("slow");
    lab.until("nsnat status job | grep -q 'none of its uplinks answers'");
    // A refusal of nsnat's own is no answer.
    lab.ok("sleep 1; nsnat status job | grep -q 'none of its uplinks answers'");
    lab.reconnect("slow");
    lab.until("[[ $(timeout 1 nsnat exec job whoami4) = 203.0.113.254 ]]");
    lab.reconnect("third");
    lab.until(BY_THIRD);
}

#[test]
fn what_is_made_for_it_is_planned_and_goes_again() {
    let lab = Lab::new();
    let before = lab.snapshot();
    lab.declare(ON_ONE_LAN);
    lab.ok(
        "nsnat plan --commands >/run/lab/plan || [[ $? = 2 ]]; grep -q 'ip netns add check.a' /run/lab/plan",
    );
    lab.ok("nsnat up");
    lab.says("nsnat up", "nothing to do");
    // Nobody is told of it but who looks for it.
    lab.says("nsnat list; nsnat status -o json | jq -r '.namespaces[].name'; nsnat events -o json | jq -r .namespace", "job\njob\njob");
    lab.says("ip netns | cut -d' ' -f1 | sort", "check.a\njob");
    // It is there for as long as there is a choice.
    lab.ok("nsnat down job; ! test -e /run/netns; nsnat up");
    lab.ok("sed -i 's/, \"b\"\\]/]/' /etc/nsnat/nsnat.toml; nsnat up");
    lab.says("ip netns | cut -d' ' -f1", "job");
    lab.declare(ON_ONE_LAN);
    lab.ok(START);
    lab.until("ip netns | grep -q check.a");
    lab.until(BY_SLOW);
    lab.ok("nsnat down job; ! ip netns | grep -q check; sleep 0.5; ! ip netns | grep -q check; nsnat up job");
    lab.until("ip netns | grep -q check.a");
    lab.ok("nsnat status; kill $(cat /run/lab/watch); await '! kill -0 $(cat /run/lab/watch)'");
    lab.ok("nsnat down; rm -r /etc/nsnat");
    lab.same(&before, "after down");
}
