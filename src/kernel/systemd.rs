//! Drop-ins for units of systemd.

#![expect(clippy::disallowed_methods, reason = "systemctl is started here")]

use super::files;
use crate::error::{Context, Error, Result};
use crate::model::Name;
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

/// Whether systemd, where it runs, knows a unit of that name.
pub fn is_missing(unit: &str) -> bool {
    let known = || Command::new("systemctl").args(["cat", "--", unit]).stdin(Stdio::null()).output();
    is_running() && known().is_ok_and(|output| !output.status.success())
}

/// The units with a drop-in of ours, each with the namespace that it is bound to.
pub fn bindings() -> Vec<(String, Name)> {
    let dirs = std::fs::read_dir(UNITS).into_iter().flatten().flatten().map(|dir| dir.path());
    let bound = |dir: PathBuf| {
        let text = std::fs::read_to_string(dir.join(FILE)).ok()?;
        let name = text.lines().find_map(|line| line.strip_prefix("NetworkNamespacePath=/run/netns/"))?;
        Some((dir.file_name()?.to_str()?.strip_suffix(".d")?.to_owned(), name.parse().ok()?))
    };
    dirs.filter_map(bound).collect()
}

/// As `sd_booted(3)` has it.
fn is_running() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Tells systemd, where it runs.
fn reload() -> Result<()> {
    if !is_running() {
        return Ok(());
    }
    let what = || "systemctl daemon-reload";
    let output = Command::new("systemctl").arg("daemon-reload").stdin(Stdio::null()).output().what(what)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::new(what(), String::from_utf8_lossy(&output.stderr).trim()))
}
