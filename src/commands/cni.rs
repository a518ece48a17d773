//! nsnat as a plugin of the Container Network Interface: each call is one of the other commands, and its answer.

use super::engine::{self, Refusal};
use super::{attach, session};
use crate::cli::GlobalOptions;
use crate::cni::{self, Call, Endpoint, Failure, Request, code};
use crate::error::Error;
use crate::kernel::netns::AttachedNetns;
use crate::kernel::state_file;
use crate::model::{Attached, Look, Name, Publication};
use crate::plan::{self, Owners};
use crate::ui::Ui;
use serde_json::Value;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

type Answer = Result<Option<Value>, Failure>;

const NOT_DETACHED: &str = "the container cannot be detached";

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
        Call::Del(id) => {
            attach::part(ui, id).map_err(|why| failed(NOT_DETACHED, &why))?;
            remove(ui, std::slice::from_ref(id))
        }
        Call::Check(endpoint, addresses) => check(ui, request, endpoint, addresses),
        Call::Collect(valid) => {
            let state = state_file::read().map_err(|why| failed("the state cannot be read", &why))?;
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

fn attached(request: &Request, netns: PathBuf, ifname: String) -> Attached {
    let network = Some(request.network.clone());
    Attached { network, ..Attached::in_network(netns, ifname, request.access.clone()) }
}

fn add(ui: &Ui<'_>, request: &Request, endpoint: &Endpoint) -> Answer {
    let attached = attached(request, endpoint.netns.clone(), endpoint.ifname.clone());
    let publish = request.access.publications(&endpoint.publish);
    let attached = Attached { beside: endpoint.beside.clone(), publish, ..attached };
    let made = engine::add(ui, &endpoint.id, &attached).map_err(|why| failure(&why, &attached))?;
    Ok(Some(cni::added(request.version, &made, endpoint.previous.as_ref())))
}

fn failure(why: &Refusal, attached: &Attached) -> Failure {
    const WHAT: &str = "the container cannot be attached";
    match why {
        Refusal::Configuration(why) => failed("nsnat's configuration has mistakes", why),
        Refusal::Network(why) => Failure::new(code::CONFIGURATION, "invalid network configuration", why),
        Refusal::Netns(why) => {
            let message = format!("invalid environment: CNI_NETNS={}", attached.path.display());
            Failure::of(code::ENVIRONMENT, &message, why)
        }
        Refusal::Later(why) => Failure::of(code::LATER, WHAT, why),
        Refusal::Failed(why) => failed(WHAT, why),
    }
}

fn remove(ui: &Ui<'_>, ids: &[Name]) -> Answer {
    attach::remove(ui, ids).map(|_| None).map_err(|why| failed(NOT_DETACHED, &why))
}

fn check(ui: &Ui<'_>, request: &Request, endpoint: &Endpoint, addresses: &[IpAddr]) -> Answer {
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
    let chained = namespace.attached.as_ref().and_then(Attached::behind);
    let own: Vec<IpAddr> = match chained {
        Some(beside) => beside.addresses.clone(),
        None => {
            plan::attachment_addresses(&goal, observed.features, id).into_iter().map(|(own, _)| own).collect()
        }
    };
    if !addresses.is_empty() && !own.iter().any(|own| addresses.contains(own)) {
        return wrong(format!("{id} has the address {own:?}, and not {addresses:?}"));
    }
    let has: Vec<Publication> = namespace.publications().collect();
    let asked = request.access.publications(&endpoint.publish);
    if has != asked {
        let [has, asked] = [&has, &asked].map(|ports| shown(ports));
        return wrong(format!("{id} publishes {has}, and not {asked}"));
    }
    if namespace.host != request.access.host {
        let [has, asked] = [&namespace.host, &request.access.host]
            .map(|host| host.as_ref().map_or("whatever it may".into(), |services| shown(services)));
        return wrong(format!("{id} reaches {has} of the host, and not {asked}"));
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

fn shown(ports: &[impl ToString]) -> String {
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    if ports.is_empty() { "nothing".into() } else { ports.join(", ") }
}

fn status(ui: &Ui<'_>, request: &Request) -> Answer {
    const WHAT: &str = "no container can be added now";
    let attached = attached(request, PathBuf::new(), String::new());
    let config = engine::of_network(ui, &request.access).map_err(|why| failure(&why, &attached))?;
    match engine::way_out(ui, &config, &attached) {
        Ok(None) => Ok(None),
        Ok(Some(why)) => Err(Failure::new(code::UNAVAILABLE, WHAT, why)),
        Err(why) => Err(Failure::of(code::UNAVAILABLE, WHAT, &why)),
    }
}
