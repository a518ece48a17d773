//! Beside IPsec policies (VPNs without a device): jobs are let by, the host stays under its VPN.
//!
//! No key is ever agreed on, so what a policy catches goes nowhere: that it is caught is all that is asked here.

use super::neighbours::{JOBS, WELL, two};

const STATES: &str = "nsnat status -o json | jq -r .namespaces[].state";

/// The host itself is caught.
const HOST: &str = "timeout 0.5 whoami4 || echo caught; timeout 0.5 whoami6 || echo caught";

/// What VPNs have: for the host's addresses, for everything, for a company's networks; with what comes back, or without.
/// (Neighbour discovery of the host itself has no mark either: VPNs leave it out, and so do these.)
const HOSTS_OWN: &[&str] = &["out $LAB_HOST 0.0.0.0/0", "out $LAB_HOST6 2000::/3"];
const HOSTS_OWN_THIRD: &[&str] = &["out $LAB_HOST_THIRD 0.0.0.0/0", "out $LAB_HOST_THIRD6 2000::/3"];
const HOSTS_OWN_BACK: &[&str] = &[
    "fwd 0.0.0.0/0 $LAB_HOST",
    "in 0.0.0.0/0 $LAB_HOST",
    "fwd 2000::/3 $LAB_HOST6",
    "in 2000::/3 $LAB_HOST6",
];
const EVERYTHING: &[&str] = &["out 0.0.0.0/0 0.0.0.0/0", "out ::/0 2000::/3", "out ::/0 fd00::/8"];
const EVERYTHING_BACK: &[&str] =
    &["fwd 0.0.0.0/0 0.0.0.0/0", "in 0.0.0.0/0 0.0.0.0/0", "fwd ::/0 2000::/3", "fwd ::/0 fd00::/8"];
const COMPANY: &[&str] = &["out 0.0.0.0/0 10.0.0.0/8", "out ::/0 fd00::/8"];
const COMPANY_BACK: &[&str] = &["fwd 10.0.0.0/8 0.0.0.0/0", "in 10.0.0.0/8 0.0.0.0/0", "fwd fd00::/8 ::/0"];

/// Policies of somebody, each `DIRECTION SOURCE DESTINATION`, with a template.
fn theirs(verb: &str, policies: &[&str], more: &str) -> String {
    let one = |policy: &&str| {
        let words: Vec<&str> = policy.split(' ').collect();
        let ends = if policy.contains("::") {
            "src $LAB_HOST6 dst 2001:db8:80::99"
        } else {
            "src $LAB_HOST dst 203.0.113.99"
        };
        let template = match verb {
            "delete" => String::new(),
            _ => format!("tmpl {ends} proto esp reqid 7 mode tunnel"),
        };
        format!(
            "ip xfrm policy {verb} dir {} src {} dst {} {more} {template}\n",
            words[0], words[1], words[2]
        )
    };
    policies.iter().map(one).collect()
}

/// Theirs as they are listed, the newest first; ours have indexes of their own.
const LISTED: &str = "ip -s xfrm policy | awk '/^src/ { line = $0 } /index/ { if ($6 < 1845493760) print line, $1, $2, $7, $8 } /tmpl/'";
/// How many of ours there are.
const OURS: &str = "ip -s xfrm policy | awk '/index/ && $6 >= 1845493760' | wc -l";

#[test]
fn jobs_are_let_by_and_the_host_is_not() {
    let lab = two();
    // What was in /run/netns before is lost with the state file, so there is something.
    lab.ok("ip netns add other");
    let bare = lab.snapshot();
    for policies in [
        &[HOSTS_OWN, HOSTS_OWN_THIRD][..],
        &[HOSTS_OWN, HOSTS_OWN_THIRD, HOSTS_OWN_BACK],
        &[EVERYTHING],
        &[EVERYTHING, EVERYTHING_BACK],
        &[COMPANY, HOSTS_OWN],
        &[COMPANY, COMPANY_BACK, HOSTS_OWN],
    ] {
        let policies = policies.concat();
        let add = theirs("add", &policies, "priority 375423");
        lab.ok("nsnat up -q");
        lab.says(JOBS, WELL);
        lab.says(OURS, "0");
        lab.ok(&add);
        let listed = lab.ok(LISTED);
        lab.says(&format!("{HOST}; {STATES}"), "caught\ncaught\nbroken\nbroken");
        let told = lab.ok("nsnat status");
        assert!(
            told.contains("an IPsec policy that is not nsnat's takes its packets (IPv4): dir "),
            "{told}"
        );
        assert!(told.contains("priority 375423; nsnat up puts nsnat's own before it"), "{told}");
        lab.ok("nsnat up -q");
        lab.says(&format!("{JOBS}; {HOST}; {STATES}"), &format!("{WELL}\ncaught\ncaught\nup\nup"));
        lab.says(&format!("nsnat plan; {LISTED}"), &listed);
        // Whatever flushes them flushes ours; those that come back do so before ours.
        lab.ok(&format!("ip xfrm policy flush; {add}"));
        lab.says(STATES, "broken\nbroken");
        lab.ok("bash -c \"$(nsnat plan --commands)\"");
        lab.says(&format!("{JOBS}; nsnat plan; {STATES}; {LISTED}"), &format!("{WELL}\nup\nup\n{listed}"));
        lab.ok("nsnat down -q third; nsnat exec slow whoami4; nsnat exec slow whoami6; nsnat down -q");
        lab.says(&format!("{OURS}; {LISTED}"), &format!("0\n{listed}"));
        // There before nsnat.
        let with = lab.snapshot();
        lab.ok("nsnat up -q");
        lab.says(&format!("{JOBS}; {HOST}; {LISTED}"), &format!("{WELL}\ncaught\ncaught\n{listed}"));
        lab.says(
            "nsnat exec --gateway $LAB_SLOW -- whoami4; nsnat plan; nsnat exec slow whoami4",
            "203.0.113.254\n203.0.113.254",
        );
        lab.ok("rm /run/nsnat/state.json; nsnat down -q");
        lab.same(&with, "after down without a state file");
        // The VPN ends.
        lab.ok("nsnat up -q");
        lab.ok(&theirs("delete", &policies, ""));
        lab.ok("nsnat up -q");
        lab.says(&format!("{OURS}; {JOBS}"), &format!("0\n{WELL}"));
        lab.ok("nsnat down -q");
        lab.same(&bare, "after all went");
    }
}

/// Policies that are none of a namespace's business cost the host nothing.
#[test]
fn where_nothing_is_caught_there_are_none() {
    let lab = two();
    lab.ok("nsnat up -q");
    lab.ok(&theirs(
        "add",
        &[
            "out 10.9.9.9 172.16.0.0/12",
            "in 172.16.0.0/12 10.9.9.9",
            "fwd 172.16.0.0/12 10.9.9.9",
            "in 0.0.0.0/5 $LAB_HOST",
        ],
        "priority 7",
    ));
    // One that is for packets of another mark; one that lets by.
    lab.ok(&theirs("add", &["out 0.0.0.0/0 0.0.0.0/0"], "mark 5 mask 0xff"));
    lab.ok("ip xfrm policy add dir out src $LAB_HOST dst 0.0.0.0/0 priority 9");
    lab.says(&format!("nsnat plan; {STATES}; {OURS}"), "up\nup\n0");
    lab.says(JOBS, WELL);
    // One for a family and a device: that egress gets one of its own, and no other does.
    lab.ok(&theirs("add", &["out $LAB_HOST_THIRD6 2000::/3"], "priority 9"));
    lab.says(&format!("{STATES}; nsnat plan --commands || true"), "up\nbroken\nip xfrm policy add dir out src ::/0 dst ::/0 mark 0x2000000 mask 0xff000000 priority 0 index 0x6e020009");
}

/// Of two with the first priority the kernel takes the older one.
#[test]
fn one_that_nothing_can_precede_is_named() {
    let lab = two();
    lab.ok("nsnat up -q");
    lab.ok(&theirs("add", &["out $LAB_HOST 0.0.0.0/0"], "priority 0"));
    let named = "and nothing can come before it: dir out src 192.168.1.10/32 dst 0.0.0.0/0 priority 0; give it a priority above 0 (ip xfrm policy update; it has index";
    let told = lab.ok("nsnat plan 2>&1 || true; nsnat up 2>&1; nsnat status");
    assert_eq!(told.matches(named).count(), 6, "{told}");
    assert!(told.contains("broken"), "{told}");
    lab.fails(124, "nsnat exec slow timeout 1 whoami4");
    // The cure.
    lab.ok(&theirs("update", &["out $LAB_HOST 0.0.0.0/0"], "priority 1"));
    lab.says(&format!("nsnat up -q; {STATES}; {JOBS}"), &format!("up\nup\n{WELL}"));
    // One that comes later has ours before it.
    lab.ok(&theirs("add", &["out 0.0.0.0/0 198.51.100.0/24"], "priority 0"));
    lab.says(&format!("{STATES}; nsnat exec slow whoami4"), "up\nup\n203.0.113.254");
    lab.says("timeout 0.5 whoami4 || echo caught; whoami6", "caught\n2001:db8:f::1");
}

/// Those that drop, by a policy or because there is none.
#[test]
fn policies_that_block() {
    let lab = two();
    lab.ok("nsnat up -q");
    let before = lab.snapshot();
    lab.ok("for dir in out fwd; do ip xfrm policy add dir $dir src 0.0.0.0/0 dst 0.0.0.0/0 priority 100 action block; done");
    let told = lab.ok("nsnat status");
    assert!(
        told.contains(
            "drops its packets (IPv4): dir out src 0.0.0.0/0 dst 0.0.0.0/0 action block priority 100"
        ),
        "{told}"
    );
    lab.ok("nsnat up -q");
    lab.says(
        &format!("{JOBS}; {STATES}; timeout 0.5 whoami4 2>/dev/null || echo caught"),
        &format!("{WELL}\nup\nup\ncaught"),
    );
    lab.ok("ip xfrm policy flush; nsnat up -q");
    // (What IPv6 needs of its neighbours has to be let by before.)
    lab.ok("for dir in out in; do ip xfrm policy add dir $dir src ::/0 dst ::/0 proto ipv6-icmp; done
        ip xfrm policy setdefault out block fwd block in block");
    let told = lab.ok("nsnat status");
    assert!(told.contains("drops its packets (IPv6): ip xfrm policy setdefault out block"), "{told}");
    lab.ok("nsnat up -q");
    lab.says(&format!("{JOBS}; {STATES}"), &format!("{WELL}\nup\nup"));
    lab.ok("ip xfrm policy setdefault out accept fwd accept in accept
        for dir in out in; do ip xfrm policy delete dir $dir src ::/0 dst ::/0 proto ipv6-icmp; done; nsnat up -q");
    lab.same(&before, "after it is the default no more");
}

/// What the host and a namespace have to say to each other has nothing to do with a VPN either.
#[test]
fn the_host_and_a_namespace_reach_each_other() {
    let lab = two();
    lab.ok("nsnat up -q");
    lab.serve("host", "TCP6-LISTEN:8080,ipv6only=0,reuseaddr,fork", "SYSTEM:'echo hello'");
    let reach = |limit: u32| {
        format!(
            "reach() {{ nsnat exec slow -- timeout {limit} socat -u $1 - 2>&1 | grep -o 'hello\\|refused' || true; }}
            reach TCP4:$LAB_HOST:8080; reach TCP6:[$LAB_HOST6]:8080
            reach TCP4:$(nsnat exec third hostname -I | cut -d' ' -f1):80"
        )
    };
    lab.says(&reach(60), "hello\nhello\nrefused");
    lab.ok(&theirs("add", &[EVERYTHING, EVERYTHING_BACK, &["in ::/0 $LAB_HOST6"]].concat(), "priority 100"));
    lab.says(&reach(1), "");
    lab.ok("nsnat up -q");
    lab.says(&reach(60), "hello\nhello\nrefused");
    lab.says(HOST, "caught\ncaught");
}
