//! Every key that there is, as data: what each table is called, and which keys it knows.

/// A kind of table.
pub(super) struct Table {
    /// As people write it.
    pub(super) header: &'static str,
    /// The keys that it knows, in the order in which they are documented.
    pub(super) keys: &'static [&'static str],
}

/// The file itself.
pub(super) const FILE: Table = Table { header: "the top level", keys: &["namespace", "uplink", "settings"] };

/// A namespace.
pub(super) const NAMESPACE: Table = Table {
    header: "[namespace.NAME]",
    keys: &[
        "gateway",
        "dev",
        "uplink",
        "dns",
        "lan",
        "mtu",
        "subnet",
        "ipv6",
        "allow",
        "publish",
        "host",
        "proxy",
        "prefer",
        "last-resort",
        "on-change",
    ],
};

/// A way out that has a name.
pub(super) const UPLINK: Table = Table { header: "[uplink.NAME]", keys: &["dev", "gateway", "check"] };

/// How it is found out whether an uplink lives.
pub(super) const CHECK: Table = Table {
    header: "[uplink.NAME.check]",
    keys: &["kind", "target", "interval", "timeout", "fail", "recover"],
};

/// The long form of a namespace's `dns`.
pub(super) const DNS: Table =
    Table { header: "[namespace.NAME.dns]", keys: &["servers", "rewrite", "block"] };

/// Pools and numbers.
pub(super) const SETTINGS: Table = Table { header: "[settings]", keys: &["pool", "pool6", "fwmark-mask"] };

/// All of them: where a key that is unknown in one table may belong.
pub(super) const ALL: [&Table; 6] = [&FILE, &NAMESPACE, &UPLINK, &CHECK, &DNS, &SETTINGS];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    /// The schema that editors check a file by.
    #[test]
    fn the_json_schema_has_every_key_and_no_other() {
        let schema: Value = serde_json::from_str(include_str!("../../docs/nsnat.schema.json")).unwrap();
        for (table, definition) in [
            (FILE, ""),
            (NAMESPACE, "/definitions/namespace"),
            (UPLINK, "/definitions/uplink"),
            (CHECK, "/definitions/check"),
            (DNS, "/definitions/dns"),
            (SETTINGS, "/definitions/settings"),
        ] {
            let properties = schema.pointer(&format!("{definition}/properties")).and_then(Value::as_object);
            let keys: BTreeSet<&str> = properties.unwrap().keys().map(String::as_str).collect();
            assert_eq!(keys, table.keys.iter().copied().collect(), "{}", table.header);
        }
    }

    /// Which is nsnat.toml(5), too.
    #[test]
    fn the_page_of_the_configuration_has_every_key() {
        let page = include_str!("../../docs/configuration.md");
        for table in ALL {
            for key in table.keys {
                let is_there = page.contains(&format!("`{key}`")) || page.contains(&format!("`[{key}"));
                assert!(is_there, "docs/configuration.md lacks {key} of {}", table.header);
            }
        }
    }
}
