//! What nsnat needs of the kernel, asked of it where nothing is in the way and nothing stays: in a network namespace that
//! ends with the thread that asks. It is asked after a failure, whose own error number does not say which part is missing,
//! and by `doctor`.

#![expect(clippy::disallowed_methods, reason = "the thread that asks moves into a namespace of its own")]

use super::netlink_socket::{Batch, BatchedChange, NetlinkSocket};
use super::netns;
use crate::attributes::{attribute, nested, number, text};
use crate::error::{Error, Result};
use crate::model::nft::TABLE;
use crate::model::{Lacks, Modules, Need};
use crate::nft;
use crate::nft::numbers::{
    EXPRESSION_DATA, EXPRESSION_NAME, GET_GENERATION, INET, NEW_TABLE, SUBSYSTEM, TABLE_FLAGS, TABLE_NAME,
    TABLE_OWNER,
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
/// NFTA_CT_KEY, NFT_CT_ZONE and NFTA_CT_SREG; NFT_REG_1.
const CT_ZONE: [(u16, u32); 2] = [(2, 17), (4, 1)];

/// What the kernel lacks; none where nothing is missing, or where it does not let us ask.
pub fn lacks() -> Option<Lacks> {
    let needs = netns::in_thread(|| Ok(missing())).ok().filter(|needs| !needs.is_empty())?;
    let release = nix::sys::utsname::uname().ok()?.release().to_string_lossy().into_owned();
    let forbidden = super::sysctl::read("kernel/modules_disabled").is_some_and(|value| value == "1");
    let modules = match forbidden {
        true => Modules::Forbidden,
        false if !Path::new("/proc/modules").exists() => Modules::Unknown,
        false if Path::new("/lib/modules").join(&release).is_dir() => Modules::Loaded,
        false => Modules::Nowhere,
    };
    Some(Lacks { release, needs, modules })
}

/// Why something fails that takes these parts of the kernel, where one of them is missing.
pub(super) fn reason(takes: &[Need]) -> Option<Error> {
    let all = if takes.is_empty() { None } else { lacks() }?;
    let needs: Vec<Need> = all.needs.iter().copied().filter(|need| takes.contains(need)).collect();
    let these = Lacks { needs, ..all.clone() };
    // One boot for all of them.
    let cure = if all.modules == Modules::Forbidden { &all } else { &these }.hint();
    (!these.needs.is_empty()).then(|| Error::new("kernel", these.what()).hint(cure))
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
            let batch = Batch::of(SUBSYSTEM, [table].into_iter());
            Ok(socket.change_all(&batch)?.map_or_else(|refused| refused.errno, |()| 0))
        }))
    };
    !netns::in_thread(ask).unwrap_or(false)
}

/// Nothing is begun where the flows that it makes could not be forgotten afterwards.
pub(super) fn check_flow_list(netlink: &NetlinkSocket) -> Result<()> {
    let without =
        || reason(Need::OF_NFTABLES).unwrap_or_else(|| Error::new("kernel", "it does not list its flows"));
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
        Need::BothFamilies => lacks_nft("filter", POSTROUTING, None),
        Need::FlowList => has_no_subsystem(GET_FLOW_COUNTS),
        Need::NatChains => lacks_nft("nat", PREROUTING, None),
        Need::Flows => lacks_expression("filter", "ct"),
        Need::Nat => lacks_expression("nat", "nat"),
        Need::Masquerade => lacks_expression("nat", "masq"),
        Need::Reject => lacks_expression("filter", "reject"),
        Need::Fib => lacks_expression("filter", "fib"),
        Need::Zones => lacks_key("ct", &CT_ZONE),
    };
    let mut out: Vec<Need> = Vec::new();
    for need in Need::ALL {
        // Nothing of nftables is asked for where there is none.
        if !need.rests_on().iter().any(|below| out.contains(below)) && is_missing(&need) {
            out.push(need);
        }
    }
    out
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
    lacks_nft(chain, POSTROUTING, Some(text(EXPRESSION_NAME, name)))
}

/// A key of an expression that is there may be missing.
fn lacks_key(name: &str, parameters: &[(u16, u32)]) -> bool {
    let data: Vec<u8> = parameters.iter().flat_map(|(kind, value)| number(*kind, *value)).collect();
    lacks_nft(
        "filter",
        PREROUTING,
        Some([text(EXPRESSION_NAME, name), nested(EXPRESSION_DATA, &data)].concat()),
    )
}

/// nf_tables answers so when it knows no such family, kind of chain, or expression.
const NO_PART: [i32; 3] = [libc::ENOENT, libc::EOPNOTSUPP, libc::EAFNOSUPPORT];

/// Whether a table with such a chain, and with a rule of such an expression in it, cannot be made.
fn lacks_nft(kind: &str, hook: u32, expression: Option<Vec<u8>>) -> bool {
    let changes = nft::sample(kind, hook, expression);
    refused(NetlinkSocket::for_netfilter().ok(), &NO_PART, |socket| {
        Ok(socket.change_all(&Batch::of_table(&changes))?.map_or_else(|refused| refused.errno, |()| 0))
    })
}
