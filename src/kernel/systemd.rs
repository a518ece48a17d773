//! Drop-ins for units of systemd.

#![expect(clippy::disallowed_methods, reason = "systemctl is started here")]

use super::files;
use crate::error::{Context, Error, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the administrator's units are (systemd.unit(5)).
const UNITS: &str = "/etc/systemd/system";
/// The name of our drop-in.
const FILE: &str = "50-nsnat.conf";

fn dir(unit: &str) -> PathBuf {
    Path::new(UNITS).join(format!("{unit}.d"))
}

/// Writes the drop-in of a unit.
pub fn write(unit: &str, text: &str) -> Result<()> {
    files::make_dir(dir(unit), 0o755)?;
    files::replace(&dir(unit).join(FILE), text, 0o644)?;
    reload()
}

/// Takes the drop-in away; says whether there was one.
pub fn remove(unit: &str) -> Result<bool> {
    let file = dir(unit).join(FILE);
    if !file.exists() {
        return Ok(false);
    }
    files::remove_file(&file)?;
    files::remove_dir(dir(unit))?;
    reload()?;
    Ok(true)
}

/// Tells systemd, where it runs (`sd_booted(3)`).
fn reload() -> Result<()> {
    if !Path::new("/run/systemd/system").is_dir() {
        return Ok(());
    }
    let what = || "systemctl daemon-reload";
    let output = Command::new("systemctl").arg("daemon-reload").stdin(Stdio::null()).output().what(what)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::new(what(), String::from_utf8_lossy(&output.stderr).trim()))
}
