//! `nsnat docker`: each call of Docker is one of the other commands, and its answer.
//!
//! Nothing is remembered here between two calls: attachments are in nsnat's recorded state, with Docker's number for each, and
//! networks in files. So it may end and start again at any time, and so may Docker.

use super::engine;
use super::refusals::need_root;
use super::{attach, session::Recorded};
use crate::config::{Config, Dns};
use crate::docker::{self, Call, Endpoint};
use crate::error::Result;
use crate::kernel::{interrupt, networks, plugin_socket, resolver, state_file};
use crate::model::{Access, Attached, Destination, Handed, Name, Publication};
use crate::plan;
use crate::ui::Ui;
use serde_json::Value;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

pub(super) fn serve(ui: &Ui<'_>, socket: &Path, state: &Path) -> Result<()> {
    need_root("docker")?;
    let driver = Driver { ui, networks: state };
    for call in plugin_socket::calls(plugin_socket::listen(socket)?)? {
        if ui.global.verbose > 0 {
            ui.say(format_args!("{} {}", call.path, call.body.trim_end()));
        }
        let answer = driver.answer(&call.path, &call.body);
        if let Err(why) = &answer {
            ui.note(format_args!("{}: {why}", call.path));
        }
        call.answer(answer.unwrap_or_else(|why| docker::refused(&why)).to_string());
        if interrupt::caught_signal().is_some() {
            break;
        }
        // Whoever ends this while it waits does not wait for the next call.
        interrupt::restore_handlers();
    }
    Ok(())
}

struct Driver<'a> {
    ui: &'a Ui<'a>,
    /// Where the networks are remembered.
    networks: &'a Path,
}

type Answer<T = Value> = std::result::Result<T, String>;

impl Driver<'_> {
    fn answer(&self, path: &str, body: &str) -> Answer {
        match docker::read(path, body)? {
            Call::Activate => return Ok(docker::activated()),
            Call::Capabilities => return Ok(docker::capabilities()),
            Call::Details => return Ok(docker::details()),
            Call::CreateEndpoint(endpoint) => return self.create(endpoint),
            Call::Join { endpoint, sandbox } => return self.join(&endpoint, sandbox),
            Call::CreateNetwork { network, access } => {
                engine::of_network(self.ui, &access).map_err(|why| engine::text(&why))?;
                networks::remember(self.networks, &network, &access).map_err(|why| engine::words(&why))?;
            }
            Call::DeleteNetwork(network) => {
                networks::forget(self.networks, &network).map_err(|why| engine::words(&why))?;
            }
            Call::Publish { endpoint, network, publish } => self.publish(&endpoint, &network, &publish)?,
            Call::DeleteEndpoint(endpoint) => {
                if let Some((id, _)) = find(&endpoint)? {
                    attach::remove(self.ui, &[id]).map_err(|why| engine::words(&why))?;
                }
            }
            Call::Notice => {}
        }
        Ok(docker::nothing())
    }

    fn configuration(&self, to: &Destination) -> Answer<Config> {
        let attached = Attached::new(PathBuf::new(), String::new(), to.clone());
        engine::configuration(self.ui, &attached).map_err(|why| engine::text(&why))
    }

    fn create(&self, endpoint: Endpoint) -> Answer {
        let Endpoint { number, network, id, interface, address, asks_as_host } = endpoint;
        let access = self.access(&network)?;
        if asks_as_host {
            self.refuse_names_of_host(&access.to)?;
        }
        let handed = Some(Handed { endpoint: number, address });
        let attached = Attached { handed, ..Attached::in_network(PathBuf::new(), interface, access) };
        let made = self.make(&id, &attached)?;
        Ok(docker::endpoint(&ways(&id, &made), address.is_some()))
    }

    /// What a network gives its containers.
    fn access(&self, network: &str) -> Answer<Access> {
        let access = networks::recall(self.networks, network).map_err(|why| engine::words(&why))?;
        access.ok_or_else(|| {
            format!(
                "nsnat knows no network {network}, which was made while another driver answered: make it anew"
            )
        })
    }

    /// A server on the host's loopback Docker asks out there, and the question leaves as the host's own do.
    fn refuse_names_of_host(&self, to: &Destination) -> Answer<()> {
        let server = resolver::servers_of_containers().into_iter().find(IpAddr::is_loopback);
        let Some(server) = server else { return Ok(()) };
        let attached = Attached::new(PathBuf::new(), String::new(), to.clone());
        let way = self.configuration(to)?.attachment(&attached);
        if way.is_ok_and(|way| matches!(way.dns, Dns::Host)) {
            return Ok(());
        }
        Err(format!(
            "Docker would ask {server} on the host for this container's names, by the host's own way: name a server with --dns, which is asked by the network's way"
        ))
    }

    fn join(&self, endpoint: &str, sandbox: PathBuf) -> Answer {
        let (id, attached) = known(endpoint)?;
        let attached = Attached { path: sandbox, ..attached };
        let made = self.make(&id, &attached)?;
        Ok(docker::joined(&attached.ifname, &ways(&id, &made)))
    }

    /// Docker takes ports back of endpoints that are gone.
    fn publish(&self, endpoint: &str, network: &str, ports: &[Publication]) -> Answer<()> {
        if ports.is_empty() && find(endpoint)?.is_none() {
            return Ok(());
        }
        let (id, attached) = known(endpoint)?;
        let publish = if ports.is_empty() { Vec::new() } else { self.access(network)?.publications(ports) };
        self.make(&id, &Attached { publish, ..attached }).map(drop)
    }

    fn make(&self, id: &Name, attached: &Attached) -> Answer<Recorded> {
        let config = self.configuration(&attached.to)?;
        attach::make(self.ui, &config, id, attached).map_err(|why| engine::words(&why))
    }
}

/// The attachment of an endpoint.
fn find(endpoint: &str) -> Answer<Option<(Name, Attached)>> {
    let state = state_file::read().map_err(|why| engine::words(&why))?;
    let is_of =
        |attached: &Attached| attached.handed.as_ref().is_some_and(|handed| handed.endpoint == endpoint);
    Ok(state.namespaces.iter().find_map(|(name, namespace)| {
        let attached = namespace.attached.as_ref().filter(|attached| is_of(attached))?;
        Some((name.clone(), attached.clone()))
    }))
}

fn known(endpoint: &str) -> Answer<(Name, Attached)> {
    find(endpoint)?.ok_or_else(|| format!("the endpoint {endpoint} is not attached: nsnat down took it away"))
}

/// The addresses of an attachment, each with its next hop.
fn ways(id: &Name, made: &Recorded) -> Vec<(IpAddr, IpAddr)> {
    plan::attachment_addresses(&made.goal, made.before.features, id)
}
