//! `nsnat dns`: where a namespace's queries go, changed while it is up.

use super::{Context, apply::Session};
use crate::cli::DnsCommand;
use crate::error::{Error, Result};
use crate::model::{DnsMode, Family, Name, Rewrite, dnsaddr};
use crate::plan;
use std::net::SocketAddr;
use std::process::ExitCode;

pub(super) fn run(context: &Context<'_>, name: &Name, command: &DnsCommand) -> Result<ExitCode> {
    match command {
        DnsCommand::Set { servers, rewrite } => change(context, name, mode(servers, rewrite)?),
        DnsCommand::Clear => change(context, name, DnsMode::default()),
    }
    .map(|()| ExitCode::SUCCESS)
}

fn mode(servers: &[SocketAddr], rewrites: &[(SocketAddr, SocketAddr)]) -> Result<DnsMode> {
    if servers.is_empty() && rewrites.is_empty() {
        return Err(Error::usage("dns set", "neither a server nor a rewrite is given")
            .hint("nsnat dns NAME set ADDR, nsnat dns NAME set --rewrite OLD=NEW, or nsnat dns NAME clear"));
    }
    if let Some(server) =
        servers.iter().chain(rewrites.iter().map(|(_, new)| new)).find(|s| s.ip().is_loopback())
    {
        let why = "is loopback, which every namespace has its own of";
        return Err(Error::usage(dnsaddr::show(*server), why));
    }
    let mixed = |(old, new): &&(SocketAddr, SocketAddr)| Family::of(old.ip()) != Family::of(new.ip());
    if let Some((old, new)) = rewrites.iter().find(mixed) {
        let what = format!("{}={}", dnsaddr::show(*old), dnsaddr::show(*new));
        return Err(Error::usage(what, "a query cannot be sent on over the other address family"));
    }
    let rewrites = rewrites.iter().map(|(old, new)| Rewrite { old: *old, new: *new }).collect();
    Ok(DnsMode { servers: servers.to_vec(), rewrites, only: !servers.is_empty(), ..DnsMode::default() })
}

/// The declaration stays as it is: `up` goes back to it.
fn change(context: &Context<'_>, name: &Name, dns: DnsMode) -> Result<()> {
    let mut session = Session::begin(context, "dns")?;
    let observed = session.observe(&[name])?;
    if !observed.journal.members.contains_key(name) {
        return Err(Error::new(format!("namespace {name}"), "it is not up").hint(format!("nsnat up {name}")));
    }
    let goal = plan::with_dns(&observed, name, dns);
    let done = session.apply(&goal, &observed)?;
    context.say(if done == 0 {
        "nothing to do".into()
    } else {
        format!("{name}: changed, until the next nsnat up")
    });
    Ok(())
}
