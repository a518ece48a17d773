//! Veth pairs in the model: those with an end in a namespace of nsnat's or an attachment, and those of which an engine takes one.

use super::model::{
    DEFAULT_FORWARDING, INSIDE_SYSCTLS, Model, Result, drop_link, host_sysctls, no, sysctls_of,
};
use nsnat::model::{Link, Name, Netns, numbers};
use nsnat::plan::Side;

impl Model {
    /// One end in a namespace.
    pub(super) fn add_veth(&mut self, name: &Name, link: &str, mtu: u32, ifname: &str) -> Result {
        if self.observed.host.link(link).is_some() {
            return no(format!("{link}: File exists"));
        }
        let end = |name: &str| Link {
            name: name.into(),
            kind: Some("veth".into()),
            group: numbers::LINK_GROUP,
            mtu,
            ..Link::default()
        };
        let inside = self.stack(&Side::Inside(name.clone()))?;
        if inside.link(ifname).is_some() {
            return no(format!("{ifname}: File exists"));
        }
        inside.links.insert(end(ifname));
        sysctls_of(&mut inside.sysctls, ifname, &INSIDE_SYSCTLS);
        self.observed.host.links.insert(end(link));
        let known = host_sysctls(self.observed.features.force_forwarding);
        sysctls_of(&mut self.observed.host.sysctls, link, &known);
        let forwards = self.observed.host.sysctls[DEFAULT_FORWARDING].clone();
        self.observed.host.sysctls.insert(format!("net/ipv6/conf/{link}/forwarding"), forwards);
        self.pairs.insert(link.into(), (name.clone(), ifname.into()));
        Ok(())
    }

    /// Takes a device away, and its peer.
    pub(crate) fn remove_link(&mut self, link: &str) {
        drop_link(&mut self.observed.host, link);
        self.end_pair(link);
        if let Some((name, ifname)) = self.pairs.remove(link)
            && let Ok(stack) = self.stack(&Side::Inside(name))
        {
            drop_link(stack, &ifname);
        }
    }

    /// Both ends on the host.
    pub(super) fn add_pair(&mut self, name: &Name, link: &str, mtu: u32, peer: &str) -> Result {
        let host = &mut self.observed.host;
        if let Some(end) = [link, peer].into_iter().find(|end| host.link(end).is_some()) {
            return no(format!("{end}: File exists"));
        }
        let known = host_sysctls(self.observed.features.force_forwarding);
        for end in [link, peer] {
            let (name, kind) = (end.into(), Some("veth".into()));
            host.links.insert(Link { name, kind, group: numbers::LINK_GROUP, mtu, ..Link::default() });
            sysctls_of(&mut host.sysctls, end, &known);
            let forwards = host.sysctls[DEFAULT_FORWARDING].clone();
            host.sysctls.insert(format!("net/ipv6/conf/{end}/forwarding"), forwards);
        }
        self.handed.insert(link.into(), (name.clone(), peer.into()));
        self.observed.namespaces.insert(name.clone(), Netns::Handed { inode: None });
        self.observed.abandoned.remove(name);
        Ok(())
    }

    /// An engine takes the other end.
    pub(super) fn take(&mut self, peer: &str) -> Result {
        if self.observed.host.link(peer).is_none() {
            return no(format!("no {peer} on the host"));
        }
        drop_link(&mut self.observed.host, peer);
        Ok(())
    }

    /// Where one end goes, the other does, wherever that is, and the attachment is over.
    pub(super) fn end_pair(&mut self, dev: &str) {
        let is_end = |(link, (_, peer)): &(&String, &(Name, String))| *link == dev || peer == dev;
        let link = self.handed.iter().find(is_end).map(|(link, _)| link.clone());
        if let Some((link, (name, peer))) = link.and_then(|link| self.handed.remove_entry(&link)) {
            drop_link(&mut self.observed.host, &link);
            drop_link(&mut self.observed.host, &peer);
            self.observed.namespaces.remove(&name);
            self.observed.abandoned.insert(name);
        }
    }
}
