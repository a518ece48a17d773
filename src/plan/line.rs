//! Every action as the shell line that it equals.

use super::action::{Action, Connections, Flows, LinkChange, Side};
use super::{ipsec, other_firewalls};
use crate::model::{Datum, Element, Family, Name, Route, RouteKind, Rule, RuleAction, nft, numbers};
use std::fmt::{self, Write as _};
use std::net::IpAddr;

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&line(self))
    }
}

impl Action {
    /// The beginning of the command, as far as it says which thing it is about.
    pub fn short_line(&self) -> String {
        /// In characters: nsnat's whole table is hundreds of lines.
        const ROOM: usize = 150;
        let whole = line(self);
        let mut short: String = whole.lines().next().unwrap_or_default().chars().take(ROOM).collect();
        if short.len() < whole.len() {
            short.push('…');
        }
        short
    }
}

fn line(action: &Action) -> String {
    match action {
        Action::MakeNetns { name, stale: false } => format!("ip netns add {name}"),
        Action::MakeNetns { name, stale: true } => format!("rm /run/netns/{name}; ip netns add {name}"),
        Action::AttachNetns { name, pid, stale: false } => format!("ip netns attach {name} {pid}"),
        Action::AttachNetns { name, pid, stale: true } => {
            format!("rm /run/netns/{name}; ip netns attach {name} {pid}")
        }
        Action::RemoveNetns { name } => format!("ip netns del {name}"),
        Action::LoadSkeleton { elements, replace, .. } => skeleton(elements, *replace),
        Action::RemoveTable => format!("nft delete table inet {}", nft::TABLE),
        Action::Elements { remove, add } => format!("nft {}", quote(&element_text(remove, add))),
        Action::ForgetFlows { source, which } => forget_flows(*source, which),
        Action::ResetConnections { name, which } => {
            format!("ip netns exec {name} ss -K -t{} || true", connections(which))
        }
        Action::ForgetServers { link } => format!("nft {}", quote(&forget_text(link))),
        Action::AddVeth { name, link, mtu, ifname } => {
            format!("{} netns {name}", veth(link, *mtu, ifname))
        }
        Action::AddPair { link, mtu, peer, .. } => veth(link, *mtu, peer),
        Action::RemoveLink { link } => format!("ip link del dev {}", quote(link)),
        Action::SetLink { place, dev, change } => {
            format!("{} link set dev {} {}", ip(place, None), quote(dev), link_change(change))
        }
        Action::Sysctl { place, key, value } => sysctl(place, key, value),
        Action::Tune { name, values } => tune(name, values),
        Action::AddAddress { place, address } => {
            let how = match (address.net.is_ipv6(), place) {
                (true, _) => " nodad",
                (false, Side::Host) => " scope link",
                (false, Side::Inside(_)) => "",
            };
            format!("{} addr add {} dev {}{how}", ip(place, None), address.net, quote(&address.dev))
        }
        Action::RemoveAddress { place, address } => {
            format!("{} addr del {} dev {}", ip(place, None), address.net, quote(&address.dev))
        }
        Action::AddRoute { place, route: r, replace } => {
            let verb = if *replace { "replace" } else { "add" };
            format!("{} route {verb} {}", ip(place, Some(r.family())), route(r))
        }
        Action::RemoveRoute { place, route: r } => {
            format!("{} route del {}", ip(place, Some(r.family())), route(r))
        }
        Action::AddRule { place, rule: r } => format!("{} rule add {}", ip(place, Some(r.family)), rule(r)),
        Action::RemoveRule { place, rule: r } => {
            format!("{} rule del {}", ip(place, Some(r.family)), rule(r))
        }
        Action::AddPolicy { policy } => ipsec::add_line(policy),
        Action::RemovePolicy { policy } => ipsec::remove_line(policy),
        Action::AddPass { pass } => other_firewalls::add_line(pass),
        Action::RemovePass { pass, handle } => other_firewalls::remove_line(pass, *handle),
    }
}

/// conntrack(8) that forgets flows of a source address.
fn forget_flows(source: IpAddr, which: &Flows) -> String {
    match which {
        Flows::All => format!("conntrack -D -s {source} || true"),
        // (It can select those that have it, and not the others; what is followed is followed again.)
        Flows::Plain => format!("conntrack -D -s {source} || true # those without source NAT"),
        Flows::To(port) => {
            let one =
                |protocol| format!("conntrack -D -s {source} -p {protocol} --orig-port-dst {port} || true");
            format!("{}; {}", one("udp"), one("tcp"))
        }
        Flows::Published => format!("conntrack -D -r {source} || true"),
        Flows::ToAddress(address) => format!("conntrack -D -s {source} -d {address} || true"),
        Flows::LeavingWith(address) => format!("conntrack -D -s {source} -q {address} || true"),
    }
}

/// The connections that ss(8) is to end.
fn connections(which: &Connections) -> String {
    let to = which.spared.iter().map(|address| format!(" and not dst {address}"));
    let of = which.served.iter().map(|port| format!(" and not sport = :{port}"));
    let not: String = to.chain(of).collect();
    let from: Vec<String> = which.from.iter().map(|address| format!("src {address}")).collect();
    let from = if from.is_empty() { String::new() } else { format!(" and ( {} )", from.join(" or ")) };
    let only = match which.families[..] {
        [Family::V4] => " -4",
        [Family::V6] => " -6",
        _ => "",
    };
    format!("{only} state synchronized {}", quote(&format!("not dst 127.0.0.0/8{not}{from}")))
}

/// `ip`, in the right namespace, for the right family.
fn ip(place: &Side, family: Option<Family>) -> String {
    let six = if family == Some(Family::V6) { " -6" } else { "" };
    match place {
        Side::Host => format!("ip{six}"),
        Side::Inside(name) => format!("ip{six} -n {name}"),
    }
}

fn skeleton(elements: &[Element], replace: bool) -> String {
    let mut before = String::new();
    if replace {
        before = format!("echo delete table inet {}; ", nft::TABLE);
    }
    if elements.is_empty() && before.is_empty() {
        return "nsnat skeleton | nft -f -".into();
    }
    let after = if elements.is_empty() {
        String::new()
    } else {
        format!("; echo {}", quote(&element_text(&[], elements)))
    };
    format!("{{ {before}nsnat skeleton{after}; }} | nft -f -")
}

fn veth(link: &str, mtu: u32, ifname: &str) -> String {
    let common = format!("numtxqueues 1 numrxqueues 1 mtu {mtu} group {}", numbers::LINK_GROUP);
    let (link, ifname) = (quote(link), quote(ifname));
    format!("ip link add name {link} {common} type veth peer name {ifname} {common}")
}

fn link_change(change: &LinkChange) -> String {
    match change {
        LinkChange::Alias(text) => format!("alias {}", quote(text)),
        LinkChange::Mtu(bytes) => format!("mtu {bytes}"),
        LinkChange::Group(group) => format!("group {group}"),
        LinkChange::Up => "up".into(),
    }
}

fn sysctl(place: &Side, key: &str, value: &str) -> String {
    let line = format!("sysctl -qw {}", quote(&format!("{key}={value}")));
    match place {
        Side::Host => line,
        Side::Inside(name) => format!("ip netns exec {name} {line}"),
    }
}

fn tune(name: &Name, values: &[(String, String)]) -> String {
    let values: Vec<String> = values.iter().map(|(key, value)| quote(&format!("{key}={value}"))).collect();
    format!("ip netns exec {name} sysctl -qw {} || true", values.join(" "))
}

fn route(route: &Route) -> String {
    let mut out = match route.kind {
        RouteKind::Unreachable => "unreachable ".to_string(),
        RouteKind::Unicast | RouteKind::Other => String::new(),
    };
    // Writing to a String cannot fail.
    let _ = match route.to.prefix() {
        0 => write!(out, "default"),
        _ => write!(out, "{}", route.to),
    };
    let mut put = |word: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(out, " {word} {value}");
        }
    };
    put("via", route.via.map(|a| a.to_string()));
    put("dev", route.dev.as_deref().map(quote));
    put("src", route.src.map(|a| a.to_string()));
    put("table", Some(route.table.to_string()));
    put("metric", (route.metric != 0).then(|| route.metric.to_string()));
    put("proto", Some(protocol(route.protocol)));
    if route.onlink {
        out.push_str(" onlink");
    }
    out
}

fn rule(rule: &Rule) -> String {
    format!("{} protocol {}", rule_text(rule), protocol(rule.protocol))
}

/// A rule as ip-rule(8) writes it, without its maker.
pub fn rule_text(rule: &Rule) -> String {
    let mut out = format!("pref {}", rule.preference);
    let mut put = |text: String| {
        let _ = write!(out, " {text}");
    };
    if rule.more.invert {
        put("not".into());
    }
    if let Some(net) = rule.from {
        put(format!("from {net}"));
    }
    if let Some(net) = rule.to {
        put(format!("to {net}"));
    }
    if let Some((mark, mask)) = rule.mark {
        put(format!("fwmark {mark:#x}/{mask:#x}"));
    }
    if let Some(port) = rule.port {
        put(format!("ipproto {} dport {}", port.protocol, port.port));
    }
    let devices = [("iif", &rule.more.iif), ("oif", &rule.more.oif)];
    devices.iter().filter_map(|(word, dev)| Some((word, dev.as_ref()?))).for_each(|(word, dev)| {
        put(format!("{word} {}", quote(dev)));
    });
    if let Some((first, last)) = rule.more.uids {
        put(format!("uidrange {first}-{last}"));
    }
    match rule.action {
        RuleAction::Lookup(table) => put(format!("lookup {table}")),
        RuleAction::Goto(preference) => put(format!("goto {preference}")),
        RuleAction::Unreachable => put("unreachable".into()),
        RuleAction::Blackhole => put("blackhole".into()),
        RuleAction::Prohibit => put("prohibit".into()),
        RuleAction::Other => put("nop".into()),
    }
    if let Some(prefix) = rule.suppress {
        put(format!("suppress_prefixlength {prefix}"));
    }
    out
}

fn protocol(number: u8) -> String {
    if number == libc::RTPROT_KERNEL { "kernel".into() } else { number.to_string() }
}

/// Elements to remove and to add, in nft's language, one transaction.
pub fn element_text(remove: &[Element], add: &[Element]) -> String {
    let lines = remove.iter().map(|e| ("delete", e)).chain(add.iter().map(|e| ("add", e)));
    let lines = lines.map(|(verb, e)| {
        let value = if e.value.is_empty() { String::new() } else { format!(" : {}", data(&e.value)) };
        format!("{verb} element inet {} {} {{ {}{value} }}", nft::TABLE, e.set.name(), data(&e.key))
    });
    lines.collect::<Vec<_>>().join("; ")
}

/// Forgets what the packets told about the servers of a host veth. Adding first: nft 1.0.6 has no `destroy`.
fn forget_text(link: &str) -> String {
    let one = |set| {
        let element = format!("element inet {} {set} {{ \"{link}\" . ipv4, \"{link}\" . ipv6 }}", nft::TABLE);
        format!("add {element}; delete {element}")
    };
    nft::LEARNED.map(one).join("; ")
}

fn data(data: &[Datum]) -> String {
    let word = |d: &Datum| match d {
        Datum::Mark(mark) => format!("{mark:#x}"),
        Datum::Device(name) => format!("\"{name}\""),
        Datum::Address(address) => address.to_string(),
        Datum::Network(net) => net.to_string(),
        Datum::Port(port) => port.to_string(),
        Datum::Protocol(number) => number.to_string(),
    };
    data.iter().map(word).collect::<Vec<_>>().join(" . ")
}

/// Quotes a word for a POSIX shell where it needs it; device names may hold nearly anything.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
