//! An nsnat of another release takes over what is up, with jobs running. `tests/state/` has what each release left: its
//! configuration, the commands that equal what it did, its table, and the state that it wrote (journal.json, as it was called).

use crate::lab::Lab;

/// The host as a release left it, by its own commands. Numbers of namespaces are those of this run.
fn left_by(lab: &Lab, release: &str) {
    let state = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/state");
    lab.ok(&format!(
        r#"state={state}/{release}
        mkdir -p /etc/nsnat /run/nsnat/ns; cp $state/nsnat.toml /etc/nsnat/
        sed "s,nsnat skeleton,cat $state/skeleton.nft," $state/plan.sh >/run/lab/lines; bash -e /run/lab/lines
        inode() {{ stat -L -c %i /run/netns/$1; }}
        jq --argjson slow $(inode slow) --argjson third $(inode third) \
            'del(.host) | del(.members[].cookie) | .members.slow.inode = $slow | .members.third.inode = $third' \
            $state/journal.json >/run/nsnat/journal.json
        for name in slow third; do jq -n --argjson inode $(inode $name) '{{ $inode }}' >/run/nsnat/ns/$name; done
        ip netns exec slow sleep 1000 >/dev/null 2>&1 &"#
    ));
}

/// Before the state had a version, and before its fields got the names that they have now.
const RELEASES: [&str; 2] = ["first", "second"];

#[test]
fn what_an_older_release_left() {
    RELEASES.into_iter().for_each(is_taken_over);
}

fn is_taken_over(release: &str) {
    let lab = Lab::new();
    let before = lab
        .ok("nft list ruleset | settled; ip rule; ip -6 rule; ip route show table all; sysctl -a 2>/dev/null | grep forwarding");
    left_by(&lab, release);
    lab.says("nsnat exec slow whoami4; nsnat exec third whoami4", "203.0.113.254\n203.0.113.3");
    // Its table is another one; that is said, and not refused.
    let told = lab.ok("nsnat status -o json | jq -r '.namespaces[] | .state, .problems[]'");
    assert!(told.contains("missing: ") && told.contains("nsnat skeleton"), "{told}");
    lab.ok("nsnat up -q");
    lab.says("nsnat status -o json | jq -r '.namespaces[] | .state, .problems[]'", "up\nup");
    lab.says("nsnat up", "nothing to do");
    lab.says(
        "jq .version /run/nsnat/state.json; nsnat ps slow -o json | jq -r '.processes[].comm'; ls /run/nsnat",
        "3\nsleep\nevents.jsonl\nlock\nns\nstate.json",
    );
    lab.says("nsnat exec slow whoami4; nsnat exec slow whoami6", "203.0.113.254\n2001:db8:f::fe");
    lab.says(
        "nsnat exec slow ask 8.8.8.8 a.example.test; nsnat exec third ask 8.8.8.8 a.example.test",
        "192.0.2.53\n192.0.2.53",
    );
    lab.ok("nsnat down --kill -q; rm -r /etc/nsnat");
    lab.says(
        "nft list ruleset | settled; ip rule; ip -6 rule; ip route show table all; sysctl -a 2>/dev/null | grep forwarding",
        &before,
    );
    lab.says("ls -d /run/nsnat /run/netns 2>/dev/null || true", "");
}

/// `down` alone takes away what an older release made.
#[test]
fn down_after_an_older_release() {
    for release in RELEASES {
        let lab = Lab::new();
        let before = lab.ok("nft list ruleset | settled; ip rule; ip -6 rule; ip route show table all");
        left_by(&lab, release);
        lab.ok("nsnat down --kill -q; rm -r /etc/nsnat");
        lab.says("nft list ruleset | settled; ip rule; ip -6 rule; ip route show table all", &before);
        lab.says("ls -d /run/nsnat 2>/dev/null || true", "");
    }
}

/// A field more, a field less, and a number that nobody knows yet.
#[test]
fn what_another_release_may_write() {
    let lab = Lab::new();
    lab.ok("nsnat -q add slow --gateway $LAB_SLOW --dns $LAB_NEW");
    let change = |jq: &str| {
        lab.ok(&format!(
            "jq '{jq}' /run/nsnat/state.json >/run/lab/other; cp /run/lab/other /run/nsnat/state.json"
        ));
        lab.says("nsnat status -o json | jq -r '.namespaces[].state'", "up");
        lab.says("nsnat up", "nothing to do");
    };
    change(
        ".version = 99 | .novelty = { a: 1 } | .namespaces.slow.novelty = 2 | .egresses[].path.novelty = 3",
    );
    change("del(.version) | del(.earlier) | del(.namespaces.slow.proxy) | del(.namespaces.slow.dns.host)");
    lab.ok("nsnat down -q");
    lab.says("nft list ruleset | grep -c nsnat || true", "0");
}
