//! nsnat as a plugin of the Container Network Interface: each call is one of the other commands, and its answer.

use super::{attach, config, session};
use crate::cli::GlobalOptions;
use crate::cni::{self, Call, Endpoint, Failure, Interface, Request, Route, code};
use crate::config::{Config, Problem};
use crate::error::Error;
use crate::kernel::netns::AttachedNetns;
use crate::kernel::{files, hardware_address};
use crate::model::{Attached, Family, Look, Name};
use crate::plan::{self, Owners};
use crate::reconcile::Outcome;
use crate::ui::Ui;
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

type Answer = Result<Option<Value>, Failure>;

/// Answers the call that the environment and standard input are.
pub fn serve(config: Option<PathBuf>) -> ExitCode {
    let global = GlobalOptions { config, ..GlobalOptions::default() };
    let ui = Ui::new(&global);
    let (answer, status) = match answer(&ui) {
        Ok(answer) => (answer, ExitCode::SUCCESS),
        Err(failure) => {
            ui.note(format_args!("{}: {}", failure.message, failure.details));
            (Some(failure.json()), ExitCode::FAILURE)
        }
    };
    match answer.map(|answer| ui.print_json(&answer)) {
        Some(Err(_)) => ExitCode::FAILURE,
        Some(Ok(())) | None => status,
    }
}

fn answer(ui: &Ui<'_>) -> Answer {
    let variable = |name: &str| std::env::var(name).ok();
    let command = variable("CNI_COMMAND").unwrap_or_default();
    let input = std::io::read_to_string(std::io::stdin())
        .map_err(|why| Failure::new(code::INPUT, "standard input cannot be read", why.to_string()))?;
    if command == "VERSION" {
        return cni::read_version(&input).map(|asked| Some(cni::supported(&asked)));
    }
    let request = cni::read(&command, variable, &input)?;
    perform(ui, &request).map_err(|failure| Failure { version: Some(request.version), ..failure })
}

fn perform(ui: &Ui<'_>, request: &Request) -> Answer {
    match &request.call {
        Call::Add(endpoint) => add(ui, request, endpoint),
        Call::Del(id) => remove(ui, std::slice::from_ref(id)),
        Call::Check(endpoint, addresses) => check(ui, endpoint, addresses),
        Call::Collect(valid) => {
            let state = files::read_state().map_err(|why| failed("the state cannot be read", &why))?;
            let is_of_network = |attached: &Attached| attached.network.as_ref() == Some(&request.network);
            let of_network = state.namespaces.iter().filter(|(name, namespace)| {
                namespace.attached.as_ref().is_some_and(is_of_network) && !valid.contains(*name)
            });
            remove(ui, &of_network.map(|(name, _)| name.clone()).collect::<Vec<_>>())
        }
        Call::Status => status(ui, request),
    }
}

fn failed(what: &str, why: &Error) -> Failure {
    Failure::of(code::FAILED, what, why)
}

/// nsnat's own configuration, and what a network of the runtime leaves by.
fn opened(ui: &Ui<'_>, attached: &Attached) -> Result<Config, Failure> {
    let config = config::open(ui).map_err(|why| failed("nsnat's configuration has mistakes", &why))?;
    match config.attachment(attached) {
        Ok(_) => Ok(config),
        Err(problems) => {
            let one = |problem: Problem| [Some(problem.message), problem.help].into_iter().flatten();
            let details = problems.into_iter().flat_map(one).collect::<Vec<_>>().join("; ");
            Err(Failure::new(code::CONFIGURATION, "invalid network configuration", details))
        }
    }
}

fn attached(request: &Request, netns: PathBuf, ifname: String) -> Attached {
    Attached { path: netns, ifname, to: request.to.clone(), network: Some(request.network.clone()) }
}

fn add(ui: &Ui<'_>, request: &Request, endpoint: &Endpoint) -> Answer {
    let attached = attached(request, endpoint.netns.clone(), endpoint.ifname.clone());
    let config = opened(ui, &attached)?;
    AttachedNetns::at(&attached.path).map_err(|why| {
        let message = format!("invalid environment: CNI_NETNS={}", attached.path.display());
        Failure::of(code::ENVIRONMENT, &message, &why)
    })?;
    let outcome = attach::make(ui, &config, &endpoint.id, &attached).map_err(|why| {
        // What is only closed at the moment is attached all the same; what is left is an uplink that is not there yet.
        let is_closed = matches!(way_out(ui, &config, &attached), Ok(Some(_)));
        let code = if is_closed { code::LATER } else { code::FAILED };
        Failure::of(code, "the container cannot be attached", &why)
    })?;
    Ok(Some(cni::added(request.version, &made(endpoint, &outcome))))
}

/// What was made, as the runtime is told.
fn made(endpoint: &Endpoint, outcome: &Outcome) -> Interface {
    let id = &endpoint.id;
    let (state, features) = (&outcome.goal, outcome.before.features);
    let namespace = state.namespaces.get(id);
    let path = namespace.and_then(|namespace| state.path_of(namespace));
    let is_way_out = |own: IpAddr| own.is_ipv4() || path.is_some_and(|path| path.carries(Family::of(own)));
    let route = |(own, gateway)| Route { own, gateway, is_way_out: is_way_out(own) };
    let host_ifname = namespace.map(|namespace| namespace.link.clone()).unwrap_or_default();
    let servers = namespace.map(|namespace| namespace.dns.servers.as_slice()).unwrap_or_default();
    Interface {
        ifname: endpoint.ifname.clone(),
        netns: endpoint.netns.clone(),
        mac: hardware_address(Some(id), &endpoint.ifname),
        host_mac: hardware_address(None, &host_ifname),
        host_ifname,
        mtu: plan::mtu_of(state, id),
        routes: plan::attachment_addresses(state, features, id).into_iter().map(route).collect(),
        nameservers: servers.iter().map(SocketAddr::ip).collect(),
    }
}

fn remove(ui: &Ui<'_>, ids: &[Name]) -> Answer {
    attach::remove(ui, ids).map(|_| None).map_err(|why| failed("the container cannot be detached", &why))
}

fn check(ui: &Ui<'_>, endpoint: &Endpoint, addresses: &[IpAddr]) -> Answer {
    let id = &endpoint.id;
    let observed = session::look(ui, Look::These(&[id])).map_err(|why| failed("nsnat cannot look", &why))?;
    let goal = plan::state_without(&observed, |_| false);
    let there = AttachedNetns::at(&endpoint.netns).ok().map(|place| place.inode);
    let Some(namespace) = goal.namespaces.get(id).filter(|known| known.inode == there) else {
        return Err(Failure::new(code::UNKNOWN, "unknown container", format!("{id} is not attached")));
    };
    let wrong = |details: String| {
        Err(Failure::new(code::NOT_AS_ADDED, "the container's network is not as it was added", details))
    };
    let own: Vec<IpAddr> =
        plan::attachment_addresses(&goal, observed.features, id).into_iter().map(|(own, _)| own).collect();
    if !addresses.is_empty() && !own.iter().any(|own| addresses.contains(own)) {
        return wrong(format!("{id} has the address {own:?}, and not {addresses:?}"));
    }
    let owners = Owners::new(&goal);
    let actions = plan::actions(&goal, &observed);
    let mut missing = actions.iter().filter(|action| owners.of(action).is_none_or(|owner| owner == id));
    if let Some(missing) = missing.next() {
        return wrong(format!("missing: {}; nsnat up repairs it", missing.short_line()));
    }
    match plan::why_closed(goal.path_of(namespace)) {
        Some(why) => wrong(why),
        None => Ok(None),
    }
}

fn status(ui: &Ui<'_>, request: &Request) -> Answer {
    const WHAT: &str = "no container can be added now";
    let attached = attached(request, PathBuf::new(), String::new());
    let config = opened(ui, &attached)?;
    match way_out(ui, &config, &attached) {
        Ok(None) => Ok(None),
        Ok(Some(why)) => Err(Failure::new(code::UNAVAILABLE, WHAT, why)),
        Err(why) => Err(Failure::of(code::UNAVAILABLE, WHAT, &why)),
    }
}

/// Why nothing would get out of a new container; none: something would.
fn way_out(ui: &Ui<'_>, config: &Config, attached: &Attached) -> Result<Option<String>, Error> {
    let observed = session::look(ui, Look::Outside(&[]))?;
    Ok(config.attachment(attached).ok().and_then(|namespace| plan::closed_to(&namespace, &observed)))
}
