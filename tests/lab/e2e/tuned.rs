//! What the host is tuned to holds inside.

use crate::lab::Lab;
use nsnat::model::tuning::KEYS;

/// Another value than a new namespace has, as people set them in /etc/sysctl.d, and some that are hard to write.
const TUNED: &str = "cd /proc/sys/net
    echo 1 >ipv4/tcp_ecn; echo 1 >ipv4/tcp_mtu_probing; echo 3 >ipv4/tcp_fastopen; echo 0 >ipv4/tcp_slow_start_after_idle
    echo 600 >ipv4/tcp_keepalive_time; echo 30 >ipv4/tcp_keepalive_intvl; echo 5 >ipv4/tcp_keepalive_probes
    echo 16384 >ipv4/tcp_notsent_lowat; echo 3 >ipv4/tcp_syn_retries; echo 0 >ipv4/tcp_timestamps; echo 0 >ipv4/tcp_sack
    echo 0 >ipv4/tcp_window_scaling; echo '4096 87380 6291456' >ipv4/tcp_rmem; echo '4096 65536 4194304' >ipv4/tcp_wmem
    echo reno >ipv4/tcp_congestion_control; echo 42 >ipv4/ip_default_ttl; echo 1 >ipv4/ip_no_pmtu_disc
    echo 80 >ipv4/ip_unprivileged_port_start; echo 100 200 >ipv4/ip_local_port_range
    echo 64 >core/somaxconn; echo 1 >ipv6/bindv6only; echo 65536 >core/optmem_max
    (for ((i = 10001; i < 13000; i += 2)); do printf %d, $i; done) >ipv4/ip_local_reserved_ports";

/// Prints all that is carried over, as this shell sees it.
fn listing() -> String {
    let keys: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
    format!(
        "(cd /proc/sys; for key in {}; do printf '%s = %s\\n' $key \"$(cat $key 2>&1)\"; done)",
        keys.join(" ")
    )
}

/// Lines that differ between the host and a namespace.
fn differences(lab: &Lab, inside: &str) -> String {
    let list = listing();
    let script = format!(
        "{list} >/run/lab/out; cat >/run/lab/list <<'END'\n{list}\nEND\n{inside} bash /run/lab/list >/run/lab/in
        test $(grep -c ' = ' /run/lab/in) = {}; diff /run/lab/out /run/lab/in || true",
        KEYS.len()
    );
    lab.ok(&script)
}

#[test]
fn a_namespace_has_what_the_host_has() {
    let lab = Lab::new();
    let before = lab.snapshot();
    lab.ok(&format!("{} >/run/lab/untuned; {TUNED}", listing()));
    // The control: as many settings differ from a new namespace as were changed.
    lab.says(
        &format!(
            "{} >/run/lab/tuned; {{ diff /run/lab/untuned /run/lab/tuned || true; }} | grep -c '^>'",
            listing()
        ),
        "23",
    );
    lab.ok("nsnat add slow --gateway $LAB_SLOW");
    assert_eq!(differences(&lab, "nsnat exec slow"), "");
    assert_eq!(differences(&lab, "nsnat exec --gateway $LAB_SLOW --"), "");
    lab.says("nsnat plan 2>&1; nsnat up", "nsnat: nothing to do\nnothing to do");
    // A change on the host, and one back.
    lab.ok("cd /proc/sys/net; echo 0 >ipv4/tcp_ecn; echo >ipv4/ip_local_reserved_ports; echo 64 >ipv4/ip_default_ttl
        echo 50000 60000 >ipv4/ip_local_port_range; echo 40000 >ipv4/ip_unprivileged_port_start");
    assert_ne!(differences(&lab, "nsnat exec slow"), "");
    lab.says(
        "nsnat plan --commands | cut -d' ' -f-6 || true; nsnat up; nsnat up",
        "ip netns exec slow sysctl -qw\nrepaired (1 action)\nnothing to do",
    );
    assert_eq!(differences(&lab, "nsnat exec slow"), "");
    lab.ok("while IFS= read -r line; do key=${line%% = *} value=${line#* = }; test \"$key\" = net/ipv4/ip_unprivileged_port_start || echo \"$value\" >/proc/sys/$key 2>/dev/null || true; done </run/lab/untuned
        echo 1024 >/proc/sys/net/ipv4/ip_unprivileged_port_start; echo 32768 60999 >/proc/sys/net/ipv4/ip_local_port_range; nsnat up");
    assert_eq!(differences(&lab, "nsnat exec slow"), "");
    lab.ok("nsnat remove slow");
    lab.same(&before, "after remove");
}

/// What makes a router, or answers in the host's name, is no tuning.
#[test]
fn what_is_the_hosts_alone() {
    let lab = Lab::new();
    lab.ok("cd /proc/sys/net/ipv4; echo 1 >ip_forward; echo 1 >icmp_echo_ignore_all; echo 1 >ip_nonlocal_bind; echo 1 >conf/all/accept_redirects
        nsnat add slow --gateway $LAB_SLOW");
    let inside =
        "nsnat exec slow sh -c 'cd /proc/sys/net/ipv4; cat ip_forward icmp_echo_ignore_all ip_nonlocal_bind'";
    lab.says(inside, "0\n0\n0");
}

/// What a namespace does not take is left alone, for as long as the host has that value.
#[test]
fn what_cannot_be_written() {
    let lab = Lab::new();
    lab.ok("echo 1 >/proc/sys/net/ipv4/tcp_ecn; echo 0 >/proc/sys/net/ipv4/tcp_sack");
    let refused = "strace -f -qq -o /run/lab/refused -P /sys/net/ipv4/tcp_ecn -e inject=write:error=EPERM";
    lab.says(
        &format!("{refused} nsnat add slow --gateway $LAB_SLOW; grep -c 'EPERM.*INJECTED' /run/lab/refused"),
        "slow: up, by eth0 via 192.168.1.254\n1",
    );
    let inside = "nsnat exec slow cat /proc/sys/net/ipv4/tcp_ecn /proc/sys/net/ipv4/tcp_sack";
    lab.says(inside, "2\n0");
    lab.says(
        "nsnat plan 2>&1; nsnat up; nsnat status -o json | jq -r '.namespaces[].state'",
        "nsnat: nothing to do\nnothing to do\nup",
    );
    lab.ok("echo 0 >/proc/sys/net/ipv4/tcp_ecn; nsnat up");
    lab.says(inside, "0\n0");
}

/// A namespace that needs a second look at its settings, on a host where a rule and a setting are refused.
#[test]
fn beside_a_rule_that_is_refused() {
    let lab = Lab::new();
    lab.ok("echo 4096 87380 5000000 >/proc/sys/net/ipv4/tcp_rmem; echo 1 >/proc/sys/net/ipv4/tcp_ecn
        iptables -P FORWARD DROP; mount --bind /dev/null $(echo /usr/lib/*-linux-gnu/xtables/libxt_devgroup.so)");
    let refused = "strace -f -qq -o /dev/null -P /sys/net/ipv4/tcp_ecn -e inject=write:error=EPERM";
    let said = lab.ok(&format!("{refused} nsnat add slow --gateway $LAB_SLOW 2>&1"));
    let mut lines: Vec<&str> = said.lines().filter(|line| line.contains("iptables-nft -w")).collect();
    let told = lines.len();
    lines.sort_unstable();
    lines.dedup();
    assert!(told > 0 && told == lines.len(), "each refusal is told, once: {said}");
    let inside = "nsnat -q exec slow cat /proc/sys/net/ipv4/tcp_rmem /proc/sys/net/ipv4/tcp_ecn";
    lab.says(inside, "4096\t87380\t5000000\n2");
    lab.says("{ nsnat plan --commands || true; } | grep -oE 'iptables-nft|sysctl' | sort -u", "iptables-nft");
}
