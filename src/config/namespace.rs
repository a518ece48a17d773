//! `[namespace.NAME]` and `[uplink.NAME]`.

use super::reader::{Key, Reader, Section, Value, parse_word, quoted};
use super::{Dns, Ipv6, Located, Namespace, Problem, Uplink};
use super::{dns, health, hook, net, schema, uplink};
use crate::model::{Account, HostService, Name, Proxy, Publication};

/// What the kernel takes as an IPv4 MTU: RFC 791's minimum for a datagram's reassembly up to its length field.
const MTU: std::ops::RangeInclusive<i128> = 576..=65_535;
/// RFC 8200 §5: IPv6 needs links of 1280 bytes.
const MTU_IPV6: i128 = 1280;

/// The words of `ipv6`.
const IPV6: [(&str, Ipv6); 3] = [("auto", Ipv6::Auto), ("off", Ipv6::Off), ("nat", Ipv6::Nat)];

/// The words of `proxy`.
const PROXY: [(&str, Proxy); 2] = [("keep", Proxy::Keep), ("drop", Proxy::Drop)];

/// A namespace whose uplinks are still names.
pub(super) struct DraftNamespace {
    /// All that it says; `uplinks` holds its own `dev` and `gateway` only.
    pub(super) namespace: Namespace,
    /// `uplink`.
    pub(super) wanted: Vec<Located<String>>,
}

/// Reads a name: of a namespace or of an uplink.
pub(super) fn name(reader: &mut Reader<'_>, key: &Key<'_>) -> Option<Name> {
    match key.get_ref().parse() {
        Ok(name) => Some(name),
        Err(why) => {
            let problem = Problem::at(reader.span_of(key), why).label("no name");
            reader.report(problem.help("for example `backup`, `vpn-2`, `site.a`"));
            None
        }
    }
}

/// Reads one `[uplink.NAME]`.
pub(super) fn uplink(reader: &mut Reader<'_>, key: &Key<'_>, value: &Value<'_>) -> Option<Uplink> {
    let section = reader.section("uplink", key, value, &schema::UPLINK)?;
    if !section.mentions("dev") && !section.mentions("gateway") {
        no_way(reader, &section, "add `dev = \"IF\"`, `gateway = \"ADDR\"`, or both");
    }
    let check = section.key("check").zip(section.value_of("check"));
    let check = check.map(|(key, value)| health::check(reader, key, value)).unwrap_or_default();
    Some(Uplink { check, ..uplink::read(reader, &section) })
}

/// Reads one `[namespace.NAME]`.
pub(super) fn namespace(reader: &mut Reader<'_>, key: &Key<'_>, value: &Value<'_>) -> Option<DraftNamespace> {
    let section = reader.section("namespace", key, value, &schema::NAMESPACE)?;
    one_way(reader, &section);
    let wanted = section.value_of("uplink").map_or_else(Vec::new, |value| names(reader, value));
    let own = uplink::read(reader, &section);
    let uplinks = if own.dev.is_some() || !own.gateways.is_empty() { vec![own] } else { Vec::new() };
    let ipv6 = section.value_of("ipv6").and_then(|value| ipv6(reader, value)).unwrap_or_default();
    let namespace = Namespace {
        place: Some(section.place.clone()),
        uplinks,
        prefer: section
            .value_of("prefer")
            .and_then(|value| health::prefer(reader, value))
            .unwrap_or_default(),
        last_resort: section
            .value_of("last-resort")
            .and_then(|value| health::last_resort(reader, value))
            .unwrap_or_default(),
        lan: section.value_of("lan").and_then(|value| reader.boolean("`lan`", value)).unwrap_or(true),
        mtu: section.value_of("mtu").and_then(|value| mtu(reader, value, ipv6)),
        subnet: section.value_of("subnet").and_then(|value| reader.parsed("`subnet`", value, net::subnet)),
        ipv6,
        dns: section.value_of("dns").map_or(Dns::Auto, |value| dns::read(reader, value, ipv6)),
        allow: section.value_of("allow").map_or_else(Vec::new, |value| allow(reader, value)),
        publish: section.value_of("publish").map_or_else(Vec::new, |value| publish(reader, value)),
        host: section.value_of("host").map(|value| host(reader, value)),
        proxy: section.value_of("proxy").and_then(|value| proxy(reader, value)),
        on_change: section.value_of("on-change").map_or_else(Vec::new, |value| hook::read(reader, value)),
        checks: None,
        attached: None,
        temporary: false,
    };
    Some(DraftNamespace { namespace, wanted })
}

/// A namespace has an uplink or a way of its own.
fn one_way(reader: &mut Reader<'_>, section: &Section<'_, '_>) {
    let own = section.key("gateway").or_else(|| section.key("dev"));
    if let (Some(uplink), Some(own)) = (section.key("uplink"), own) {
        let message = format!("{} has both `uplink` and `{}`", section.what(), own.get_ref());
        let problem = Problem::at(reader.span_of(own), message)
            .label("its own way")
            .other(reader.span_of(uplink), "and others by name")
            .help("keep one of them; a way of its own that is shared or tried in order is an [uplink.NAME]");
        reader.report(problem);
    }
    if !["uplink", "gateway", "dev"].iter().any(|key| section.mentions(key)) {
        no_way(reader, section, "add `gateway = \"ADDR\"`, `dev = \"IF\"` or `uplink = \"NAME\"`");
    }
}

fn no_way(reader: &mut Reader<'_>, section: &Section<'_, '_>, cure: &str) {
    let message = format!("{} has no way out", section.what());
    reader.report(Problem::at(section.place.clone(), message).label("leaves by what?").help(cure));
}

/// `uplink`: one name, or several in order.
fn names(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<Located<String>> {
    let mut read: Vec<Located<String>> = Vec::new();
    for value in reader.list("`uplink`", value) {
        let Some(text) = reader.text("`uplink`", value) else { continue };
        let name = reader.located(text.to_owned(), value);
        match read.iter().find(|first| first.value == name.value) {
            Some(first) => {
                let problem = Problem::at(name.place, format!("uplink {} is named twice", quoted(text)))
                    .label("again")
                    .other(first.place.clone(), "the first time")
                    .help("leave one of them out: they are tried in order");
                reader.report(problem);
            }
            None => read.push(name),
        }
    }
    read
}

/// `allow`: users and groups.
fn allow(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<Located<Account>> {
    let account = |text: &str| {
        let cure = || Some("users by name, groups as `\"@GROUP\"`: `[\"backup\", \"@netusers\"]`".to_owned());
        text.parse().map_err(|why: &str| (format!("{} is nobody: {why}", quoted(text)), cure()))
    };
    let values = reader.list("`allow`", value);
    values.into_iter().filter_map(|value| reader.parsed("`allow`", value, account)).collect()
}

/// `publish`: ports, each once.
fn publish(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<Located<Publication>> {
    let port = |text: &str| {
        let cure = "the port of the host, the port inside and the protocol: `\"8080:80/tcp\"`, or `\"53/udp\"`; and `\"8080:80/tcp@UPLINK\"` for another uplink";
        text.parse().map_err(|why: String| {
            (format!("{} cannot be published: {why}", quoted(text)), Some(cure.into()))
        })
    };
    let mut read: Vec<Located<Publication>> = Vec::new();
    for value in reader.list("`publish`", value) {
        let Some(port) = reader.parsed("`publish`", value, port) else { continue };
        match read.iter().find(|first| first.value.is_same_outside(&port.value)) {
            Some(first) => {
                let message = format!("port {} of the host is published twice", port.value.port.outside);
                let problem = Problem::at(port.place, message)
                    .label("again")
                    .other(first.place.clone(), "the first time")
                    .help("leave one of them out: a port of the host leads to one port inside");
                reader.report(problem);
            }
            None => read.push(port),
        }
    }
    read
}

/// `host`: services of the host, or the word for none of them.
fn host(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<HostService> {
    let service = |text: &str| {
        let cure = "the port and the protocol of each, `[\"5432/tcp\", \"53/udp\"]`, or `\"none\"`";
        HostService::choice(text)
            .map_err(|why| (format!("{} is no service of the host: {why}", quoted(text)), Some(cure.into())))
    };
    let values = reader.list("`host`", value);
    let chosen: Vec<_> =
        values.into_iter().filter_map(|value| reader.parsed("`host`", value, service)).collect();
    HostService::distinct(chosen.into_iter().filter_map(|choice| choice.value))
}

/// `proxy`.
fn proxy(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Proxy> {
    reader.parsed("`proxy`", value, |text| parse_word(text, &PROXY)).map(|located| located.value)
}

/// `ipv6`.
fn ipv6(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Ipv6> {
    if value.get_ref().is_bool() {
        reader.mistyped(
            "`ipv6`",
            value,
            "a word",
            "`\"nat\"` for yes, `\"off\"` for no, `\"auto\"` for when it can be",
        );
        return None;
    }
    reader.parsed("`ipv6`", value, |text| parse_word(text, &IPV6)).map(|located| located.value)
}

/// `mtu`.
fn mtu(reader: &mut Reader<'_>, value: &Value<'_>, ipv6: Ipv6) -> Option<u32> {
    let bytes = reader.integer("`mtu`", value)?;
    let (least, why) = match ipv6 {
        Ipv6::Nat => (MTU_IPV6, ", because `ipv6 = \"nat\"` needs 1280"),
        Ipv6::Auto | Ipv6::Off => (*MTU.start(), ""),
    };
    if (least..=*MTU.end()).contains(&bytes) {
        return u32::try_from(bytes).ok();
    }
    let problem = Problem::at(reader.span_of(value), "no link works with this MTU");
    reader.report(problem.help(format!("from {least} to {}{why}", MTU.end())));
    None
}
