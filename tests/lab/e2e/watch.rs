//! `nsnat watch`: what is declared stays true, whatever changes on the host.

use crate::lab::Lab;

/// Starts the daemon; `$WATCH` in later scripts is its process.
pub(super) const START: &str = "rm -f /run/lab/watch.log; nsnat watch >/run/lab/watch.log 2>&1 & echo $! >/run/lab/watch; await 'grep -q ready /run/lab/watch.log' || { cat /run/lab/watch.log >&2; false; }";

/// A namespace by another router of the LAN, one by another device; and the daemon.
fn watched() -> Lab {
    let lab = Lab::new();
    lab.declare(
        "[namespace.slow]
        gateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]
        dns = [\"$LAB_NEW\", \"$LAB_NEW6\"]
        [namespace.third]
        dev = \"eth1\"
        gateway = [\"$LAB_THIRD\", \"$LAB_THIRD6\"]",
    );
    lab.ok(START);
    lab.until("nsnat exec third true");
    lab
}

impl Lab {
    /// Waits until jobs leave by their own routers, in both families, and ask their own server.
    #[track_caller]
    fn until_well(&self) {
        self.until(
            "[[ $(nsnat exec slow whoami4) = 203.0.113.254 && $(nsnat exec slow whoami6) = 2001:db8:f::fe ]] &&
            [[ $(nsnat exec third whoami4) = 203.0.113.3 && $(nsnat exec slow -- ask $LAB_OLD a.example.test) = 192.0.2.53 ]]",
        );
    }

    /// Something happens while the daemon sleeps, so that its effect is seen; then the daemon goes on.
    #[track_caller]
    fn while_asleep(&self, script: &str, effect: &str) {
        self.ok(&format!("kill -STOP $(cat /run/lab/watch); {script}"));
        let output = self.sh(effect);
        assert!(output.status == 0, "the control: `{script}` has no effect\n{output}");
        self.ok("kill -CONT $(cat /run/lab/watch)");
    }

    /// The daemon's end by a signal, after which nothing is down.
    #[track_caller]
    pub(super) fn end_watch(&self, signal: &str) {
        self.ok(&format!("kill -{signal} $(cat /run/lab/watch); await '! kill -0 $(cat /run/lab/watch)'"));
    }
}

/// A job gets no answer, or leaves by another router.
const IS_LOST: &str = "[[ $(timeout 1 nsnat exec slow whoami4) != 203.0.113.254 ]]";
/// Its questions are not answered by its own server.
const IS_UNANSWERED: &str = "[[ $(nsnat exec slow -- ask $LAB_OLD a.example.test +time=1) != 192.0.2.53 ]]";

/// Takes the first of the rules away that select a way by mark.
const TAKE_RULE: &str =
    "ip rule del pref $(ip rule | sed -n 's/^\\([0-9]*\\):.*fwmark 0x1000000.*/\\1/p' | head -n 1)";

/// What other programs do, and how to see that it matters.
const TAKEN_AWAY: [(&str, &str); 11] = [
    (TAKE_RULE, IS_LOST),
    ("nft flush ruleset", IS_LOST),
    ("nft delete table inet nsnat", IS_LOST),
    ("nft flush chain inet nsnat dns", IS_UNANSWERED),
    ("ip -n slow address flush dev eth0", IS_LOST),
    ("ip -n slow route del default", IS_LOST),
    ("ip address flush dev nsn-slow", IS_LOST),
    ("ip link del nsn-slow", IS_LOST),
    ("ip link set nsn-slow down", IS_LOST),
    ("sysctl -wq net.ipv4.conf.eth0.forwarding=0", IS_LOST),
    // Netlink does not tell of this one.
    (
        "sysctl -wq net.ipv4.conf.eth0.src_valid_mark=0",
        "[[ $(sysctl -n net.ipv4.conf.eth0.src_valid_mark) = 0 ]]",
    ),
];

#[test]
fn what_others_take_away_is_put_back() {
    let lab = watched();
    lab.until_well();
    for (script, effect) in TAKEN_AWAY {
        lab.while_asleep(script, effect);
        lab.until_well();
        lab.until("[[ $(sysctl -n net.ipv4.conf.eth0.src_valid_mark) = 1 ]]");
    }
    // It says what had changed; and whose doing that was, where the kernel tells.
    lab.ok(&format!("{TAKE_RULE}; nft flush ruleset"));
    lab.until("grep -q 'ip rule add.*; changed before: .*a rule of routing' /run/lab/watch.log");
    lab.until(
        "grep -q 'changed before: .*the ruleset of nftables by nft (process [0-9]*)' /run/lab/watch.log",
    );
    lab.until_well();
}

/// With the link it goes, and comes back when somebody gives it.
const ADDRESS6: &str = "ip -6 address add $LAB_HOST6/64 dev eth0 nodad";

#[test]
fn namespaces_follow_their_uplinks() {
    let lab = watched();
    lab.until_well();
    let changes = [
        ("ip link set eth0 down", "ip link set eth0 up; ip route replace default via $LAB_FAST"),
        (
            "ip address del $LAB_HOST/24 dev eth0",
            "ip address add $LAB_HOST/24 dev eth0; ip route replace default via $LAB_FAST",
        ),
        ("ip -6 address del $LAB_HOST6/64 dev eth0", ""),
    ];
    for (goes, comes) in changes {
        lab.while_asleep(
            goes,
            "! { timeout 1 nsnat exec slow whoami4 && timeout 1 nsnat exec slow whoami6; }",
        );
        lab.ok(&format!("{comes}\n{ADDRESS6} 2>/dev/null || ip -6 address show dev eth0 | grep $LAB_HOST6"));
        lab.until_well();
    }
    // Another address of the same device: what leaves is masqueraded as it.
    lab.ok("ip address add 192.168.1.77/24 dev eth0; ip address del $LAB_HOST/24 dev eth0
        ip address add $LAB_HOST/24 dev eth0; ip route replace default via $LAB_FAST");
    lab.until_well();
    lab.ok("ip link set eth1 down; ip link set eth1 name wan7
        ip link property add dev wan7 altname eth1; ip link set wan7 up");
    lab.until("[[ $(nsnat exec third whoami4) = 203.0.113.3 ]]");
}

#[test]
fn a_device_that_comes_late_is_waited_for() {
    let lab = Lab::new();
    lab.declare(
        "[namespace.slow]\ndev = \"eth9\"\n[namespace.other]\ngateway = \"$LAB_SLOW\"\ndns = \"$LAB_NEW\"",
    );
    lab.ok(START);
    lab.until("[[ $(nsnat exec other whoami4) = 203.0.113.254 ]]");
    // It exists, and is closed.
    lab.fails(1, "nsnat exec slow whoami4");
    lab.ok("ip link set eth1 down; ip link set eth1 name eth9; ip link set eth9 up; ip route add default via $LAB_THIRD dev eth9 metric 900");
    lab.until("[[ $(nsnat exec slow whoami4) = 203.0.113.3 ]]");
    assert!(!lab.ok("cat /run/lab/watch.log").contains("ERROR"));
}

#[test]
fn declarations_are_followed_and_mistakes_change_nothing() {
    let lab = watched();
    lab.ok("mkdir -p /etc/nsnat/conf.d; printf '[namespace.more]\\ngateway = \"%s\"\\n' $LAB_THIRD >/etc/nsnat/conf.d/more.toml");
    lab.until("[[ $(nsnat exec more whoami4) = 203.0.113.3 ]]");
    lab.ok("echo nonsense >>/etc/nsnat/nsnat.toml");
    lab.until("grep -q 'the last good one stays in force' /run/lab/watch.log");
    lab.while_asleep("nft flush ruleset", IS_LOST);
    lab.until_well();
    lab.ok(
        "sed -i '$d' /etc/nsnat/nsnat.toml; sed -i \"s/$LAB_THIRD/$LAB_SLOW/\" /etc/nsnat/conf.d/more.toml",
    );
    lab.until("[[ $(nsnat exec more whoami4) = 203.0.113.254 ]]");
    // One that cannot be: the others are kept all the same.
    lab.ok("printf '[namespace.more]\\ngateway = \"%s\"\\n' $LAB_HOST >/etc/nsnat/conf.d/more.toml");
    lab.until("grep -q 'is an address of this host' /run/lab/watch.log");
    lab.while_asleep("nft flush ruleset", IS_LOST);
    lab.until_well();
    lab.says("grep -c 'is an address of this host' /run/lab/watch.log", "1");
}

#[test]
fn commands_work_beside_it() {
    let lab = watched();
    lab.ok("flock /run/nsnat/lock true");
    let before = lab.snapshot();
    lab.ok("nsnat add extra --gateway $LAB_THIRD --dns $LAB_NEW");
    lab.until("[[ $(nsnat exec extra whoami4) = 203.0.113.3 ]]");
    lab.says("nsnat exec --gateway $LAB_SLOW -- whoami4", "203.0.113.254");
    lab.ok("nsnat remove extra");
    lab.until_same(&before, "after add and remove beside nsnat watch");
    // What was said by a command holds, also through repairs and another daemon, until `nsnat up`.
    lab.ok("nsnat dns slow clear; nsnat down third");
    let is_so =
        "[[ $(nsnat exec slow -- ask $LAB_OLD a.example.test) = 192.0.2.1 ]] && ! nsnat exec third true";
    lab.until(is_so);
    lab.ok("nsnat status third | grep -q 'taken down'");
    lab.while_asleep("nft flush ruleset", IS_LOST);
    lab.until("[[ $(nsnat exec slow whoami4) = 203.0.113.254 ]]");
    lab.ok(is_so);
    lab.end_watch("TERM");
    lab.ok(START);
    lab.ok(is_so);
    lab.ok("nsnat up");
    lab.until_well();
    lab.says("nsnat up", "nothing to do");
}

#[test]
fn its_end_takes_nothing_down_and_down_leaves_nothing() {
    let lab = Lab::new();
    let before = lab.snapshot();
    lab.declare("[namespace.slow]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\ndns = [\"$LAB_NEW\", \"$LAB_NEW6\"]\n[namespace.third]\ngateway = \"$LAB_THIRD\"");
    for signal in ["TERM", "INT", "KILL"] {
        lab.ok(START);
        lab.until_well();
        lab.fails(1, "nsnat watch");
        lab.end_watch(signal);
        lab.until_well();
    }
    lab.ok(START);
    lab.ok("nsnat down");
    // All is down until told otherwise, and whoever changes something does not bring it back.
    lab.ok("ip rule add pref 77 lookup 77; ip rule del pref 77");
    lab.fails(125, "nsnat exec slow true");
    lab.end_watch("TERM");
    lab.ok(START);
    lab.fails(125, "nsnat exec slow true");
    lab.end_watch("TERM");
    lab.ok("nsnat up; nsnat down; rm -r /etc/nsnat");
    lab.same(&before, "after nsnat watch, and down");
}

#[test]
fn two_programs_that_fight_burn_no_processor() {
    let lab = watched();
    lab.until_well();
    // A rule that is taken away each time that it is there.
    lab.ok(&format!(
        "touch /run/lab/fight; while test -e /run/lab/fight; do {TAKE_RULE} || true; done </dev/null >/dev/null 2>&1 &"
    ));
    lab.until("nsnat status 2>&1 | grep -q 'undoes each repair'");
    lab.ok("rm /run/lab/fight");
    lab.until_well();
    // It wakes up by itself to say that it is over.
    lab.until("grep -q 'no other program undoes' /run/lab/watch.log");
    lab.ok("! nsnat status 2>&1 | grep -q 'undoes each repair'");
}

/// A line that is dialled again each time that it ends. It stays until the daemon has followed: what goes earlier was never
/// there for it, and is not told.
const REDIALS: &str = "come() { ip link add eth7 type veth peer name far7 && ip address add 198.18.0.2/24 dev eth7 &&
        ip link set eth7 up && ip link set far7 up; }
    told() { (($(grep -c \"dial: $1\" /run/lab/watch.log) == $2)); }
    for i in {1..20}; do come; await \"told 'open again' $i\"; ip link del eth7; await \"told closed $i\"; done
    come; await \"told 'open again' 21\"";

#[test]
fn a_line_that_goes_and_comes_is_told_as_that_and_followed_each_time() {
    let lab = Lab::new();
    lab.declare("[namespace.dial]\ndev = \"eth7\"\ngateway = \"198.18.0.1\"");
    lab.ok(START);
    lab.ok(REDIALS);
    let log = lab.ok("cat /run/lab/watch.log");
    assert_eq!(log.matches("dial: eth7 goes and comes, 5 times in the last minute").count(), 1, "{log}");
    assert!(!log.contains("undoes each repair"), "{log}");
    // Everybody is told, as long as it is so.
    lab.ok("nsnat status | grep -E '^  ! eth7 goes and comes, [0-9]+ times in the last minute; '");
    lab.says(
        "nsnat doctor -o json | jq -r '.findings[] | select(.code == \"uplink-flaps\").evidence[]' || :",
        "nsnat events dial",
    );
    lab.ok("jq -c '.time -= 60' /run/nsnat/events.jsonl >/run/lab/earlier; cp /run/lab/earlier /run/nsnat/events.jsonl");
    lab.says("nsnat status | grep -c 'goes and comes' || :", "0");
    lab.says("nsnat doctor -o json | jq -r '.findings[] | select(.code == \"uplink-flaps\").code' || :", "");
}
