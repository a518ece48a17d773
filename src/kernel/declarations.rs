//! Files that declare namespaces, with the directories above them: they come and go together, in one step.
//!
//! Whoever is killed between a directory and the file in it leaves a directory of which nobody can say later whose it
//! is. So a file whose directory is missing is written into one that is named as unfinished, and this gets its name by
//! rename(2); what goes is given such a name first. What is named so is ours, whoever left it, and is taken away.
//!
//! A directory that is made has a file in it that says so, from the moment on that it has its name. A package or an
//! administrator may have made it as well, and theirs stay, empty or not.

#![expect(clippy::disallowed_methods, reason = "files are written here")]

use super::files::{self, Lock, UNFINISHED};
use crate::error::{Context, Result};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where nsnat's own declarations are, and what is made for them.
const PLACES: [&str; 5] = ["/etc", "/etc/nsnat", "/etc/nsnat/conf.d", "/run", TEMPORARY];

/// Of temporary declarations: below what is nsnat's as a whole, so nothing has to say that nsnat made it.
const TEMPORARY: &str = "/run/nsnat/conf.d";

/// What says in a directory that nsnat made it. It is a file, because files outlive a reboot, and are in every backup.
const MADE: &str = ".made-by-nsnat";
const WHY: &str = "`nsnat add` made this directory. `nsnat remove` takes it away with the last declaration, if it holds nothing else.\n";

/// Directories below an unfinished one: `nsnat`, `conf.d`.
const DEPTH: usize = 2;

/// Takes away what was being written when its writer was killed.
pub fn sweep(_held: &Lock) -> Result<()> {
    PLACES.into_iter().try_for_each(|place| sweep_in(Path::new(place)))
}

/// Sweeps declarations, unless another process works on them now.
pub fn sweep_unless_busy() -> Result<()> {
    files::try_lock_declarations().map_or(Ok(()), |lock| sweep(&lock))
}

fn sweep_in(place: &Path) -> Result<()> {
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    let mut unfinished = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED));
    unfinished.try_for_each(|entry| {
        match take_away(&entry.path(), DEPTH) {
            Err(why) if !files::is_not_ours(&why) => Err(why),
            _ => Ok(()),
        }
        .what(|| format!("remove {}", entry.path().display()))
    })
}

/// A file, or a directory with no more in it than nsnat puts there; links are not followed.
fn take_away(path: &Path, depth: usize) -> io::Result<()> {
    if !path.symlink_metadata()?.is_dir() {
        return std::fs::remove_file(path);
    }
    if depth > 0 {
        for entry in std::fs::read_dir(path)? {
            take_away(&entry?.path(), depth - 1)?;
        }
    }
    std::fs::remove_dir(path)
}

/// The topmost of the directories above a file that are missing.
fn missing_dir(path: &Path) -> Option<&Path> {
    path.ancestors().skip(1).take_while(|dir| !dir.exists()).last()
}

/// Writes a file that is not there, and the directories above it.
pub fn create(path: &Path, text: &str) -> Result<()> {
    loop {
        let Some(top) = missing_dir(path) else { return files::edit(path, text) };
        let unfinished = unfinished_name(top);
        let _ = take_away(&unfinished, DEPTH);
        let says: fn(&Path) -> io::Result<()> = if path.starts_with(TEMPORARY) { |_| Ok(()) } else { mark };
        let done = write_beside(&unfinished, path.strip_prefix(top).unwrap_or(path), text, says)
            .and_then(|()| std::fs::rename(&unfinished, top));
        match done {
            Ok(()) => return Ok(()),
            Err(why) => {
                // What is left is named as unfinished: the next one takes it away.
                let _ = take_away(&unfinished, DEPTH);
                // Somebody else made the directory meanwhile.
                if !top.exists() {
                    return Err(why).what(|| format!("write {}", path.display()));
                }
            }
        }
    }
}

/// Writes a file into a new directory; whatever is made on the way says so.
fn write_beside(dir: &Path, file: &Path, text: &str, says: fn(&Path) -> io::Result<()>) -> io::Result<()> {
    let path = dir.join(file);
    let mut dirs: Vec<&Path> = path.ancestors().skip(1).take_while(|above| above.starts_with(dir)).collect();
    dirs.reverse();
    for dir in dirs {
        std::fs::create_dir(dir)?;
        std::fs::set_permissions(dir, Permissions::from_mode(0o755))?;
        says(dir)?;
    }
    files::replace_with_mode(&path, text, 0o644, None)
}

/// Removes a file, and of the directories above it those that nsnat made and that hold nothing else.
pub fn remove(path: &Path) -> Result<()> {
    let mut child = path;
    let alone = path.ancestors().skip(1).take_while(|dir| {
        let goes = is_made(dir) && holds_only(dir, child);
        child = dir;
        goes
    });
    // The deepest first.
    let alone: Vec<&Path> = alone.collect();
    // A mount, or what an overlay has below, cannot be given another name; a directory in it may.
    let whole = alone.iter().rposition(|dir| std::fs::rename(dir, unfinished_name(dir)).is_ok());
    match whole.and_then(|index| alone.get(index)) {
        Some(dir) => {
            put_aside(&unfinished_name(dir), dir, path).what(|| format!("remove {}", path.display()))?;
        }
        None => files::remove_file(path)?,
    }
    alone.into_iter().skip(whole.map_or(0, |index| index + 1)).try_for_each(|dir| match unmake(dir) {
        Err(why) if !files::is_not_ours(&why) => Err(why).what(|| format!("remove {}", dir.display())),
        _ => Ok(()),
    })
}

/// Removes what was put aside. Where the file cannot be removed, or somebody wrote or mounted something beside it
/// meanwhile, it goes back to where it was; what else cannot be removed stays aside for the next one.
fn put_aside(unfinished: &Path, dir: &Path, path: &Path) -> io::Result<()> {
    let path = unfinished.join(path.strip_prefix(dir).unwrap_or(path));
    if let Err(why) = std::fs::remove_file(&path) {
        return std::fs::rename(unfinished, dir).and(Err(why));
    }
    let mut dirs = path.ancestors().skip(1).take_while(|above| above.starts_with(unfinished));
    match dirs.try_for_each(unmake) {
        Err(why) if files::is_not_ours(&why) => std::fs::rename(unfinished, dir),
        done => done,
    }
}

/// Whether nsnat made a directory.
fn is_made(dir: &Path) -> bool {
    dir == Path::new(TEMPORARY) || dir.join(MADE).exists()
}

/// Says in a directory that nsnat made it.
fn mark(dir: &Path) -> io::Result<()> {
    let made = dir.join(MADE);
    std::fs::write(&made, WHY)?;
    std::fs::set_permissions(&made, Permissions::from_mode(0o644))
}

/// Removes a directory that nsnat made. One that cannot be removed stays nsnat's.
fn unmake(dir: &Path) -> io::Result<()> {
    let was_marked = match std::fs::remove_file(dir.join(MADE)) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        removed => removed.is_ok(),
    };
    std::fs::remove_dir(dir).inspect_err(|_| {
        if was_marked {
            let _ = mark(dir);
        }
    })
}

fn holds_only(dir: &Path, child: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    entries.flatten().all(|entry| entry.path() == child || entry.file_name() == MADE)
}

/// The name that a directory has while it comes or goes. There is one at a time: the lock is held, and what was left
/// is swept away.
fn unfinished_name(dir: &Path) -> PathBuf {
    dir.with_file_name(format!("{UNFINISHED}{}", dir.file_name().unwrap_or_default().display()))
}
