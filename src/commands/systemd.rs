//! `nsnat systemd bind` and `unbind`: a unit of systemd inside a namespace.

use super::config;
use super::refusals::{need_root, unknown};
use crate::cli::SystemdCommand;
use crate::config::Dns;
use crate::error::{Error, Result};
use crate::kernel::systemd;
use crate::model::Name;
use crate::ui::Ui;

pub(super) fn run(ui: &Ui<'_>, command: &SystemdCommand) -> Result<()> {
    need_root("systemd")?;
    match command {
        SystemdCommand::Bind { name, unit } => bind(ui, name, unit),
        SystemdCommand::Unbind { unit } => unbind(ui, unit),
    }
}

fn bind(ui: &Ui<'_>, name: &Name, unit: &str) -> Result<()> {
    let config = config::open(ui)?;
    let Some(namespace) = config.namespaces.get(name) else {
        return Err(unknown(name, config.namespaces.keys()));
    };
    systemd::write(unit, &drop_in(name, unit, !matches!(namespace.dns, Dns::Host)))?;
    if systemd::is_missing(unit) {
        ui.note(format!("systemd knows no {unit} yet; nsnat systemd unbind {unit} takes back what was said"));
    }
    ui.say(format_args!("{unit}: in {name} from its next start on (systemctl restart {unit})"));
    Ok(())
}

fn unbind(ui: &Ui<'_>, unit: &str) -> Result<()> {
    if !systemd::remove(unit)? {
        return Err(Error::new(unit, "is not bound"));
    }
    ui.say(format_args!("{unit}: as before from its next start on (systemctl restart {unit})"));
    Ok(())
}

/// Tells of units that are bound to a namespace which is not declared any more: they cannot start.
pub(super) fn tell_bound(ui: &Ui<'_>, name: &Name) {
    for (unit, _) in systemd::bindings().iter().filter(|(_, bound)| bound == name) {
        ui.note(format!(
            "{unit} is bound to {name} and cannot start without it; nsnat systemd unbind {unit}"
        ));
    }
}

fn namespace_setting(name: &Name) -> String {
    format!("NetworkNamespacePath=/run/netns/{name}")
}

/// What `exec` does for a command, in systemd's words. Directories are covered, not sockets: a daemon that restarts
/// makes a new socket. Without nsnat.service nothing is lost but the order: a unit whose namespace is not there does not
/// start, and one that runs is to outlive the daemon. The system bus stays visible, because many services live on it.
fn drop_in(name: &Name, unit: &str, hide_resolvers: bool) -> String {
    const HIDE: &str = "\
InaccessiblePaths=-/run/nscd -/run/avahi-daemon
TemporaryFileSystem=/run/systemd/resolve:ro,mode=0755
BindReadOnlyPaths=-/run/systemd/resolve/resolv.conf -/run/systemd/resolve/stub-resolv.conf
";
    let section = match unit.rsplit_once('.').map(|(_, kind)| kind) {
        Some("socket") => "Socket",
        Some("mount") => "Mount",
        Some("swap") => "Swap",
        _ => "Service",
    };
    format!(
        "\
# Written by `nsnat systemd bind {name} {unit}`; `nsnat systemd unbind {unit}` takes it away.
[Unit]
Wants=nsnat.service
After=nsnat.service

[{section}]
{}
Environment=NSNAT_NAMESPACE={name}
{}",
        namespace_setting(name),
        if hide_resolvers { HIDE } else { "" }
    )
}
