//! The lines of `nsnat plan --commands`, pasted into a root shell, do the same job.

use super::down::EVERYTHING;
use crate::lab::{Lab, Snapshot};

/// The kernel's state, on the host and in each namespace, without what the kernel makes up anew: indexes, link-layer
/// addresses, and link-local ones made of them. Elements of a set are in no order.
pub(super) const STATE: &str = r#"
    while [[ -n $(ip -6 addr show tentative) ]]; do sleep 0.02; done
    state() {
        ip $1 -d link; ip $1 addr; ip $1 rule; ip $1 -6 rule; ip $1 route show table all; ip $1 -6 route show table all
    }
    settings() { cd /proc/sys/net; grep -rs '' ipv4/conf ipv6/conf || true; }
    {
        echo '== host'; state ''; settings | sort
        nft list ruleset | settled
        for file in /run/netns/*; do
            name=${file##*/}
            while [[ -n $(ip -n $name -6 addr show tentative) ]]; do sleep 0.02; done
            echo "== $name"; state "-n $name"; ip netns exec $name bash -c "$(declare -f settings); settings" | sort
        done
        echo '== mounts'
    } | sed -E '/fe80::/d; /valid_lft/d; s/^[0-9]+: //; s/@[a-z0-9-]+:/:/; s/link-netns(id)? [^ ]+//; /stable_secret/d
        s/(link\/ether) .*/\1/; s/veth .*/veth/
        s/^\s*(elements = \{)?\s*//; s/( \}|,)$//'
"#;

#[test]
fn pasted_into_a_root_shell_they_do_what_up_does() {
    let (lab, pasted) = (Lab::new(), Lab::new());
    for lab in [&lab, &pasted] {
        lab.declare(EVERYTHING);
    }
    lab.ok("nsnat up");
    let lines = pasted.sh("nsnat plan --commands >/run/lab/plan");
    assert_eq!(lines.status, 2, "{lines}");
    pasted.ok("sh -ex </run/lab/plan");
    let (up, by_hand) = (Snapshot::new(lab.ok(STATE)), Snapshot::new(pasted.ok(STATE)));
    assert!(up.text().contains("== slow2") && up.text().contains("chain guard"), "{}", up.text());
    if let Err(difference) = up.same_lines(&by_hand) {
        panic!("(- by up, + by the lines of plan)\n{difference}\n{}", pasted.ok("cat /run/lab/plan"));
    }
    for name in ["slow", "third"] {
        assert_eq!(
            lab.ok(&format!("nsnat exec {name} whoami4")),
            pasted.ok(&format!("ip netns exec {name} whoami4"))
        );
    }
    pasted.says("ip netns exec slow ask 127.0.0.53 a.example.test", "192.0.2.53");
}

/// From a state that is half right, too. What is made anew is listed last.
#[test]
fn pasted_after_damage_they_repair() {
    let lab = Lab::new();
    lab.declare(EVERYTHING);
    lab.ok("nsnat up");
    let whole = Snapshot::new(lab.ok(STATE));
    lab.ok("ip rule del pref 4213; ip route flush table 213001; nft delete table inet nsnat
        ip link del nsn-third; ip -n slow rule del pref 10; ip addr flush dev nsn-own");
    lab.fails(2, "nsnat plan --commands >/run/lab/plan");
    lab.ok("sh -ex </run/lab/plan; nsnat plan");
    if let Err(difference) = whole.same_lines(&Snapshot::new(lab.ok(STATE))) {
        panic!(
            "(- before the damage, + after the lines of plan)\n{difference}\n{}",
            lab.ok("cat /run/lab/plan")
        );
    }
}

/// What goes by itself, because the kernel takes IPv6 off a device with a small MTU, is no line.
#[test]
fn pasted_after_an_edit_they_change() {
    let lab = Lab::new();
    lab.declare("[namespace.a]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]");
    lab.ok("nsnat up");
    for edit in [
        "mtu = 1200",
        "mtu = 1400",
        "ipv6 = \"off\"",
        "dns = \"198.51.100.53\"",
        "lan = false",
        "subnet = \"10.5.0.0/30\"",
    ] {
        lab.ok(&format!("echo '{edit}' >>/etc/nsnat/nsnat.toml"));
        let planned = lab.sh("nsnat plan --commands >/run/lab/plan");
        assert_eq!(planned.status, 2, "{edit}: {planned}");
        lab.ok("sh -ex </run/lab/plan");
        // Only the state knows that flows were forgotten.
        lab.says(
            "{ nsnat plan --commands || true; } | grep -v ^conntrack || true; nsnat -q up; nsnat exec a whoami4",
            "203.0.113.254",
        );
        lab.ok("sed -i '/^mtu/d' /etc/nsnat/nsnat.toml; nsnat -q up");
    }
}
