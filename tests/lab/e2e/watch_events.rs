//! Thousands of random events beside `nsnat watch`: what other programs do to links, addresses, routes, rules, rulesets,
//! settings and declarations, commands of nsnat, and the end of the daemon itself. At the end the host is as after a fresh
//! `up`; no packet left elsewhere, and the daemon has not grown.
//!
//! `NSNAT_EVENTS` is how many events there are, `NSNAT_SEED` repeats those of a run.
//!
//! No event takes away both the rule that refuses a namespace's addresses (4213) and the table of nft: either of them alone
//! keeps packets in, and both at once is more than is promised.

use super::kill::{Random, number};
use super::plan_lines::STATE;
use super::watch::START;
use crate::lab::{Capture, Lab, Snapshot};
use std::fmt::Write;

const DECLARED: &str = "[namespace.slow]
    gateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]
    dns = [\"$LAB_NEW\", \"$LAB_NEW6\"]
    subnet = \"10.5.0.0/30\"
    [namespace.third]
    dev = \"eth1\"
    gateway = [\"$LAB_THIRD\", \"$LAB_THIRD6\"]
    subnet = \"10.5.0.4/30\"
    [namespace.late]
    dev = \"eth7\"
    gateway = \"198.18.0.1\"
    subnet = \"10.5.0.8/30\"
    [namespace.quiet]
    gateway = \"$LAB_SLOW\"
    subnet = \"10.5.0.12/30\"";

/// Words of the events.
const WORDS: &str = "conf=/etc/nsnat/conf.d
    declare_more() { printf '[namespace.more]\\ngateway = \"%s\"\\nsubnet = \"10.5.0.16/30\"\\n' $1 >$conf/more.toml; }
    late_comes() { ip link add eth7 type veth peer name far7 && ip address add 198.18.0.2/24 dev eth7 && ip link set eth7 up && ip link set far7 up; }
    lease() { ip address del $2/24 dev eth0; ip address add $1/24 dev eth0; ip route replace default via $LAB_FAST; }
    flap() { ip link set eth0 down; ip link set eth0 up; ip address add $LAB_HOST6/64 dev eth0 nodad; ip route replace default via $LAB_FAST; }
    ";

/// Events, each with how often it comes. `#` is a number from 1 to 9.
const EVENTS: &[(u64, &str)] = &[
    (9, "ip rule del pref 4210"),
    (9, "ip -6 rule del pref 4210"),
    (5, "ip rule del pref 4207"),
    (5, "ip rule add pref 7# from 192.0.2.# lookup 77"),
    (5, "ip rule del lookup 77"),
    (5, "ip route del default table 213001"),
    (5, "ip route flush table 213002"),
    (5, "ip -6 route flush table 213001"),
    (5, "ip route del default"),
    (5, "ip route replace default via $LAB_FAST"),
    (3, "ip route replace default via $LAB_SLOW"),
    (5, "ip route replace 198.51.#.0/24 via $LAB_FAST"),
    (3, "nft flush ruleset"),
    (3, "nft delete table inet nsnat"),
    (3, "nft flush table inet nsnat"),
    (3, "nft flush map inet nsnat mark_of"),
    (3, "nft add table ip other#"),
    (3, "nft delete table ip other#"),
    (2, "ip link set nsn-slow down"),
    (2, "ip link del nsn-third"),
    (3, "ip address flush dev nsn-slow"),
    (3, "ip -n slow address flush dev eth0"),
    (3, "ip -n third route del default"),
    (2, "ip link set eth1 down"),
    (4, "ip link set eth1 up; ip address add $LAB_HOST_THIRD6/64 dev eth1 nodad"),
    (2, "ip link set eth1 name wan1"),
    (4, "ip link set wan1 name eth1"),
    (3, "late_comes"),
    (3, "ip link del eth7"),
    (3, "flap"),
    (2, "lease 192.168.1.77 $LAB_HOST"),
    (4, "lease $LAB_HOST 192.168.1.77"),
    (2, "ip link set eth0 mtu 140#"),
    (2, "ip link set eth0 mtu 1500"),
    (3, "sysctl -wq net.ipv4.conf.eth0.forwarding=0"),
    (3, "sysctl -wq net.ipv4.conf.eth0.src_valid_mark=0"),
    (2, "kill -HUP $(cat /run/lab/watch)"),
    (2, "declare_more $LAB_SLOW"),
    (1, "declare_more $LAB_THIRD"),
    (2, "rm -f $conf/more.toml"),
    (1, "echo nonsense >$conf/bad.toml"),
    (3, "rm -f $conf/bad.toml"),
    (1, "nsnat -q up"),
    (1, "nsnat -q down quiet"),
    (1, "nsnat -q up quiet"),
    (1, "nsnat -q dns quiet set $LAB_SECOND"),
    (1, "nsnat -q exec --gateway $LAB_THIRD -- true"),
    (1, "nsnat -q status slow"),
    // The daemon works undisturbed for a moment.
    (4, "sleep 0.0#"),
];

/// The daemon's end, once in so many events.
const KILLED: u64 = 50;

/// Of one script.
const BATCH: u64 = 100;

/// The administrator puts right what is the host's own. The daemon does the rest, but for namespaces that a command or a
/// file took down or added, and until it finds nothing more to do.
const PUT_RIGHT: &str = "set +e
    rm -f $conf/*
    ip link del eth7; late_comes
    ip link set wan1 name eth1; ip link set eth1 up; ip address add $LAB_HOST_THIRD6/64 dev eth1 nodad
    ip link set eth0 mtu 1500; lease $LAB_HOST 192.168.1.77
    while ip rule del lookup 77; do :; done
    for n in {1..9}; do ip route del 198.51.$n.0/24; nft delete table ip other$n; done
    true";

const IS_WELL: &str =
    "[[ $(timeout 1 nsnat exec slow whoami4) = 203.0.113.254 && $(timeout 1 nsnat exec third whoami4) = 203.0.113.3 ]] &&
    nsnat plan slow third late && ! nsnat status quiet 2>&1 | grep -q '^nsnat: nsnat watch:'";

#[test]
fn of_all_kinds() {
    let events = number("NSNAT_EVENTS", 500);
    let mut random = Random::seeded();
    let lab = Lab::new();
    lab.declare(DECLARED);
    lab.ok(&format!("mkdir -p /etc/nsnat/conf.d; {WORDS} late_comes; {START}"));
    lab.until(IS_WELL);
    let packets = packets_all_the_time(&lab);
    happen(&lab, &mut random, events / 2, KILLED);
    // In the second half the daemon is not killed, and must not grow. One that has only just been started holds less.
    let held = [(); 2].map(|()| {
        happen(&lab, &mut random, events / 4, u64::MAX);
        held_by_the_daemon(&lab)
    });
    assert_no_packet_elsewhere(packets, events);
    assert_no_growth(held);
    let kept = state(&lab);
    lab.end_watch("TERM");
    lab.ok("nsnat down --kill -q; nsnat up -q");
    if let Err(difference) = kept.same_lines(&state(&lab)) {
        panic!("(- kept by nsnat watch, + of a fresh up)\n{difference}");
    }
}

/// Lets so many events happen, and waits until what is declared is true again.
fn happen(lab: &Lab, random: &mut Random, events: u64, killed: u64) {
    for _ in 0..events / BATCH {
        let mut script = format!("{WORDS} exec 2>/dev/null\n");
        for _ in 0..BATCH {
            let event = if random.next().is_multiple_of(killed) { kill_and_start() } else { event(random) };
            writeln!(script, "{{ {event}; }} || :").unwrap();
        }
        lab.ok(&script);
    }
    lab.ok(&format!("{WORDS} exec 2>/dev/null; {PUT_RIGHT}"));
    lab.until(IS_WELL);
    // The numbers of egresses are given again from the lowest on.
    lab.ok("nsnat -q down more 2>/dev/null || :; nsnat -q down quiet 2>/dev/null || :; nsnat up -q quiet");
    lab.until(IS_WELL);
}

fn event(random: &mut Random) -> String {
    let mut at = random.next() % EVENTS.iter().map(|(often, _)| often).sum::<u64>();
    let is_chosen = |(often, _): &&(u64, _)| {
        let is_here = at < *often;
        at = at.saturating_sub(*often);
        is_here
    };
    let (_, event) = EVENTS.iter().find(is_chosen).unwrap();
    event.replace('#', &(1 + random.next() % 9).to_string())
}

/// A daemon that is started with a mistake in the declarations waits until that is gone.
fn kill_and_start() -> String {
    format!(
        "kill -KILL $(cat /run/lab/watch); await '! kill -0 $(cat /run/lab/watch)'; rm -f $conf/bad.toml; {START}"
    )
}

/// The kernel's state in what nsnat makes.
fn state(lab: &Lab) -> Snapshot {
    Snapshot::new(lab.ok(STATE))
}

/// Open files, the fewest of some counts, because a look may be under way; and KiB of memory that is the daemon's own.
fn held_by_the_daemon(lab: &Lab) -> [u64; 2] {
    let held = "pid=$(cat /run/lab/watch); for i in {1..20}; do ls /proc/$pid/fd | wc -l; sleep 0.05; done | sort -n | sed -n 1p; awk '/RssAnon/ { print $2 }' /proc/$pid/status";
    let numbers: Vec<u64> = lab.ok(held).lines().map(|line| line.parse().unwrap()).collect();
    numbers.try_into().unwrap()
}

/// Not one open file more; of memory what an allocator keeps back.
fn assert_no_growth([before, after]: [[u64; 2]; 2]) {
    println!("open files, KiB of memory: {before:?}, {after:?}");
    assert_eq!(before[0], after[0], "open files");
    assert!(after[1] <= before[1] + 1024, "KiB of memory: {before:?}, {after:?}");
}

/// What namespaces send all the time: `slow` to port 4401 and questions to a server that is not its own, `third` to 4402.
const SEND: &str = "for job in 'slow 4401' 'third 4402'; do
        set -- $job
        nsnat exec $1 -- bash -c 'while sleep 0.01; do echo >/dev/udp/'$LAB_SERVICE'/'$2'; echo >/dev/udp/'$LAB_OLD'/53; done' </dev/null >/dev/null 2>&1 &
    done";

/// Who may be seen where: on each router what has to cross it, and what must not.
const SEEN: [(&str, &[&str], &[&str]); 3] = [
    ("fast", &[], &[" > "]),
    ("slow", &["198.51.100.80.4401:", "198.51.100.53.53"], &[".4402:", "8.8.8.8"]),
    ("third", &["198.51.100.80.4402:"], &[".4401:"]),
];

/// Has something running that sends all the time; says what crosses each router from now on.
fn packets_all_the_time(lab: &Lab) -> [Capture<'_>; 3] {
    lab.ok(SEND);
    SEEN.map(|(router, ..)| lab.capture(router, "udp and (port 53 or portrange 4401-4402)"))
}

/// What a namespace's packets begin with where they are not masqueraded.
const INSIDE: &str = " 10.5.";

/// A packet is marked on one hook and masqueraded on another. One that is between these while another program takes the
/// table away leaves by its own router, unmasqueraded: fewer than one in a hundred events, never to another router.
fn assert_no_packet_elsewhere(captures: [Capture<'_>; 3], events: u64) {
    let mut between = 0;
    for (capture, (router, must, must_not)) in captures.into_iter().zip(SEEN) {
        let seen = capture.seen();
        for text in must {
            assert!(seen.contains(text), "the control: {text} has to cross {router}");
        }
        let wrong: Vec<&str> =
            seen.lines().filter(|line| must_not.iter().any(|text| line.contains(text))).collect();
        assert!(wrong.is_empty(), "crossed {router}:\n{}", wrong.join("\n"));
        between += seen.lines().filter(|line| line.contains(INSIDE)).count();
    }
    println!("packets that were between two hooks: {between}");
    assert!(between as u64 <= events / 100, "{between} packets were not masqueraded");
}
