//! `nsnat status`.

use super::event::{self, local_time};
use super::table;
use crate::model::numbers::HOST_INSIDE;
use crate::model::{Attached, Condition, Event, EventKind, Family, Finding, HostService, Name, Publication};
use anstyle::{AnsiColor, Style};
use ipnetwork::IpNetwork;
use serde::{Serialize, Serializer};
use serde_json::json;
use std::fmt::Write as _;
use std::net::IpAddr;

/// How a namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceState {
    /// As it should be.
    Up,
    /// Declared and not up.
    Down,
    /// Up, but not as it should be: see its problems.
    Broken,
    /// Declared, but the name belongs to somebody else's namespace.
    Foreign,
}

/// One of several uplinks.
#[derive(Clone, Debug, Serialize)]
pub struct Uplink {
    /// Its name.
    pub name: Name,
    /// How it is.
    pub condition: Condition,
    /// Since when, in seconds after 1970, where it is not well.
    pub since: Option<u64>,
    /// The family that is not as the uplink is as a whole, where its router has lost one only.
    pub families: Vec<UplinkFamily>,
}

/// A family of an uplink.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct UplinkFamily {
    /// Which.
    pub family: Family,
    /// How it is.
    pub condition: Condition,
    /// Since when, in seconds after 1970.
    pub since: u64,
}

/// By what one family leaves, where that is another uplink than that of the other family.
#[derive(Clone, Debug, Serialize)]
pub struct Apart {
    /// Which.
    pub family: Family,
    /// Name of the uplink, where it has one.
    pub uplink: Option<Name>,
    /// Device.
    pub device: String,
    /// Next hops.
    pub gateway: Vec<IpAddr>,
}

/// What is reported of a namespace.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Its name.
    pub name: Name,
    /// How it is.
    pub state: NamespaceState,
    /// Name of the uplink, where it has one.
    pub uplink: Option<Name>,
    /// Those that it could have, where these are several.
    pub uplinks: Vec<Uplink>,
    /// Device by which it leaves.
    pub device: Option<String>,
    /// Next hops.
    pub gateway: Vec<IpAddr>,
    /// The family that leaves by another uplink than that.
    pub apart: Option<Apart>,
    /// Where it is, and by what it leaves, where it is an attachment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attached: Option<Attached>,
    /// The namespace's own addresses.
    pub address: Vec<IpNetwork>,
    /// "ADDR" for servers, "OLD=NEW" for rewrites.
    pub dns: Vec<String>,
    /// Ports of the host that lead inside, by the device of the uplink that is named, or of the namespace's own.
    pub published: Vec<Publication>,
    /// Services of the host that it reaches, and no others; none: all that the host's own firewall lets it.
    pub host: Option<Vec<HostService>>,
    /// Bytes that came in.
    pub rx_bytes: u64,
    /// Bytes that went out.
    pub tx_bytes: u64,
    /// Processes inside.
    pub processes: usize,
    /// What is wrong, each with what helps; for programs as a line each.
    #[serde(serialize_with = "lines")]
    pub problems: Vec<Finding>,
}

fn lines<S: Serializer>(findings: &[Finding], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(findings.iter().map(ToString::to_string))
}

/// For programs.
pub fn json(all: &[Status]) -> serde_json::Value {
    json!({ "version": 1, "namespaces": all })
}

/// For people: one namespace a line, its problems below it.
pub fn text(all: &[Status], colour: bool) -> String {
    let mut rows = vec![HEAD.map(String::from)];
    rows.extend(all.iter().map(row));
    let mut out = String::new();
    let of_row = |row: usize| all.get(row.checked_sub(1)?);
    let paint = |row, column, cell| match of_row(row).filter(|_| colour && column == STATE) {
        Some(status) => format!("{0}{cell}{0:#}", style(status.state)),
        None => cell,
    };
    for (row, line) in table::lines(&rows, paint).into_iter().enumerate() {
        let _ = writeln!(out, "{line}");
        let status = of_row(row);
        for problem in status.into_iter().flat_map(|status| &status.problems) {
            let _ = writeln!(out, "  ! {problem}");
        }
    }
    out
}

/// What else is known of one that is up: its addresses, its uplinks, since when it is up, and what happened to it last.
pub fn details(status: &Status, events: &[Event]) -> String {
    let since = events.iter().rfind(|event| event.kind == EventKind::Up).map(|event| local_time(event.time));
    let addresses: Vec<String> = status.address.iter().map(ToString::to_string).collect();
    let uplinks: Vec<String> = status.uplinks.iter().map(|uplink| describe_uplink(uplink, status)).collect();
    let published: Vec<String> = status.published.iter().map(ToString::to_string).collect();
    let rows = [
        ("up since", since.unwrap_or_default()),
        ("attached", status.attached.as_ref().map(place).unwrap_or_default()),
        ("address", addresses.join(", ")),
        ("published", published.join(", ")),
        ("of the host", status.host.as_deref().map(chosen).unwrap_or_default()),
        ("uplinks", uplinks.join(", ")),
        ("last event", events.last().map(event::line).unwrap_or_default()),
    ];
    let mut out = String::new();
    for (what, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(out, "  {what:<11} {value}");
    }
    out
}

/// "5432/tcp by 169.254.213.1".
fn chosen(services: &[HostService]) -> String {
    if services.is_empty() {
        return "nothing".into();
    }
    let services: Vec<String> = services.iter().map(ToString::to_string).collect();
    format!("{} by {HOST_INSIDE}", services.join(", "))
}

/// "eth0 in /run/netns/web"; what it is called there is the engine's choice where that took it.
fn place(attached: &Attached) -> String {
    if attached.handed.is_some() {
        return format!("in {}", attached.path.display());
    }
    format!("{} in {}", attached.ifname, attached.path.display())
}

/// "dsl (well, in use)".
fn describe_uplink(uplink: &Uplink, status: &Status) -> String {
    let condition = word_for_condition(uplink.condition);
    let since = |since| format!(" since {}", local_time(since));
    let families = uplink.families.iter();
    let families = families
        .map(|one| format!(", {} {}{}", one.family, word_for_condition(one.condition), since(one.since)));
    let families: String = families.collect();
    let is_this = |used: Option<&Name>| used == Some(&uplink.name);
    let apart = status.apart.as_ref().filter(|apart| is_this(apart.uplink.as_ref()));
    let used = match apart {
        _ if is_this(status.uplink.as_ref()) => ", in use".to_owned(),
        Some(apart) => format!(", in use by {}", apart.family),
        None => String::new(),
    };
    format!("{} ({condition}{}{families}{used})", uplink.name, uplink.since.map(since).unwrap_or_default())
}

fn word_for_condition(condition: Condition) -> &'static str {
    match condition {
        Condition::Well => "well",
        Condition::Unsteady => "unsteady",
        Condition::Dead => "dead",
    }
}

const HEAD: [&str; 8] = ["NAME", "STATE", "DEVICE", "GATEWAY", "DNS", "IN", "OUT", "PROCESSES"];

/// The column that is coloured.
const STATE: usize = 1;

fn row(status: &Status) -> [String; 8] {
    let apart = || status.apart.iter();
    let gateways = status.gateway.iter().chain(apart().flat_map(|apart| &apart.gateway));
    let list = |words: Vec<String>| if words.is_empty() { "-".into() } else { words.join(",") };
    [
        status.name.to_string(),
        word_for_state(status.state).into(),
        list(status.device.iter().chain(apart().map(|apart| &apart.device)).cloned().collect()),
        list(gateways.map(ToString::to_string).collect()),
        list(status.dns.clone()),
        bytes(status.rx_bytes),
        bytes(status.tx_bytes),
        status.processes.to_string(),
    ]
}

fn word_for_state(state: NamespaceState) -> &'static str {
    match state {
        NamespaceState::Up => "up",
        NamespaceState::Down => "down",
        NamespaceState::Broken => "broken",
        NamespaceState::Foreign => "foreign",
    }
}

fn style(state: NamespaceState) -> Style {
    let colour = match state {
        NamespaceState::Up => AnsiColor::Green,
        NamespaceState::Down => AnsiColor::BrightBlack,
        NamespaceState::Broken | NamespaceState::Foreign => AnsiColor::Red,
    };
    Style::new().fg_color(Some(colour.into()))
}

/// "0", "999 B", "1.2 kB": three digits are enough to see where the bytes go.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let (mut whole, mut unit) = (count, 0);
    while whole >= 1_000_000 && unit + 1 < UNITS.len() {
        whole /= 1000;
        unit += 1;
    }
    format!("{}.{} {}", whole / 1000, whole % 1000 / 100, UNITS.get(unit).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_of_bytes() {
        let shown: Vec<_> = [0, 999, 1000, 999_999, 1_000_000, u64::MAX].map(bytes).into();
        assert_eq!(shown, ["0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "18446.7 PB"]);
    }
}
