//! `nsnat watch` on a router that speaks BGP: tens of thousands of routes that come and go are none of its business.

use super::watch::START;
use crate::lab::Lab;

/// `routes VERB PROTOCOL` writes routes to public networks for `ip -batch`; `switches` is how often the daemon has slept.
const WORDS: &str = "routes() {
        for ((i = 0; i < 30000; i++)); do echo \"route $1 20.$((i / 256)).$((i % 256)).0/24 via $LAB_FAST proto $2\"; done
        for ((i = 0; i < 5000; i++)); do printf 'route %s 2a00:%x::/32 via %s dev eth0 proto %s\\n' $1 $i $LAB_FAST6 $2; done
    }
    switches() { awk '/^voluntary/ { print $2 }' /proc/$(cat /run/lab/watch)/status; }
    busy() { awk '{ print $14 + $15 }' /proc/$(cat /run/lab/watch)/stat; }
    ";

fn numbers(text: &str) -> Vec<u64> {
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

/// Whether it slept between two counts, but for a few looks for other reasons, as the end of what came before.
fn is_quiet(counts: &[u64]) -> bool {
    counts[2] - counts[0] < 20 && counts[3] - counts[1] < 20
}

#[test]
fn a_session_of_bgp_does_not_wake_it_and_what_matters_does() {
    let lab = Lab::new();
    lab.declare(
        "[namespace.slow]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\ndns = [\"$LAB_NEW\", \"$LAB_NEW6\"]",
    );
    lab.ok(START);
    lab.until("[[ $(nsnat exec slow whoami4) = 203.0.113.254 ]]");
    let count = |script: &str| numbers(&lab.ok(&format!("{WORDS} switches; busy; {script}; switches; busy")));
    let told = count(
        "routes add bird >/run/lab/add; routes del bird >/run/lab/del; ip -batch /run/lab/add; ip -batch /run/lab/del",
    );
    assert!(is_quiet(&told), "{told:?}");
    // In the middle of it, a rule goes, and is put back.
    lab.ok("(ip -batch /run/lab/add; ip -batch /run/lab/del; touch /run/lab/over) >/dev/null 2>&1 &
        pref=$(ip rule | sed -n 's/^\\([0-9]*\\):.*fwmark 0x1000000.*lookup.*/\\1/p' | head -n 1)
        ip rule del pref $pref; await \"ip rule | grep -q ^$pref:\"
        ! test -e /run/lab/over; await 'test -e /run/lab/over'");
    // The control: the same routes of an administrator are heard, and looked at as a few.
    let heard = count("routes add static >/run/lab/add; ip -batch /run/lab/add");
    assert!(!is_quiet(&heard), "{heard:?}");
    lab.until("[[ $(nsnat exec slow whoami4) = 203.0.113.254 ]] && nsnat plan");
}
