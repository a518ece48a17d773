//! `nsnat trace`.

use super::status::View;
use super::{Context, apply, config};
use crate::error::{Error, Result};
use crate::kernel::{self, Depth};
use crate::model::trace::{Goal, Protocol};
use crate::model::{Member, Name, Observed, dnsaddr};
use crate::plan;
use crate::report::State;
use crate::report::trace::{self as report, Told};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;

/// Addresses that nobody has (RFC 5737, RFC 3849).
const NOBODY: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

/// What others catch most often: the web, DNS; and what hardly anybody does.
const USUAL: [Protocol; 4] =
    [Protocol::Tcp(80), Protocol::Tcp(443), Protocol::Udp(dnsaddr::PORT), Protocol::Icmp];

pub(super) fn run(context: &Context<'_>, name: &Name, goal: Option<Goal>) -> Result<ExitCode> {
    let config = config::open(context)?;
    super::need_root("trace")?;
    let observed = apply::look(context, &config.namespaces.keys().collect::<Vec<_>>(), Depth::All)?;
    let Some(member) = observed.journal.members.get(name) else {
        let error = Error::new(format!("namespace {name}"), "it is not up");
        return Err(error.hint(format!("nsnat up {name}")));
    };
    let status = View::new(context, &config, &observed, &[name])?.status(name);
    let known = if status.state == State::Broken { status.problems } else { Vec::new() };
    let told = follow(name, member, &goals(member, goal), &observed, &known)?;
    if context.json() {
        super::print_json(&report::json(&told))?;
    } else {
        super::print(report::text(&told, context.colour).trim_end())?;
    }
    Ok(if told.walk.fault.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn goals(member: &Member, goal: Option<Goal>) -> Vec<Goal> {
    let served = |address: &&IpAddr| address.is_ipv4() || member.ipv6;
    let usual = |address: &IpAddr| USUAL.map(|protocol| Goal { address: *address, protocol });
    goal.map_or_else(|| NOBODY.iter().filter(served).flat_map(usual).collect(), |goal| vec![goal])
}

/// Sends a probe to each goal, up to the first that does not go where it should; the first one's way stands for all
/// that do.
fn follow(
    name: &Name,
    member: &Member,
    goals: &[Goal],
    observed: &Observed,
    known: &[String],
) -> Result<Told> {
    let journal = plan::refreshed(observed);
    let egress = journal.egresses.get(&member.egress).ok_or_else(|| {
        Error::new(format!("namespace {name}"), "it has no way out at the moment").hint("nsnat status")
    })?;
    let mut first = None;
    for goal in goals {
        let trace = kernel::trace(name, &member.link, plan::desired::egress_mark(&journal, egress), *goal)?;
        let walk = plan::walk(&trace, plan::Host { journal: &journal, egress, observed, known });
        let culprit = walk.fault.as_ref().and_then(|fault| fault.culprit.clone());
        let rule = culprit.and_then(|suspect| kernel::rule_text(&suspect.spot, suspect.rule?));
        let told = Told { name: name.clone(), trace, walk, rule };
        if told.walk.fault.is_some() {
            return Ok(told);
        }
        first = first.or(Some(told));
    }
    first.ok_or_else(|| Error::new("trace", "nothing to send"))
}
