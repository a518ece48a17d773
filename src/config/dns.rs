//! `dns`: what happens to a namespace's queries.
//!
//! Queries are rewritten by NAT, so an address can only become another one of its own family, and never one
//! that exists in every network stack anew (loopback, link-local).

use super::reader::{InvalidValue, Key, Reader, Value, nearest, quoted};
use super::{Block, Dns, Ipv6, Located, Problem, schema};
use crate::model::dnsaddr;
use crate::model::stack::is_link_local;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use toml::de::{DeTable, DeValue};

/// Most servers: what resolv.conf(5) calls MAXNS; resolvers ignore any further one.
const MOST_SERVERS: usize = 3;

/// What `dns` may be besides addresses.
const WORDS: [&str; 2] = ["auto", "host"];

/// What can be blocked.
const BLOCKS: [(&str, Block); 4] =
    [("dot", Block::Dot), ("doq", Block::Doq), ("doh", Block::Doh), ("foreign", Block::Foreign)];

/// OLD and NEW.
type Rewrite = (Located<SocketAddr>, Located<SocketAddr>);

/// Reads `dns` in any of its forms.
pub(super) fn read(reader: &mut Reader<'_>, value: &Value<'_>, ipv6: Ipv6) -> Dns {
    match value.get_ref() {
        DeValue::String(word) if word.as_ref() == "auto" => Dns::Auto,
        DeValue::String(word) if word.as_ref() == "host" => Dns::Host,
        DeValue::Table(table) => long_form(reader, value, table, ipv6),
        DeValue::String(_) | DeValue::Array(_) => {
            let servers = servers(reader, "`dns`", value, ipv6);
            Dns::Rewrite { servers, rewrites: Vec::new(), block: Vec::new() }
        }
        _ => {
            let forms =
                "\"ADDR\", [\"ADDR\", \"ADDR\"], \"host\", \"auto\" or a table of `servers` and `rewrite`";
            reader.mistyped("`dns`", value, "an address", forms);
            Dns::Auto
        }
    }
}

/// `[namespace.NAME.dns]`.
fn long_form(reader: &mut Reader<'_>, value: &Value<'_>, table: &DeTable<'_>, ipv6: Ipv6) -> Dns {
    let meant = reader.keys(table, &schema::DNS);
    if table.is_empty() && meant.is_empty() {
        let problem = Problem::at(reader.span_of(value), "`dns` says nothing");
        reader
            .report(problem.help(
                "add `servers = [\"ADDR\"]`, `rewrite = { \"OLD\" = \"NEW\" }` or `block = [\"dot\"]`",
            ));
    }
    let servers =
        table.get("servers").map_or_else(Vec::new, |value| servers(reader, "`servers`", value, ipv6));
    let rewrites = table.get("rewrite").map_or_else(Vec::new, |value| rewrites(reader, value));
    let block = table.get("block").map_or_else(Vec::new, |value| read_block(reader, value));
    Dns::Rewrite { servers, rewrites, block }
}

/// What is refused.
fn read_block(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<Block> {
    let listed = reader.list("`block`", value);
    let word = |text: &str| {
        let known = BLOCKS.iter().find(|(word, _)| *word == text).map(|(_, block)| *block);
        known.ok_or_else(|| {
            let near =
                nearest(text, BLOCKS.map(|(word, _)| word)).map(|word| format!("did you mean \"{word}\"?"));
            let all = || "\"dot\", \"doq\", \"doh\" and \"foreign\" can be blocked".to_owned();
            (format!("{} cannot be blocked", quoted(text)), Some(near.unwrap_or_else(all)))
        })
    };
    listed.iter().filter_map(|value| Some(reader.parsed("`block`", value, word)?.value)).collect()
}

/// Servers that get every query.
fn servers(reader: &mut Reader<'_>, what: &str, value: &Value<'_>, ipv6: Ipv6) -> Vec<Located<SocketAddr>> {
    let mut read: Vec<Located<SocketAddr>> = Vec::new();
    let listed = reader.list(what, value);
    for value in &listed {
        let Some(server) = reader.parsed(what, value, |text| server(text, what)) else { continue };
        match read.iter().find(|first| first.value == server.value) {
            Some(first) => report_repeated_server(reader, "server", &server, first),
            None => read.push(server),
        }
    }
    if let Some(fourth) = listed.get(MOST_SERVERS) {
        let problem = Problem::at(reader.span_of(fourth), format!("{} servers are too many", listed.len()));
        reader.report(
            problem.label("never asked").help(format!("name {MOST_SERVERS} at most (resolv.conf(5), MAXNS)")),
        );
    }
    if ipv6 == Ipv6::Off && !read.is_empty() && read.iter().all(|server| server.value.is_ipv6()) {
        unreachable_servers(reader, value);
    }
    read
}

fn unreachable_servers(reader: &mut Reader<'_>, value: &Value<'_>) {
    let message = "only IPv6 servers, and the namespace has no IPv6 (`ipv6 = \"off\"`)";
    let problem = Problem::at(reader.span_of(value), message).label("cannot be reached");
    reader.report(problem.help("name an IPv4 server, or leave `ipv6` out"));
}

/// `rewrite = { OLD = NEW }`.
fn rewrites(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<Rewrite> {
    let Some(table) = reader.table(|| "`rewrite`".to_owned(), value, "rewrite = { \"OLD\" = \"NEW\" }")
    else {
        return Vec::new();
    };
    if table.is_empty() {
        let problem = Problem::at(reader.span_of(value), "`rewrite` is empty");
        reader.report(problem.help("write { \"OLD\" = \"NEW\" }, or leave the key out"));
    }
    // In the order in which they were written, not in the map's.
    let mut pairs: Vec<_> = table.iter().collect();
    pairs.sort_by_key(|(key, _)| key.span().start);
    let mut read: Vec<Rewrite> = Vec::new();
    for (key, value) in pairs {
        let Some((old, new)) = rewrite(reader, key, value) else { continue };
        match read.iter().find(|(first, _)| first.value == old.value) {
            Some((first, _)) => report_repeated_server(reader, "address to rewrite", &old, first),
            None => read.push((old, new)),
        }
    }
    read
}

/// Reads one `OLD = NEW`.
fn rewrite(reader: &mut Reader<'_>, key: &Key<'_>, value: &Value<'_>) -> Option<Rewrite> {
    let place = reader.span_of(key);
    let old = match parse_old(key.get_ref()) {
        Ok(value) => Some(Located { value, place: Some(place) }),
        Err((message, help)) => {
            let problem = Problem::at(place, message);
            reader.report(Problem { help, ..problem });
            None
        }
    };
    // A table where NEW should be is mostly an address whose dots were not quoted: `8.8.8.8 = …`.
    if value.get_ref().is_table() {
        reader.mistyped("NEW", value, "an address", "quote OLD: { \"8.8.8.8\" = \"198.51.100.53\" }");
        return None;
    }
    let new = reader.parsed("NEW", value, |text| server(text, "`rewrite`"));
    let pair = (old?, new?);
    same_family(reader, &pair);
    Some(pair)
}

fn same_family(reader: &mut Reader<'_>, (old, new): &Rewrite) {
    let name = |address: &SocketAddr| if address.is_ipv4() { "IPv4" } else { "IPv6" };
    if old.value == new.value {
        let problem =
            Problem::at(new.place.clone(), format!("{} is rewritten to itself", dnsaddr::show(old.value)));
        reader.report(
            problem.help("name another server, or leave this one out").other(old.place.clone(), "OLD"),
        );
    } else if old.value.is_ipv4() != new.value.is_ipv4() {
        let (from, to) = (name(&old.value), name(&new.value));
        let problem =
            Problem::at(new.place.clone(), format!("a query over {from} cannot be sent on over {to}"))
                .label(to)
                .other(old.place.clone(), from)
                .help(format!("give an {from} address of the new server"));
        reader.report(problem);
    }
}

fn report_repeated_server(
    reader: &mut Reader<'_>,
    what: &str,
    again: &Located<SocketAddr>,
    first: &Located<SocketAddr>,
) {
    let problem = Problem::at(again.place.clone(), format!("{what} {} twice", dnsaddr::show(again.value)))
        .label("again")
        .other(first.place.clone(), "the first time")
        .help("leave one of them out");
    reader.report(problem);
}

/// A server that a namespace can be sent to.
fn server(text: &str, what: &str) -> Result<SocketAddr, InvalidValue> {
    let address = dnsaddr::parse(text).map_err(|why| not_an_address(text, what, why))?;
    if address.ip().is_loopback() {
        let message = format!("{text} is loopback, which every namespace has its own of");
        return Err((message, Some("for the host's own resolver, write dns = \"host\"".to_owned())));
    }
    match address.ip() {
        IpAddr::V6(v6) if is_link_local(v6.into()) || v6.to_ipv4_mapped().is_some() => {
            let cure = "give the server's global or ULA address, or its IPv4 one".to_owned();
            Err((format!("queries cannot be rewritten to {text}"), Some(cure)))
        }
        _ => Ok(address),
    }
}

/// An address that queries can be taken from.
fn parse_old(text: &str) -> Result<SocketAddr, InvalidValue> {
    let address = dnsaddr::parse(text).map_err(|why| not_an_address(text, "OLD", why))?;
    if address.ip() == IpAddr::V6(Ipv6Addr::LOCALHOST) {
        // The kernel drops packets to ::1 that come from outside of lo, whatever the routes say; 127.0.0.0/8
        // has route_localnet.
        let cure = "let programs ask 127.0.0.1, which can: { \"127.0.0.1\" = \"ADDR\" }".to_owned();
        return Err((
            "queries to ::1 never leave the namespace and cannot be rewritten".to_owned(),
            Some(cure),
        ));
    }
    if address.ip().is_loopback() && address.port() != dnsaddr::PORT {
        let cure = format!("write \"{}\" for its port 53", address.ip());
        return Err(("of loopback only port 53 can be rewritten".to_owned(), Some(cure)));
    }
    Ok(address)
}

/// A text that is no address: a word that was meant, or what an address looks like.
fn not_an_address(text: &str, what: &str, why: String) -> InvalidValue {
    let word = nearest(text, WORDS).filter(|_| what == "`dns`" || WORDS.contains(&text));
    let why = if text.chars().any(char::is_control) {
        format!("{} is not a valid address", quoted(text))
    } else {
        why
    };
    let help = match word {
        Some(word) if word == text => format!("this word stands alone: dns = \"{word}\""),
        Some(word) => format!("did you mean \"{word}\"?"),
        None => "for example \"198.51.100.53\", \"198.51.100.53:5353\" or \"[2001:db8::53]:5353\"".to_owned(),
    };
    (why, Some(help))
}
