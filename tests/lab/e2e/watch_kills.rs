//! `nsnat watch`, killed at any call of a repair and started again: it completes what was begun, no packet leaves
//! elsewhere, and jobs go on.
//!
//! strace(1) kills. A repair that nothing cuts off is counted first; the suite takes a sample of its calls, `NSNAT_KILLS`
//! is how many (1000: all), `NSNAT_SEED` repeats a sample.

use super::kill::{Random, number};
use super::watch::START;
use crate::lab::Lab;
use std::collections::BTreeMap;

/// Calls that change something, or ask the kernel to; nft is started by one.
const CALLS: &str = "sendto,sendmsg,write,rename,mount,clone3";

/// What is repaired: nothing of nft is left, a link, a rule and a route are gone.
const DAMAGE: &str =
    "nft flush ruleset; ip link del nsn-slow; ip rule del pref 4210; ip route del default table 213002";

const IS_WELL: &str = "[[ $(timeout 1 nsnat exec slow whoami4) = 203.0.113.254 && $(timeout 1 nsnat exec third whoami4) = 203.0.113.3 ]] && nsnat plan";

#[test]
fn at_any_call_of_a_repair() {
    let lab = Lab::new();
    lab.declare(
        "[namespace.slow]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\n[namespace.third]\ngateway = \"$LAB_THIRD\"",
    );
    lab.ok("nsnat -q up");
    let mut points = points(&lab);
    println!("{} points", points.len());
    let (cut_off, goes_on) = (lab.job("slow", SENDER), lab.connection("third"));
    let [fast, slow] = ["fast", "slow"].map(|router| lab.capture(router, "udp port 4401 or tcp port 9997"));
    let mut random = Random::seeded();
    for _ in 0..number("NSNAT_KILLS", 12).min(points.len() as u64) {
        let (call, nth) = points.swap_remove(usize::try_from(random.next() % points.len() as u64).unwrap());
        let strace =
            format!("strace -qq -e signal=none -o /dev/null -e inject={call}:signal=KILL:when={nth}");
        println!("killed at {call} {nth}");
        lab.fails(137, &format!("{DAMAGE}; timeout 60 {strace} nsnat watch >/run/lab/killed.log 2>&1"));
        lab.ok(START);
        lab.until(IS_WELL);
        goes_on.goes_on();
        lab.end_watch("TERM");
    }
    cut_off.kill();
    assert_eq!(fast.seen(), "");
    assert!(slow.seen().contains(".4401: UDP"), "the control: nothing was sent");
}

/// A job that sends all the time, whatever becomes of it.
const SENDER: &str = "bash -c 'while sleep 0.01; do echo >/dev/udp/'$LAB_SERVICE'/4401; done 2>/dev/null'";

/// The calls of a repair that nothing cuts off, until the daemon is ready: each call, and which one of its kind it is.
/// The kernel makes a write to a setting again while another program has its lock, up to a thousand times here. The next
/// run may have less of that, so a call that was made again counts once.
fn points(lab: &Lab) -> Vec<(String, usize)> {
    let calls = lab.ok(&format!(
        "{DAMAGE}; strace -qq -e signal=none -o /run/lab/trace -e trace={CALLS} nsnat watch >/run/lab/watch.log 2>&1 &
        await 'grep -q ready /run/lab/watch.log'; pkill -KILL -P $! nsnat; wait || :; sed '/ready; /Q; /ERESTART/d; s/(.*//' /run/lab/trace"
    ));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut nth = |call| {
        *counts.entry(call).or_default() += 1;
        (call.to_owned(), counts[call])
    };
    // strace also tells of calls that it has no name for (listmount(2)), and cannot be asked for them. Those change nothing.
    calls.lines().filter(|call| !call.starts_with("syscall_")).map(&mut nth).collect()
}
