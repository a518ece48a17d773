//! The records of `exec`: what it needs to know of a namespace, a file each in `/run/nsnat/ns`. They are written last
//! by `up` and removed first by `down`, so a namespace that has none counts as down.

use super::files::{self, TARGETS};
use crate::error::{Context, Error, Result};
use crate::model::{ExecRecord, Name};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A record is a few dozen bytes; anything much larger was not written by nsnat.
const RECORD_MAX: i64 = 4096;

fn path(name: &Name) -> PathBuf {
    Path::new(TARGETS).join(name.as_str())
}

/// Writes a record in one step, where it says something else than before.
pub(super) fn write(name: &Name, target: &ExecRecord) -> Result<()> {
    files::make_dir(TARGETS, 0o755)?;
    let text = serde_json::to_string(target).what(|| TARGETS)?;
    if std::fs::read_to_string(path(name)).is_ok_and(|now| now == text) {
        return Ok(());
    }
    files::replace(&path(name), &text, 0o644)
}

/// Takes a record away: from now on the namespace counts as down.
pub(super) fn remove(name: &Name) -> Result<()> {
    files::remove_file(&path(name))
}

/// The namespaces that have a record.
pub fn names() -> Vec<Name> {
    let entries = std::fs::read_dir(TARGETS).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Reads a record; nothing where it is missing or damaged.
pub(super) fn read(name: &Name) -> Option<ExecRecord> {
    serde_json::from_str(&std::fs::read_to_string(path(name)).ok()?).ok()
}

/// Reads a record on behalf of any user, with root's rights: only a record that root alone can have written counts,
/// and it is judged by what was opened. Nothing where there is none.
pub fn read_checked(name: &Name) -> Result<Option<ExecRecord>> {
    let what = || format!("{TARGETS}/{name}");
    let directory = open_checked(TARGETS, OFlag::O_PATH | OFlag::O_DIRECTORY, |flags| {
        open(TARGETS, flags, Mode::empty())
    });
    let Some(directory) = directory? else { return Ok(None) };
    owned_by_root(&fstat(&directory).what(what)?).what(|| TARGETS)?;
    let file = open_checked(&what(), OFlag::O_RDONLY | OFlag::O_NONBLOCK, |flags| {
        openat(&directory, name.as_str(), flags, Mode::empty())
    });
    let Some(file) = file? else { return Ok(None) };
    let stat = fstat(&file).what(what)?;
    owned_by_root(&stat).and_then(|()| small_file(&stat)).what(what)?;
    let mut text = String::new();
    File::from(file).take(RECORD_MAX.unsigned_abs()).read_to_string(&mut text).what(what)?;
    serde_json::from_str(&text).map(Some).map_err(|why| {
        Error::new(what(), format!("is damaged: {why}")).hint(format!("nsnat down {name}; nsnat up {name}"))
    })
}

/// Opens without following a symbolic link at the end; nothing when there is no such file.
pub fn open_checked(
    path: &str,
    flags: OFlag,
    how: impl FnOnce(OFlag) -> nix::Result<OwnedFd>,
) -> Result<Option<OwnedFd>> {
    match how(flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::ENOENT) => Ok(None),
        Err(Errno::ELOOP) => Err(Error::new(path, "is a symbolic link, which nsnat never makes")),
        Err(why) => Err(Error::new(path, why.desc())),
    }
}

/// Only root can have written it.
fn owned_by_root(stat: &FileStat) -> std::result::Result<(), &'static str> {
    if stat.st_uid != 0 {
        return Err("is not owned by root: not written by nsnat");
    }
    if stat.st_mode & 0o022 != 0 {
        return Err("can be written by others than root: not trusted");
    }
    Ok(())
}

fn small_file(stat: &FileStat) -> std::result::Result<(), &'static str> {
    if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
        return Err("is not a plain file: not written by nsnat");
    }
    if stat.st_size > RECORD_MAX {
        return Err("is too large: not written by nsnat");
    }
    Ok(())
}
