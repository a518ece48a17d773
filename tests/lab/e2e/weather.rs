//! Bad weather: the host is not as it should be. nsnat says what is wrong and what to do, and changes nothing.

use super::kill::STRICT;
use crate::lab::{Lab, Output};

const SLOW: &str = "[namespace.slow]\ngateway = \"$LAB_SLOW\"\ndns = \"$LAB_NEW\"";

/// Fails in this status, with these words, within few lines, and changes nothing.
#[track_caller]
fn refused(lab: &Lab, script: &str, status: i32, words: &[&str]) -> Output {
    let before = lab.snapshot();
    let output = lab.sh(script);
    let missing: Vec<_> = words.iter().filter(|word| !output.stderr.contains(**word)).collect();
    assert!(
        output.status == status && missing.is_empty(),
        "status {status} and {missing:?} are missing:\n{output}"
    );
    assert!(output.stderr.lines().count() < 40 && output.stderr.len() < 4000, "too many words:\n{output}");
    assert!(!output.stderr.contains("panicked"), "{output}");
    lab.same(&before, &format!("after `{script}` was refused"));
    output
}

#[test]
fn not_root() {
    let lab = Lab::new();
    lab.declare(SLOW);
    // A copy where nobody may read it.
    lab.ok("mkdir -m 755 /run/lab/nobody; install -m 755 $(type -P nsnat) /run/lab/nobody/");
    let as_nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups /run/lab/nobody/nsnat";
    for command in ["up", "down", "plan", "status --check", "add more --gateway 192.168.1.254", "remove slow"]
    {
        let output =
            refused(&lab, &format!("{as_nobody} {command}"), 1, &["root", &format!("sudo nsnat {command}")]);
        assert!(output.stderr.lines().count() <= 2, "one line, and the hint: {output}");
    }
    refused(&lab, &format!("{as_nobody} exec slow true"), 125, &["slow", "sudo"]);
    lab.ok("nsnat up");
    refused(&lab, &format!("{as_nobody} exec slow true"), 125, &["root", "sudo nsnat exec"]);
    refused(&lab, &format!("{as_nobody} down"), 1, &["root", "sudo nsnat down"]);
}

#[test]
fn no_nft_on_the_host() {
    let lab = Lab::new();
    lab.declare(SLOW);
    let nft = lab.ok("nft list ruleset");
    // Covered in a mount namespace of its own: for this one command the host has none.
    let without = "unshare -m --propagation private bash -c '
        for nft in $(type -ap nft); do [ -c $nft ] || mount --bind /dev/null $nft; done; ! nft -v && \"$@\"' -";
    for command in ["up", "add more --gateway $LAB_SLOW", "dns slow set 198.51.100.53", "down"] {
        lab.ok(&format!("{without} nsnat {command}"));
    }
    assert_eq!(lab.ok("nft list ruleset"), nft);
}

/// A chain of another program that stops forwarded packets is nft's: without nft there is no way through it, which is said.
#[test]
fn no_nft_where_it_is_needed() {
    let lab = Lab::new();
    lab.declare(SLOW);
    lab.ok(STRICT);
    let without = "unshare -m --propagation private bash -c '
        for nft in $(type -ap nft); do [ -c $nft ] || mount --bind /dev/null $nft; done; \"$@\"' -";
    lab.ok(&format!("{without} nsnat up 2>&1 | grep 'nft'"));
    lab.ok("nsnat up");
    lab.says("nsnat exec slow whoami4", "203.0.113.254");
}

#[test]
fn a_gateway_that_no_device_reaches() {
    let lab = Lab::new();
    let words = ["172.16.0.1", "eth0", "192.168.1.0/24", "eth1", "10.20.0.0/24"];
    refused(&lab, "nsnat add slow --gateway 172.16.0.1", 2, &words);
    lab.declare("[namespace.slow]\ngateway = \"172.16.0.1\"\n[namespace.good]\ngateway = \"$LAB_SLOW\"");
    refused(&lab, "nsnat up", 2, &words);
    refused(&lab, "nsnat add more --gateway $LAB_SLOW --dev nowhere0", 2, &["nowhere0", "eth0", "eth1"]);
}

#[test]
fn somebody_elses_namespace_of_that_name() {
    let lab = Lab::new();
    lab.ok("ip netns add slow; ip -n slow link set lo up; ip -n slow addr add 10.1.2.3/32 dev lo");
    let inside = "ip -n slow -d addr; ip -n slow rule; ip -n slow route show table all";
    let before = lab.ok(inside);
    refused(&lab, "nsnat add slow --gateway $LAB_SLOW", 2, &["slow", "not nsnat's"]);
    lab.declare(&format!("{SLOW}\n[namespace.third]\ngateway = \"$LAB_THIRD\""));
    refused(&lab, "nsnat up", 2, &["slow", "not nsnat's"]);
    refused(&lab, "nsnat down slow", 1, &["slow", "not nsnat's"]);
    // The others come up all the same, and go, and it stays.
    lab.ok("nsnat up third; nsnat exec third whoami4; nsnat down");
    assert_eq!(before, lab.ok(inside));
    lab.says("nsnat status -o json | jq -r '.namespaces[] | select(.name == \"slow\").state'", "foreign");
}

#[test]
fn a_stale_plain_file_is_healed() {
    let lab = Lab::new();
    let before = lab.snapshot();
    lab.declare(SLOW);
    // With and without its directory as ip netns leaves it.
    for plant in ["mkdir -p /run/netns; touch /run/netns/slow", "ip netns add slow; umount /run/netns/slow"] {
        lab.ok(plant);
        lab.ok("nsnat up");
        lab.says("nsnat exec slow whoami4", "203.0.113.254");
        lab.ok("nsnat down; umount /run/netns 2>/dev/null || true; rmdir /run/netns 2>/dev/null || true");
    }
    lab.ok("rm -r /etc/nsnat");
    lab.same(&before, "after down");
}

/// In both directions: what one makes, the other enters, lists and removes.
#[test]
fn ip_netns_and_nsnat_understand_each_other() {
    let lab = Lab::new();
    let before = lab.snapshot();
    lab.declare(SLOW);
    lab.ok("nsnat up");
    lab.says("ip netns exec slow whoami4", "203.0.113.254");
    lab.says("ip netns exec slow ask 127.0.0.53 a.example.test", "192.0.2.53");
    lab.says("ip netns list | sed 's/ .*//'", "slow");
    lab.says("ip netns exec slow nsnat which", "slow");
    lab.says("ip netns exec slow ip netns identify", "slow");
    lab.says("nsnat exec slow ip netns identify", "slow");
    // A file that `ip netns exec` shows over /etc, `nsnat exec` shows, too.
    lab.ok("mkdir -p /etc/netns/slow; echo here >/etc/netns/slow/hosts");
    lab.says("ip netns exec slow cat /etc/hosts; nsnat exec slow cat /etc/hosts", "here\nhere");
    lab.ok("rm -r /etc/netns");
    // A namespace that comes after ours stays when ours goes, and can be entered.
    lab.ok("ip netns add later; nsnat down; ip netns exec later ip link");
    lab.says("ip netns list", "later");
    // One that was made while ip netns held the directory, removed by it.
    lab.ok("nsnat up; ip netns del slow; ip netns del later; nsnat down");
    lab.ok("rm -r /etc/nsnat; umount /run/netns 2>/dev/null || true; rmdir /run/netns 2>/dev/null || true");
    lab.same(&before, "after all");
}

#[test]
fn a_full_disk_changes_nothing() {
    let lab = Lab::new();
    lab.declare(SLOW);
    lab.ok("mount -o remount,size=$(($(df --output=used -k /run | tail -n 1) + 64))k /run
        dd if=/dev/zero of=/run/lab/filler bs=4k status=none 2>/dev/null || true
        ! echo x >/run/lab/more 2>/dev/null");
    refused(&lab, "nsnat up", 1, &["No space left on device"]);
    refused(&lab, "nsnat add more --gateway $LAB_SLOW --temporary", 1, &["No space left on device"]);
    // Room for some of what is written: whole, or nothing.
    for pages in 1..6 {
        lab.ok(&format!("truncate -s -{}k /run/lab/filler", 4 * pages));
        let before = lab.snapshot();
        let up = lab.sh("nsnat up");
        if up.status == 0 {
            lab.says("nsnat exec slow whoami4", "203.0.113.254");
            lab.ok("nsnat down");
        } else {
            assert!(up.stderr.contains("No space left on device"), "{up}");
        }
        lab.same(&before, &format!("with {pages} free pages, after up ended in {}", up.status));
        lab.ok("dd if=/dev/zero of=/run/lab/filler bs=4k status=none oflag=append conv=notrunc 2>/dev/null || true");
    }
    // Taking away works on a full disk.
    lab.ok("rm /run/lab/filler");
    let before = lab.snapshot();
    lab.ok("nsnat up; dd if=/dev/zero of=/run/lab/filler bs=4k status=none 2>/dev/null || true; nsnat down");
    lab.same(&before, "after down on a full disk");
}

/// The lock: two never interleave. What many at once leave is what they leave one after the other.
#[test]
fn many_at_once() {
    let lab = Lab::new();
    let before = lab.snapshot();
    let declared = |name: &str, gateway: &str| {
        let one = |i| format!("[namespace.{name}{i}]\ngateway = \"{gateway}\"\ndns = \"$LAB_NEW\"\n");
        (0..10).map(one).collect::<String>()
    };
    lab.declare(&format!("{}{}", declared("n", "$LAB_SLOW"), declared("m", "$LAB_THIRD")));
    let at_once = |commands: &str| {
        let wait_all = "status=0; for pid in $pids; do wait $pid || status=1; done; exit $status";
        lab.ok(&format!("pids=; go() {{ nsnat -q \"$@\" & pids+=\" $!\"; }}; {commands}; {wait_all}"));
    };
    let up = "nsnat status -o json | jq -r '.namespaces[] | select(.state != \"down\") | .name + \" \" + .state' | xargs";
    at_once("for i in {0..9}; do go up n$i; done");
    lab.says(up, &(0..10).map(|i| format!("n{i} up")).collect::<Vec<_>>().join(" "));
    lab.says("for i in {0..9}; do nsnat exec n$i whoami4; done | sort -u", "203.0.113.254");
    lab.says("for i in {0..9}; do ip -n n$i -4 -o addr show dev eth0; done | grep -o 'inet [^ ]*' | sort -u | wc -l", "10");
    at_once("for i in {0..4}; do go down n$i; go up m$i; done");
    lab.says(up, "m0 up m1 up m2 up m3 up m4 up n5 up n6 up n7 up n8 up n9 up");
    lab.says("for i in {0..4}; do nsnat exec m$i whoami4; done | sort -u", "203.0.113.3");
    at_once("for i in {0..4}; do go down m$i; go down n$((i + 5)); done");
    lab.ok("rm -r /etc/nsnat");
    lab.same(&before, "after twenty ups and downs");
}

/// All in one file, which each reads, changes and replaces: no declaration is lost.
#[test]
fn many_at_once_in_one_file() {
    let lab = Lab::new();
    lab.ok("printf '# mine\n' >/etc/mine.toml");
    let before = lab.snapshot();
    let wait_all = "status=0; for pid in $pids; do wait $pid || status=1; done; exit $status";
    lab.ok(&format!(
        "pids=; for i in {{0..9}}; do
        nsnat -q --config /etc/mine.toml add n$i --gateway $LAB_SLOW & pids+=\" $!\"; done; {wait_all}"
    ));
    lab.says("nsnat --config /etc/mine.toml list | wc -l; nsnat --config /etc/mine.toml plan", "10");
    lab.ok(&format!(
        "pids=; for i in {{0..9}}; do
        nsnat -q --config /etc/mine.toml remove n$i & pids+=\" $!\"; done; {wait_all}"
    ));
    lab.same(&before, "after ten adds and ten removes");
}

/// From inside of a namespace, what nsnat would take for the host is not the host.
#[test]
fn inside_of_a_namespace_nothing_is_changed() {
    let lab = Lab::new();
    lab.declare("[namespace.x]\ngateway = \"$LAB_SLOW\"\n[namespace.y]\ngateway = \"$LAB_THIRD\"");
    lab.ok("nsnat up; ip netns add foreign");
    let inside = |name: &str| {
        lab.ok(&format!("ip -n {name} -4 addr; ip -n {name} route; ip -n {name} rule; ip netns exec {name} nft list ruleset"))
    };
    let before = (lab.snapshot(), inside("x"), inside("foreign"));
    for command in [
        "up",
        "plan",
        "status",
        "down y --kill",
        "add z --gateway $LAB_SLOW",
        "dns x clear",
        "exec --gateway $LAB_SLOW -- true",
    ] {
        for (enter, words) in [
            ("nsnat exec x --", "inside of namespace x"),
            ("ip netns exec foreign", "another network namespace"),
        ] {
            let output = lab.sh(&format!("{enter} nsnat {command}"));
            let told = matches!(output.status, 1 | 125)
                && output.stderr.contains(words)
                && output.stderr.contains("hint: ");
            assert!(told, "{output}");
        }
    }
    assert_eq!((inside("x"), inside("foreign")), (before.1, before.2));
    lab.same(&before.0, "after nsnat was called from inside");
    // Another namespace can be entered from inside, and what only looks works.
    lab.says(
        "nsnat exec x nsnat exec y whoami4; nsnat exec x nsnat which; nsnat exec x nsnat list",
        "203.0.113.3\nx\nx\ny",
    );
    lab.says("nsnat up; nsnat exec x whoami4", "nothing to do\n203.0.113.254");
}

/// The state file is damaged, or gone with all of `/run/nsnat`: what we switched on is still known.
#[test]
fn the_state_is_lost() {
    for (lose, back) in [
        (
            "echo half >/run/nsnat/state.json; ! nsnat down 2>/run/lab/said; grep -q 'rm -f /run/nsnat/state.json /run/nsnat/journal.json' /run/lab/said; rm /run/nsnat/state.json",
            "nsnat down",
        ),
        ("rm -r /run/nsnat", "nsnat up; nsnat plan; nsnat exec a whoami4; nsnat down"),
    ] {
        let lab = Lab::new();
        // Whether the directory of namespaces was there is known from the state only.
        lab.ok("ip netns add other; ip netns del other");
        let before = lab.snapshot();
        lab.ok("nsnat add a --gateway $LAB_SLOW --gateway $LAB_SLOW6");
        lab.ok(lose);
        let told = lab.ok("nsnat status");
        assert!(told.contains("a     broken") && told.contains("state file was lost"), "{told}");
        let said = lab.ok(back);
        assert!(said.ends_with("a: down"), "{said}");
        lab.ok("rm -r /etc/nsnat");
        lab.same(&before, "after a lost state file and down");
    }
}

/// A file of somebody's stays what it is: a link, private, whoever's.
#[test]
fn a_file_that_is_edited_stays_what_it_is() {
    let lab = Lab::new();
    lab.ok("mkdir /run/lab/conf; cd /run/lab/conf; printf '# mine\\n' >real.toml; chown 1000:1000 real.toml; chmod 600 real.toml; ln -s real.toml link.toml");
    let is = "cd /run/lab/conf; readlink link.toml; stat -c '%a %u %g' real.toml; grep -c namespace real.toml || true";
    lab.ok("SUDO_UID=1000 nsnat --config /run/lab/conf/link.toml add slow --gateway $LAB_SLOW");
    lab.says(is, "real.toml\n600 1000 1000\n1");
    lab.ok("SUDO_UID=1000 nsnat --config /run/lab/conf/link.toml remove slow");
    lab.says(is, "real.toml\n600 1000 1000\n0");
    lab.says("cat /run/lab/conf/real.toml", "# mine");
}

/// What users look at is there for them whatever root's umask is.
#[test]
fn whatever_the_umask_is() {
    let lab = Lab::new();
    lab.ok("umask 077; nsnat add slow --gateway $LAB_SLOW");
    lab.says("stat -c '%a %n' /run/netns /run/nsnat /run/nsnat/ns /etc/nsnat /etc/nsnat/conf.d /etc/nsnat/conf.d/slow.toml /run/nsnat/state.json",
        "755 /run/netns\n755 /run/nsnat\n755 /run/nsnat/ns\n755 /etc/nsnat\n755 /etc/nsnat/conf.d\n644 /etc/nsnat/conf.d/slow.toml\n644 /run/nsnat/state.json");
    lab.says(
        "install -m 755 $(type -P nsnat) /run/lab/bin/; cd /; setpriv --reuid 65534 --clear-groups /run/lab/bin/nsnat list
            nsnat exec slow -u nobody /run/lab/bin/nsnat which",
        "slow\nslow",
    );
}

/// A namespace takes descriptors. Where no more of them can be had, a few namespaces are open at a time; otherwise the command
/// does not see that there were more.
#[test]
fn few_descriptors() {
    let lab = Lab::new();
    lab.ok("mkdir /etc/nsnat; for ((i = 0; i < 60; i++)); do printf '[namespace.n%d]\\ngateway = \"%s\"\\n' $i $LAB_SLOW; done >/etc/nsnat/nsnat.toml");
    lab.says("(ulimit -n 64; nsnat -q up; nsnat plan; nsnat list | wc -l; nsnat -q down)", "60");
    lab.says("ulimit -Sn 64; nsnat -q up; nsnat plan; nsnat down n0; nsnat exec n0 bash -c 'ulimit -Sn'; nsnat exec --gateway $LAB_SLOW -- bash -c 'ulimit -Sn'; nsnat -q down", "n0: down\n64\n64");
}

/// A device that lost its address: `up` cannot help, and `status` says what can.
#[test]
fn a_device_without_an_address() {
    let lab = Lab::new();
    lab.declare("[namespace.c]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW_LL\"]\ndev = \"eth0\"\nlan = false");
    lab.ok("nsnat up; ip -4 addr flush dev eth0");
    for up in ["true", "nsnat up"] {
        let told = lab.ok(&format!("{up}; nsnat status"));
        assert!(
            told.contains("broken") && told.contains("eth0 has no IPv4 address") && !told.contains("missing"),
            "{told}"
        );
    }
    // A link-local address is none that packets can leave with.
    lab.ok("ip addr add $LAB_HOST/24 dev eth0; ip -6 addr del $LAB_HOST6/64 dev eth0; nsnat up");
    let told = lab.ok("nsnat status");
    assert!(told.contains("eth0 has no IPv6 address"), "{told}");
    let words = lab.sh("nsnat exec c whoami6").stderr;
    assert!(words.contains("unreachable") || words.contains("No route to host"), "{words}");
    // It is back, and nobody ran up yet.
    lab.ok("ip addr add $LAB_HOST6/64 dev eth0 nodad");
    let told = lab.ok("nsnat status");
    assert!(told.contains("nsnat up repairs it"), "{told}");
    lab.says(
        "nsnat -q up; nsnat exec c whoami6; nsnat status -o json | jq -r .namespaces[].state",
        "2001:db8:f::fe\nup",
    );
}

/// Whatever became of the name of a namespace's own device.
#[test]
fn eth0_was_renamed() {
    let lab = Lab::new();
    lab.ok("nsnat add a --gateway $LAB_SLOW --dns $LAB_NEW; ip -n a link set eth0 down; ip -n a link set eth0 name foo");
    lab.ok("nsnat up; nsnat plan");
    lab.says("nsnat exec a whoami4; nsnat exec a ask 127.0.0.53 a.example.test", "203.0.113.254\n192.0.2.53");
}
