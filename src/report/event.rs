//! `nsnat events`: what happened to namespaces.

use crate::model::{Event, EventKind, Name};
use serde_json::{Value, json};
use std::net::IpAddr;

/// What happened, without the time.
pub fn describe(event: &Event) -> String {
    let what = what_happened(event);
    let reason = match (&event.reason, event.kind) {
        (None, _) => String::new(),
        (Some(reason), EventKind::Dead | EventKind::Unsteady | EventKind::Well) => format!(": {reason}"),
        (Some(reason), _) => format!("; changed before: {reason}"),
    };
    match &event.namespace {
        Some(name) => format!("{name}: {what}{reason}"),
        None => format!("{what}{reason}"),
    }
}

fn what_happened(event: &Event) -> String {
    let path = || describe_path(event);
    // One family may have a fate of its own.
    let family = event.family.map(|family| format!("{family} ")).unwrap_or_default();
    let by_family = event.family.map(|family| format!(" by {family}")).unwrap_or_default();
    let uplink = || event.uplink.as_ref().map_or("", Name::as_str);
    match event.kind {
        EventKind::Up => format!("up, {}", path()),
        EventKind::Down => "down".to_owned(),
        EventKind::Moved => match &event.previous_uplink {
            Some(previous) => format!("{family}moved from {previous}, {}", path()),
            None => format!("{family}moved, {}", path()),
        },
        EventKind::Closed => format!("{family}closed: nothing gets out{by_family}"),
        EventKind::Opened => format!("{family}open again, {}", path()),
        EventKind::Changed => format!("changed, {}", path()),
        EventKind::Repaired => format!("repaired: {}", event.done.as_deref().unwrap_or("something")),
        EventKind::Dead => format!("uplink {} is dead{by_family}", uplink()),
        EventKind::Unsteady => format!("uplink {} answers again{by_family}", uplink()),
        EventKind::Well => format!("uplink {} is well again{by_family}", uplink()),
    }
}

/// "by dsl (eth0) via 192.168.1.254".
fn describe_path(event: &Event) -> String {
    let Some(device) = &event.device else { return "no way out at the moment".into() };
    let by = match &event.uplink {
        None if event.last_resort => format!("by the host's main table ({device})"),
        Some(name) => format!("by {name} ({device})"),
        None => format!("by {device}"),
    };
    let gateways: Vec<String> = event.gateway.iter().map(IpAddr::to_string).collect();
    if gateways.is_empty() { by } else { format!("{by} via {}", gateways.join(", ")) }
}

/// For people, in a line: when by the host's clock, and what.
pub fn line(event: &Event) -> String {
    format!("{}  {}", local_time(event.time), describe(event))
}

/// For programs.
pub fn json(event: &Event) -> Value {
    let mut fields = json!(event);
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("version".to_owned(), json!(1));
    }
    fields
}

/// `2026-11-27 16:30:00`, as the host's time zone has it.
pub(super) fn local_time(seconds: u64) -> String {
    let time = seconds.try_into().unwrap_or_default();
    // SAFETY: a structure of numbers, and a pointer that nobody follows.
    let mut parts: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: reads `time` and writes `parts`, which both outlive the call.
    if unsafe { libc::localtime_r(&raw const time, &raw mut parts) }.is_null() {
        return seconds.to_string();
    }
    let (year, month) = (parts.tm_year + 1900, parts.tm_mon + 1);
    let (day, hour, minute, second) = (parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_says_what_happened() {
        let name = |name: &str| name.parse::<Name>().ok();
        let event = |kind| Event {
            uplink: name("b"),
            device: Some("eth0".into()),
            gateway: vec![[192, 168, 1, 254].into()],
            ..Event::new(0, name("job"), kind)
        };
        let moved = Event { previous_uplink: name("a"), ..event(EventKind::Moved) };
        assert_eq!(describe(&moved), "job: moved from a, by b (eth0) via 192.168.1.254");
        let main = Event { uplink: None, last_resort: true, ..moved.clone() };
        assert_eq!(describe(&main), "job: moved from a, by the host's main table (eth0) via 192.168.1.254");
        let reason = Some("a link".to_owned());
        let closed = Event { reason: reason.clone(), ..event(EventKind::Closed) };
        assert_eq!(describe(&closed), "job: closed: nothing gets out; changed before: a link");
        let dead = Event { reason: Some("no answer".into()), ..event(EventKind::Dead) };
        assert_eq!(describe(&dead), "job: uplink b is dead: no answer");
        let of6 = |event| Event { family: Some(crate::model::Family::V6), ..event };
        assert_eq!(describe(&of6(moved.clone())), "job: IPv6 moved from a, by b (eth0) via 192.168.1.254");
        assert_eq!(describe(&of6(dead)), "job: uplink b is dead by IPv6: no answer");
        let closed = of6(event(EventKind::Closed));
        assert_eq!(describe(&closed), "job: IPv6 closed: nothing gets out by IPv6");
        assert_eq!(json(&closed)["family"], "v6");
        let repaired = Event { done: Some("ip rule add".into()), ..Event::new(0, None, EventKind::Repaired) };
        assert_eq!(describe(&repaired), "repaired: ip rule add");
        assert_eq!(json(&moved)["event"], "moved");
        assert_eq!(json(&moved)["version"], 1);
    }
}
