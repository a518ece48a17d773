//! `nsnat watch`, when more happens than its socket holds: what it was not told of is put right all the same.

use super::watch::START;
use crate::lab::Lab;

/// More changes of addresses than a socket of rtnetlink holds.
const FLOOD: &str = "for i in {1..12000}; do echo 'address add 203.0.113.77/32 dev eth1'; echo 'address del 203.0.113.77/32 dev eth1'; done | ip -batch -";
const DAMAGE: &str = "ip link del nsn-slow; ip rule del pref 4210; ip route del default table 213001";

/// A socket of rtnetlink that listens lost something (proc_pid_net(5): Eth, Groups, Drops).
const LOST: &str = "awk '$2 == 0 && $4 !~ /^0*$/ && $9 > 0' /proc/net/netlink | grep -q .";

const IS_WELL: &str = "[[ $(timeout 1 nsnat exec slow whoami4) = 203.0.113.254 && $(timeout 1 nsnat exec slow whoami6) = 2001:db8:f::fe ]] && nsnat plan";

/// Without a look at everything after the loss, the daemon goes on as if nothing were wrong.
#[test]
fn what_was_not_told_is_put_right() {
    let lab = Lab::new();
    lab.declare(
        "[namespace.slow]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\ndns = [\"$LAB_NEW\", \"$LAB_NEW6\"]",
    );
    lab.ok(START);
    lab.says("nsnat exec slow whoami4", "203.0.113.254");
    lab.ok(&format!("kill -STOP $(cat /run/lab/watch); ! {LOST}"));
    lab.ok(&format!("{FLOOD}; {LOST}"));
    lab.ok(&format!("{DAMAGE}; ! timeout 1 nsnat exec slow whoami4; kill -CONT $(cat /run/lab/watch)"));
    lab.until(IS_WELL);
    lab.says("nsnat exec slow ask $LAB_OLD a.example.test", "192.0.2.53");
    lab.end_watch("TERM");
}
