//! The actions: what can be done to the kernel, one system object each.

use crate::model::nft::TableForm;
use crate::model::{Address, Element, Family, Name, Pass, Policy, Route, Rule};
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Which network stack.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The host's.
    Host,
    /// A namespace's.
    Inside(Name),
}

/// Flows of an address. NAT decides on a flow's first packet only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flows {
    /// All flows: the namespace that they belong to is gone.
    All,
    /// Flows to a port, which are to go elsewhere from now on.
    To(u16),
    /// Flows without masquerade: they began while there was none.
    Plain,
    /// Flows that others began to ports that are not published any more.
    Published,
    /// Flows to this address of the host, which leads to services that were chosen.
    ToAddress(IpAddr),
    /// Flows that leave with this address, which the path does not have any more.
    LeavingWith(IpAddr),
}

/// Connections of a namespace that moves to another device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Connections {
    /// The families whose packets leave by another device.
    pub families: Vec<Family>,
    /// Addresses of the host: connections to these go on.
    pub spared: BTreeSet<IpAddr>,
    /// Ports inside that are asked by another uplink, which does not move: connections from these go on.
    pub served: BTreeSet<u16>,
    /// Those from these addresses; from any, where none is named.
    pub from: Vec<IpAddr>,
}

/// A change of one attribute of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkChange {
    /// `ifalias`
    Alias(String),
    /// Bytes.
    Mtu(u32),
    /// The ownership tag.
    Group(u32),
    /// Administratively up.
    Up,
}

/// One step of a plan. `nsnat plan --commands` prints it as the command that does the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Makes a network namespace and its file in `/run/netns`.
    MakeNetns {
        /// Its name.
        name: Name,
        /// A plain file is in the way and goes first.
        stale: bool,
    },
    /// Gives a namespace that lost its file another one.
    AttachNetns {
        /// Its name.
        name: Name,
        /// A process inside.
        pid: i32,
        /// A plain file is in the way and goes first.
        stale: bool,
    },
    /// Takes the file in `/run/netns` away; the kernel ends the namespace when nobody is in it.
    RemoveNetns {
        /// Its name.
        name: Name,
    },
    /// Loads the skeleton with these elements in one transaction, in place of what is there.
    LoadSkeleton {
        /// What its text depends on.
        #[serde(flatten)]
        form: TableForm,
        /// A table of ours is there: replace it.
        replace: bool,
        /// Elements of all sets.
        elements: Vec<Element>,
    },
    /// Takes our table away.
    RemoveTable,
    /// Changes elements, in one transaction.
    Elements {
        /// These go.
        remove: Vec<Element>,
        /// These come.
        add: Vec<Element>,
    },
    /// Forgets flows.
    ForgetFlows {
        /// The namespace's address.
        source: IpAddr,
        /// Which of them.
        which: Flows,
    },
    /// Ends the TCP connections of a namespace: they have another address from now on, which their peers do not know.
    ResetConnections {
        /// The namespace.
        name: Name,
        /// Those that end.
        which: Connections,
    },
    /// Forgets which of a namespace's servers did not answer: others are in their places now.
    ForgetServers {
        /// Host veth.
        link: String,
    },
    /// Makes a veth pair, its peer inside, both tagged.
    AddVeth {
        /// The namespace.
        name: Name,
        /// Host veth.
        link: String,
        /// Bytes.
        mtu: u32,
        /// Name of the peer.
        ifname: String,
    },
    /// Makes a veth pair with both ends on the host, both tagged, for an engine that takes the peer.
    AddPair {
        /// The attachment.
        name: Name,
        /// Host veth.
        link: String,
        /// Bytes.
        mtu: u32,
        /// Name of the peer.
        peer: String,
    },
    /// Removes a link, and its peer with it.
    RemoveLink {
        /// Host veth.
        link: String,
    },
    /// Changes an attribute of a link.
    SetLink {
        /// Where.
        place: Side,
        /// Device.
        dev: String,
        /// The change.
        change: LinkChange,
    },
    /// Writes a sysctl.
    Sysctl {
        /// Where.
        place: Side,
        /// Path below `/proc/sys`.
        key: String,
        /// The value.
        value: String,
    },
    /// Gives a namespace what the host is tuned to. What it does not take, it does without.
    Tune {
        /// The namespace.
        name: Name,
        /// Paths below `/proc/sys`, and values.
        values: Vec<(String, String)>,
    },
    /// Adds an address.
    AddAddress {
        /// Where.
        place: Side,
        /// The address.
        address: Address,
    },
    /// Removes an address.
    RemoveAddress {
        /// Where.
        place: Side,
        /// The address.
        address: Address,
    },
    /// Adds a route, or replaces the one with the same key.
    AddRoute {
        /// Where.
        place: Side,
        /// The route.
        route: Route,
        /// A route with the same key is there and is replaced.
        replace: bool,
    },
    /// Removes a route.
    RemoveRoute {
        /// Where.
        place: Side,
        /// The route.
        route: Route,
    },
    /// Adds a rule.
    AddRule {
        /// Where.
        place: Side,
        /// The rule.
        rule: Rule,
    },
    /// Removes a rule.
    RemoveRule {
        /// Where.
        place: Side,
        /// The rule.
        rule: Rule,
    },
    /// Lets namespaces through a chain of somebody else.
    AddPass {
        /// The rule.
        pass: Pass,
    },
    /// Takes such a rule out again.
    RemovePass {
        /// The rule.
        pass: Pass,
        /// Handle of the rule; 0 where rules have no handles.
        handle: u64,
    },
    /// Lets namespaces by the IPsec policies of somebody else.
    AddPolicy {
        /// The policy.
        policy: Policy,
    },
    /// Takes such a policy away again.
    RemovePolicy {
        /// The policy.
        policy: Policy,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `nsnat plan -o json` is read by programs: what the text of the table depends on came later than the mask.
    #[test]
    fn the_mask_stays_where_programs_read_it() {
        let load = |without_ipsec| {
            let form = TableForm { mask: 1, without_ipsec };
            serde_json::to_string(&Action::LoadSkeleton { form, replace: false, elements: Vec::new() })
        };
        assert_eq!(load(false).unwrap(), r#"{"load-skeleton":{"mask":1,"replace":false,"elements":[]}}"#);
        assert!(load(true).unwrap().contains(r#""mask":1,"without_ipsec":true"#));
    }
}
