//! What the plugins of container engines have in common: a container is attached, and the engine is told what was made.

use super::{attach, config, session};
use crate::cni::{Interface, Route};
use crate::config::{Config, Problem};
use crate::error::Error;
use crate::kernel::hardware_address;
use crate::kernel::netns::AttachedNetns;
use crate::model::{Access, Attached, Family, Look, Name};
use crate::plan;
use crate::reconcile::Outcome;
use crate::ui::Ui;
use std::net::{IpAddr, SocketAddr};

/// Why a container is not attached.
pub(super) enum Refusal {
    /// nsnat's own configuration has mistakes.
    Configuration(Error),
    /// The engine's network does.
    Network(String),
    /// There is no such network namespace.
    Netns(Error),
    /// It may work later.
    Later(Error),
    /// It failed.
    Failed(Error),
}

/// nsnat's own configuration, in which there is what the network leaves by.
pub(super) fn configuration(ui: &Ui<'_>, attached: &Attached) -> Result<Config, Refusal> {
    checked(ui, |config| config.attachment(attached).map(drop))
}

/// The same for what a network gives its containers.
pub(super) fn of_network(ui: &Ui<'_>, access: &Access) -> Result<Config, Refusal> {
    checked(ui, |config| config.network(access))
}

fn checked(ui: &Ui<'_>, check: impl Fn(&Config) -> Result<(), Vec<Problem>>) -> Result<Config, Refusal> {
    let config = config::open(ui).map_err(Refusal::Configuration)?;
    match check(&config) {
        Ok(()) => Ok(config),
        Err(problems) => {
            let one = |problem: Problem| [Some(problem.message), problem.help].into_iter().flatten();
            Err(Refusal::Network(problems.into_iter().flat_map(one).collect::<Vec<_>>().join("; ")))
        }
    }
}

/// Attaches a container.
pub(super) fn add(ui: &Ui<'_>, id: &Name, attached: &Attached) -> Result<Interface, Refusal> {
    let config = configuration(ui, attached)?;
    AttachedNetns::at(&attached.path).map_err(Refusal::Netns)?;
    let outcome = attach::make(ui, &config, id, attached).map_err(|why| {
        // What is only closed at the moment is attached all the same; what is left is an uplink that is not there yet.
        let is_closed = matches!(way_out(ui, &config, attached), Ok(Some(_)));
        if is_closed { Refusal::Later(why) } else { Refusal::Failed(why) }
    })?;
    Ok(made(id, attached, &outcome))
}

/// What was made, as the engine is told.
fn made(id: &Name, attached: &Attached, outcome: &Outcome) -> Interface {
    let (state, features) = (&outcome.goal, outcome.before.features);
    let namespace = state.namespaces.get(id);
    let path = namespace.and_then(|namespace| state.path_of(namespace));
    let is_way_out = |own: IpAddr| own.is_ipv4() || path.is_some_and(|path| path.carries(Family::of(own)));
    let route = |(own, gateway)| Route { own, gateway, is_way_out: is_way_out(own) };
    let host_ifname = namespace.map(|namespace| namespace.link.clone()).unwrap_or_default();
    let servers = namespace.map(|namespace| namespace.dns.servers.as_slice()).unwrap_or_default();
    Interface {
        ifname: attached.ifname.clone(),
        netns: attached.path.clone(),
        mac: hardware_address(Some(id), &attached.ifname),
        host_mac: hardware_address(None, &host_ifname),
        host_ifname,
        mtu: plan::mtu_of(state, id),
        routes: plan::attachment_addresses(state, features, id).into_iter().map(route).collect(),
        // What is on loopback out here is not there inside.
        nameservers: servers.iter().map(SocketAddr::ip).filter(|server| !server.is_loopback()).collect(),
    }
}

/// Why nothing would get out of a new container; none: something would.
pub(super) fn way_out(ui: &Ui<'_>, config: &Config, attached: &Attached) -> Result<Option<String>, Error> {
    let observed = session::look(ui, Look::Outside(&[]))?;
    Ok(config.attachment(attached).ok().and_then(|namespace| plan::closed_to(&namespace, &observed)))
}

/// A refusal, for an engine that is told in words.
pub(super) fn text(why: &Refusal) -> String {
    match why {
        Refusal::Network(why) => why.clone(),
        Refusal::Configuration(why) | Refusal::Netns(why) | Refusal::Later(why) | Refusal::Failed(why) => {
            words(why)
        }
    }
}

/// An error in one line.
pub(super) fn words(why: &Error) -> String {
    why.to_string().trim_start_matches("nsnat: ").lines().collect::<Vec<_>>().join("; ")
}
