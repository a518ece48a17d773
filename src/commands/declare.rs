//! `nsnat add` and `nsnat remove`: declarations, and what follows from them.

use super::refusals::{need_root, unknown};
use super::{config, down, systemd, up};
use crate::cli::{Add, UplinkOptions};
use crate::config::{COMMAND_LINE, NewNamespace, declare, forget, locate};
use crate::error::{Error, Result};
use crate::kernel::{declarations, files, state_file};
use crate::model::{HostService, Name};
use crate::ui::Ui;
use std::path::{Path, PathBuf};

pub(super) fn add(ui: &Ui<'_>, add: &Add) -> Result<()> {
    need_root("add")?;
    let alone = files::lock_declarations()?;
    let config = config::open(ui)?;
    if let Some(path) = config.declared_in(&add.name) {
        let name = &add.name;
        return Err(Error::usage(
            format!("namespace {name}"),
            format!("declared already in {}", path.display()),
        )
        .hint(format!("nsnat remove {name}, or edit that file and: nsnat up {name}")));
    }
    if add.path.gateway.is_empty() && add.path.dev.is_none() && add.uplink.is_empty() {
        return Err(Error::usage(format!("namespace {}", add.name), "no way out is given")
            .hint("--gateway ADDR, --dev IF for that device's own gateway, or --uplink NAME"));
    }
    // Checked before anything is written, so that what is wrong is told of the option and not of a line of a file.
    let namespace = new(add);
    let mut config = config::load_with(ui, COMMAND_LINE, &add.name, &namespace)?;
    config.namespaces.entry(add.name.clone()).and_modify(|namespace| namespace.temporary = add.temporary);
    let path = file(ui, &add.name, add.temporary)?;
    declarations::sweep(&alone)?;
    let before = existing(&path)?;
    let text = declare(before.as_deref(), &add.name, &namespace)?;
    let written = match before {
        Some(_) => files::edit(&path, &text),
        None => declarations::create(&path, &text),
    };
    let result = written.and_then(|()| up::add(ui, &config, &add.name));
    if result.is_err() {
        // The first error is the one that tells; on a full disk not even the old text can be written again.
        let _ = undo_declaration(&path, before.as_deref());
    }
    result
}

pub(super) fn remove(ui: &Ui<'_>, name: &Name, kill: bool) -> Result<()> {
    need_root("remove")?;
    let alone = files::lock_declarations()?;
    let config = config::open(ui)?;
    let Some(path) = config.declared_in(name) else {
        return Err(unknown(name, config.namespaces.keys()));
    };
    declarations::sweep(&alone)?;
    let text = existing(path)?.unwrap_or_default();
    let Some(rest) = forget(&text, name) else {
        return Err(Error::new(
            format!("namespace {name}"),
            format!("cannot be cut out of {}", path.display()),
        )
        .hint("edit the file, then: nsnat down"));
    };
    if state_file::read()?.namespaces.contains_key(name) {
        down::run(ui, std::slice::from_ref(name), kill)?;
    } else {
        ui.say(format_args!("{name}: was not up"));
    }
    let still = |error: Error| match existing(path) {
        Ok(None) => error,
        _ => error.hint(format!("{name} is down, and still declared")),
    };
    forget_in(ui, path, &rest).map_err(still)?;
    systemd::tell_bound(ui, name);
    Ok(())
}

/// Leaves the rest of a file; without any, the file goes, unless somebody named it by `--config`.
fn forget_in(ui: &Ui<'_>, path: &Path, rest: &str) -> Result<()> {
    if rest.is_empty() && ui.global.config.as_deref() != Some(path) {
        declarations::remove(path)?;
        clear_run(ui, path)
    } else {
        files::edit(path, rest)
    }
}

fn file(ui: &Ui<'_>, name: &Name, temporary: bool) -> Result<PathBuf> {
    locate(ui.global.config.as_deref()).file_of(name, temporary).ok_or_else(|| {
        Error::usage("--temporary", "needs the default configuration")
            .hint("leave out --config, or --temporary")
    })
}

fn new(add: &Add) -> NewNamespace {
    NewNamespace {
        subnet: add.subnet,
        uplinks: add.uplink.clone(),
        ipv6: add.ipv6.clone(),
        lan: add.lan,
        mtu: add.mtu,
        allow: add.allow.clone(),
        publish: add.publish.clone(),
        host: HostService::chosen(&add.host),
        ..new_by_way(&add.path)
    }
}

/// What the options of a way out say.
pub(super) fn new_by_way(path: &UplinkOptions) -> NewNamespace {
    let (gateways, dev) = (path.gateway.clone(), path.dev.clone());
    NewNamespace {
        gateways,
        dev,
        dns: path.dns.clone(),
        rewrites: path.rewrite.clone(),
        ..NewNamespace::default()
    }
}

fn existing(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::new(format!("read {}", path.display()), error)),
    }
}

/// Puts a file and its directories back as they were.
fn undo_declaration(path: &Path, before: Option<&str>) -> Result<()> {
    match before {
        Some(text) if existing(path)?.as_deref() != Some(text) => files::edit(path, text),
        Some(_) => Ok(()),
        None => declarations::remove(path),
    }
}

/// After a temporary declaration: its directory is in the one of all that is up, which goes with the last of that.
fn clear_run(ui: &Ui<'_>, path: &Path) -> Result<()> {
    if !path.starts_with(files::RUN) {
        return Ok(());
    }
    let lock = files::lock(|| ui.note("waiting for another nsnat to finish"))?;
    if state_file::read()?.is_empty() { files::clear(&lock) } else { Ok(()) }
}
