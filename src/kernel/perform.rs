//! Performing actions.

use super::conntrack::{self, TableSize};
use super::foreign::Foreign;
use super::handle::Kernel;
use super::nft::Changes;
use super::open_namespaces::OpenNamespace;
use super::route_socket::{Netlink, NetlinkError};
use super::sysctl::Sysctls;
use super::{encode, ipsec, needs, netns, passes, tcp};
use crate::error::{Context, Error, Result};
use crate::model::{Element, Family, Name, Need, Route, numbers};
use crate::nft::Change;
use crate::plan::{Action, Flows, LinkChange, Side};
use crate::reconcile::Step;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::thread::JoinHandle;

/// What helps where settings cannot be made.
const READ_ONLY: &str =
    "/proc/sys is read-only here, as in a container that was not started as a privileged one";

const CREATE: u16 = NLM_F_CREATE | NLM_F_EXCL;

/// The kernel's ways of saying that something is gone already, which for a removal is as good as done:
/// ESRCH for routes, ENOENT for rules, ENODEV for links, EADDRNOTAVAIL for addresses, and ENXIO for those of a device
/// that the kernel took IPv6 off because its MTU became too small.
const GONE: [i32; 5] = [libc::ESRCH, libc::ENOENT, libc::ENODEV, libc::EADDRNOTAVAIL, libc::ENXIO];

impl Kernel {
    /// Performs actions in order; `step` is told of each, and says whether to go on. No namespace stays open
    /// afterwards.
    pub(super) fn perform_and_close(&mut self, actions: &[Action], step: &mut dyn FnMut(Step<'_>) -> bool) {
        self.perform_in_order(actions, step);
        self.inside.close_all();
        self.sysctls_inside = None;
        self.worker.end();
    }

    fn perform_in_order(&mut self, actions: &[Action], step: &mut dyn FnMut(Step<'_>) -> bool) {
        let mut rest = actions;
        let mut table = TableRemoval::new(actions);
        while !rest.is_empty() {
            let (doomed, forgotten) = (leading_links(rest), leading_flows(rest));
            let (next, later) = rest.split_at(doomed.len().max(forgotten.len()).max(1));
            if !step(Step::Before(next)) {
                return;
            }
            if !doomed.is_empty() {
                table.begin();
            }
            let result = match next {
                [Action::RemoveTable] => {
                    table.end().map_err(|error| error.as_reason_of(&Action::RemoveTable))
                }
                [action] => self.perform_one(action),
                [first @ Action::ForgetFlows { .. }, ..] => {
                    self.forget_flows(&forgotten).map_err(|error| error.as_reason_of(first))
                }
                _ => self.remove_links(&doomed),
            };
            let goes_on = match result {
                Ok(()) => step(Step::Done(next)),
                Err(error) => step(Step::Failed(next, error)),
            };
            if !goes_on {
                return;
            }
            rest = later;
        }
    }

    fn perform_one(&mut self, action: &Action) -> Result<()> {
        let done = match action {
            Action::MakeNetns { name, stale } => netns::make(&mut self.worker, name, *stale),
            Action::AttachNetns { name, stale, .. } => self.attach(name, *stale),
            Action::RemoveNetns { name } => {
                self.inside.close(name);
                self.sysctls_inside = None;
                netns::remove(name)
            }
            Action::LoadSkeleton { form, replace, elements } => {
                crate::nft::load(*form, *replace, elements).and_then(|changes| self.changes.make(&changes))
            }
            Action::RemoveTable => remove_table(),
            Action::Elements { remove, add } => {
                self.change_elements(&crate::nft::change(remove, add), remove.iter().chain(add))
            }
            Action::ForgetFlows { source, which } => self.forget_flows(&[(*source, *which)]),
            Action::ResetConnections { name, which } => tcp::reset(name, which),
            Action::ForgetServers { link } => self.change_elements(&crate::nft::forget_servers(link), []),
            Action::Sysctl { place, key, value } => self.sysctl(place, key, value),
            Action::AddPass { pass } => passes::add(pass),
            Action::RemovePass { pass, handle } => passes::remove(pass, *handle),
            Action::AddPolicy { policy } => ipsec::add(policy),
            Action::RemovePolicy { policy } => ipsec::remove(policy),
            Action::Tune { name, values } => self.tune(name, values),
            Action::AddVeth { name, link, mtu, ifname } => self.add_veth(name, link, *mtu, ifname),
            Action::AddPair { link, mtu, peer, .. } => self.request_change(
                &Side::Host,
                Message::NewLink(encode::veth(link, *mtu, peer, None)),
                CREATE,
            ),
            Action::RemoveLink { link } => self.request_removal(&Side::Host, Message::DelLink(named(link))),
            Action::SetLink { place, dev, change } => {
                self.request_change(place, Message::NewLink(link_message(dev, change)), 0)
            }
            Action::AddAddress { place, address } => self.index(place, &address.dev).and_then(|dev| {
                self.request_change(place, Message::NewAddress(encode::address(place, address, dev)), CREATE)
            }),
            Action::RemoveAddress { place, address } => self.index(place, &address.dev).and_then(|dev| {
                self.request_removal(place, Message::DelAddress(encode::address(place, address, dev)))
            }),
            Action::AddRoute { place, route, replace } => {
                let flags = if *replace { NLM_F_CREATE | NLM_F_REPLACE } else { CREATE };
                self.device_of(place, route).and_then(|dev| {
                    self.request_change(place, Message::NewRoute(encode::route(route, dev)), flags)
                })
            }
            Action::RemoveRoute { place, route } => self
                .device_of(place, route)
                .and_then(|dev| self.request_removal(place, Message::DelRoute(encode::route(route, dev)))),
            Action::AddRule { place, rule } => {
                self.request_change(place, Message::NewRule(encode::rule(rule)), CREATE)
            }
            Action::RemoveRule { place, rule } => {
                self.request_removal(place, Message::DelRule(encode::rule(rule)))
            }
        };
        done.map_err(|error| needs::reason(parts_for(action)).unwrap_or_else(|| error.as_reason_of(action)))
    }

    fn forget_flows(&mut self, requests: &[(IpAddr, Flows)]) -> Result<()> {
        let mut number = |key| self.sysctls.read(key)?.trim().parse().ok();
        let (flows, buckets) =
            (number("net/netfilter/nf_conntrack_count"), number("net/netfilter/nf_conntrack_buckets"));
        let size = flows.zip(buckets).map(|(flows, buckets)| TableSize { flows, buckets });
        self.changes.by(|netlink| conntrack::forget(netlink, requests, size))
    }

    /// Makes changes of our table that are about elements, of which `touched` can be looked at.
    fn change_elements<'e>(
        &mut self,
        changes: &[Change],
        touched: impl IntoIterator<Item = &'e Element>,
    ) -> Result<()> {
        self.changes.make(changes)?;
        self.table.note_change(touched);
        self.foreign.iter_mut().for_each(Foreign::note_change);
        Ok(())
    }

    fn attach(&mut self, name: &Name, stale: bool) -> Result<()> {
        self.open_inside(name)?;
        self.inside.get(name).map_or(Ok(()), |inside| netns::attach(name, stale, &inside.file))
    }

    fn sysctl(&mut self, place: &Side, key: &str, value: &str) -> Result<()> {
        let refused = |error: std::io::Error| {
            let refused = Error::new(format!("write /proc/sys/{key}"), &error);
            if error.raw_os_error() == Some(libc::EROFS) { refused.hint(READ_ONLY) } else { refused }
        };
        match place {
            Side::Host => self.sysctls.write(key, value).map_err(refused),
            Side::Inside(name) => {
                let (key, value) = (key.to_owned(), value.to_owned());
                self.write_inside(name, move |sysctls| sysctls.write(&key, &value))?.map_err(refused)
            }
        }
    }

    /// Writes sysctls of a namespace, by a thread that is in it.
    fn write_inside<T: Send + 'static>(
        &mut self,
        name: &Name,
        write: impl FnOnce(&mut Sysctls) -> T + Send + 'static,
    ) -> Result<T> {
        self.open_inside(name)?;
        let what = || format!("namespace {name}");
        let inside = self.inside.get(name).ok_or_else(|| Error::new(what(), "it is not open"))?;
        let last = self.sysctls_inside.take().filter(|(last, _)| last == name);
        let mut sysctls = last.map_or_else(Sysctls::default, |(_, sysctls)| sysctls);
        let written = netns::work_inside(&mut self.worker, &inside.file, move || {
            let written = write(&mut sysctls);
            Ok((written, sysctls))
        });
        let (written, sysctls) = written.what(what)?;
        self.sysctls_inside = Some((name.clone(), sysctls));
        Ok(written)
    }

    /// Writes settings in a namespace; remembers the settings that it refuses.
    fn tune(&mut self, name: &Name, values: &[(String, String)]) -> Result<()> {
        let values = values.to_vec();
        let refused = self.write_inside(name, move |sysctls| {
            let refused = values.into_iter().filter(|(key, value)| sysctls.write(key, value).is_err());
            refused.collect::<Vec<_>>()
        })?;
        self.refused.extend(refused);
        Ok(())
    }

    fn open_inside(&mut self, name: &Name) -> Result<()> {
        if self.inside.contains(name) {
            return Ok(());
        }
        if let Some(opened) = self.inside.make_room() {
            self.runtime.block_on(opened.netlink.close());
        }
        let what = || format!("namespace {name}");
        let found = self
            .attached
            .get(name)
            .map_or_else(|| netns::find(name), |place| netns::find_attached(name, place));
        let netns::NetnsFile::Alive { file, .. } = found? else {
            return Err(Error::new(what(), "it went away meanwhile"));
        };
        let opened = netns::work_inside(&mut self.worker, &file, || Socket::new(NETLINK_ROUTE));
        let socket = opened.what(what)?;
        let netlink = self.runtime.block_on(async { Netlink::from_socket(socket) })?;
        self.inside.insert(name.clone(), OpenNamespace { file, netlink });
        Ok(())
    }

    fn add_veth(&mut self, name: &Name, link: &str, mtu: u32, ifname: &str) -> Result<()> {
        self.open_inside(name)?;
        let file = self.inside.get(name).map_or(-1, |inside| inside.file.as_raw_fd());
        self.request_change(
            &Side::Host,
            Message::NewLink(encode::veth(link, mtu, ifname, Some(file))),
            CREATE,
        )
    }

    /// Asks rtnetlink for a change.
    fn request_change(&mut self, place: &Side, message: Message, flags: u16) -> Result<()> {
        self.send(place, message, flags)?.map_err(refusal)
    }

    /// Removes an object. An object that is gone already counts as removed.
    fn request_removal(&mut self, place: &Side, message: Message) -> Result<()> {
        gone_is_fine(self.send(place, message, 0)?).map_err(refusal)
    }

    fn send(
        &mut self,
        place: &Side,
        message: Message,
        flags: u16,
    ) -> Result<std::result::Result<(), NetlinkError>> {
        self.ensure_open(place)?;
        Ok(self.runtime.block_on(self.connection(place)?.send(message, flags)))
    }

    fn ensure_open(&mut self, place: &Side) -> Result<()> {
        match place {
            Side::Host => Ok(()),
            Side::Inside(name) => self.open_inside(name),
        }
    }

    fn connection(&self, place: &Side) -> Result<&Netlink> {
        match place {
            Side::Host => Ok(&self.host),
            Side::Inside(name) => {
                let inside = self.inside.get(name).map(|inside| &inside.netlink);
                inside.ok_or_else(|| Error::new(format!("namespace {name}"), "it is not open"))
            }
        }
    }

    /// Index of a device.
    fn index(&mut self, place: &Side, dev: &str) -> Result<u32> {
        self.ensure_open(place)?;
        let answer = self.runtime.block_on(self.connection(place)?.get(Message::GetLink(named(dev))));
        let found = answer.map_err(|refused| Error::new(format!("device {dev}"), refused))?;
        let link = |row| if let Message::NewLink(link) = row { Some(link.header.index) } else { None };
        found.into_iter().find_map(link).ok_or_else(|| Error::new(format!("device {dev}"), "not found"))
    }

    /// Index of the device that a route leads by.
    fn device_of(&mut self, place: &Side, route: &Route) -> Result<Option<u32>> {
        route.dev.as_deref().map(|dev| self.index(place, dev)).transpose()
    }

    /// Removes many links at once: they are moved to a group of their own, and the group is deleted by one
    /// message. One by one each waits for an RCU grace period.
    fn remove_links(&mut self, links: &[&str]) -> Result<()> {
        for link in links {
            let message = link_message(link, &LinkChange::Group(numbers::DOOMED_GROUP));
            let answer = self.runtime.block_on(self.host.send(Message::NewLink(message), 0));
            gone_is_fine(answer).what(|| Action::RemoveLink { link: (*link).to_owned() })?;
        }
        let mut group = LinkMessage::default();
        group.attributes.push(LinkAttribute::Group(numbers::DOOMED_GROUP));
        let answer = self.runtime.block_on(self.host.send(Message::DelLink(group), 0));
        gone_is_fine(answer).what(|| format!("ip link del group {}", numbers::DOOMED_GROUP))
    }
}

fn remove_table() -> Result<()> {
    Changes::default().make(&crate::nft::remove())
}

/// The removal of our table, in a thread of its own while links are removed: both wait for an RCU grace period
/// (about 20 ms), and need not wait one after the other. Meanwhile rules and routes stop a packet that comes late.
struct TableRemoval {
    wanted: bool,
    thread: Option<JoinHandle<Result<()>>>,
}

impl TableRemoval {
    fn new(actions: &[Action]) -> Self {
        Self { wanted: actions.contains(&Action::RemoveTable), thread: None }
    }

    fn begin(&mut self) {
        if self.wanted && self.thread.is_none() {
            self.thread = std::thread::Builder::new().spawn(remove_table).ok();
        }
    }

    fn end(&mut self) -> Result<()> {
        match self.thread.take() {
            Some(thread) => {
                thread.join().unwrap_or_else(|_| Err(Error::new("nft", "the thread ended early")))
            }
            None => remove_table(),
        }
    }
}

impl Drop for TableRemoval {
    /// The run may stop before the action has its turn, while the thread is removing the table already.
    fn drop(&mut self) {
        if self.thread.is_some() {
            let _ = self.end();
        }
    }
}

/// The links that the first actions remove.
fn leading_links(actions: &[Action]) -> Vec<&str> {
    actions.iter().map_while(removed_link).collect()
}

/// The flows that the first actions forget.
fn leading_flows(actions: &[Action]) -> Vec<(IpAddr, Flows)> {
    let forgotten = |action: &Action| match action {
        Action::ForgetFlows { source, which } => Some((*source, *which)),
        _ => None,
    };
    actions.iter().map_while(forgotten).collect()
}

/// The parts of the kernel that an action takes, and without which it fails.
fn parts_for(action: &Action) -> &'static [Need] {
    match action {
        Action::MakeNetns { .. } => &[Need::NetworkNamespaces],
        Action::AddVeth { .. } | Action::AddPair { .. } => &[Need::Veth],
        Action::AddRule { rule, .. } if rule.family == Family::V4 => &[Need::Rules],
        Action::AddRule { .. } => &[Need::Rules6],
        Action::LoadSkeleton { .. } | Action::Elements { .. } => Need::OF_NFTABLES,
        _ => &[],
    }
}

fn removed_link(action: &Action) -> Option<&str> {
    if let Action::RemoveLink { link } = action { Some(link) } else { None }
}

fn named(dev: &str) -> LinkMessage {
    let mut out = LinkMessage::default();
    out.attributes.push(LinkAttribute::IfName(dev.into()));
    out
}

fn link_message(dev: &str, change: &LinkChange) -> LinkMessage {
    let mut out = named(dev);
    match change {
        LinkChange::Alias(alias) => out.attributes.push(LinkAttribute::IfAlias(alias.clone())),
        LinkChange::Mtu(mtu) => out.attributes.push(LinkAttribute::Mtu(*mtu)),
        LinkChange::Group(group) => out.attributes.push(LinkAttribute::Group(*group)),
        LinkChange::Up => {
            out.header.flags = LinkFlags::Up;
            out.header.change_mask = LinkFlags::Up;
        }
    }
    out
}

/// Makes an error of the kernel's answer; `perform_one` makes it the reason why an action failed.
fn refusal(refused: NetlinkError) -> Error {
    Error::new(refused, "")
}

/// What is gone already needs no removal.
fn gone_is_fine(answer: std::result::Result<(), NetlinkError>) -> std::result::Result<(), NetlinkError> {
    match answer {
        Err(refused) if GONE.contains(&refused.errno) => Ok(()),
        answer => answer,
    }
}
