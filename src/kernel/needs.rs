//! What nsnat needs of the kernel, asked of it where nothing is in the way and nothing stays: in a network namespace that
//! ends with the thread that asks. It is asked after a failure, whose own error number does not say which part is missing,
//! and by `doctor`.

#![expect(clippy::disallowed_methods, reason = "the thread that asks moves into a namespace of its own")]

use super::netlink_socket::{BatchedChange, NetlinkSocket};
use super::netns;
use crate::attributes::{attribute, nested, number, text};
use crate::error::{Error, Result};
use crate::model::{Lacks, Modules, Need};
use crate::nft::numbers::{
    CHAIN_HOOK, CHAIN_NAME, CHAIN_TYPE, EXPRESSION_DATA, EXPRESSION_NAME, GET_GENERATION, HOOK_NUMBER,
    HOOK_PRIORITY, INET, LIST_ELEMENT, NEW_CHAIN, NEW_RULE, NEW_TABLE, RULE_CHAIN, RULE_EXPRESSIONS,
    SUBSYSTEM, TABLE_FLAGS, TABLE_NAME, TABLE_OWNER,
};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use std::path::Path;

const CREATE: u16 = 0x400;
/// RTM_NEWLINK, RTM_NEWRULE (include/uapi/linux/rtnetlink.h).
const NEW_LINK: u16 = 16;
const NEW_ROUTING_RULE: u16 = 32;
/// IFLA_LINKINFO, IFLA_INFO_KIND.
const LINK_INFO: u16 = 18;
const LINK_KIND: u16 = 1;
/// `struct ifinfomsg`.
const LINK: [u8; 16] = [0; 16];
/// FRA_FWMARK.
const RULE_MARK: u16 = 10;
/// FR_ACT_UNREACHABLE.
const UNREACHABLE: u8 = 7;
/// NFNL_SUBSYS_CTNETLINK and IPCTNL_MSG_CT_GET_STATS.
const GET_FLOW_COUNTS: u16 = 0x105;
/// NF_INET_PRE_ROUTING, NF_INET_POST_ROUTING.
const PREROUTING: u32 = 0;
const POSTROUTING: u32 = 4;
/// NFTA_CT_KEY, NFT_CT_ZONE and NFTA_CT_SREG; NFTA_RT_DREG, NFTA_RT_KEY and NFT_RT_XFRM; NFT_REG_1.
const CT_ZONE: [(u16, u32); 2] = [(2, 17), (4, 1)];
const RT_IPSEC: [(u16, u32); 2] = [(1, 1), (2, 4)];
/// The table that is asked with.
const TABLE: &str = "nsnat";

/// What the kernel lacks; none where nothing is missing, or where it does not let us ask.
pub(super) fn lacks() -> Option<Lacks> {
    let needs = netns::in_thread(|| Ok(missing())).ok().filter(|needs| !needs.is_empty())?;
    let release = nix::sys::utsname::uname().ok()?.release().to_string_lossy().into_owned();
    let forbidden = super::sysctl::read("kernel/modules_disabled").is_some_and(|value| value == "1");
    let modules = match forbidden {
        true => Modules::Forbidden,
        false if Path::new("/lib/modules").join(&release).is_dir() => Modules::Loaded,
        false => Modules::Nowhere,
    };
    Some(Lacks { release, needs, modules })
}

/// Why something fails that takes these parts of the kernel, where one of them is missing.
pub(super) fn reason(takes: &[Need]) -> Option<Error> {
    let mut lacks = if takes.is_empty() { None } else { lacks() }?;
    lacks.needs.retain(|need| takes.contains(need));
    (!lacks.needs.is_empty()).then(|| Error::new("kernel", lacks.what()).hint(lacks.cure()))
}

/// Whether packets can be followed: by a table that goes with its owner, whatever becomes of that (Linux 5.12). Where that
/// cannot be asked for, to follow one says why.
pub fn can_trace() -> bool {
    let name = text(TABLE_NAME, TABLE);
    let owned = [name, number(TABLE_FLAGS, TABLE_OWNER)].concat();
    let ask = move || {
        let table = BatchedChange { kind: NEW_TABLE, flags: CREATE, family: INET, body: &owned };
        unshare(CloneFlags::CLONE_NEWNET)?;
        Ok(refused(NetlinkSocket::for_netfilter().ok(), &[libc::EOPNOTSUPP, libc::EINVAL], |socket| {
            Ok(socket.change_all(SUBSYSTEM, &[table])?.map_or_else(|refused| refused.errno, |()| 0))
        }))
    };
    !netns::in_thread(ask).unwrap_or(false)
}

/// Nothing is begun where the flows that it makes could not be forgotten afterwards.
pub(super) fn check_flow_list(netlink: &NetlinkSocket) -> Result<()> {
    let without =
        || reason(&Need::OF_NFTABLES).unwrap_or_else(|| Error::new("kernel", "it does not list its flows"));
    let errno = netlink.ask(GET_FLOW_COUNTS, 0, &[])?;
    if NO_SUBSYSTEM.contains(&errno) { Err(without()) } else { Ok(()) }
}

/// Asked on a thread that ends afterwards.
fn missing() -> Vec<Need> {
    match unshare(CloneFlags::CLONE_NEWNET) {
        Ok(()) => {}
        Err(Errno::EINVAL | Errno::ENOSYS) => return vec![Need::NetworkNamespaces],
        Err(_) => return Vec::new(),
    }
    let ipv6 = Path::new("/proc/net/if_inet6").exists();
    let is_missing = |need: &Need| match need {
        Need::NetworkNamespaces => false,
        Need::Veth => refused(NetlinkSocket::for_routing().ok(), &[libc::EOPNOTSUPP], ask_for_veth),
        Need::Rules => has_no_rules(libc::AF_INET),
        Need::Rules6 => ipv6 && has_no_rules(libc::AF_INET6),
        Need::Nftables => has_no_subsystem(GET_GENERATION),
        Need::FlowList => has_no_subsystem(GET_FLOW_COUNTS),
        Need::NatChains => lacks_nft("nat", PREROUTING, None),
        Need::Flows => lacks_expression("filter", "ct"),
        Need::Nat => lacks_expression("nat", "nat"),
        Need::Masquerade => lacks_expression("nat", "masq"),
        Need::Reject => lacks_expression("filter", "reject"),
        Need::Fib => lacks_expression("filter", "fib"),
        Need::Zones => lacks_key("ct", &CT_ZONE, PREROUTING),
        Need::Ipsec => lacks_key("rt", &RT_IPSEC, POSTROUTING),
    };
    let mut out: Vec<Need> = Vec::new();
    for need in Need::ALL {
        // Nothing of nftables is asked for where there is none.
        if !rests_on(need).iter().any(|below| out.contains(below)) && is_missing(&need) {
            out.push(need);
        }
    }
    out
}

/// What has to be there for a part to be asked for.
fn rests_on(need: Need) -> &'static [Need] {
    match need {
        Need::NetworkNamespaces | Need::Veth | Need::Rules | Need::Rules6 | Need::Nftables => &[],
        Need::Zones => &[Need::Nftables, Need::Flows],
        Need::Nat | Need::Masquerade => &[Need::Nftables, Need::NatChains],
        Need::Flows | Need::NatChains | Need::Reject | Need::Fib | Need::Ipsec | Need::FlowList => {
            &[Need::Nftables]
        }
    }
}

/// Whether a question is answered by one of these errors; or cannot be asked for want of such sockets.
fn refused(
    socket: Option<NetlinkSocket>,
    errors: &[i32],
    question: impl FnOnce(&NetlinkSocket) -> Result<i32>,
) -> bool {
    socket.is_none_or(|socket| question(&socket).is_ok_and(|errno| errors.contains(&errno)))
}

fn ask_for_veth(socket: &NetlinkSocket) -> Result<i32> {
    let kind = nested(LINK_INFO, &text(LINK_KIND, "veth"));
    socket.ask_whole(NEW_LINK, CREATE, &[&LINK, kind.as_slice()].concat())
}

/// `struct fib_rule_hdr`, and a mark.
fn has_no_rules(family: i32) -> bool {
    let family = u8::try_from(family).unwrap_or_default();
    let rule = [family, 0, 0, 0, 0, 0, 0, UNREACHABLE, 0, 0, 0, 0];
    let body = [&rule, attribute(RULE_MARK, &1_u32.to_ne_bytes()).as_slice()].concat();
    let errors = [libc::EOPNOTSUPP, libc::EAFNOSUPPORT];
    refused(NetlinkSocket::for_routing().ok(), &errors, |socket| {
        socket.ask_whole(NEW_ROUTING_RULE, CREATE, &body)
    })
}

/// nfnetlink answers so when it has no such part (`nfnetlink_rcv_msg` in net/netfilter/nfnetlink.c).
const NO_SUBSYSTEM: [i32; 2] = [libc::EINVAL, libc::EOPNOTSUPP];

fn has_no_subsystem(question: u16) -> bool {
    refused(NetlinkSocket::for_netfilter().ok(), &NO_SUBSYSTEM, |socket| socket.ask(question, 0, &[]))
}

/// By its name alone: where it is there, it misses its parameters.
fn lacks_expression(chain: &str, name: &str) -> bool {
    lacks_nft(chain, POSTROUTING, Some(&[text(EXPRESSION_NAME, name)].concat()))
}

/// A key of an expression that is there may be missing. Not every hook has every key.
fn lacks_key(name: &str, parameters: &[(u16, u32)], hook: u32) -> bool {
    let number = |(kind, value): &(u16, u32)| attribute(*kind, &value.to_be_bytes());
    let data: Vec<u8> = parameters.iter().flat_map(number).collect();
    lacks_nft("filter", hook, Some(&[text(EXPRESSION_NAME, name), nested(EXPRESSION_DATA, &data)].concat()))
}

/// Whether a table with such a chain, and with a rule of such an expression in it, cannot be made.
fn lacks_nft(chain: &str, hook: u32, expression: Option<&[u8]>) -> bool {
    let name = text(TABLE_NAME, TABLE);
    let place =
        [attribute(HOOK_NUMBER, &hook.to_be_bytes()), attribute(HOOK_PRIORITY, &100_u32.to_be_bytes())];
    let base = format!("{chain}{hook}");
    let chain =
        [text(CHAIN_NAME, &base), nested(CHAIN_HOOK, &place.concat()), text(CHAIN_TYPE, chain)].concat();
    let mut changes = vec![(NEW_TABLE, name.clone()), (NEW_CHAIN, [name.as_slice(), &chain].concat())];
    changes.extend(expression.map(|expression| {
        let rule = nested(RULE_EXPRESSIONS, &nested(LIST_ELEMENT, expression));
        (NEW_RULE, [name, text(RULE_CHAIN, &base), rule].concat())
    }));
    let batch: Vec<_> = changes
        .iter()
        .map(|(kind, body)| BatchedChange { kind: *kind, flags: CREATE, family: INET, body })
        .collect();
    refused(NetlinkSocket::for_netfilter().ok(), &[libc::ENOENT, libc::EOPNOTSUPP], |socket| {
        let answer = socket.change_all(SUBSYSTEM, &batch)?;
        Ok(answer.map_or_else(|refused| refused.errno, |()| 0))
    })
}
