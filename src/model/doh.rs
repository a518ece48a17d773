//! Well-known public resolvers that answer DNS over HTTPS by these addresses and are for nothing else.
//!
//! The operator's own page, where the addresses are to be checked, is named beside each row; they are of 2026. Front
//! ends that share their addresses with web pages of others (resolvers behind a CDN) are not in it: to refuse them
//! would refuse those pages.

/// An operator, where it says so, and its addresses.
pub struct Resolver {
    /// The company or person that runs the resolver.
    pub operator: &'static str,
    /// The page on which the operator lists its addresses.
    pub page: &'static str,
    /// IPv4 and IPv6.
    pub addresses: &'static [&'static str],
}

/// All of them.
pub const RESOLVERS: [Resolver; 10] = [
    Resolver {
        operator: "AdGuard",
        page: "adguard-dns.io/en/public-dns.html",
        addresses: &[
            "94.140.14.14",
            "94.140.15.15",
            "94.140.14.15",
            "94.140.15.16",
            "94.140.14.140",
            "94.140.14.141",
            "2a10:50c0::ad1:ff",
            "2a10:50c0::ad2:ff",
            "2a10:50c0::bad1:ff",
            "2a10:50c0::bad2:ff",
            "2a10:50c0::1:ff",
            "2a10:50c0::2:ff",
        ],
    },
    Resolver {
        operator: "CleanBrowsing",
        page: "cleanbrowsing.org/filters",
        addresses: &[
            "185.228.168.9",
            "185.228.169.9",
            "185.228.168.10",
            "185.228.169.11",
            "185.228.168.168",
            "185.228.169.168",
            "2a0d:2a00:1::",
            "2a0d:2a00:2::",
            "2a0d:2a00:1::1",
            "2a0d:2a00:2::1",
            "2a0d:2a00:1::2",
            "2a0d:2a00:2::2",
        ],
    },
    Resolver {
        operator: "Cloudflare",
        page: "developers.cloudflare.com/1.1.1.1/ip-addresses",
        addresses: &[
            "1.1.1.1",
            "1.0.0.1",
            "1.1.1.2",
            "1.0.0.2",
            "1.1.1.3",
            "1.0.0.3",
            "2606:4700:4700::1111",
            "2606:4700:4700::1001",
            "2606:4700:4700::1112",
            "2606:4700:4700::1002",
            "2606:4700:4700::1113",
            "2606:4700:4700::1003",
            "2606:4700:4700::64",
            "2606:4700:4700::6400",
        ],
    },
    Resolver {
        operator: "Control D",
        page: "docs.controld.com/docs/control-d-ip-ranges",
        addresses: &[
            "76.76.2.0",
            "76.76.10.0",
            "76.76.2.1",
            "76.76.10.1",
            "76.76.2.2",
            "76.76.10.2",
            "76.76.2.3",
            "76.76.10.3",
            "76.76.2.4",
            "76.76.10.4",
            "76.76.2.5",
            "76.76.10.5",
            "76.76.2.11",
            "76.76.10.11",
            "2606:1a40::",
            "2606:1a40:1::",
            "2606:1a40::1",
            "2606:1a40:1::1",
            "2606:1a40::2",
            "2606:1a40:1::2",
            "2606:1a40::3",
            "2606:1a40:1::3",
            "2606:1a40::4",
            "2606:1a40:1::4",
            "2606:1a40::5",
            "2606:1a40:1::5",
            "2606:1a40::11",
            "2606:1a40:1::11",
            "76.76.2.22",
            "76.76.10.22",
            "2606:1a40::22",
            "2606:1a40:1::22",
        ],
    },
    Resolver {
        operator: "DNS.SB",
        page: "dns.sb",
        addresses: &["185.222.222.222", "45.11.45.11", "2a09::", "2a11::"],
    },
    Resolver {
        operator: "Google",
        page: "developers.google.com/speed/public-dns/docs/using",
        addresses: &[
            "8.8.8.8",
            "8.8.4.4",
            "2001:4860:4860::8888",
            "2001:4860:4860::8844",
            "2001:4860:4860::64",
            "2001:4860:4860::6464",
        ],
    },
    Resolver {
        operator: "Mullvad",
        page: "mullvad.net/help/dns-over-https-and-dns-over-tls",
        addresses: &[
            "194.242.2.2",
            "194.242.2.3",
            "194.242.2.4",
            "194.242.2.5",
            "194.242.2.6",
            "194.242.2.9",
            "2a07:e340::2",
            "2a07:e340::3",
            "2a07:e340::4",
            "2a07:e340::5",
            "2a07:e340::6",
            "2a07:e340::9",
        ],
    },
    Resolver {
        operator: "NextDNS",
        page: "help.nextdns.io",
        addresses: &["45.90.28.0", "45.90.30.0", "2a07:a8c0::", "2a07:a8c1::"],
    },
    Resolver {
        operator: "OpenDNS (Cisco)",
        page: "support.opendns.com",
        addresses: &[
            "208.67.222.222",
            "208.67.220.220",
            "208.67.222.220",
            "208.67.220.222",
            "208.67.222.123",
            "208.67.220.123",
            "146.112.41.2",
            "146.112.41.3",
            "2620:119:35::35",
            "2620:119:53::53",
            "2620:119:35::123",
            "2620:119:53::123",
            "2620:119:fc::2",
            "2620:119:fc::3",
        ],
    },
    Resolver {
        operator: "Quad9",
        page: "quad9.net/service/service-addresses-and-features",
        addresses: &[
            "9.9.9.9",
            "149.112.112.112",
            "9.9.9.10",
            "149.112.112.10",
            "9.9.9.11",
            "149.112.112.11",
            "2620:fe::fe",
            "2620:fe::9",
            "2620:fe::10",
            "2620:fe::fe:10",
            "2620:fe::11",
            "2620:fe::fe:11",
        ],
    },
];

/// The addresses of all.
pub fn addresses() -> impl Iterator<Item = std::net::IpAddr> {
    RESOLVERS.iter().flat_map(|resolver| resolver.addresses).filter_map(|address| address.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_is_an_address_and_there_once() {
        let written = RESOLVERS.iter().flat_map(|resolver| resolver.addresses).count();
        assert_eq!(addresses().collect::<BTreeSet<_>>().len(), written);
    }

    #[test]
    fn each_has_both_families_and_says_whence() {
        for Resolver { operator, page, addresses } in &RESOLVERS {
            assert!(page.contains('.') && addresses.iter().any(|a| a.contains(':')), "{operator}");
            assert!(addresses.iter().any(|a| !a.contains(':')), "{operator}");
        }
    }
}
