//! Performing actions.

use super::netlink::{Netlink, Refused};
use super::stacks::Kernel;
use super::{conntrack, encode, gates, ipsec, netns, nft, sysctl};
use crate::error::{Context, Error, Result};
use crate::model::{Name, numbers};
use crate::plan::{Action, LinkChange, Place};
use crate::reconcile::Step;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use std::os::fd::AsRawFd;
use std::thread::JoinHandle;

const CREATE: u16 = NLM_F_CREATE | NLM_F_EXCL;

/// The kernel's ways of saying that something is gone already, which for a removal is as good as done:
/// ESRCH for routes, ENOENT for rules, ENODEV for links, EADDRNOTAVAIL for addresses, and ENXIO for those of a device
/// that the kernel took IPv6 off because its MTU became too small.
const GONE: [i32; 5] = [libc::ESRCH, libc::ENOENT, libc::ENODEV, libc::EADDRNOTAVAIL, libc::ENXIO];

impl Kernel {
    /// Performs actions in order; `step` is told of each, and says whether to go on.
    pub(super) fn perform_in_order(&mut self, actions: &[Action], step: &mut dyn FnMut(Step<'_>) -> bool) {
        let mut rest = actions;
        let mut table = TableRemoval::new(actions);
        while !rest.is_empty() {
            let doomed = leading_links(rest);
            let (next, later) = rest.split_at(doomed.len().max(1));
            if !step(Step::Before(next)) {
                return;
            }
            if !doomed.is_empty() {
                table.begin();
            }
            let result = match next {
                [Action::RemoveTable] => table.end().map_err(|error| error.within(&Action::RemoveTable)),
                [action] => self.one(action),
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

    fn one(&mut self, action: &Action) -> Result<()> {
        let done = match action {
            Action::MakeNetns { name, stale } => netns::make(name, *stale),
            Action::AttachNetns { name, stale, .. } => self.attach(name, *stale),
            Action::RemoveNetns { name } => {
                self.inside.remove(name);
                netns::remove(name)
            }
            Action::LoadSkeleton { mask, replace, elements } => nft::load(*mask, *replace, elements),
            Action::Elements { remove, add } => nft::change(remove, add),
            Action::ForgetFlows { source, which } => conntrack::forget(*source, *which),
            Action::ForgetServers { link } => nft::forget_servers(link),
            Action::Sysctl { place, key, value } => self.sysctl(place, key, value),
            Action::AddPass { pass } => gates::add(pass),
            Action::RemovePass { pass, handle } => gates::remove(pass, *handle),
            Action::AddPolicy { policy } => ipsec::add(policy),
            Action::RemovePolicy { policy } => ipsec::remove(policy),
            Action::Tune { name, values } => self.tune(name, values),
            _ => return self.netlink(action).what(|| action),
        };
        done.map_err(|error| error.within(action))
    }

    fn attach(&mut self, name: &Name, stale: bool) -> Result<()> {
        self.open_inside(name)?;
        self.inside.get(name).map_or(Ok(()), |inside| netns::attach(name, stale, &inside.file))
    }

    fn sysctl(&mut self, place: &Place, key: &str, value: &str) -> Result<()> {
        let what = || format!("write /proc/sys/{key}");
        match place {
            Place::Host => sysctl::write(key, value).what(what),
            Place::Inside(name) => {
                self.open_inside(name)?;
                let Some(inside) = self.inside.get(name) else { return Ok(()) };
                let (key, value) = (key.to_owned(), value.to_owned());
                netns::inside(&inside.file, move || sysctl::write(&key, &value)).what(what)
            }
        }
    }

    /// Writes settings in a namespace; remembers those that it does not take.
    fn tune(&mut self, name: &Name, values: &[(String, String)]) -> Result<()> {
        self.open_inside(name)?;
        let Some(inside) = self.inside.get(name) else { return Ok(()) };
        let values = values.to_vec();
        let refused = netns::inside(&inside.file, move || {
            Ok(values
                .into_iter()
                .filter(|(key, value)| sysctl::write(key, value).is_err())
                .collect::<Vec<_>>())
        });
        self.refused.extend(refused.what(|| format!("namespace {name}"))?);
        Ok(())
    }

    fn open_inside(&mut self, name: &Name) -> Result<()> {
        if self.inside.contains_key(name) {
            return Ok(());
        }
        match netns::find(name)? {
            netns::Found::Alive { file, inode, .. } => self.enter(name, file, inode),
            netns::Found::Stale | netns::Found::Nothing => {
                Err(Error::new(format!("namespace {name}"), "it went away meanwhile"))
            }
        }
    }

    /// What goes over rtnetlink.
    fn netlink(&mut self, action: &Action) -> std::result::Result<(), String> {
        if let Some(Place::Inside(name)) = place(action) {
            self.open_inside(name).map_err(|error| error.reason())?;
        }
        if let Action::AddVeth { name, .. } = action {
            self.open_inside(name).map_err(|error| error.reason())?;
        }
        let index = |dev: &str| self.index(place(action), dev);
        let (message, flags) = match action {
            Action::AddVeth { name, link, mtu } => {
                let file = self.inside.get(name).map_or(-1, |inside| inside.file.as_raw_fd());
                (Message::NewLink(encode::veth(link, *mtu, file)), CREATE)
            }
            Action::RemoveLink { link } => (Message::DelLink(named(link)), 0),
            Action::SetLink { dev, change, .. } => (Message::NewLink(changed(dev, change)), 0),
            Action::AddAddress { place, address } => {
                (Message::NewAddress(encode::address(place, address, index(&address.dev)?)), CREATE)
            }
            Action::RemoveAddress { place, address } => {
                (Message::DelAddress(encode::address(place, address, index(&address.dev)?)), 0)
            }
            Action::AddRoute { route, replace, .. } => {
                let dev = route.dev.as_deref().map(index).transpose()?;
                let flags = if *replace { NLM_F_CREATE | NLM_F_REPLACE } else { CREATE };
                (Message::NewRoute(encode::route(route, dev)), flags)
            }
            Action::RemoveRoute { route, .. } => {
                let dev = route.dev.as_deref().map(index).transpose()?;
                (Message::DelRoute(encode::route(route, dev)), 0)
            }
            Action::AddRule { rule, .. } => (Message::NewRule(encode::rule(rule)), CREATE),
            Action::RemoveRule { rule, .. } => (Message::DelRule(encode::rule(rule)), 0),
            _ => return Ok(()),
        };
        let answer = self.runtime.block_on(self.connection(place(action))?.send(message, flags));
        finish(action, answer)
    }

    fn connection(&self, place: Option<&Place>) -> std::result::Result<&Netlink, String> {
        match place {
            Some(Place::Inside(name)) => self
                .inside
                .get(name)
                .map(|inside| &inside.netlink)
                .ok_or_else(|| format!("{name} is not open")),
            _ => Ok(&self.host),
        }
    }

    /// Index of a device.
    fn index(&self, place: Option<&Place>, dev: &str) -> std::result::Result<u32, String> {
        if place == Some(&Place::Host) {
            return nix::net::if_::if_nametoindex(dev).map_err(|errno| format!("device {dev}: {errno}"));
        }
        let netlink = self.connection(place)?;
        let rows = self.runtime.block_on(netlink.dump(Message::GetLink(LinkMessage::default())));
        let rows = rows.map_err(|error| error.reason())?;
        let mut links = rows.iter().filter_map(super::decode::link);
        links
            .find(|(_, link)| link.name == dev)
            .map(|(index, _)| index)
            .ok_or_else(|| format!("no device {dev}"))
    }

    /// Removes many links at once: they are moved to a group of their own, and the group is deleted by one
    /// message. One by one each waits for an RCU grace period.
    fn remove_links(&mut self, links: &[&str]) -> Result<()> {
        for link in links {
            let message = changed(link, &LinkChange::Group(numbers::DOOMED_GROUP));
            let answer = self.runtime.block_on(self.host.send(Message::NewLink(message), 0));
            gone_is_fine(answer).what(|| Action::RemoveLink { link: (*link).to_owned() })?;
        }
        let mut group = LinkMessage::default();
        group.attributes.push(LinkAttribute::Group(numbers::DOOMED_GROUP));
        let answer = self.runtime.block_on(self.host.send(Message::DelLink(group), 0));
        gone_is_fine(answer).what(|| format!("ip link del group {}", numbers::DOOMED_GROUP))
    }
}

/// The removal of our table, in a thread of its own while links are removed: both wait for an RCU grace period
/// (about 20 ms), and need not wait one after the other. Rules and routes still hold a packet that comes late.
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
            self.thread = std::thread::Builder::new().spawn(nft::remove).ok();
        }
    }

    fn end(&mut self) -> Result<()> {
        match self.thread.take() {
            Some(thread) => {
                thread.join().unwrap_or_else(|_| Err(Error::new("nft", "the thread ended early")))
            }
            None => nft::remove(),
        }
    }
}

impl Drop for TableRemoval {
    /// Where the run was stopped before its turn came, it is waited for all the same.
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

fn removed_link(action: &Action) -> Option<&str> {
    if let Action::RemoveLink { link } = action { Some(link) } else { None }
}

fn place(action: &Action) -> Option<&Place> {
    match action {
        Action::SetLink { place, .. }
        | Action::AddAddress { place, .. }
        | Action::RemoveAddress { place, .. }
        | Action::AddRoute { place, .. }
        | Action::RemoveRoute { place, .. }
        | Action::AddRule { place, .. }
        | Action::RemoveRule { place, .. } => Some(place),
        _ => None,
    }
}

fn named(dev: &str) -> LinkMessage {
    let mut out = LinkMessage::default();
    out.attributes.push(LinkAttribute::IfName(dev.into()));
    out
}

fn changed(dev: &str, change: &LinkChange) -> LinkMessage {
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

/// What is gone already needs no removal.
fn finish(action: &Action, answer: std::result::Result<(), Refused>) -> std::result::Result<(), String> {
    let removal = matches!(
        action,
        Action::RemoveLink { .. }
            | Action::RemoveAddress { .. }
            | Action::RemoveRoute { .. }
            | Action::RemoveRule { .. }
    );
    let answer = if removal { gone_is_fine(answer) } else { answer };
    answer.map_err(|refused| refused.to_string())
}

fn gone_is_fine(answer: std::result::Result<(), Refused>) -> std::result::Result<(), Refused> {
    match answer {
        Err(refused) if GONE.contains(&refused.errno) => Ok(()),
        answer => answer,
    }
}
