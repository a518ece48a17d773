//! `nsnat attach`: the network namespaces of other programs.

use super::watch::START;
use crate::lab::Lab;

const SLOW: &str = "[namespace.slow]
    gateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]
    dns = [\"$LAB_NEW\", \"$LAB_NEW6\"]";

/// A container, as far as its network goes: made and in use by another program.
const CONTAINER: &str = "ip netns add web; ip -n web link set lo up;
    ip netns exec web sleep 1000 >/dev/null 2>&1 & echo $! >/run/lab/web";

/// All of the container's network, but for what an interface of that name has.
const REST: &str = "
    ip netns exec web sh -c '(cd /proc/sys && grep -rs \"\" net) | grep -v nf_conntrack_count | sort'
    ip -n web rule; ip -n web -6 rule; ip -n web link; ip -n web addr; ip -n web route show table all
    ip -n web -6 route show table all; ip netns exec web nft list ruleset; ls /run/netns";

fn with_container() -> Lab {
    let lab = Lab::new();
    lab.declare(SLOW);
    lab.ok(CONTAINER);
    lab
}

impl Lab {
    /// A job in the container leaves by the slow router, in both families, and asks its server; the host does not.
    #[track_caller]
    pub(super) fn leaves_by_slow(&self) {
        let inside = "ip netns exec web";
        self.says(&format!("{inside} whoami4; {inside} whoami6"), "203.0.113.254\n2001:db8:f::fe");
        self.says(
            &format!("{inside} ask $LAB_OLD a.example.test; {inside} ask $LAB_OLD6 a.example.test +tcp"),
            "192.0.2.53\n192.0.2.53",
        );
        self.says("whoami4; whoami6", "203.0.113.1\n2001:db8:f::1");
    }
}

#[test]
fn a_container_leaves_by_the_router_and_nothing_else_of_it_changes() {
    let lab = with_container();
    let (host, inside) = (lab.snapshot(), lab.ok(REST));
    lab.ok("nsnat attach /run/netns/web --to slow");
    lab.leaves_by_slow();
    lab.says("nsnat attach /run/netns/web --to slow", "nothing to do");
    // The rest of the container is as it was.
    let without = "grep -v 'eth0\\|^ *link/ether\\|^ *inet6* \\|^ *valid_lft\\|fd6e:\\|10[.]213[.]'";
    let (before, after) = (
        lab.ok(&format!("printf '%s' '{}' | {without}", inside.replace('\'', ""))),
        lab.ok(&format!("{{ {REST} ; }} | tr -d \"'\" | {without}")),
    );
    assert_eq!(before, after, "something else in the container changed");
    // It is in no list of what can be entered, and it is told that it cannot be.
    let refused = lab.fails(125, "nsnat exec web true");
    assert!(refused.contains("it is an attachment"), "{refused}");
    lab.says("nsnat status -o json | jq -r '.namespaces[] | select(.name == \"web\") | .state, .attached.path, .problems[]'", "up\n/run/netns/web");
    lab.says("nsnat ps web -o json | jq -r '.processes[].comm'", "sleep");
    lab.says("nsnat which $(cat /run/lab/web)", "web");
    lab.ok("nsnat trace web && nsnat doctor web");
    lab.ok("nsnat detach web");
    lab.same(&host, "after detach");
    assert_eq!(lab.ok(REST), inside, "the container after detach");
    let note = lab.sh("nsnat detach web");
    assert_eq!((note.status, note.stderr.trim()), (0, "nsnat: web is not attached"));
    lab.same(&host, "after detaching twice");
}

#[test]
fn up_and_down_of_all_know_an_attachment() {
    let lab = with_container();
    let host = lab.snapshot();
    lab.ok("nsnat attach /proc/$(cat /run/lab/web)/ns/net --to slow --id web");
    lab.ok("nsnat up");
    lab.says("nsnat up", "nothing to do");
    lab.leaves_by_slow();
    lab.says("nsnat exec slow whoami4", "203.0.113.254");
    // What others take away is put back.
    lab.ok("ip route del default table 213001; ip -n web route del default; ip -n web addr flush dev eth0");
    lab.fails(2, "nsnat plan");
    lab.ok("nsnat up");
    lab.leaves_by_slow();
    lab.ok("ip link del nsn-web; nsnat up");
    lab.leaves_by_slow();
    // The declared namespace goes, and the attachment leaves as it would.
    lab.ok("nsnat down slow");
    lab.leaves_by_slow();
    lab.ok("nsnat down");
    lab.same(&host, "after down of all");
    lab.says("kill -0 $(cat /run/lab/web); ip -n web -br link | awk '{ print $1 }'", "lo");
}

#[test]
fn an_attachment_ends_with_its_namespace() {
    let lab = with_container();
    lab.ok("nsnat up");
    let up = "nsnat status -o json | jq -r '.namespaces[].name'; nft list map inet nsnat mark_of | grep -o 'nsn-[a-z]*'";
    let alone = lab.ok(up);
    let end = "kill $(cat /run/lab/web); ip netns del web; await '! [ -e /sys/class/net/nsn-web ]'";
    lab.ok("nsnat attach /run/netns/web --to slow");
    assert_ne!(lab.ok(up), alone, "the control");
    // The next run of anything finds it.
    lab.ok(end);
    lab.ok("nsnat up");
    lab.says(up, &alone);
    // A later one in the same place is another one.
    lab.ok(CONTAINER);
    lab.ok("nsnat attach /run/netns/web --to slow; ip netns exec web true");
    lab.ok(&format!("{end}; {CONTAINER}"));
    lab.ok("nsnat up");
    lab.says("ip -n web -br link | awk '{ print $1 }'", "lo");
    lab.says(up, &alone);
    // The daemon finds it at once.
    lab.ok(START);
    lab.ok("nsnat attach /run/netns/web --to slow");
    lab.leaves_by_slow();
    lab.ok(end);
    lab.until("! nft list map inet nsnat mark_of | grep nsn-web && ! grep -q nsnat-attached /run/nsnat/state.json && [ -z \"$(nsnat status -o json | jq -r '.namespaces[] | select(.name == \"web\")')\" ]");
    lab.end_watch("TERM");
}

#[test]
fn many_share_a_slice_and_each_has_an_address() {
    let lab = Lab::new();
    lab.declare(SLOW);
    let before = lab.snapshot();
    // A namespace that is declared shares the egress; the third of the runs is killed, like a few of any.
    lab.ok("nsnat up
        for n in $(seq 20); do ip netns add c$n; done
        for n in $(seq 20); do
            nsnat -q attach /run/netns/c$n --to slow & pids[n]=$!
        done
        for n in 3 7 11 15 19; do kill -9 ${pids[n]} || :; done
        wait
        nsnat -q up
        for n in $(seq 20); do nsnat -q attach /run/netns/c$n --to slow; done");
    lab.says("nsnat up", "nothing to do");
    let addresses = "for n in $(seq 20); do ip -n c$n -4 -br addr show dev eth0 | awk '{ print $3 }'; done | sort -u | wc -l";
    lab.says(addresses, "20");
    lab.says("for n in $(seq 20); do ip netns exec c$n whoami4; done | sort -u", "203.0.113.254");
    lab.says("ip rule | grep -c 'to 10.213.0.0/24 lookup main'", "1");
    // They do not reach each other.
    lab.fails(1, "ip netns exec c1 ping -c 1 -W 1 $(ip -n c2 -4 -o addr show dev eth0 | awk '{ sub(\"/.*\", \"\", $4); print $4 }')");
    lab.ok("for n in $(seq 20); do ip netns del c$n; done; await '! ls /sys/class/net | grep -q nsn-c'; nsnat -q up; nsnat -q down");
    lab.same(&before, "after all of them ended");
}

#[test]
fn what_cannot_be_attached_is_said() {
    let lab = with_container();
    let before = lab.snapshot();
    for (line, why) in [
        ("/run/netns/nothing --to slow", "No such file"),
        ("/etc/hostname --to slow", "is no namespace of the network"),
        ("/proc/self/ns/net --to slow", "is the network of the host itself"),
        ("/run/netns/web --to slwo", "no namespace slwo is declared"),
        ("/run/netns/web --to slow --id slow", "a namespace is called slow"),
        ("/run/netns/web --to slow --ifname lo", "the kernel's own"),
        ("/run/netns/web", "required"),
        ("/run/netns/web --to slow --gateway 192.168.1.254", "cannot be used with"),
    ] {
        let output = lab.sh(&format!("nsnat attach {line}"));
        assert!(output.status != 0 && output.stderr.contains(why), "{line}: {why}\n{output}");
    }
    // Another program's interface, and its default route.
    lab.ok("ip -n web link add eth0 type veth peer name other");
    let refused = lab.fails(1, "nsnat attach /run/netns/web --to slow");
    assert!(refused.contains("there is an interface eth0") && refused.contains("--ifname"), "{refused}");
    lab.ok("ip -n web addr add 10.88.0.2/24 dev eth0; ip -n web link set eth0 up; ip -n web link set other up; ip -n web route add default via 10.88.0.1");
    let refused = lab.fails(1, "nsnat attach /run/netns/web --to slow --ifname net1");
    assert!(refused.contains("has a default route by eth0"), "{refused}");
    lab.same(&before, "after refusals");
    // With a lower preference of its own, nsnat's comes first.
    lab.ok("ip -n web route del default; ip -n web route add default via 10.88.0.1 metric 100
        nsnat attach /run/netns/web --to slow --ifname net1");
    lab.leaves_by_slow();
    let refused = lab.fails(1, "nsnat attach /run/netns/web --to slow --ifname net2 --id second");
    assert!(refused.contains("web.net1 is the way out there already, by the interface net1"), "{refused}");
    lab.ok("nsnat down");
    lab.says("ip -n web route", "default via 10.88.0.1 dev eth0 metric 100 \n10.88.0.0/24 dev eth0 proto kernel scope link src 10.88.0.2");
}
