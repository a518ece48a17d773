//! What is.

use super::handle::Kernel;
use super::inside::{self, Settled};
use super::nexthop::NextHops;
use super::nfnetlink::Nfnetlink;
use super::processes::is_alive;
use super::sysctl::{self, Sysctls};
use super::{gates, ipsec, netns, resolver, stack, table};
use crate::error::Result;
use crate::model::{
    Depth, Gates, Journal, Link, Member, Name, Netns, Observed, Table, observed::Features, stack::device_of,
    tuning,
};
use std::collections::{BTreeMap, BTreeSet};

/// Sysctls of the host that are of no device.
const HOST_SYSCTLS: [&str; 5] = [
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/rp_filter",
    "net/ipv6/conf/all/forwarding",
    "net/ipv6/conf/default/forwarding",
    "net/ipv6/conf/default/accept_ra",
];

/// What the host is tuned to, as far as that matters to a namespace.
fn tuned(journal: &Journal, host: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let noted = |key: &str| journal.inherited.contains_key(key) || journal.left_alone.contains_key(key);
    let mut values = tuning::telling(noted, |key| host.get(key).cloned());
    // What cannot be said in this user namespace is left as it is.
    values.retain(|key, value| key != tuning::PING_GROUPS || sysctl::are_groups_known(value));
    values
}

impl Kernel {
    /// Observes the host, the namespaces of `journal` and those that `names` asks for; with [`Depth::Named`], those that
    /// are not named are not looked into.
    pub(super) fn look(&mut self, journal: &Journal, names: &[&Name], depth: Depth) -> Result<Observed> {
        let mut sysctls = Sysctls::default();
        let features = features(&mut sysctls);
        let (mut host, names_by_index) = stack::observe(&Nfnetlink::strict()?, Some(NextHops::dump))?;
        let seen = |name: &Name| match depth {
            Depth::All => true,
            Depth::Named => names.contains(&name),
            Depth::Outside => false,
        };
        let unseen_links: BTreeSet<&str> =
            journal.members.iter().filter(|(name, _)| !seen(name)).map(|(_, m)| m.link.as_str()).collect();
        host.sysctls.retain(|key, _| device_of(key).is_none_or(|dev| !unseen_links.contains(dev)));
        host.sysctls.extend(sysctls.read_all(HOST_SYSCTLS));
        let all_tuning = || sysctls.read_all(tuning::KEYS.map(|(key, _)| key));
        let tuned = tuned(journal, self.tuning.get_or_insert_with(all_tuning));
        let settled = Settled::of(journal, &tuned);
        let mut wanted: BTreeSet<Name> =
            names.iter().copied().chain(journal.members.keys()).cloned().collect();
        wanted.extend(host.links.iter().filter_map(Link::namespace));
        let (looked_into, passed_by): (Vec<_>, Vec<_>) = wanted.iter().partition(|name| seen(name));
        let mut namespaces = inside::look_into(&looked_into, &settled)?;
        for name in passed_by {
            namespaces.extend(unseen(name, journal)?.map(|found| (name.clone(), found)));
        }
        host.sysctls.extend(tuned);
        let abandoned = abandoned(journal)?;
        let (nameservers, upstreams) = (resolver::nameservers(), resolver::upstreams(&names_by_index));
        let (gates, policies, table) = match depth {
            Depth::Outside => (Gates::default(), Vec::new(), Table::default()),
            Depth::All | Depth::Named => {
                (gates::observe(journal, &names_by_index)?, ipsec::observe()?, table::observe()?)
            }
        };
        Ok(Observed {
            host,
            gates,
            policies,
            cookie: self.cookie,
            namespaces,
            table,
            abandoned,
            journal: journal.clone(),
            features,
            nameservers,
            upstreams,
            accounts: BTreeMap::new(),
        })
    }
}

/// A namespace's state without looking into it. One that is up and lost its file is not for those to mend who want
/// something else.
fn unseen(name: &Name, journal: &Journal) -> Result<Option<Netns>> {
    let noted = journal.members.get(name).map(|member| member.inode.unwrap_or_default());
    Ok(match (netns::find(name)?, noted) {
        (netns::Found::Alive { inode, .. }, _) | (_, Some(inode)) => Some(Netns::Unseen { inode }),
        (netns::Found::Nothing, None) => None,
        (netns::Found::Stale, None) => Some(Netns::Stale),
    })
}

/// Throw-away namespaces whose owner ended and in which nobody is.
fn abandoned(journal: &Journal) -> Result<BTreeSet<Name>> {
    let mut out = BTreeSet::new();
    let ownerless = |member: &Member| member.owner.is_some_and(|owner| !is_alive(owner));
    for (name, _) in journal.members.iter().filter(|(_, member)| ownerless(member)) {
        if netns::identity(name)?.is_none_or(|netns| super::members(netns).is_empty()) {
            out.insert(name.clone());
        }
    }
    Ok(out)
}

fn features(sysctls: &mut Sysctls) -> Features {
    Features {
        force_forwarding: sysctls.read("net/ipv6/conf/all/force_forwarding").is_some(),
        ipv6: sysctls.read("net/ipv6/conf/all/disable_ipv6").is_some_and(|value| value == "0"),
    }
}
