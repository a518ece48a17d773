//! What the daemon does not hear of: the routes of a router that speaks BGP.
//!
//! # Theory of operation
//!
//! Such a router changes ten thousand routes in a second when a session comes up. None of them means anything to nsnat
//! ([`super::full_table`] says why), and to read each only to pass it by is work, and room that other messages need. So a
//! program of the socket filter (classic BPF, Documentation/networking/filter.rst of Linux) passes them by inside of the kernel:
//! the daemon does not even wake up.
//!
//! What it passes by is a route of table main that a routing daemon made, to a network of the public table, by way of a gateway.
//! What it lets through all the same: a route on the way to a server that the host asks for names; and one by a next hop of
//! an uplink that names a source address, because packets may leave with that. Whatever it does not understand is let through.

use super::full_table::{
    DESTINATION, DOCUMENTATION6, FAMILY, GATEWAY, HEADER, MULTICAST, OWN, PREFIX, PUBLIC6, SHORTEST,
    SMALLEST, TYPE, UNICAST, VIA,
};
use crate::error::{Context, Result};
use nix::errno::Errno;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

/// nlmsghdr, and in it the type.
const MESSAGE: usize = 16;
const MESSAGE_TYPE: u32 = 4;
/// RTM_NEWROUTE, RTM_DELROUTE.
const NEWS: [u16; 2] = [24, 25];
/// `rtm_table` and `rtm_protocol` in rtmsg.
const TABLE: usize = 4;
const PROTOCOL: usize = 5;
/// RTPROT_GATED, _MRT, _ZEBRA, _BIRD, _DNROUTED, _XORP, _NTK, _MROUTED, _BABEL, _OPENR, _BGP, _ISIS, _OSPF, _RIP, _EIGRP
/// (include/uapi/linux/rtnetlink.h).
const DAEMONS: [u32; 15] = [8, 10, 11, 12, 13, 14, 15, 17, 42, 99, 186, 187, 188, 189, 192];
/// RTA_PREFSRC.
const PREFERRED_SOURCE: u16 = 7;
/// Behind the header of an attribute.
const VALUE: u32 = 4;

/// A step leads over 255 others at most. Where more servers and next hops than this matter, nothing is passed by.
const MOST: usize = 12;

/// Instructions (include/uapi/linux/bpf_common.h): A is what is worked on, X the other register, M memory.
const LOAD_NUMBER: u16 = 0x00;
const LOAD_X_NUMBER: u16 = 0x01;
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF: u16 = 0x28;
const LOAD_WORD: u16 = 0x20;
/// So many bytes behind X.
const LOAD_WORD_AT: u16 = 0x40;
const LOAD_MEMORY: u16 = 0x60;
const STORE: u16 = 0x02;
const TO_X: u16 = 0x07;
const SUBTRACT_X: u16 = 0x1c;
const AND: u16 = 0x54;
const XOR: u16 = 0xa4;
const SHIFT_RIGHT_X: u16 = 0x7c;
const IF_EQUAL: u16 = 0x15;
const IF_GREATER: u16 = 0x25;
const IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;
/// SKF_AD_OFF + SKF_AD_NLATTR: the place of the first attribute of type X, from A on; 0 where there is none.
const FIND_ATTRIBUTE: u32 = (-0x1000_i32 + 12).cast_unsigned();

/// Where in M the first word of the destination is.
const WORD: u32 = 0;

/// What routes matter for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Matter {
    /// The servers that the host asks for names.
    pub(super) servers: Vec<IpAddr>,
    /// The next hops of uplinks.
    pub(super) next_hops: Vec<IpAddr>,
}

/// Passes by what does not matter from now on.
pub(super) fn attach(socket: BorrowedFd<'_>, matter: &Matter) -> Result<()> {
    let mut program = program(matter);
    let length = u16::try_from(program.len()).unwrap_or_default();
    let whole = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    let size = libc::socklen_t::try_from(size_of_val(&whole)).unwrap_or_default();
    let (level, option) = (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER);
    // SAFETY: `whole` and the program that it points to outlive the call, which copies both.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const whole).cast(), size) };
    Errno::result(result).map(drop).what(|| "filter routes")
}

/// An instruction, and where it leads to where it is a comparison.
#[derive(Clone, Copy)]
enum Step {
    Do(u16, u32),
    /// Where it holds goes on, otherwise lets the message through.
    Only(u16, u32),
    /// Where it holds lets the message through, otherwise goes on.
    Unless(u16, u32),
    /// Where it holds goes on, otherwise passes over so many steps.
    Else(u16, u32, usize),
    /// Where it holds passes over so many steps, otherwise goes on.
    Over(u16, u32, usize),
}
use Step::{Do, Else, Only, Over, Unless};

fn program(matter: &Matter) -> Vec<libc::sock_filter> {
    let through = libc::sock_filter { code: RETURN, jt: 0, jf: 0, k: u32::MAX };
    let Matter { servers, next_hops } = matter;
    if servers.len() + next_hops.len() > MOST {
        return vec![through];
    }
    let four = of_family4(servers);
    let is_four = [Do(LOAD_BYTE, place(FAMILY)), Else(IF_EQUAL, number(libc::AF_INET), four.len())];
    let is_six = [Only(IF_EQUAL, number(libc::AF_INET6))];
    let parts =
        [made_by_a_daemon(), by_gateway(), source_by(next_hops), destination(), is_four.to_vec(), four];
    let steps: Vec<_> = parts.into_iter().flatten().chain(is_six).chain(of_family6(servers)).collect();
    let last = steps.len();
    let one = |(at, step): (usize, &Step)| instruction(*step, last - at - 1);
    steps.iter().enumerate().map(one).chain([through]).collect()
}

/// `end`: how many steps there are from the next one to the last, which lets a message through.
fn instruction(step: Step, end: usize) -> libc::sock_filter {
    let (code, k, holds, otherwise) = match step {
        Do(code, k) => (code, k, 0, 0),
        Only(code, k) => (code, k, 0, end),
        Unless(code, k) => (code, k, end, 0),
        Else(code, k, over) => (code, k, 0, over),
        Over(code, k, over) => (code, k, over, 0),
    };
    let short = |steps: usize| u8::try_from(steps).unwrap_or(u8::MAX);
    libc::sock_filter { code, jt: short(holds), jf: short(otherwise), k }
}

/// A place in rtmsg.
fn place(at: usize) -> u32 {
    u32::try_from(MESSAGE + at).unwrap_or_default()
}

fn number(family: i32) -> u32 {
    family.cast_unsigned()
}

/// Puts the place of an attribute into A; 0 where there is none.
fn find(attribute: u16) -> [Step; 3] {
    [Do(LOAD_NUMBER, place(HEADER)), Do(LOAD_X_NUMBER, attribute.into()), Do(LOAD_WORD, FIND_ATTRIBUTE)]
}

/// Goes on with routes of main that a routing daemon made.
fn made_by_a_daemon() -> Vec<Step> {
    // Loads are in the network's order, and this number is in the host's.
    let [new, gone] = NEWS.map(|kind| u16::from_be_bytes(kind.to_ne_bytes()).into());
    let mut steps = vec![Do(LOAD_HALF, MESSAGE_TYPE), Over(IF_EQUAL, new, 1), Only(IF_EQUAL, gone)];
    steps.extend([Do(LOAD_BYTE, place(TABLE)), Only(IF_EQUAL, libc::RT_TABLE_MAIN.into())]);
    steps.extend([Do(LOAD_BYTE, place(TYPE)), Only(IF_EQUAL, UNICAST.into())]);
    steps.push(Do(LOAD_BYTE, place(PROTOCOL)));
    let [others @ .., last] = DAEMONS;
    let to_go = (1..=others.len()).rev();
    steps.extend(others.iter().zip(to_go).map(|(daemon, to_go)| Over(IF_EQUAL, *daemon, to_go)));
    steps.push(Only(IF_EQUAL, last));
    steps
}

fn by_gateway() -> Vec<Step> {
    let other = find(VIA);
    let mut steps = find(GATEWAY).to_vec();
    steps.push(Else(IF_EQUAL, 0, other.len() + 1));
    steps.extend(other);
    steps.push(Unless(IF_EQUAL, 0));
    steps
}

/// Lets a route through that names a source address, by one of these next hops.
fn source_by(next_hops: &[IpAddr]) -> Vec<Step> {
    let word = |hop: &IpAddr| match hop {
        IpAddr::V4(ip) => Some((libc::AF_INET, u32::from(*ip))),
        // The last word tells them apart well enough.
        IpAddr::V6(ip) => ip.octets().last_chunk().map(|word| (libc::AF_INET6, u32::from_be_bytes(*word))),
    };
    let words: Vec<_> = next_hops.iter().filter_map(word).collect();
    let of_family = |family, at| {
        let same: Vec<_> = words.iter().filter(|(of, _)| *of == family).collect();
        let compared = same.iter().map(|(_, word)| Unless(IF_EQUAL, *word));
        let is_meant = [
            Do(LOAD_BYTE, place(FAMILY)),
            Else(IF_EQUAL, number(family), same.len() + 1),
            Do(LOAD_WORD_AT, at),
        ];
        is_meant.into_iter().chain(compared).collect::<Vec<_>>()
    };
    let compared = [of_family(libc::AF_INET, VALUE), of_family(libc::AF_INET6, VALUE + 12)].concat();
    let to_gateway = [&find(GATEWAY)[..], &[Unless(IF_EQUAL, 0), Do(TO_X, 0)]].concat();
    let mut steps = find(PREFERRED_SOURCE).to_vec();
    steps.push(Over(IF_EQUAL, 0, to_gateway.len() + compared.len()));
    steps.extend(to_gateway);
    steps.extend(compared);
    steps
}

/// Goes on with the first word of the destination in M, and in X with how many of its bits are none of the prefix.
fn destination() -> Vec<Step> {
    let mut steps = find(DESTINATION).to_vec();
    steps.extend([Unless(IF_EQUAL, 0), Do(TO_X, 0), Do(LOAD_WORD_AT, VALUE), Do(STORE, WORD)]);
    steps.extend([Do(LOAD_BYTE, place(PREFIX)), Only(IF_AT_LEAST, SHORTEST.into())]);
    steps.extend([Else(IF_GREATER, 32, 1), Do(LOAD_NUMBER, 32)]);
    steps.extend([Do(TO_X, 0), Do(LOAD_NUMBER, 32), Do(SUBTRACT_X, 0), Do(TO_X, 0)]);
    steps
}

fn of_family4(servers: &[IpAddr]) -> Vec<Step> {
    let [smallest, _] = SMALLEST;
    let mut steps = vec![Do(LOAD_BYTE, place(PREFIX)), Unless(IF_GREATER, smallest.into())];
    steps.extend([Do(LOAD_MEMORY, WORD), Unless(IF_AT_LEAST, u32::from_be_bytes([MULTICAST, 0, 0, 0]))]);
    steps.extend(OWN.iter().flat_map(|(net, prefix)| {
        let mask = u32::MAX << (32 - prefix);
        [Do(LOAD_MEMORY, WORD), Do(AND, mask), Unless(IF_EQUAL, u32::from_be_bytes(*net))]
    }));
    let words = servers.iter().filter_map(|server| match server {
        IpAddr::V4(ip) => Some(u32::from(*ip)),
        IpAddr::V6(_) => None,
    });
    steps.extend(towards(words));
    steps
}

fn of_family6(servers: &[IpAddr]) -> Vec<Step> {
    let [_, smallest] = SMALLEST;
    let (of_public, public) = PUBLIC6;
    let first_word = |ip: &Ipv6Addr| ip.octets().first_chunk().map(|word| u32::from_be_bytes(*word));
    let mut steps = vec![Do(LOAD_BYTE, place(PREFIX)), Unless(IF_GREATER, smallest.into())];
    steps.extend([Do(LOAD_MEMORY, WORD), Unless(IF_EQUAL, DOCUMENTATION6)]);
    steps.extend([Do(AND, of_public), Only(IF_EQUAL, public)]);
    let words = servers.iter().filter_map(|server| match server {
        IpAddr::V4(_) => None,
        IpAddr::V6(ip) => first_word(ip),
    });
    steps.extend(towards(words));
    steps
}

/// Lets routes towards these through, as far as their first word tells, and passes by all others.
fn towards(words: impl Iterator<Item = u32>) -> Vec<Step> {
    let one = |word| [Do(LOAD_MEMORY, WORD), Do(XOR, word), Do(SHIFT_RIGHT_X, 0), Unless(IF_EQUAL, 0)];
    words.flat_map(one).chain([Do(RETURN, 0)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::{attribute, octets};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn matter(servers: &[&str], next_hops: &[&str]) -> Matter {
        let all = |list: &[&str]| list.iter().map(|one| ip(one)).collect();
        Matter { servers: all(servers), next_hops: all(next_hops) }
    }

    /// A message that tells of a route.
    struct Route<'a> {
        kind: u16,
        table: u8,
        protocol: u8,
        to: &'a str,
        via: Option<&'a str>,
        source: Option<&'a str>,
    }

    fn route(to: &str) -> Route<'_> {
        let via = if to.contains(':') { "2001:db8::1" } else { "192.0.2.1" };
        Route { kind: 24, table: 254, protocol: 12, to, via: Some(via), source: None }
    }

    impl Route<'_> {
        fn bytes(&self) -> Vec<u8> {
            let (net, prefix) = self.to.split_once('/').unwrap();
            let family = if ip(net).is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
            let header = [
                family.try_into().unwrap(),
                prefix.parse().unwrap(),
                0,
                0,
                self.table,
                self.protocol,
                0,
                UNICAST,
                0,
                0,
                0,
                0,
            ];
            let address = |kind, text: &str| attribute(kind, &octets(ip(text)));
            let optional =
                |kind, text: Option<&str>| text.map(|text| address(kind, text)).unwrap_or_default();
            let body = [
                &header[..],
                &attribute(15, &254_u32.to_ne_bytes()),
                &address(DESTINATION, net),
                &optional(PREFERRED_SOURCE, self.source),
                &optional(GATEWAY, self.via),
            ]
            .concat();
            let length = u32::try_from(MESSAGE + body.len()).unwrap();
            let message = [&length.to_ne_bytes()[..], &self.kind.to_ne_bytes(), &[0; 10], &body];
            message.concat()
        }
    }

    /// Whether the kernel lets a message through to a socket with the filter.
    fn arrives(matter: &Matter, message: &[u8]) -> bool {
        let (from, to) = UnixDatagram::pair().unwrap();
        attach(to.as_fd(), matter).unwrap();
        to.set_nonblocking(true).unwrap();
        from.send(message).unwrap();
        to.recv(&mut [0; 256]).is_ok()
    }

    #[test]
    fn public_networks_by_a_gateway_do_not_arrive() {
        let nothing = Matter::default();
        for to in [
            "20.0.0.0/24",
            "8.0.0.0/6",
            "64.0.0.0/2",
            "223.255.255.0/24",
            "2600::/32",
            "2a00:1450::/48",
            "3fff::/3",
        ] {
            assert!(!arrives(&nothing, &route(to).bytes()), "{to}");
            assert!(!arrives(&nothing, &Route { kind: 25, ..route(to) }.bytes()), "{to}, when it goes");
            // The rule is the one by which a dump passes them by.
            assert!(super::super::full_table::is_passed_by(&route(to).bytes()[MESSAGE..]), "{to}");
        }
        for daemon in DAEMONS {
            let protocol = u8::try_from(daemon).unwrap();
            assert!(!arrives(&nothing, &Route { protocol, ..route("20.0.0.0/24") }.bytes()), "{daemon}");
        }
    }

    #[test]
    fn what_matters_arrives() {
        let nothing = Matter::default();
        for to in [
            "0.0.0.0/0",
            "128.0.0.0/1",
            "20.0.0.0/25",
            "10.0.0.0/8",
            "172.20.0.0/16",
            "192.168.7.0/24",
            "100.64.0.0/10",
            "100.127.0.0/16",
            "169.254.0.0/16",
            "198.19.0.0/16",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "127.0.0.0/8",
            "0.0.0.0/8",
            "224.0.0.0/4",
            "240.0.0.0/4",
            "::/0",
            "2600::/49",
            "fd00::/8",
            "fe80::/10",
            "2001:db8::/32",
            "4000::/3",
        ] {
            assert!(arrives(&nothing, &route(to).bytes()), "{to}");
            assert!(!super::super::full_table::is_passed_by(&route(to).bytes()[MESSAGE..]), "{to}");
        }
        let public = || route("20.0.0.0/24");
        // The control is above.
        for (what, route) in [
            ("on a device", Route { via: None, ..public() }),
            ("of an administrator", Route { protocol: 3, ..public() }),
            ("of a DHCP client", Route { protocol: 16, ..public() }),
            ("of another table", Route { table: 100, ..public() }),
            ("of a table with a long number", Route { table: 252, ..public() }),
            ("a link", Route { kind: 16, ..public() }),
            ("a rule", Route { kind: 32, ..public() }),
        ] {
            assert!(arrives(&nothing, &route.bytes()), "{what}");
        }
        assert!(arrives(&nothing, &[0; MESSAGE]) && arrives(&nothing, &public().bytes()[..MESSAGE + HEADER]));
    }

    #[test]
    fn the_way_to_a_server_arrives() {
        let servers = matter(&["9.9.9.9", "2620:fe::9"], &[]);
        for (to, is_let_through) in [
            ("9.9.9.0/24", true),
            ("8.0.0.0/6", true),
            ("9.9.8.0/24", false),
            ("2620:fe::/48", true),
            ("2620::/12", true),
            ("2621:fe::/48", false),
        ] {
            assert_eq!(arrives(&servers, &route(to).bytes()), is_let_through, "{to}");
        }
    }

    #[test]
    fn a_source_by_a_next_hop_of_ours_arrives() {
        let ours = matter(&[], &["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
        let from = |to, source| Route { source, ..route(to) };
        let (four, six) = (Some("192.0.2.77"), Some("2001:db8::77"));
        for (message, is_let_through) in [
            (from("20.0.0.0/24", four), true),
            (from("2600::/32", six), true),
            (from("20.0.0.0/24", None), false),
            (Route { via: Some("192.0.2.3"), ..from("20.0.0.0/24", four) }, false),
            (Route { via: Some("fe80::2"), ..from("2600::/32", six) }, false),
        ] {
            assert_eq!(
                arrives(&ours, &message.bytes()),
                is_let_through,
                "{}, {:?}",
                message.to,
                message.source
            );
        }
        assert!(!arrives(&Matter::default(), &from("20.0.0.0/24", four).bytes()));
    }

    #[test]
    fn a_step_leads_no_further_than_it_can() {
        let at_most = |four: usize, six: usize| Matter {
            servers: [vec![ip("9.9.9.9"); four], vec![ip("2620:fe::9"); six]].concat(),
            next_hops: Vec::new(),
        };
        for matter in [at_most(MOST, 0), at_most(0, MOST), at_most(MOST / 2, MOST / 2)] {
            assert!(program(&matter).len() < 250, "{}", program(&matter).len());
            assert!(!arrives(&matter, &route("20.0.0.0/24").bytes()));
        }
        assert!(arrives(&at_most(MOST, 1), &route("20.0.0.0/24").bytes()));
    }
}
