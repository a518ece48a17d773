//! Filters and queueing disciplines of devices, as tc(8) makes them (include/uapi/linux/rtnetlink.h, pkt_cls.h).
//!
//! All disciplines are dumped once; filters only of devices that have something for them to hang on. A look at a few of very many
//! devices asks for the filters of these first, and for disciplines only where there is one: the kernel tells of those of all devices
//! or of none.

use super::decode::{GET_LINK, IFINFO, IFINFO_INDEX};
use super::devices::name_among;
use super::netlink_socket::NetlinkSocket;
use crate::attributes::{attributes, find, native, word};
use crate::error::Result;
use crate::model::stack::DeviceNames;
use crate::model::tap::{FilterEffect, Tap, TapHook};

const GET_QDISC: u16 = 38;
const GET_FILTER: u16 = 46;
/// TCA_KIND, TCA_OPTIONS.
const KIND: u16 = 1;
const OPTIONS: u16 = 2;
/// Of struct tcmsg, after the family: device, handle, parent, info.
const TCMSG: usize = 16;
/// TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), TC_H_MIN_EGRESS.
const SIDES: [(TapHook, u32); 2] = [(TapHook::Ingress, 0xffff_fff2), (TapHook::Egress, 0xffff_fff3)];
/// Queueing disciplines that only hold filters, and the ones that the kernel itself gives to devices, without a handle.
const HOLDERS: [&str; 2] = ["clsact", "ingress"];

/// IFLA_QDISC: the kind of the discipline that what leaves goes through, and what a veth has by itself while it is up and down.
const QDISC: u16 = 6;
const NO_QUEUE: [&str; 2] = ["noqueue", "noop"];

/// TCA_ACT_KIND, TCA_ACT_OPTIONS; TCA_GACT_PARMS and TCA_MIRRED_PARMS.
const ACT_KIND: u16 = 1;
const ACT_OPTIONS: u16 = 2;
const PARAMETERS: u16 = 2;
/// Kinds of filters, and where their actions are (TCA_U32_ACT and others).
const ACTIONS: [(&str, u16); 6] =
    [("u32", 7), ("flower", 3), ("matchall", 2), ("basic", 3), ("fw", 4), ("bpf", 1)];
/// TC_ACT_SHOT; TCA_EGRESS_REDIR and TCA_INGRESS_REDIR.
const SHOT: u32 = 2;
const REDIRECTIONS: [u32; 2] = [1, 3];
/// TCA_U32_SEL: struct tc_u32_sel, 16 bytes, then keys of 16 bytes, which begin with a mask.
const U32_SELECTION: u16 = 5;

/// What may take packets; and the queues of the devices that are `ours`. `are_few`: there are many more devices than these.
pub(super) fn observe(names: &DeviceNames, are_few: bool, ours: impl Fn(&str) -> bool) -> Result<Vec<Tap>> {
    let netlink = NetlinkSocket::for_routing()?;
    let may_be_tapped = |(index, name): (&u32, &String)| {
        has_filters(&netlink, *index) || (ours(name) && has_queue(&netlink, *index))
    };
    if are_few && !names.iter().any(may_be_tapped) {
        return Ok(Vec::new());
    }
    // (A kernel without disciplines refuses.)
    let disciplines = netlink.dump(GET_QDISC, 0, &[0; TCMSG]).ok().flatten().unwrap_or_default();
    let mut out = Vec::new();
    for row in disciplines {
        let Some(device) = word_at(&row, 0).and_then(|index| names.get(&index)) else { continue };
        let (kind, index) = (kind(&row), row.get(..4).unwrap_or_default());
        if HOLDERS.contains(&kind.as_str()) {
            // "ingress" has no other side, and answers for both.
            for (side, parent) in SIDES.into_iter().take(if kind == "ingress" { 1 } else { 2 }) {
                let rows = filters(&netlink, index, parent);
                out.extend(rows.iter().filter_map(|row| filter(row, device, side, names)));
            }
        } else if word_at(&row, 1).is_some_and(|handle| handle != 0) && ours(device) {
            out.push(Tap::Queue { device: device.clone(), kind });
        }
    }
    Ok(out)
}

/// The filters of one side of a device; none where nothing holds filters there.
fn filters(netlink: &NetlinkSocket, index: &[u8], parent: u32) -> Vec<Vec<u8>> {
    let of = [index, &[0; 4], &parent.to_ne_bytes()[..], &[0; 4]].concat();
    netlink.dump(GET_FILTER, 0, &of).ok().flatten().unwrap_or_default()
}

fn has_filters(netlink: &NetlinkSocket, index: u32) -> bool {
    SIDES.iter().any(|(_, parent)| !filters(netlink, &index.to_ne_bytes(), *parent).is_empty())
}

/// Whether somebody may have given the device a queue: a veth has none by itself.
fn has_queue(netlink: &NetlinkSocket, index: u32) -> bool {
    let question = [&[0; IFINFO_INDEX][..], &index.to_ne_bytes(), &[0; IFINFO - IFINFO_INDEX - 4]].concat();
    let Ok(Ok(link)) = netlink.get_whole(GET_LINK, &question) else { return false };
    let kind = link.get(IFINFO..).and_then(|attributes| find(attributes, QDISC)).map(word);
    kind.is_some_and(|kind| !NO_QUEUE.contains(&kind.as_str()))
}

fn filter(row: &[u8], device: &str, side: TapHook, names: &DeviceNames) -> Option<Tap> {
    let kind = kind(row);
    let options = find(row.get(TCMSG..)?, OPTIONS)?;
    let (_, actions) = ACTIONS.iter().find(|(name, _)| *name == kind)?;
    let (deed, to) = attributes(find(options, *actions)?).find_map(|(_, action)| effect_of(action))?;
    let to = to.and_then(|index| name_among(names, index));
    let preference = u16::try_from(word_at(row, 3)? >> 16).ok()?;
    let all = kind == "matchall" || (kind == "u32" && find(options, U32_SELECTION).is_some_and(takes_all));
    Some(Tap::Filter { device: device.into(), side, preference, kind, deed, to, all })
}

/// What an action does, and the number of the device that it sends packets to.
fn effect_of(action: &[u8]) -> Option<(FilterEffect, Option<u32>)> {
    let parameters = || find(find(action, ACT_OPTIONS)?, PARAMETERS);
    match word(find(action, ACT_KIND)?).as_str() {
        "gact" => (word_at(parameters()?, 2)? == SHOT).then_some((FilterEffect::Drops, None)),
        "mirred" => {
            let is_redirection = REDIRECTIONS.contains(&word_at(parameters()?, 5)?);
            is_redirection.then_some((FilterEffect::Redirects, word_at(parameters()?, 6)))
        }
        _ => None,
    }
}

/// No bit of any key matters.
fn takes_all(selection: &[u8]) -> bool {
    let keys = selection.get(16..).unwrap_or_default();
    keys.chunks_exact(16).all(|key| key.starts_with(&[0; 4]))
}

fn kind(row: &[u8]) -> String {
    row.get(TCMSG..).and_then(|attributes| find(attributes, KIND)).map(word).unwrap_or_default()
}

/// The word at a place, counted in words; tc has them in the host's byte order.
fn word_at(bytes: &[u8], place: usize) -> Option<u32> {
    native(bytes.get(place * 4..)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::{CloneFlags, unshare};
    use std::collections::BTreeSet;

    /// Runs commands in a network namespace of their own that has the pair of devices a and b, and says what is found there by a
    /// look at all devices, and by one at a few.
    #[expect(clippy::disallowed_methods, reason = "a namespace for the devices of a test")]
    fn found(commands: &str) -> [BTreeSet<Tap>; 2] {
        let script = format!("ip link add name a index 7 type veth peer name b index 8; {commands}");
        let test = move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let status = std::process::Command::new("sh").args(["-euc", &script]).status().unwrap();
            assert!(status.success(), "{script}");
            let names = DeviceNames::from([(7, "a".into()), (8, "b".into())]);
            let look = |are_few| observe(&names, are_few, |name| name == "a").unwrap();
            // (The kernel lists a filter of u32 twice where both sides have one.)
            [false, true].map(|are_few| look(are_few).into_iter().collect())
        };
        std::thread::spawn(test).join().unwrap()
    }

    #[test]
    fn a_look_at_a_few_devices_finds_what_a_look_at_all_finds() {
        const ALL: &str = "protocol all u32 match u32 0 0 action mirred egress redirect dev";
        let filter = |device, side, to| format!("tc filter add dev {device} {side} {ALL} {to}");
        for (commands, count) in [
            (String::new(), 0),
            ("tc qdisc add dev b root handle 1: tbf rate 1mbit burst 10k latency 1s".into(), 0),
            ("tc qdisc add dev a root handle 1: tbf rate 1mbit burst 10k latency 1s".into(), 1),
            ("tc qdisc add dev a clsact".into(), 0),
            (format!("tc qdisc add dev b clsact; {}", filter("b", "egress", "a")), 1),
            (format!("tc qdisc add dev b ingress; {}", filter("b", "ingress", "a")), 1),
            (
                format!(
                    "tc qdisc add dev a clsact; {}; {}",
                    filter("a", "ingress", "b"),
                    filter("a", "egress", "b")
                ),
                2,
            ),
        ] {
            let [all, few] = found(&commands);
            assert_eq!(all.len(), count, "{commands}: {all:?}");
            assert_eq!(all, few, "{commands}");
        }
    }
}
