//! Where the configuration is, and reading it: the one effect that this room has.

use super::{Config, Name, Problem, Source, load, report};
use crate::error::Result;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where the configuration is when nobody says otherwise.
pub const DIRECTORY: &str = "/etc/nsnat";
/// Where temporary namespaces are declared: gone at reboot.
pub const TEMPORARY: &str = "/run/nsnat/conf.d";
/// The first file of a directory.
const MAIN: &str = "nsnat.toml";
/// The further ones.
const DROP_INS: &str = "conf.d";
/// Largest file: ten thousand namespaces fit.
const LARGEST: u64 = 1 << 20;

/// Which files make up the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// `nsnat.toml`, or the one file that is read alone.
    pub main: PathBuf,
    /// Directory of further files.
    pub drop_ins: Option<PathBuf>,
    /// Directory of temporary declarations.
    pub temporary: Option<PathBuf>,
    /// Somebody named `main` itself: it has to exist.
    pub required: bool,
}

/// Finds the configuration: `path` is `--config`.
pub fn locate(path: Option<&Path>) -> Layout {
    match path {
        None => Layout { temporary: Some(TEMPORARY.into()), ..directory(Path::new(DIRECTORY)) },
        Some(path) if path.is_dir() => directory(path),
        Some(path) => Layout { main: path.to_owned(), drop_ins: None, temporary: None, required: true },
    }
}

fn directory(path: &Path) -> Layout {
    Layout { main: path.join(MAIN), drop_ins: Some(path.join(DROP_INS)), temporary: None, required: false }
}

/// Locates, reads and checks the configuration; the error lists every problem.
pub fn open(path: Option<&Path>, colour: bool) -> Result<Config> {
    let (sources, mut problems) = locate(path).read();
    let (config, found) = load::check(sources);
    problems.extend(found);
    if problems.is_empty() { Ok(config) } else { Err(report(&problems, &config.sources, colour)) }
}

impl Layout {
    /// Reads all files; one that cannot be read is a problem, and the others are still read.
    pub fn read(&self) -> (Vec<Source>, Vec<Problem>) {
        let (mut sources, mut problems) = (Vec::new(), Vec::new());
        let mut take = |path: PathBuf, required| match one(&path, required) {
            Ok(Some(text)) => sources.push(Source { path, text }),
            Ok(None) => {}
            Err(why) => problems.push(unreadable(&path, &why)),
        };
        take(self.main.clone(), self.required);
        let mut lost = Vec::new();
        for directory in self.drop_ins.iter().chain(&self.temporary) {
            match listing(directory) {
                Ok(files) => files.into_iter().for_each(|file| take(file, true)),
                Err(why) => lost.push(unreadable(directory, &why.to_string())),
            }
        }
        problems.extend(lost);
        (sources, problems)
    }

    /// The file in which `add` declares a namespace; none: this layout has no place for temporary ones.
    pub fn file_of(&self, name: &Name, temporary: bool) -> Option<PathBuf> {
        let directory =
            if temporary { self.temporary.as_ref()? } else { self.drop_ins.as_ref().unwrap_or(&self.main) };
        if directory == &self.main {
            Some(directory.clone())
        } else {
            Some(directory.join(format!("{name}.toml")))
        }
    }
}

fn unreadable(path: &Path, why: &str) -> Problem {
    Problem::at(None, format!("{}: {why}", path.display()))
}

/// The `*.toml` files of a directory in name order; hidden ones (editors' backups) are passed over.
fn listing(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !directory.is_symlink() => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    let hidden = |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let wanted = |path: &PathBuf| path.extension() == Some(OsStr::new("toml")) && !hidden(path);
    let mut wanted: Vec<PathBuf> = paths.into_iter().filter(wanted).collect();
    wanted.sort();
    Ok(wanted)
}

/// The text of a file, or why there is none. A file that is not there is nothing, unless it is required.
fn one(path: &Path, required: bool) -> std::result::Result<Option<String>, String> {
    match fs::metadata(path) {
        Ok(metadata) => sane(&metadata)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return missing(path, required),
        Err(error) => return Err(error.to_string()),
    }
    let file = opened(path).map_err(|error| error.to_string())?;
    // What was looked at and what was opened may be two things.
    sane(&file.metadata().map_err(|error| error.to_string())?)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST {
        return Err(too_large());
    }
    text(bytes).map(Some)
}

fn missing(path: &Path, required: bool) -> std::result::Result<Option<String>, String> {
    match fs::read_link(path) {
        Ok(target) => Err(format!("is a symbolic link to {}, which does not exist", target.display())),
        Err(_) if required => Err("does not exist".to_owned()),
        Err(_) => Ok(None),
    }
}

/// Opens without waiting: a fifo that took the file's place meanwhile must not hang us.
fn opened(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

fn sane(metadata: &fs::Metadata) -> std::result::Result<(), String> {
    if metadata.is_dir() {
        return Err("is a directory; a file is needed".to_owned());
    }
    if !metadata.is_file() {
        return Err("is neither a file nor a directory, and is not read".to_owned());
    }
    if metadata.len() > LARGEST { Err(too_large()) } else { Ok(()) }
}

fn too_large() -> String {
    format!("is larger than {} MiB: hardly a configuration, and not read", LARGEST >> 20)
}

fn text(bytes: Vec<u8>) -> std::result::Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
        format!("is not UTF-8: byte {at}, on line {line}")
    })
}
