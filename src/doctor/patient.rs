//! One namespace, and all that is known of it.

use super::name_tests::NameTests;
use super::probes::Probes;
use crate::model::{
    ActiveNamespace, Address, Cure, Egress, Finding, Name, Neighbour, Observed, Route, RouteKind, Stack,
    State, UplinkPath,
};
use crate::plan::{self, Action, CatchingPolicy, PrecedingRule};
use ipnetwork::IpNetwork;
use std::collections::{BTreeMap, BTreeSet};

/// What is found once for all namespaces, and what for all of an egress.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    /// Chains that stop what they do not know.
    pub firewalls: Vec<Finding>,
    /// By egress: rules and IPsec policies before nsnat's.
    pub preceding: BTreeMap<String, Vec<Finding>>,
    /// By egress: proxies that hear nothing.
    pub proxies: BTreeMap<String, Finding>,
    /// Networks on devices of others.
    pub networks: Vec<DeviceNetwork>,
}

/// A network that a device of others has, by its address or by a route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceNetwork {
    /// The device.
    pub dev: String,
    /// The address or the route as a person reads it.
    pub shown: String,
    /// The network.
    pub net: IpNetwork,
    /// A route leads there; otherwise the device has an address there.
    pub is_route: bool,
}

/// What is wider than this is a default route in other words.
const SMALLEST_BLOCK: u8 = 8;

impl Shared {
    /// What can be found without root.
    pub fn from_outside(state: &State, observed: &Observed) -> Self {
        let cut_off =
            |(key, egress): (&String, &Egress)| Some((key.clone(), plan::cut_off(egress, state, observed)?));
        Self { proxies: state.egresses.iter().filter_map(cut_off).collect(), ..Self::default() }
    }

    /// All of it.
    pub fn new(state: &State, observed: &Observed) -> Self {
        let preceding = |(key, egress): (&String, &Egress)| (key.clone(), preceding(state, egress, observed));
        Self {
            firewalls: plan::reasons_stopped(state, observed),
            preceding: state.egresses.iter().map(preceding).collect(),
            networks: networks(&observed.host),
            ..Self::from_outside(state, observed)
        }
    }
}

fn preceding(state: &State, egress: &Egress, observed: &Observed) -> Vec<Finding> {
    let rules = plan::preceding_rules(state, egress, observed);
    let policies = plan::catching_policies(state, egress, observed);
    rules.iter().map(PrecedingRule::finding).chain(policies.iter().map(CatchingPolicy::finding)).collect()
}

fn networks(host: &Stack) -> Vec<DeviceNetwork> {
    let ours: BTreeSet<&str> =
        host.links.iter().filter(|link| link.is_ours()).map(|link| link.name.as_str()).collect();
    let is_others = |dev: &str, net: IpNetwork| net.prefix() >= SMALLEST_BLOCK && !ours.contains(dev);
    let route = |route: &Route| {
        let dev = route.dev.clone().filter(|dev| is_others(dev, route.to))?;
        let shown = format!("table {}: {} dev {dev}", route.table, route.to);
        Some(DeviceNetwork { dev, shown, net: route.to, is_route: true })
    };
    let address = |Address { dev, net }: &Address| {
        let shown = format!("{net} dev {dev}");
        is_others(dev, *net).then(|| DeviceNetwork { dev: dev.clone(), shown, net: *net, is_route: false })
    };
    let routes = host.routes.iter().filter(|route| route.kind == RouteKind::Unicast);
    routes.filter_map(route).chain(host.addresses.iter().filter_map(address)).collect()
}

/// A namespace that is up, and what is known of it.
pub struct Patient<'a> {
    /// Its name.
    pub name: &'a Name,
    /// What is recorded of it.
    pub namespace: &'a ActiveNamespace,
    /// What is up, as it would be recorded now: a device may have gone down since.
    pub state: &'a State,
    /// What is.
    pub observed: &'a Observed,
    /// It is declared.
    pub declared: bool,
    /// A resolv.conf was written for it by hand.
    pub own_resolv_conf: bool,
    /// What it shares with others.
    pub shared: &'a Shared,
    /// What `up` would do for it.
    pub missing: Vec<&'a Action>,
    /// Why `up` would refuse it.
    pub refused: &'a [String],
    /// Next hops of its path that do not answer.
    pub silent: Vec<Neighbour>,
    /// How often its line went within the last minute, where that is often.
    pub flaps: Option<usize>,
    /// Uplinks of its that are not well.
    pub uplinks: Vec<Finding>,
    /// What became of test packets, where some were sent.
    pub probes: Option<&'a Probes>,
    /// What became of questions for a name, where some were asked.
    pub names: Option<&'a NameTests>,
}

impl<'a> Patient<'a> {
    /// What a person has to do. Whether it is done, an examination of this namespace tells.
    pub(super) fn person(&self, words: impl Into<String>) -> Cure {
        Cure::person(words).checked_by(format!("nsnat doctor {}", self.name))
    }

    /// What a person has to do, where test packets tell whether it is done.
    pub(super) fn person_for_way(&self, words: impl Into<String>) -> Cure {
        Cure::person(words).checked_by(format!("nsnat status --check {}", self.name))
    }

    /// By what it leaves at the moment; none: nothing gets out.
    pub fn path(&self) -> Option<&'a UplinkPath> {
        self.state.namespaces.get(self.name).and_then(|namespace| self.state.path_of(namespace))
    }
}
