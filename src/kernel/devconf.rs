//! Settings of devices (`/proc/sys/net/ipv4/conf/DEV/…`) out of the dump of links, where the kernel sends them along
//! (`IFLA_INET_CONF` and `IFLA_INET6_CONF`, `inet_fill_link_af` in net/ipv4/devinet.c).
//!
//! That is cheaper than a file for each of them.

use crate::attributes::find;

/// Settings by their path below `/proc/sys`.
pub(super) type Settings = Vec<(String, String)>;

/// IFLA_INET_CONF, IFLA_INET6_CONF: an array of numbers.
const INET_CONF: u16 = 1;
const INET6_CONF: u16 = 2;

/// The settings that nsnat ever sets or asks for, and their places in the array. IPv4 counts from 1
/// (IPV4_DEVCONF_… in include/uapi/linux/ip.h), the array from 0.
const V4: [(&str, usize); 5] = [
    ("accept_local", 22),
    ("forwarding", 0),
    ("route_localnet", 25),
    ("rp_filter", 7),
    ("src_valid_mark", 23),
];

/// The same, IPv6 (DEVCONF_… in include/uapi/linux/ipv6.h). A kernel that does not have the last one (before Linux
/// 6.17) sends fewer numbers.
const V6: [(&str, usize); 5] =
    [("accept_dad", 27), ("accept_ra", 3), ("disable_ipv6", 26), ("force_forwarding", 59), ("forwarding", 0)];

/// The settings of the device `name` out of IFLA_AF_SPEC. A device without a family has none of its settings.
pub(super) fn settings(families: &[u8], name: &str) -> Settings {
    let of_family = |family: libc::c_int, conf, known: [(&str, usize); 5], path: &str| {
        let numbers = u16::try_from(family).ok().and_then(|family| find(find(families, family)?, conf));
        let one = |(key, place): (&str, usize)| {
            let number = numbers?.get(place * 4..)?.first_chunk()?;
            Some((format!("net/{path}/conf/{name}/{key}"), i32::from_ne_bytes(*number).to_string()))
        };
        known.into_iter().filter_map(one).collect::<Vec<_>>()
    };
    let mut out = of_family(libc::AF_INET, INET_CONF, V4, "ipv4");
    out.extend(of_family(libc::AF_INET6, INET6_CONF, V6, "ipv6"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::nested;

    #[test]
    fn a_kernel_that_does_not_know_a_setting_sends_fewer_numbers() {
        let conf = |kind, length: i32| {
            crate::attributes::attribute(kind, &(0..length).flat_map(i32::to_ne_bytes).collect::<Vec<_>>())
        };
        let families = |v6| [nested(2, &conf(INET_CONF, 33)), nested(10, &conf(INET6_CONF, v6))].concat();
        let keys = |v6| settings(&families(v6), "eth0");
        assert_eq!(keys(60).len(), 10);
        assert_eq!(keys(59).len(), 9);
        assert!(keys(59).contains(&("net/ipv4/conf/eth0/rp_filter".into(), "7".into())));
        assert_eq!(settings(&[], "eth0"), []);
    }
}
