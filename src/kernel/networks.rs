//! The networks of an engine that tells of each once, and goes by its number from then on: a file each, which outlives a reboot
//! as the engine's own record does.

use super::files;
use crate::error::{Context, Error, Result};
use crate::model::Access;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

fn path(directory: &Path, network: &str) -> PathBuf {
    directory.join(format!("docker.{network}"))
}

/// Remembers what a network gives its containers.
pub fn remember(directory: &Path, network: &str, access: &Access) -> Result<()> {
    files::make_dir(directory, 0o755)?;
    let text = serde_json::to_string(access).what(|| network)?;
    files::replace(&path(directory, network), &text, 0o644)
}

/// What a network gives its containers; none: it was never told of.
pub fn recall(directory: &Path, network: &str) -> Result<Option<Access>> {
    let path = path(directory, network);
    match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).map(Some).what(|| path.display()),
        Err(why) if why.kind() == ErrorKind::NotFound => Ok(None),
        Err(why) => Err(Error::new(path.display(), why)),
    }
}

/// Forgets a network. When nothing else is in the directory, that goes, too.
pub fn forget(directory: &Path, network: &str) -> Result<()> {
    files::remove_file(&path(directory, network))?;
    files::remove_dir(directory)
}
