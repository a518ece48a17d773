//! What a packet costs grows with the number of ways out, not with the number of namespaces.

use crate::lab::Lab;

const UPLINKS: &str = "[uplink.slow]\ndev = \"eth0\"\ngateway = \"$LAB_SLOW\"\n\
    [uplink.fast]\ndev = \"eth0\"\ngateway = \"$LAB_FAST\"\n\
    [uplink.third]\ndev = \"eth1\"\ngateway = \"$LAB_THIRD\"\n";

/// `count` namespaces n0, n1, …, in turns on the first `uplinks` of slow, fast and third.
fn declare(lab: &Lab, count: usize, uplinks: usize) {
    let names = ["slow", "fast", "third"];
    let one =
        |n: usize| format!("[namespace.n{n}]\nuplink = \"{}\"\ndns = \"$LAB_NEW\"\n", names[n % uplinks]);
    lab.declare(&format!("{UPLINKS}{}", (0..count).map(one).collect::<String>()));
}

/// The rules of the host, and those of our nft table: what is not an element.
fn rules(lab: &Lab) -> (String, String) {
    (lab.ok("ip rule; ip -6 rule"), lab.ok("nft -s list table inet nsnat | sed -n '/^\\tchain/,/^\\t}/p'"))
}

#[test]
fn a_hundred_namespaces_on_three_uplinks() {
    let lab = Lab::new();
    let before = lab.snapshot();
    declare(&lab, 1, 1);
    lab.ok("nsnat up");
    let (one_egress, nft) = rules(&lab);
    declare(&lab, 3, 3);
    lab.ok("nsnat up");
    let (three_egresses, nft3) = rules(&lab);
    assert!(three_egresses.lines().count() > one_egress.lines().count(), "{one_egress}\n{three_egresses}");
    assert_eq!(nft, nft3);
    declare(&lab, 100, 3);
    lab.ok("nsnat up");
    let (hundred, nft100) = rules(&lab);
    assert_eq!(three_egresses, hundred, "rules by the number of namespaces");
    assert_eq!(nft, nft100, "nft rules by the number of namespaces");
    // The elements are there (else the above would be no wonder), and every way is the right one.
    lab.says("nft -j list map inet nsnat mark_of | jq '[.nftables[].map.elem // [] | length] | add'", "100");
    for (name, address) in
        [("n0", "254"), ("n1", "1"), ("n2", "3"), ("n97", "1"), ("n98", "3"), ("n99", "254")]
    {
        lab.says(&format!("nsnat exec {name} whoami4"), &format!("203.0.113.{address}"));
    }
    lab.says("ip -n n99 -4 -o addr show dev eth0 | wc -l; nsnat plan; nsnat up", "1\nnothing to do");
    lab.ok("rm -r /etc/nsnat; nsnat -q down");
    lab.same(&before, "after down of a hundred");
}

/// Of a full table's routes few are kept; what matters among them is found, wherever it is.
#[test]
fn a_router_with_a_full_table() {
    let lab = Lab::new();
    let many = "awk -v via=$LAB_FAST 'BEGIN { for (i = 0; i < 6000; i++)
        printf \"route add 20.%d.%d.0/24 via %s dev eth0 proto bird\\n\", i / 256, i % 256, via }' | ip -batch -";
    lab.ok(&format!(
        "{many}; ip route add 10.213.0.0/30 via $LAB_FAST; ip route add default via $LAB_FAST table 213001"
    ));
    let routes = lab.ok("ip route show table all");
    lab.ok("nsnat add slow --gateway $LAB_SLOW --dns $LAB_NEW");
    // The first block of the pool and the first table are taken.
    lab.says("ip -n slow -4 -o addr show dev eth0 | grep -c '10.213.0.2/' || :; ip rule | grep -c 'lookup 213001' || :", "0\n0");
    lab.says("nsnat exec slow whoami4; nsnat up", "203.0.113.254\nnothing to do");
    lab.ok("nsnat remove slow");
    assert!(routes == lab.ok("ip route show table all"), "the routes of others are as before");
}

#[test]
fn the_skeleton_as_it_stands_is_what_runs() {
    let lab = Lab::new();
    lab.ok("cat nft/sets.nft nft/host.nft | nft -c -f -");
    let before = lab.ok("nft list ruleset");
    assert_eq!(before, "", "a check has no effect");
    // Elements aside, and the empty set whose name says which text was loaded.
    let list = "nft list table inet nsnat | sed '/elements = .*}$/d; /elements = /,/}/d; /set text_/,/}/d' | sed '/^$/d'";
    lab.ok("nsnat add slow --gateway $LAB_SLOW --dns $LAB_NEW");
    let running = lab.ok(list);
    lab.ok("nsnat remove slow; cat nft/sets.nft nft/host.nft | nft -f -");
    assert_eq!(running, lab.ok(list));
    assert!(running.contains("chain guard"), "{running}");
}

/// Damage to a namespace, as the first action that `plan` would take.
const DAMAGE: &str = "ip link set nsn-n1 down; ip link set nsn-n2 down; ip -n n1 route flush default";

#[test]
fn up_of_one_looks_at_that_one() {
    let lab = Lab::new();
    declare(&lab, 4, 2);
    lab.ok(&format!("nsnat up; {DAMAGE}"));
    // It is repaired, and what is wrong with the others stays wrong, and known.
    lab.ok("nsnat -q up n1");
    lab.says("nsnat exec n1 whoami4; nsnat status n1 -o json | jq -r .namespaces[].state", "203.0.113.1\nup");
    lab.says("ip -j link show nsn-n2 | jq -r .[].operstate", "DOWN");
    let left = lab.ok("nsnat plan --commands || [ $? = 2 ]");
    assert!(left.contains("nsn-n2") && !left.contains("nsn-n1"), "{left}");
    lab.says("nsnat status n2 -o json | jq -r .namespaces[].state", "broken");
    lab.says("nsnat up n1", "nothing to do");
    lab.ok("nsnat -q up; nsnat plan");
}

#[test]
fn down_of_one_looks_at_that_one() {
    let lab = Lab::new();
    declare(&lab, 4, 2);
    lab.ok(&format!("nsnat up; {DAMAGE}"));
    lab.ok("nsnat -q down n1");
    lab.says("ip netns list | grep -cw n1 || :; ip -j link show nsn-n2 | jq -r .[].operstate", "0\nDOWN");
    // What several share goes with the last of them, though nobody looked at that for the others' sake.
    lab.says("ip rule | grep -c 'lookup 213002' || :", "1");
    lab.ok("nsnat -q down n0; nsnat -q down n2; nsnat -q down n3");
    lab.says(
        "ip rule | grep -c 'lookup 21300' || :; nft list tables; ls -d /run/nsnat 2>/dev/null || :",
        "0",
    );
}

#[test]
fn up_of_one_looks_at_all_where_it_changes_all() {
    let lab = Lab::new();
    declare(&lab, 4, 2);
    lab.ok("nsnat up");
    // What an uplink is like holds for all that leave by it.
    lab.ok("ip link set eth0 mtu 1400; nsnat -q up n1");
    lab.says("cat /sys/class/net/nsn-n3/mtu; ip -n n3 -j link show eth0 | jq .[].mtu", "1400\n1400");
    lab.ok("nsnat -q up");
    // The table is loaded as a whole.
    lab.ok("nft flush ruleset; nsnat -q up n1");
    lab.says("nsnat exec n2 whoami4; nsnat plan", "203.0.113.254");
    // Without the state file nobody knows whose things are there.
    lab.ok("rm /run/nsnat/state.json; nsnat -q up n1; nsnat -q up; nsnat plan");
}
