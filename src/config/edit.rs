//! Declaring a namespace in a file, and forgetting it again, without touching anything else in that file.
//!
//! Both work on lines of text, so that comments, order and spacing of everything else stay as they are, byte
//! for byte; what comes out is parsed again and compared with what should have come out.

use crate::error::{Error, Result};
use crate::model::{HostService, Name, Publication, dnsaddr};
use ipnetwork::IpNetwork;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use toml_edit::{Document, DocumentMut, Item, Key, Table};

/// What `add` says about a namespace.
#[derive(Clone, Debug, Default)]
pub struct NewNamespace {
    /// Next hops.
    pub gateways: Vec<IpAddr>,
    /// Device.
    pub dev: Option<String>,
    /// Servers that get every query.
    pub dns: Vec<SocketAddr>,
    /// OLD and NEW.
    pub rewrites: Vec<(SocketAddr, SocketAddr)>,
    /// Subnet chosen by hand.
    pub subnet: Option<IpNetwork>,
    /// Uplinks of the configuration.
    pub uplinks: Vec<Name>,
    /// A word for `ipv6`.
    pub ipv6: Option<String>,
    /// `lan`.
    pub lan: Option<bool>,
    /// Bytes.
    pub mtu: Option<u32>,
    /// Users.
    pub allow: Vec<String>,
    /// Ports that the other side of an uplink reaches.
    pub publish: Vec<Publication>,
    /// Services of the host that are reached from inside, and no others; none: it is not said.
    pub host: Option<Vec<HostService>>,
}

/// The text of a file with the namespace declared at its end; `existing` is what the file holds now. Undone by
/// [`forget`], except that a last line without a newline gets one.
pub fn declare(existing: Option<&str>, name: &Name, namespace: &NewNamespace) -> Result<String> {
    let existing = existing.unwrap_or_default();
    let refuse = |why: &dyn std::fmt::Display| Error::usage(format!("namespace {name}"), why);
    let before: toml::Table = existing.parse().map_err(|why| refuse(&why))?;
    if data_without(before, name).is_some() {
        return Err(refuse(&"is declared already").hint(format!("`nsnat remove {name}` forgets it")));
    }
    let gap = match existing {
        "" => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    let text = format!("{existing}{gap}{}", table(name, namespace));
    // Nothing can be added to `namespace = { … }` from outside of its braces.
    match text.parse::<toml::Table>() {
        Ok(_) => Ok(text),
        Err(_) => Err(refuse(&"the file cannot be continued with a table [namespace.NAME]")
            .hint("write its namespaces as tables, each under its own header")),
    }
}

/// The text without the namespace of that name, its sub-tables, and the comments right above it; nothing when
/// it is not declared there. An empty text when nothing else is left.
pub fn forget(text: &str, name: &Name) -> Option<String> {
    let wanted = data_without(text.parse().ok()?, name)?;
    let holds = |text: &String| text.parse().is_ok_and(|table| normal(table) == wanted);
    let left = by_lines(text, name).filter(holds).or_else(|| by_keys(text, name))?;
    Some(if left.trim().is_empty() { String::new() } else { left })
}

/// The declaration in its shortest form.
fn table(name: &Name, namespace: &NewNamespace) -> String {
    let mut text = format!("[namespace.{}]\n", Key::new(name.as_str()).display_repr());
    let mut line = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "{key} = {value}");
        }
    };
    line("gateway", one_or_list(&namespace.gateways, IpAddr::to_string));
    line("dev", namespace.dev.as_deref().map(literal));
    line("uplink", one_or_list(&namespace.uplinks, Name::to_string));
    line("subnet", namespace.subnet.map(|subnet| literal(&subnet.to_string())));
    line("dns", dns(namespace));
    line("lan", namespace.lan.map(|lan| lan.to_string()));
    line("mtu", namespace.mtu.map(|mtu| mtu.to_string()));
    line("ipv6", namespace.ipv6.as_deref().map(literal));
    line("allow", list(&namespace.allow));
    line("publish", list(&namespace.publish));
    line(
        "host",
        namespace.host.as_ref().map(|chosen| list(chosen).unwrap_or_else(|| literal(HostService::NONE))),
    );
    text
}

/// `dns` in the shortest form that says it.
fn dns(namespace: &NewNamespace) -> Option<String> {
    let show = |address: &SocketAddr| dnsaddr::show(*address);
    let servers = one_or_list(&namespace.dns, show);
    if namespace.rewrites.is_empty() {
        return servers;
    }
    let pair = |(old, new): &(_, _)| format!("{} = {}", literal(&show(old)), literal(&show(new)));
    let pairs: Vec<String> = namespace.rewrites.iter().map(pair).collect();
    let servers = servers.map_or_else(String::new, |servers| format!("servers = {servers}, "));
    Some(format!("{{ {servers}rewrite = {{ {} }} }}", pairs.join(", ")))
}

/// Nothing, one value, or a list.
fn one_or_list<T>(values: &[T], show: impl Fn(&T) -> String) -> Option<String> {
    let texts: Vec<String> = values.iter().map(|value| literal(&show(value))).collect();
    match texts.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(format!("[{}]", several.join(", "))),
    }
}

/// Nothing, or a list.
fn list(values: &[impl ToString]) -> Option<String> {
    let texts: Vec<String> = values.iter().map(|value| literal(&value.to_string())).collect();
    (!texts.is_empty()).then(|| format!("[{}]", texts.join(", ")))
}

/// A TOML string, quoted and escaped.
fn literal(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

/// The data without that namespace; nothing when it is not in there.
fn data_without(mut data: toml::Table, name: &Name) -> Option<toml::Table> {
    data.get_mut("namespace")?.as_table_mut()?.remove(name.as_str())?;
    Some(normal(data))
}

/// The last namespace may take the implied table of all namespaces with it: that is no difference.
fn normal(mut data: toml::Table) -> toml::Table {
    if data.get("namespace").and_then(toml::Value::as_table).is_some_and(toml::Table::is_empty) {
        data.remove("namespace");
    }
    data
}

/// Removes the key from a table in braces, which has no lines of its own.
fn by_keys(text: &str, name: &Name) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    document.get_mut("namespace")?.as_table_like_mut()?.remove(name.as_str())?;
    Some(document.to_string())
}

/// Removes the lines that belong to the namespace.
fn by_lines(text: &str, name: &Name) -> Option<String> {
    let document = Document::parse(text).ok()?;
    let (key, item) = document.as_table().get("namespace")?.as_table()?.get_key_value(name.as_str())?;
    let mut spans = Vec::new();
    collect(key, item, &mut spans);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut cut = lines_of(&lines, &spans);
    comments(&lines, &mut cut);
    add_blank_lines(&lines, &mut cut);
    Some(lines.iter().enumerate().filter(|(at, _)| !cut.contains(at)).map(|(_, line)| *line).collect())
}

/// The spans of everything below a key: headers, and keys with their values.
fn collect(key: &Key, item: &Item, spans: &mut Vec<Range<usize>>) {
    match item {
        Item::None => {}
        Item::Value(value) => {
            spans.extend(key.span().zip(value.span()).map(|(key, value)| key.start..value.end));
        }
        Item::Table(table) => collect_table(table, spans),
        Item::ArrayOfTables(tables) => tables.iter().for_each(|table| collect_table(table, spans)),
    }
}

fn collect_table(table: &Table, spans: &mut Vec<Range<usize>>) {
    // A table that is only implied, by dotted keys or by a longer header, has no header to remove.
    if !table.is_dotted() && !table.is_implicit() {
        spans.extend(table.span());
    }
    for (name, _) in table {
        if let Some((key, item)) = table.get_key_value(name) {
            collect(key, item, spans);
        }
    }
}

/// The numbers of the lines that the spans touch.
fn lines_of(lines: &[&str], spans: &[Range<usize>]) -> BTreeSet<usize> {
    let mut starts = Vec::with_capacity(lines.len());
    let mut at = 0;
    for line in lines {
        starts.push(at);
        at += line.len();
    }
    let line = |at: usize| starts.partition_point(|start| *start <= at).saturating_sub(1);
    spans
        .iter()
        .flat_map(|span| line(span.start)..=line(span.end.saturating_sub(1).max(span.start)))
        .collect()
}

/// Adds the comments that belong to the lines that go. A comment belongs to what stands right under it; with
/// nothing there, to what stands right above it.
fn comments(lines: &[&str], cut: &mut BTreeSet<usize>) {
    let is_comment = |at: usize| lines.get(at).is_some_and(|line| line.trim_start().starts_with('#'));
    let is_blank = |at: usize| lines.get(at).is_none_or(|line| line.trim().is_empty());
    let mut at = 0;
    while at < lines.len() {
        let end = (at..lines.len()).find(|at| !is_comment(*at)).unwrap_or(lines.len());
        let above = at.checked_sub(1).is_some_and(|above| cut.contains(&above));
        if if is_blank(end) { above } else { cut.contains(&end) } {
            cut.extend(at..end);
        }
        at = end + 1;
    }
}

/// Adds the blank lines inside of what goes, and the blank line before or after it that [`declare`] put there.
fn add_blank_lines(lines: &[&str], cut: &mut BTreeSet<usize>) {
    let is_blank = |at: &usize| lines.get(*at).is_some_and(|line| line.trim().is_empty());
    let ends: Vec<usize> = cut.iter().copied().filter(|at| !cut.contains(&(at + 1))).collect();
    for end in ends {
        let next = (end + 1..lines.len()).find(|at| !is_blank(at)).unwrap_or(lines.len());
        if cut.contains(&next) {
            cut.extend(end + 1..next);
        } else if is_blank(&(end + 1)) {
            cut.insert(end + 1);
        } else if next == lines.len() {
            let start = (0..end).rev().find(|at| !cut.contains(at));
            cut.extend(start.filter(is_blank));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Dns, Ipv6, Source, load};
    use proptest::prelude::*;

    /// A file as people keep it: comments of all kinds, order that nobody else would choose.
    const KEPT: &str = r#"# The office.

[settings] # pools
pool = "10.9.0.0/16"

# Old modem.
[uplink.lte]
dev = "wwan0"
# dev = "ppp0"

[namespace.backup]
uplink = "lte"

# the end
"#;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn slow() -> NewNamespace {
        NewNamespace { gateways: vec!["192.168.1.254".parse().unwrap()], ..NewNamespace::default() }
    }

    fn loaded(text: &str) -> Config {
        load(vec![Source { path: "test.toml".into(), text: text.into() }]).unwrap()
    }

    #[test]
    fn the_shortest_form() {
        let dns = vec!["198.51.100.53:53".parse().unwrap()];
        let text = declare(None, &name("slow"), &NewNamespace { dns, ..slow() }).unwrap();
        assert_eq!(text, "[namespace.slow]\ngateway = \"192.168.1.254\"\ndns = \"198.51.100.53\"\n");
    }

    #[test]
    fn the_longest_form_means_what_was_asked_for() {
        let address = |text: &str| text.parse().unwrap();
        let full = NewNamespace {
            gateways: vec!["192.168.1.254".parse().unwrap(), "fe80::1".parse().unwrap()],
            dev: Some("e\"th".into()),
            dns: vec![address("198.51.100.53:5353"), address("[2001:db8::53]:53")],
            rewrites: vec![(address("8.8.8.8:53"), address("198.51.100.54:53"))],
            subnet: Some("10.5.0.0/30".parse().unwrap()),
            uplinks: Vec::new(),
            ipv6: Some("nat".into()),
            lan: Some(false),
            mtu: Some(1400),
            allow: vec!["root".into()],
            publish: vec!["8080:80".parse().unwrap()],
            host: Some(vec!["5432".parse().unwrap()]),
        };
        let config = loaded(&declare(Some(KEPT), &name("site.a"), &full).unwrap());
        let namespace = &config.namespaces["site.a"];
        let [path] = namespace.uplinks.as_slice() else { panic!("{:?}", namespace.uplinks) };
        assert_eq!(path.gateways.iter().map(|gateway| gateway.value).collect::<Vec<_>>(), full.gateways);
        assert_eq!(path.dev.as_ref().unwrap().value, "e\"th");
        assert_eq!(namespace.subnet.as_ref().unwrap().value.to_string(), "10.5.0.0/30");
        assert_eq!((namespace.ipv6, namespace.lan), (Ipv6::Nat, false));
        assert_eq!((namespace.mtu.unwrap(), namespace.allow.len()), (1400, 1));
        assert_eq!(namespace.host, full.host);
        let none = NewNamespace { host: Some(Vec::new()), ..full.clone() };
        let config = loaded(&declare(None, &name("site.b"), &none).unwrap());
        assert_eq!(config.namespaces["site.b"].host, none.host);
        let Dns::Rewrite { servers, rewrites, .. } = &namespace.dns else { panic!("{:?}", namespace.dns) };
        assert_eq!(servers.iter().map(|server| server.value).collect::<Vec<_>>(), full.dns);
        assert_eq!(
            rewrites.iter().map(|(old, new)| (old.value, new.value)).collect::<Vec<_>>(),
            full.rewrites
        );
    }

    #[test]
    fn what_cannot_be_declared() {
        let refused = |text: &str| declare(Some(text), &name("backup"), &slow()).unwrap_err().to_string();
        assert!(refused(KEPT).contains("is declared already"), "{}", refused(KEPT));
        let braces = refused("namespace = { a = { gateway = \"192.0.2.1\" } }\n");
        assert!(braces.contains("cannot be continued"), "{braces}");
        let broken = refused("x = \n");
        assert!(broken.contains("line 1"), "{broken}");
    }

    #[test]
    fn only_its_own_lines_go() {
        let own = r#"# For apt.
[namespace.slow] # or so
gateway = "192.168.1.254"

# why this server
dns.servers = [
    "198.51.100.53", # the new one
]
# dns.rewrite = {}
"#;
        let with = KEPT.replace("# Old modem.", &format!("{own}\n# Old modem."));
        assert_ne!(with, KEPT);
        assert_eq!(forget(&with, &name("slow")).as_deref(), Some(KEPT));
        assert_eq!(forget(KEPT, &name("slow")), None);
        assert_eq!(forget(own, &name("slow")).as_deref(), Some(""));
    }

    #[test]
    fn every_way_to_write_it_is_forgotten() {
        for (text, left) in [
            ("namespace.slow.dev = 'a'\nnamespace.b.dev = 'b'\n", "namespace.b.dev = 'b'\n"),
            ("[namespace]\nslow = { dev = 'a' }\nb.dev = 'b'\n", "[namespace]\nb.dev = 'b'\n"),
            ("namespace = { slow = { dev = 'a' }, b.dev = 'b' }\n", "namespace = { b.dev = 'b' }\n"),
            ("namespace = { slow.dev = 'a' } # x\ny = 1\n", "namespace = {} # x\ny = 1\n"),
            ("[namespace.slow.dns]\nx = []\n[b]\n[namespace.slow]\ny = 1\n[c]\n", "[b]\n[c]\n"),
            ("x = 1\r\n\r\n[namespace.'slow']\r\ndev = '''\r\n# no comment'''\r\n", "x = 1\r\n"),
            ("[[namespace.slow]]\nx = 1\n[[namespace.slow]]\nx = 2\n[b]\n", "[b]\n"),
            ("[a]\nx = 1\n# of slow\n[namespace.slow]\ny = 1\n# of b\n[b]\n", "[a]\nx = 1\n# of b\n[b]\n"),
        ] {
            assert_eq!(forget(text, &name("slow")).as_deref(), Some(left), "{text}");
        }
    }

    proptest! {
        #[test]
        fn forgetting_undoes_declaring(
            name in "[A-Za-z0-9][A-Za-z0-9_.-]{0,20}",
            gateway: std::net::Ipv4Addr,
            dev in proptest::option::of("\\PC{0,8}"),
            tail in "(#[ a-z]{0,5}\n|\n| \n){0,4}",
        ) {
            prop_assume!(name != "backup");
            let name: Name = name.parse().unwrap();
            let new = NewNamespace { gateways: vec![gateway.into()], dev, ..NewNamespace::default() };
            for before in [String::new(), format!("{KEPT}{tail}")] {
                let text = declare(Some(&before), &name, &new).unwrap();
                prop_assert!(text.starts_with(&before));
                let declared = crate::config::check(vec![Source { path: "test.toml".into(), text: text.clone() }]);
                prop_assert!(declared.0.namespaces.contains_key(&name));
                prop_assert_eq!(forget(&text, &name), Some(before));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}|([\\[\\]{}=.,\"'#\n a]|namespace|slow){0,30}") {
            if let Ok(with) = declare(Some(&text), &name("slow"), &slow()) {
                prop_assert!(forget(&with, &name("slow")).is_some());
            }
            let _ = forget(&text, &name("slow"));
        }
    }
}
