//! `nsnat attach` and `nsnat detach`.

use super::config;
use super::refusals::need_root;
use super::session::{Recorded, Session};
use super::up;
use crate::cli::Attach;
use crate::config::{Config, Problem};
use crate::error::{Error, Result};
use crate::kernel::netns::AttachedNetns;
use crate::kernel::state_file;
use crate::model::{
    ActiveNamespace, Attached, Bond, DnsMode, HostService, Name, Observed, Publication, dnsaddr, name,
    numbers,
};
use crate::plan::{self, Selection, resolve};
use crate::reconcile::Policy;
use crate::ui::Ui;
use serde_json::{Value, json};
use std::path::Path;

pub(super) fn attach(ui: &Ui<'_>, line: &Attach) -> Result<()> {
    need_root("attach")?;
    let config = config::open(ui)?;
    let id = match &line.id {
        Some(id) => id.clone(),
        None => name_for(&line.path, &line.ifname)?,
    };
    let (path, ifname) = (line.path.clone(), line.ifname.clone());
    let publish =
        Publication::distinct(line.publish.iter().cloned()).map_err(|why| Error::usage("attach", why))?;
    let host = HostService::chosen(&line.host);
    let attached = Attached { publish, host, ..Attached::new(path, ifname, line.destination()) };
    let outcome = make(ui, &config, &id, &attached)?;
    if ui.json() {
        return ui.print_json(&described(&id, &outcome));
    }
    up::tell_all(ui, &config, &outcome)
}

pub(super) fn detach(ui: &Ui<'_>, id: &Name) -> Result<()> {
    need_root("detach")?;
    if let Some(outcome) = remove(ui, std::slice::from_ref(id))? {
        return up::report(ui, &outcome);
    }
    ui.note(format_args!("{id} is not attached"));
    Ok(())
}

/// Attaches, or changes what is attached.
pub(super) fn make(ui: &Ui<'_>, config: &Config, id: &Name, attached: &Attached) -> Result<Recorded> {
    let mut session = Session::begin(ui, "attach")?;
    if attached.handed.is_none() {
        session.expect_attached(id, AttachedNetns::at(&attached.path)?);
    }
    let policy = Policy { narrow: true, all_or_nothing: true, ..Policy::default() };
    session.reconcile(policy, &[id], |observed| {
        config::need_devices_of(config, observed)?;
        resolve(config, Selection::Attachment(id, attached), observed)
            .map_err(|problems| refusal(id, problems, config, ui.colour))
    })
}

/// Removes attachments; none: there is none of these. A namespace of that name is none.
pub(super) fn remove(ui: &Ui<'_>, ids: &[Name]) -> Result<Option<Recorded>> {
    let is_up = |known: &ActiveNamespace| known.attached.is_some();
    let state = state_file::read()?;
    let known = |id: &&Name| state.namespaces.contains_key(*id);
    if let Some(id) = ids.iter().filter(known).find(|id| !state.namespaces.get(*id).is_some_and(is_up)) {
        return Err(Error::new(format!("detach {id}"), "it is a namespace of nsnat's own")
            .hint(format!("nsnat down {id}")));
    }
    if !ids.iter().any(|id| known(&id)) {
        return Ok(None);
    }
    let mut session = Session::begin(ui, "detach")?;
    let policy = Policy { narrow: true, ..Policy::default() };
    let asked: Vec<&Name> = ids.iter().collect();
    let is_meant = |name: &Name, observed: &Observed| {
        ids.contains(name) && observed.state.namespaces.get(name).is_some_and(is_up)
    };
    let goal = |observed: &Observed| Ok(plan::state_without(observed, |name| is_meant(name, observed)));
    session.reconcile(policy, &asked, goal).map(Some)
}

/// Gives the other network of an attachment everything back that goes by nsnat's, where it is of a network of its own.
pub(super) fn part(ui: &Ui<'_>, id: &Name) -> Result<()> {
    let state = state_file::read()?;
    let attached = state.namespaces.get(id).and_then(|known| known.attached.as_ref());
    let bond = attached.and_then(|attached| attached.beside.as_ref()).map(|beside| beside.bond);
    if bond != Some(Bond::Apart) {
        return Ok(());
    }
    let policy = Policy { narrow: true, ..Policy::default() };
    let goal = |observed: &Observed| Ok(plan::state_parting(observed, id));
    Session::begin(ui, "detach")?.reconcile(policy, &[id], goal).map(drop)
}

/// What nothing in a file explains is an error like any other.
fn refusal(id: &Name, problems: Vec<Problem>, config: &Config, colour: bool) -> Error {
    match <[Problem; 1]>::try_from(problems) {
        Ok([Problem { message, place: None, help, .. }]) => {
            let error = Error::new(format!("attach {id}"), message);
            help.into_iter().fold(error, Error::hint)
        }
        Ok([problem]) => crate::config::report(&[problem], &config.sources, colour),
        Err(problems) => crate::config::report(&problems, &config.sources, colour),
    }
}

/// The name of an attachment, of its path, and of its interface where that is not the usual one.
fn name_for(path: &Path, ifname: &str) -> Result<Name> {
    let words: Vec<&str> = path.iter().filter_map(|word| word.to_str()).collect();
    let place = match words.as_slice() {
        [.., pid, "ns", "net"] => format!("pid.{pid}"),
        [.., last] => (*last).to_owned(),
        [] => String::new(),
    };
    let whole = if ifname == numbers::INSIDE_LINK { place } else { format!("{place}.{ifname}") };
    whole.parse().map_err(|why: String| {
        Error::usage("attach", format!("no name can be made of {}: {why}", path.display()))
            .hint(format!("name it: --id NAME, of at most {} letters, digits, '_', '.' and '-'", name::MAX))
    })
}

/// What came of it, for programs.
fn described(id: &Name, outcome: &Recorded) -> Value {
    let (state, features) = (&outcome.goal, outcome.before.features);
    let Some(namespace) = state.namespaces.get(id) else { return Value::Null };
    let addresses = plan::attachment_addresses(state, features, id);
    let [own, next]: [Vec<String>; 2] = [
        addresses.iter().map(|(own, _)| own.to_string()).collect(),
        addresses.iter().map(|(_, next)| next.to_string()).collect(),
    ];
    json!({
        "version": 1,
        "name": id,
        "interface": namespace.ifname(),
        "host_interface": namespace.link,
        "address": own,
        "gateway": next,
        "dns": servers(&namespace.dns),
        "published": namespace.publications().collect::<Vec<_>>(),
        "host": namespace.host,
        "actions": outcome.done.len(),
    })
}

fn servers(dns: &DnsMode) -> Vec<String> {
    dns.servers.iter().map(|server| dnsaddr::show(*server)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attachment_has_a_name_of_its_path() {
        let named = |path: &str, ifname: &str| {
            name_for(Path::new(path), ifname).map(|name| name.to_string()).unwrap_or_default()
        };
        assert_eq!(named("/run/netns/web", "eth0"), "web");
        assert_eq!(named("/run/netns/web", "eth1"), "web.eth1");
        assert_eq!(named("/proc/4711/ns/net", "eth0"), "pid.4711");
        assert_eq!([named("/", "eth0"), named("/run/netns/a b", "eth0")], ["", ""]);
    }
}
