//! What a report of a bug need not tell: public addresses, link-layer addresses, keys, the name of the host. Each gets a
//! word of its own, the same wherever it stands, so that what belongs together can still be seen.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The words that were given out.
#[derive(Debug, Default)]
pub struct Masked {
    host: String,
    words: BTreeMap<String, String>,
    /// How many words of each kind.
    counts: BTreeMap<&'static str, usize>,
}

impl Masked {
    /// For a host of this name.
    pub fn new(host: impl Into<String>) -> Self {
        Self { host: host.into(), ..Self::default() }
    }

    /// The text with words in place of what is not to be told.
    pub fn mask(&mut self, text: &str) -> String {
        let text = self.each(text, |c| c.is_ascii_alphanumeric() || "+/".contains(c), key);
        let text = self.each(&text, |c| c.is_ascii_alphanumeric() || ".:".contains(c), address);
        let host = std::mem::take(&mut self.host);
        let is_host =
            |word: &str| (word == host && !host.is_empty() && host != "localhost").then_some("HOST");
        let text = self.each(&text, |c| c.is_ascii_alphanumeric() || c == '-', is_host);
        self.host = host;
        text
    }

    /// With a word in place of each run of such characters that is of a kind.
    fn each(
        &mut self,
        text: &str,
        is_part: impl Fn(char) -> bool,
        kind: impl Fn(&str) -> Option<&'static str>,
    ) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(&is_part) {
            let (before, from) = rest.split_at(start);
            let (run, after) = from.split_at(from.find(|c| !is_part(c)).unwrap_or(from.len()));
            let bare = run.trim_end_matches(['.', ':']);
            out.push_str(before);
            match kind(bare) {
                Some(kind) => out.push_str(&self.word(kind, bare)),
                None => out.push_str(bare),
            }
            out.push_str(run.get(bare.len()..).unwrap_or_default());
            rest = after;
        }
        out + rest
    }

    fn word(&mut self, kind: &'static str, hidden: &str) -> String {
        if let Some(word) = self.words.get(hidden) {
            return word.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let word = format!("{kind}{count}");
        self.words.insert(hidden.to_owned(), word.clone());
        word
    }
}

/// A key of WireGuard (32 bytes in base64, without the sign at its end), or one in hexadecimal digits.
fn key(word: &str) -> Option<&'static str> {
    let is_base64 = word.len() == 43;
    let digits = word.strip_prefix("0x").unwrap_or_default();
    (is_base64 || digits.len() >= 32).then_some("KEY")
}

fn address(word: &str) -> Option<&'static str> {
    if is_mac(word) {
        return Some("MAC");
    }
    // With a port behind it, too.
    let place = word.rsplit_once(':').filter(|_| word.contains('.')).map_or(word, |(address, _)| address);
    match word.parse().or_else(|_| place.parse()).ok()? {
        IpAddr::V4(address) => is_public(address).then_some("PUBLIC4."),
        IpAddr::V6(address) => is_telling(address).then_some("PUBLIC6."),
    }
}

/// An address of the link layer that is one device's own.
fn is_mac(word: &str) -> bool {
    let bytes: Vec<_> = word.split(':').collect();
    let is_byte = |byte: &&str| byte.len() == 2 && u8::from_str_radix(byte, 16).is_ok();
    let is_common = ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"].contains(&word);
    bytes.len() == 6 && bytes.iter().all(is_byte) && !is_common
}

/// An address of the internet (the registry of special-purpose addresses is RFC 6890's).
fn is_public(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_benchmark = a == 198 && (18..20).contains(&b);
    let is_special = a == 0 || a >= 224 || is_shared || is_benchmark || address.is_documentation();
    !(is_special || address.is_private() || address.is_loopback() || address.is_link_local())
}

/// An address of the internet, or one that holds a device's link-layer address (RFC 4291, appendix A).
fn is_telling(address: Ipv6Addr) -> bool {
    let [first, second, .., sixth, seventh, _] = address.segments();
    let is_global = (0x2000..0x4000).contains(&first) && (first, second) != (0x2001, 0x0db8);
    let has_mac = sixth & 0xff == 0xff && seventh >> 8 == 0xfe;
    is_global || has_mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(text: &str) -> String {
        Masked::new("desk-1").mask(text)
    }

    #[test]
    fn what_is_masked() {
        for (text, shown) in [
            (
                "via 81.2.69.142 dev eth0, 81.2.69.142:53 81.2.69.143.",
                "via PUBLIC4.1 dev eth0, PUBLIC4.2 PUBLIC4.3.",
            ),
            ("2a02:8108::1/64 [2a02:8108::1]:53", "PUBLIC6.1/64 [PUBLIC6.1]:53"),
            ("fe80::1234:56ff:fe78:9abc%eth0", "PUBLIC6.1%eth0"),
            ("link/ether 52:54:00:12:34:56 brd ff:ff:ff:ff:ff:ff", "link/ether MAC1 brd ff:ff:ff:ff:ff:ff"),
            ("key=xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=;", "key=KEY1=;"),
            ("0x0123456789abcdef0123456789abcdef", "KEY1"),
            ("root@desk-1:~ desk-12", "root@HOST1:~ desk-12"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn what_is_needed_stays() {
        for text in [
            "10.213.0.1/30 192.168.1.254 169.254.1.1 100.64.0.1 127.0.0.53 255.255.255.0 192.0.2.1 224.0.0.1",
            "fe80::1 fd6e:736e:6174::2 ::1 2001:db8:1::1 ff02::1",
            "nf_tables priority -150; policy drop; Linux 6.18.0 nft v1.0.6 add dead:beef: localhost",
        ] {
            assert_eq!(masked(text), text);
        }
    }

    proptest! {
        #[test]
        fn no_public_address_is_left(a in 1..100_u8, b: u8, c: u8, d: u8, around in "[ \"(\\[/,;=]{0,3}") {
            let address = Ipv4Addr::new(a, b, c, d);
            prop_assume!(is_public(address));
            let text = masked(&format!("{around}{address}{around}"));
            prop_assert!(!text.contains(&address.to_string()), "{}", text);
        }

        #[test]
        fn nothing_makes_it_panic(text in any::<String>()) {
            let mut masked = Masked::new("h");
            let once = masked.mask(&text);
            prop_assert_eq!(masked.mask(&once), once);
        }
    }
}
