//! Settings of the host that hold inside of namespaces, too.
//!
//! A network namespace begins with the kernel's defaults: what the host was tuned to (`/etc/sysctl.d`) is lost in it.
//! These are what a program sees of its sockets: how they behave, and what it may do with them. `docs/tuning.md` says
//! why others are not among them.

use std::collections::BTreeMap;

/// Groups whose members may ping without privileges (icmp(7)).
pub const PING_GROUPS: &str = "net/ipv4/ping_group_range";
/// The first port that needs no privileges to listen on (ip(7)).
pub const FREE_PORTS: &str = "net/ipv4/ip_unprivileged_port_start";

/// Path below `/proc/sys`, and what a new namespace has: where none is given that depends on the kernel's version, on
/// memory, or on what the machine itself has, and is looked up. In the order of the paths.
pub const KEYS: [(&str, Option<&str>); 79] = [
    ("net/core/optmem_max", None),
    ("net/core/somaxconn", Some("4096")),
    ("net/core/txrehash", Some("1")),
    ("net/ipv4/ip_autobind_reuse", Some("0")),
    ("net/ipv4/ip_default_ttl", Some("64")),
    ("net/ipv4/ip_local_port_range", Some("32768\t60999")),
    ("net/ipv4/ip_local_reserved_ports", Some("")),
    ("net/ipv4/ip_no_pmtu_disc", Some("0")),
    (FREE_PORTS, Some("1024")),
    (PING_GROUPS, Some("1\t0")),
    ("net/ipv4/tcp_app_win", Some("31")),
    ("net/ipv4/tcp_autocorking", Some("1")),
    ("net/ipv4/tcp_backlog_ack_defer", Some("1")),
    ("net/ipv4/tcp_base_mss", Some("1024")),
    ("net/ipv4/tcp_challenge_ack_limit", None),
    ("net/ipv4/tcp_comp_sack_delay_ns", Some("1000000")),
    ("net/ipv4/tcp_comp_sack_nr", Some("44")),
    ("net/ipv4/tcp_comp_sack_slack_ns", Some("100000")),
    ("net/ipv4/tcp_congestion_control", None),
    ("net/ipv4/tcp_dsack", Some("1")),
    ("net/ipv4/tcp_early_retrans", Some("3")),
    ("net/ipv4/tcp_ecn", Some("2")),
    ("net/ipv4/tcp_ecn_fallback", Some("1")),
    ("net/ipv4/tcp_ecn_option", None),
    ("net/ipv4/tcp_ecn_option_beacon", None),
    ("net/ipv4/tcp_fastopen", Some("1")),
    ("net/ipv4/tcp_fastopen_blackhole_timeout_sec", None),
    ("net/ipv4/tcp_fin_timeout", Some("60")),
    ("net/ipv4/tcp_frto", Some("2")),
    ("net/ipv4/tcp_keepalive_intvl", Some("75")),
    ("net/ipv4/tcp_keepalive_probes", Some("9")),
    ("net/ipv4/tcp_keepalive_time", Some("7200")),
    ("net/ipv4/tcp_limit_output_bytes", None),
    ("net/ipv4/tcp_max_reordering", Some("300")),
    ("net/ipv4/tcp_min_rtt_wlen", Some("300")),
    ("net/ipv4/tcp_min_snd_mss", Some("48")),
    ("net/ipv4/tcp_min_tso_segs", Some("2")),
    ("net/ipv4/tcp_moderate_rcvbuf", Some("1")),
    ("net/ipv4/tcp_mtu_probe_floor", Some("48")),
    ("net/ipv4/tcp_mtu_probing", Some("0")),
    ("net/ipv4/tcp_no_metrics_save", Some("0")),
    ("net/ipv4/tcp_no_ssthresh_metrics_save", Some("1")),
    ("net/ipv4/tcp_notsent_lowat", Some("4294967295")),
    ("net/ipv4/tcp_orphan_retries", Some("0")),
    ("net/ipv4/tcp_pacing_ca_ratio", Some("120")),
    ("net/ipv4/tcp_pacing_ss_ratio", Some("200")),
    ("net/ipv4/tcp_pingpong_thresh", None),
    ("net/ipv4/tcp_plb_enabled", Some("0")),
    ("net/ipv4/tcp_probe_interval", Some("600")),
    ("net/ipv4/tcp_probe_threshold", Some("8")),
    ("net/ipv4/tcp_recovery", Some("1")),
    ("net/ipv4/tcp_reordering", Some("3")),
    ("net/ipv4/tcp_retrans_collapse", Some("1")),
    ("net/ipv4/tcp_retries1", Some("3")),
    ("net/ipv4/tcp_retries2", Some("15")),
    ("net/ipv4/tcp_rfc1337", Some("0")),
    ("net/ipv4/tcp_rmem", None),
    ("net/ipv4/tcp_rto_max_ms", Some("120000")),
    ("net/ipv4/tcp_rto_min_us", Some("200000")),
    ("net/ipv4/tcp_sack", Some("1")),
    ("net/ipv4/tcp_shrink_window", Some("0")),
    ("net/ipv4/tcp_slow_start_after_idle", Some("1")),
    ("net/ipv4/tcp_syn_linear_timeouts", Some("4")),
    ("net/ipv4/tcp_syn_retries", Some("6")),
    ("net/ipv4/tcp_thin_linear_timeouts", Some("0")),
    ("net/ipv4/tcp_timestamps", Some("1")),
    ("net/ipv4/tcp_tso_rtt_log", Some("9")),
    ("net/ipv4/tcp_tso_win_divisor", Some("3")),
    ("net/ipv4/tcp_tw_reuse", Some("2")),
    ("net/ipv4/tcp_tw_reuse_delay", Some("1000")),
    ("net/ipv4/tcp_window_scaling", Some("1")),
    ("net/ipv4/tcp_wmem", None),
    ("net/ipv4/udp_rmem_min", None),
    ("net/ipv4/udp_wmem_min", None),
    ("net/ipv6/auto_flowlabels", Some("1")),
    ("net/ipv6/bindv6only", Some("0")),
    ("net/ipv6/flowlabel_consistency", Some("1")),
    ("net/mptcp/enabled", Some("1")),
    ("net/unix/max_dgram_qlen", Some("10")),
];

/// Whether a setting is one of these.
pub fn is_carried(key: &str) -> bool {
    KEYS.binary_search_by_key(&key, |(known, _)| known).is_ok()
}

/// Of the host's settings, those that say more than that nobody changed anything: another value than a new namespace
/// has, or one of which that is not known, or one that was carried over earlier (`noted`).
pub fn settings_to_inherit(
    noted: impl Fn(&str) -> bool,
    read: impl Fn(&str) -> Option<String>,
) -> BTreeMap<String, String> {
    let one = |(key, fresh): (&str, Option<&str>)| {
        let value = read(key)?;
        let plain = fresh.is_some_and(|fresh| fresh == value) && !noted(key);
        (!plain).then(|| (key.to_owned(), value))
    };
    KEYS.into_iter().filter_map(one).collect()
}

/// A short name for these values, by which it is known that a namespace has them.
pub fn digest(values: &BTreeMap<String, String>) -> String {
    super::digest(format!("{values:?}"))
}

/// What a new namespace has, as far as that is known; otherwise what the host has (`inherited`), which is verified
/// later.
pub fn settings_when_new(inherited: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let one = |(key, fresh): (&str, Option<&str>)| {
        let value = fresh.map(str::to_owned).or_else(|| inherited.get(key).cloned())?;
        Some((key.to_owned(), value))
    };
    KEYS.into_iter().filter_map(one).collect()
}

/// The order in which values are accepted: free ports never begin above the ports that the kernel chooses from, so they
/// are written first where they begin lower than before, and last otherwise.
pub fn put_in_order(values: &mut [(String, String)], before: &BTreeMap<String, String>) {
    let port = |value: &str| value.parse::<u32>().unwrap_or_default();
    let now = before.get(FREE_PORTS).map_or(0, |value| port(value));
    values.sort_by_key(|(key, value)| match key.as_str() {
        FREE_PORTS if port(value) < now => 0,
        FREE_PORTS => 2,
        _ => 1,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn each_setting_is_found() {
        assert!(KEYS.is_sorted());
        assert!(KEYS.iter().all(|(key, _)| is_carried(key)) && !is_carried("net/ipv4/ip_forward"));
    }

    #[test]
    fn what_nobody_changed_is_not_carried() {
        let host = values(&[
            ("net/ipv4/tcp_ecn", "2"),
            ("net/ipv4/tcp_sack", "0"),
            ("net/ipv4/tcp_dsack", "1"),
            ("net/ipv4/tcp_rmem", "1\t2\t3"),
            ("net/ipv4/ip_forward", "1"),
        ]);
        let read = |key: &str| host.get(key).cloned();
        let carried = values(&[("net/ipv4/tcp_sack", "0"), ("net/ipv4/tcp_rmem", "1\t2\t3")]);
        assert_eq!(settings_to_inherit(|_| false, read), carried);
        // What was carried and is plain again has to be written once more.
        assert_eq!(
            settings_to_inherit(|key| key.ends_with("dsack"), read)
                .get("net/ipv4/tcp_dsack")
                .map(String::as_str),
            Some("1")
        );
    }

    #[test]
    fn ports_are_written_in_an_order_that_the_kernel_accepts() {
        let range = ("net/ipv4/ip_local_port_range".to_owned(), "100\t200".to_owned());
        for (start, before, first) in [("80", "1024", true), ("2000", "1024", false), ("80", "", false)] {
            let start = (FREE_PORTS.to_owned(), start.to_owned());
            let mut both = [range.clone(), start.clone()];
            put_in_order(&mut both, &values(&[(FREE_PORTS, before)]));
            assert_eq!(both[0] == start, first);
        }
    }
}
