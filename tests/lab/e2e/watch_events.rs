//! Thousands of random events beside `nsnat watch`: what other programs do to links, addresses, routes, rules, rulesets,
//! settings and declarations, commands of nsnat, and the end of the daemon itself.
//!
//! `NSNAT_EVENTS` is how many events there are, `NSNAT_SEED` chooses others. A failure names both.
//!
//! Jobs send all the time. No event takes away both the rule that refuses a namespace's addresses (4213) and the table of
//! nft: either of them alone keeps packets in, and both at once is more than is promised.

use super::watch::START;
use crate::lab::Lab;
use std::fmt::Write;

const DECLARED: &str = "[namespace.slow]
    gateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]
    dns = [\"$LAB_NEW\", \"$LAB_NEW6\"]
    subnet = \"10.5.0.0/30\"
    [namespace.third]
    dev = \"eth1\"
    gateway = [\"$LAB_THIRD\", \"$LAB_THIRD6\"]
    subnet = \"10.5.0.4/30\"
    [namespace.quiet]
    gateway = \"$LAB_SLOW\"
    subnet = \"10.5.0.8/30\"";

/// Events, each with how often it comes. `#` is a number from 1 to 9.
const EVENTS: [(u32, &str); 40] = [
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
    (3, "nft flush chain inet nsnat dns"),
    (3, "nft flush map inet nsnat mark_of"),
    (3, "nft add table ip other#"),
    (3, "nft delete table ip other#"),
    (2, "ip link set nsn-slow down"),
    (2, "ip link del nsn-third"),
    (3, "ip address flush dev nsn-slow"),
    (3, "ip -n slow address flush dev eth0"),
    (3, "ip -n third route del default"),
    (2, "ip link set eth1 down"),
    (4, "ip link set eth1 up"),
    (2, "ip address del $LAB_HOST/24 dev eth0"),
    (4, "ip address add $LAB_HOST/24 dev eth0"),
    (2, "ip link set eth0 mtu 140#"),
    (2, "ip link set eth0 mtu 1500"),
    (3, "sysctl -wq net.ipv4.conf.eth0.forwarding=0"),
    (3, "sysctl -wq net.ipv4.conf.eth0.src_valid_mark=0"),
    (2, "kill -HUP $(cat /run/lab/watch)"),
    (
        2,
        "printf '[namespace.more]\\ngateway = \"%s\"\\nsubnet = \"10.5.0.12/30\"\\n' $LAB_SLOW >$conf/more.toml",
    ),
    (2, "rm -f $conf/more.toml"),
    (1, "echo nonsense >$conf/bad.toml"),
    (3, "rm -f $conf/bad.toml"),
    (1, "nsnat -q up"),
    (1, "nsnat -q down quiet"),
    (1, "nsnat -q exec --gateway $LAB_SLOW -- true"),
    (1, "nsnat -q status"),
];

/// Numbers that look random and are the same for the same seed (xorshift, G. Marsaglia).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 >> 33).unwrap() % limit
    }

    fn event(&mut self) -> String {
        let mut at = self.below(EVENTS.iter().map(|(often, _)| often).sum());
        let (_, event) = EVENTS
            .iter()
            .find(|(often, _)| {
                at < *often || {
                    at -= often;
                    false
                }
            })
            .unwrap();
        event.replace('#', &(1 + self.below(9)).to_string())
    }
}

fn variable(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |value| value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

/// What the daemon holds: open files, and pages of memory that are its own.
const HOLDS: &str =
    "pid=$(cat /run/lab/watch); ls /proc/$pid/fd | wc -l; awk '/RssAnon/ { print $2 }' /proc/$pid/status";

/// The host as nsnat made it, without the numbers that the kernel counts up.
const MADE: &str = "settled; ip rule; ip -6 rule; ip route show table all; ip -6 route show table 213001; ip -6 route show table 213002
    for name in slow third quiet; do ip -n $name -br address show dev eth0 | sed 's/@[^ ]*//; s/fe80[^ ]*//'; ip -n $name route; ip -n $name -6 route | grep -v fe80; done
    sysctl -a 2>/dev/null | grep -E '(forwarding|src_valid_mark) ='";

#[test]
fn of_all_kinds() {
    let (events, seed) = (variable("NSNAT_EVENTS", 2000), variable("NSNAT_SEED", 1));
    let lab = Lab::new();
    lab.declare(DECLARED);
    lab.ok("mkdir -p /etc/nsnat/conf.d; nsnat -q up; nsnat down -q");
    lab.ok(START);
    lab.until(
        "[[ $(nsnat exec slow whoami4) = 203.0.113.254 && $(nsnat exec third whoami4) = 203.0.113.3 ]]",
    );
    // A job that sends a datagram every few milliseconds, whatever becomes of it.
    lab.ok("for name in slow third; do
        nsnat exec $name -- bash -c 'while sleep 0.005; do echo >/dev/udp/198.51.100.80/4444; done' </dev/null >/dev/null 2>&1 &
        done");
    let [fast, slow] = ["fast", "slow"].map(|node| lab.capture(node, "udp port 4444"));
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let told = format!("NSNAT_EVENTS={events} NSNAT_SEED={seed}");
    let mut held = Vec::new();
    for half in 0..2 {
        // The daemon is killed in the first half only: in the second one it must not grow.
        for _ in 0..(events / 2).div_ceil(100) {
            let mut script = String::from("conf=/etc/nsnat/conf.d; exec 2>/dev/null\n");
            (0..100).for_each(|_| writeln!(script, "{{ {}; }} || :", random.event()).unwrap());
            lab.ok(&script);
            if half == 0 {
                lab.ok(&format!(
                    "kill -KILL $(cat /run/lab/watch); rm -f /etc/nsnat/conf.d/bad.toml\n{START}"
                ));
            }
        }
        // What is the host's own is put right by its administrator.
        lab.ok("rm -f /etc/nsnat/conf.d/*; ip link set eth1 up; ip link set eth0 mtu 1500
            ip address replace $LAB_HOST/24 dev eth0; ip route replace default via $LAB_FAST
            while ip rule del lookup 77 2>/dev/null; do :; done
            for n in {1..9}; do ip route del 198.51.$n.0/24 2>/dev/null || :; nft delete table ip other$n 2>/dev/null || :; done
            ip -6 address replace $LAB_HOST_THIRD6/64 dev eth1 nodad 2>/dev/null || :
            nsnat -q up");
        lab.until("nsnat plan >/dev/null && ! nsnat status 2>&1 | grep -q 'nsnat watch:'");
        held.push(lab.ok(HOLDS));
    }
    lab.until(
        "[[ $(nsnat exec slow whoami4) = 203.0.113.254 && $(nsnat exec third whoami4) = 203.0.113.3 ]]",
    );
    assert_eq!(fast.seen(), "", "{told}");
    assert!(!slow.seen().is_empty(), "the control: nothing was sent; {told}");
    assert_growth(&held, &told);
    let after = lab.ok(MADE);
    lab.ok("kill -TERM $(cat /run/lab/watch); await '! kill -0 $(cat /run/lab/watch)'; nsnat down --kill -q; nsnat up -q");
    assert_eq!(after, lab.ok(MADE), "the state after {told} is not the one of a fresh up");
}

/// Not one open file more; of memory what an allocator keeps back.
fn assert_growth(held: &[String], told: &str) {
    let numbers = |text: &String| text.lines().map(|line| line.trim().parse().unwrap()).collect::<Vec<u64>>();
    let [before, after] = [&held[0], &held[1]].map(numbers);
    assert_eq!(before[0], after[0], "open files: {told}");
    assert!(after[1] <= before[1] + 2048, "KiB of memory: {before:?}, {after:?}; {told}");
}
