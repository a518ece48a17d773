//! `nsnat dns`: where a namespace's queries go, changed while it is up.

use super::{config, session::Session};
use crate::cli::DnsCommand;
use crate::config::{Dns, NewNamespace};
use crate::error::{Error, Result};
use crate::model::{Name, Observed, State};
use crate::plan;
use crate::reconcile::Policy;
use crate::ui::Ui;
use std::net::SocketAddr;
use std::process::ExitCode;

pub(super) fn run(ui: &Ui<'_>, name: &Name, command: &DnsCommand) -> Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    match command {
        DnsCommand::Set { servers, rewrite } => {
            change(ui, name, &wanted_dns(ui, servers, rewrite)?).map(done)
        }
        DnsCommand::Clear => change(ui, name, &Dns::Auto).map(done),
        DnsCommand::Test { host } => super::dns_test::run(ui, name, host),
    }
}

/// What is asked for, checked like a declaration.
fn wanted_dns(ui: &Ui<'_>, servers: &[SocketAddr], rewrites: &[(SocketAddr, SocketAddr)]) -> Result<Dns> {
    if servers.is_empty() && rewrites.is_empty() {
        return Err(Error::usage("dns set", "neither a server nor a rewrite is given")
            .hint("nsnat dns NAME set ADDR, nsnat dns NAME set --rewrite OLD=NEW, or nsnat dns NAME clear"));
    }
    let name: Name = "dns.set".parse().map_err(|why: String| Error::usage("dns set", why))?;
    let (dns, rewrites) = (servers.to_vec(), rewrites.to_vec());
    // Where it leaves is the namespace's own business; a device makes the declaration whole.
    let stand_in = NewNamespace { dev: Some("any".into()), dns, rewrites, ..NewNamespace::default() };
    let checked = config::check_alone(ui, "dns set", &name, &stand_in)?;
    Ok(checked.map(|namespace| namespace.dns).unwrap_or_default())
}

/// The declaration stays as it is: `up` goes back to it.
fn change(ui: &Ui<'_>, name: &Name, dns: &Dns) -> Result<()> {
    let mut session = Session::begin(ui, "dns")?;
    let policy = Policy { narrow: true, ..Policy::default() };
    let outcome = session.reconcile(policy, &[name], |observed| state_with_dns(name, dns, observed))?;
    ui.say(if outcome.done.is_empty() {
        "nothing to do".into()
    } else {
        format!("{name}: changed, until the next nsnat up")
    });
    Ok(())
}

/// The state in which a namespace's queries go where `dns` says.
fn state_with_dns(name: &Name, dns: &Dns, observed: &Observed) -> Result<State> {
    if !observed.state.namespaces.contains_key(name) {
        return Err(Error::new(format!("namespace {name}"), "it is not up").hint(format!("nsnat up {name}")));
    }
    let goal = plan::with_dns(observed, name, dns);
    let asked = goal.namespaces.get(name).and_then(|namespace| {
        let path = goal.path_of(namespace);
        plan::unreachable(&namespace.dns.servers, namespace.ipv6, path)
    });
    if let Some(why) = asked {
        return Err(Error::usage(format!("namespace {name}"), why).hint("name a server of the other family"));
    }
    Ok(goal)
}
