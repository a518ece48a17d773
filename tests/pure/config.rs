//! `tests/config/<case>/`: `nsnat.toml`, `conf.d/*.toml` and `run/*.toml` (temporary ones) → `expected.txt`,
//! the report of their problems, or what they say when there are none. `BLESS=1` writes what comes out.

use nsnat::config::{Config, Dns, Located, Namespace, Source, Uplink, load};
use nsnat::model::{Check, LastResort, Prefer};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[test]
fn cases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let folders = sorted(&root);
    let failed: Vec<String> = folders.iter().filter_map(|folder| case(folder)).collect();
    assert!(folders.len() > 10, "only {} cases found", folders.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Every example of the reference can be loaded as it stands.
#[test]
fn examples_of_the_reference() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = fs::read_to_string(&path).unwrap();
    let blocks: Vec<&str> =
        text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() > 5, "only {} examples found", blocks.len());
    for block in blocks {
        let source = Source { path: path.clone(), text: block.to_owned() };
        if let Err(error) = load(vec![source]) {
            panic!("{block}\n{error}");
        }
    }
}

/// What differs, if anything.
fn case(folder: &Path) -> Option<String> {
    let actual = match load(sources(folder)) {
        Ok(config) => show(&config),
        Err(error) => format!("exit {}\n{error}\n", error.status()),
    };
    let golden = folder.join("expected.txt");
    if std::env::var_os("BLESS").is_some() {
        fs::File::create(&golden).unwrap().write_all(actual.as_bytes()).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    (actual != expected).then(|| format!("--- {}\n{}", golden.display(), difference(&expected, &actual)))
}

fn sources(folder: &Path) -> Vec<Source> {
    let mut files = vec![(folder.join("nsnat.toml"), PathBuf::from("/etc/nsnat/nsnat.toml"))];
    for (below, shown) in [("conf.d", "/etc/nsnat/conf.d"), ("run", "/run/nsnat/conf.d")] {
        let found = if folder.join(below).is_dir() { sorted(&folder.join(below)) } else { Vec::new() };
        files.extend(
            found.into_iter().map(|path| (path.clone(), Path::new(shown).join(path.file_name().unwrap()))),
        );
    }
    let read = |path| fs::read_to_string(path).unwrap();
    files.into_iter().map(|(from, path)| Source { path, text: read(from) }).collect()
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// A checked configuration, one line a namespace.
fn show(config: &Config) -> String {
    let settings = &config.settings;
    let mut text = format!(
        "pool {} pool6 {} mask {:#x}\n",
        settings.pool.value, settings.pool6.value, settings.fwmark_mask.value
    );
    for (name, namespace) in &config.namespaces {
        let file = config.declared_in(name).unwrap().display();
        let _ = writeln!(text, "{name} ({file}): {}", say(namespace));
    }
    for (name, namespace) in &config.checks {
        let _ = writeln!(text, "{name}: {}", say(namespace));
    }
    text
}

fn say(namespace: &Namespace) -> String {
    let Namespace { uplinks, lan, mtu, subnet, ipv6, dns, temporary, allow, on_change, .. } = namespace;
    let paths: Vec<String> = uplinks.iter().map(path).collect();
    let subnet = subnet.as_ref().map(|subnet| subnet.value.to_string());
    let (paths, dns) = (paths.join(" else "), resolve(dns));
    let allow: Vec<String> = allow.iter().map(|who| format!(" allow {}", who.value)).collect();
    let allow = allow.concat();
    let prefer = if namespace.prefer == Prefer::First { "" } else { " sticky" };
    let last_resort = if namespace.last_resort == LastResort::Main { " or main" } else { "" };
    let words: Vec<&str> = on_change.iter().map(|word| word.value.as_str()).collect();
    let on_change = if words.is_empty() { String::new() } else { format!(" on-change {words:?}") };
    format!(
        "{paths}; lan {lan} mtu {mtu:?} subnet {subnet:?} ipv6 {ipv6:?} {dns} temporary {temporary}{allow}{prefer}{last_resort}{on_change}"
    )
}

fn path(uplink: &Uplink) -> String {
    let name = uplink.name.as_ref().map_or("its own", |name| name.as_str());
    let dev = uplink.dev.as_ref().map_or("any", |dev| &dev.value);
    let gateways: Vec<String> = uplink.gateways.iter().map(|gateway| gateway.value.to_string()).collect();
    let check = if uplink.check == Check::default() { String::new() } else { format!(" {:?}", uplink.check) };
    format!("{name} dev {dev} via {gateways:?}{check}")
}

fn resolve(dns: &Dns) -> String {
    let show = |address: &Located<SocketAddr>| address.value.to_string();
    match dns {
        Dns::Auto => "dns auto".into(),
        Dns::Host => "dns host".into(),
        Dns::Rewrite { servers, rewrites, block } => {
            let servers: Vec<String> = servers.iter().map(show).collect();
            let pairs: Vec<String> =
                rewrites.iter().map(|(old, new)| format!("{}={}", show(old), show(new))).collect();
            let block = if block.is_empty() { String::new() } else { format!(" block {block:?}") };
            format!("dns {servers:?} {pairs:?}{block}")
        }
    }
}

/// The lines that differ, with those around the first of them.
fn difference(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let tail =
        old[same..].iter().rev().zip(new[same..].iter().rev()).take_while(|(old, new)| old == new).count();
    let mut text = String::new();
    for line in &old[same.saturating_sub(2)..same] {
        let _ = writeln!(text, "  {line}");
    }
    for line in &old[same..old.len() - tail] {
        let _ = writeln!(text, "- {line}");
    }
    for line in &new[same..new.len() - tail] {
        let _ = writeln!(text, "+ {line}");
    }
    text
}
