//! What a configuration says, once it is read and checked.

use super::problem::{Located, Source, Span};
use super::reader;
use crate::model::{
    Account, Attached, Check, HostService, LastResort, Name, Prefer, Proxy, Publication, numbers,
};
use ipnetwork::{Ipv4Network, Ipv6Network};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// A checked configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The files it came from, by [`Span::file`].
    pub sources: Vec<Source>,
    /// Namespaces.
    pub namespaces: BTreeMap<Name, Namespace>,
    /// Namespaces that nobody declares: from each of these the targets of an uplink's check are asked, of an uplink that some
    /// namespace has among others.
    pub checks: BTreeMap<Name, Namespace>,
    /// Uplinks, by their names.
    pub uplinks: BTreeMap<Name, Uplink>,
    /// Pools and numbers.
    pub settings: Settings,
}

impl Config {
    /// The file that declares this namespace.
    pub fn declared_in(&self, name: &Name) -> Option<&Path> {
        let place = self.namespaces.get(name)?.place.as_ref()?;
        Some(&self.sources.get(place.file)?.path)
    }

    /// The names of all namespaces that there are to be.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.namespaces.keys().chain(self.checks.keys())
    }

    /// The declared names, and of those the one that `name` may have meant.
    pub fn nearest(&self, name: &str) -> Option<&Name> {
        let known = self.namespaces.keys().map(Name::as_str);
        self.namespaces.get_key_value(reader::nearest(name, known)?).map(|(name, _)| name)
    }
}

/// `[namespace.NAME]`.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// Its header.
    pub place: Option<Span>,
    /// Ways out, in order. Never empty.
    pub uplinks: Vec<Uplink>,
    /// Which of them is used.
    pub prefer: Prefer,
    /// What becomes of it while none of them can be used.
    pub last_resort: LastResort,
    /// The uplink device's own subnets stay directly reachable.
    pub lan: bool,
    /// Bytes; none: the uplink's.
    pub mtu: Option<u32>,
    /// Chosen by hand; at least a /30.
    pub subnet: Option<Located<Ipv4Network>>,
    /// `ipv6`.
    pub ipv6: Ipv6,
    /// `dns`.
    pub dns: Dns,
    /// Users and groups that may enter the namespace besides root.
    pub allow: Vec<Located<Account>>,
    /// Ports that the other side of an uplink reaches.
    pub publish: Vec<Located<Publication>>,
    /// Services of the host that are reached from inside, and no others; none: it is not said.
    pub host: Option<Vec<HostService>>,
    /// What becomes of proxies that a job's environment names.
    pub proxy: Option<Proxy>,
    /// The program that is run when something happened to the namespace, and its arguments; none where empty.
    pub on_change: Vec<Located<String>>,
    /// The uplink whose targets are asked from here; none: it is declared, for jobs.
    pub checks: Option<Name>,
    /// It is an attachment, which nobody declares; none: nsnat makes it.
    pub attached: Option<Attached>,
    /// Declared below /run.
    pub temporary: bool,
}

impl Namespace {
    /// One that says nothing but its uplinks.
    pub(super) fn by(uplinks: Vec<Uplink>) -> Self {
        Self {
            place: None,
            uplinks,
            prefer: Prefer::First,
            last_resort: LastResort::Unreachable,
            lan: true,
            mtu: None,
            subnet: None,
            ipv6: Ipv6::Auto,
            dns: Dns::Auto,
            allow: Vec::new(),
            publish: Vec::new(),
            host: None,
            proxy: None,
            on_change: Vec::new(),
            checks: None,
            attached: None,
            temporary: false,
        }
    }

    /// Whether there is something else to take where an uplink cannot be used.
    pub fn has_choice(&self) -> bool {
        self.uplinks.len() > 1 || self.last_resort == LastResort::Main
    }
}

/// A way out: `[uplink.NAME]`, or the `dev`/`gateway` of a namespace itself (then it has no name).
#[derive(Clone, Debug)]
pub struct Uplink {
    /// Name of the uplink, where it was declared by one.
    pub name: Option<Name>,
    /// Where it is declared.
    pub place: Option<Span>,
    /// Device.
    pub dev: Option<Located<String>>,
    /// Next hops, at most one of each family; none: the device's own default gateways.
    pub gateways: Vec<Located<IpAddr>>,
    /// How it is found out whether it lives, where a namespace has others besides.
    pub check: Check,
}

/// Whether a namespace has IPv6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ipv6 {
    /// When the uplink has it.
    #[default]
    Auto,
    /// Never.
    Off,
    /// Always: an uplink without it is a problem.
    Nat,
}

/// What happens to a namespace's queries.
#[derive(Clone, Debug, Default)]
pub enum Dns {
    /// Servers that the namespace reaches are left alone; a loopback stub of the host is replaced by the uplink's
    /// own servers.
    #[default]
    Auto,
    /// As the host does, through the host.
    Host,
    /// These rewrites.
    Rewrite {
        /// Every query goes to these, in this order.
        servers: Vec<Located<SocketAddr>>,
        /// OLD → NEW.
        rewrites: Vec<(Located<SocketAddr>, Located<SocketAddr>)>,
        /// What is refused.
        block: Vec<Block>,
    },
}

/// What of DNS is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// DNS over TLS: tcp port 853 (RFC 7858).
    Dot,
    /// DNS over QUIC: udp port 853 (RFC 9250).
    Doq,
    /// DNS over HTTPS: port 443 of well-known resolvers (RFC 8484).
    Doh,
    /// Port 53 to whatever is not rewritten.
    Foreign,
}

/// `[settings]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Subnets come out of here.
    pub pool: Located<Ipv4Network>,
    /// IPv6 subnets come out of here.
    pub pool6: Located<Ipv6Network>,
    /// Our bits of the packet mark: 2 to 8 adjacent ones.
    pub fwmark_mask: Located<u32>,
}

impl Settings {
    /// Blocks that IPv4 subnets may come from, the better ones first. Only one that somebody chose is the only one.
    pub fn pools(&self) -> Vec<Ipv4Network> {
        match self.pool.place {
            Some(_) => vec![self.pool.value],
            None => numbers::POOLS.map(numbers::pool).into(),
        }
    }

    /// The same for IPv6.
    pub fn pools6(&self) -> Vec<Ipv6Network> {
        match self.pool6.place {
            Some(_) => vec![self.pool6.value],
            None => numbers::POOLS6.map(numbers::pool6).into(),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pool: numbers::pool(numbers::POOLS[0]).into(),
            pool6: numbers::pool6(numbers::POOLS6[0]).into(),
            fwmark_mask: numbers::FWMARK_MASK.into(),
        }
    }
}
