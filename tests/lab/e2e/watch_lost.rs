//! `nsnat watch`, when more happens than its sockets hold: what it was not told of is put right all the same.

use super::watch::START;
use crate::lab::Lab;

/// More changes of addresses than a socket of rtnetlink holds, and what of nsnat's is taken away after them.
const ADDRESSES: (&str, &str) = (
    "for i in {1..12000}; do echo 'address add 203.0.113.77/32 dev eth1'; echo 'address del 203.0.113.77/32 dev eth1'; done | ip -batch -",
    "ip link del nsn-slow; ip rule del pref 4210; ip route del default table 213001",
);

/// The same of nf_tables.
const ELEMENTS: (&str, &str) = (
    "{ echo 'table inet other { set many { type mark; }; }'; for i in {1..150}; do
        echo \"add element inet other many { $(seq -s, $((i * 1000)) $((i * 1000 + 999))) }\"; done; } | nft -f -",
    "nft delete table inet nsnat",
);

/// Sockets that listen and lost something, by their protocol (proc_pid_net(5): Eth, Groups, Drops).
fn lost(protocol: u8) -> String {
    format!("awk '$2 == {protocol} && $4 !~ /^0*$/ && $9 > 0' /proc/net/netlink | grep -q .")
}

#[test]
fn what_was_lost_among_changes_of_addresses() {
    is_put_right(0, ADDRESSES);
}

#[test]
fn what_was_lost_among_changes_of_rules() {
    is_put_right(12, ELEMENTS);
}

fn is_put_right(protocol: u8, (flood, damage): (&str, &str)) {
    let lab = Lab::new();
    lab.declare(
        "[namespace.slow]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\ndns = [\"$LAB_NEW\", \"$LAB_NEW6\"]",
    );
    lab.ok(START);
    lab.says("nsnat exec slow whoami4", "203.0.113.254");
    lab.ok(&format!("kill -STOP $(cat /run/lab/watch); ! {}", lost(protocol)));
    lab.ok(&format!("{flood}; {}", lost(protocol)));
    lab.ok(&format!("{damage}; ! timeout 1 nsnat exec slow whoami4; kill -CONT $(cat /run/lab/watch)"));
    lab.until("[[ $(timeout 1 nsnat exec slow whoami4) = 203.0.113.254 && $(timeout 1 nsnat exec slow whoami6) = 2001:db8:f::fe ]] && nsnat plan");
    lab.says("nsnat exec slow ask $LAB_OLD a.example.test", "192.0.2.53");
    lab.end_watch("TERM");
}
