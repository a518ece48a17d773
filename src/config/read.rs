//! Where the configuration is, and reading it: the one effect that this room has.

use super::trust::{Inspection, Trust};
use super::{Problem, Source};
use crate::model::Name;
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
pub struct ConfigFiles {
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
pub fn locate(path: Option<&Path>) -> ConfigFiles {
    match path {
        None => ConfigFiles { temporary: Some(TEMPORARY.into()), ..directory(Path::new(DIRECTORY)) },
        Some(path) if path.is_dir() => directory(path),
        Some(path) => ConfigFiles { main: path.to_owned(), drop_ins: None, temporary: None, required: true },
    }
}

fn directory(path: &Path) -> ConfigFiles {
    ConfigFiles {
        main: path.join(MAIN),
        drop_ins: Some(path.join(DROP_INS)),
        temporary: None,
        required: false,
    }
}

impl ConfigFiles {
    /// Reads all files; one that cannot be read, or that others may write, is a problem, and the others are still
    /// read.
    pub fn read(&self, trust: &Trust) -> (Vec<Source>, Vec<Problem>) {
        let mut inspection = Inspection::new(trust);
        let (mut sources, mut problems) = (Vec::new(), Vec::new());
        let (files, lost) = self.files(&mut inspection);
        for (path, required) in files {
            inspection.file(&path);
            match read_file(&path, required) {
                Ok(Some(text)) => sources.push(Source { path, text }),
                Ok(None) => {}
                Err(why) => problems.push(unreadable(&path, &why)),
            }
        }
        problems.extend(lost);
        problems.extend(inspection.problems());
        (sources, problems)
    }

    /// All files, and whether they have to exist; and what cannot be listed.
    fn files(&self, inspection: &mut Inspection<'_>) -> (Vec<(PathBuf, bool)>, Vec<Problem>) {
        let (mut files, mut lost) = (vec![(self.main.clone(), self.required)], Vec::new());
        for directory in self.drop_ins.iter().chain(&self.temporary) {
            inspection.directory(directory);
            match listing(directory) {
                Ok(found) => files.extend(found.into_iter().map(|file| (file, true))),
                Err(why) => lost.push(unreadable(directory, &why.to_string())),
            }
        }
        (files, lost)
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
fn read_file(path: &Path, required: bool) -> Result<Option<String>, String> {
    match fs::metadata(path) {
        Ok(metadata) => sane(&metadata)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return missing(path, required),
        Err(error) => return Err(error.to_string()),
    }
    let file = opened(path).map_err(|error| error.to_string())?;
    // What was looked at and what was opened may be two things.
    sane(&file.metadata().map_err(|error| error.to_string())?)?;
    read_bounded(file).map(Some)
}

/// All of it, unless it does not end: sizes are not always true (/proc, a file that grows).
fn read_bounded(from: impl Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST { Err(too_large()) } else { text(bytes) }
}

fn missing(path: &Path, required: bool) -> Result<Option<String>, String> {
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

fn sane(metadata: &fs::Metadata) -> Result<(), String> {
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

fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
        format!("is not UTF-8: byte {at}, on line {line}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::open;
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    const GOOD: &[u8] = b"[namespace.a]\ndev = \"eth0\"\n";

    fn write_file(path: &Path, bytes: &[u8]) {
        fs::DirBuilder::new().recursive(true).create(path.parent().unwrap()).unwrap();
        File::create(path).unwrap().write_all(bytes).unwrap();
    }

    /// What is said about the path, its directory left out.
    fn refusal(path: &Path) -> String {
        let error = open(Some(path), &Trust::everybody(), false).unwrap_err();
        assert_eq!(error.status(), 2);
        let text = error.to_string();
        let (first, directory) = (text.lines().next().unwrap(), path.parent().unwrap());
        first.replace(&directory.display().to_string(), "").trim_start_matches("nsnat: /").to_owned()
    }

    #[test]
    fn a_directory_is_read_in_name_order() {
        let root = tempfile::tempdir().unwrap();
        for file in
            ["conf.d/b.toml", "nsnat.toml", "conf.d/a.toml", "conf.d/.c.toml", "conf.d/d.toml~", "e.toml"]
        {
            write_file(&root.path().join(file), b"");
        }
        let (sources, problems) = locate(Some(root.path())).read(&Trust::everybody());
        let names: Vec<_> =
            sources.iter().map(|source| source.path.strip_prefix(root.path()).unwrap()).collect();
        assert_eq!(names, ["nsnat.toml", "conf.d/a.toml", "conf.d/b.toml"].map(Path::new));
        assert_eq!(problems, []);
    }

    #[test]
    fn a_file_is_read_alone() {
        let root = tempfile::tempdir().unwrap();
        write_file(&root.path().join("nsnat.toml"), GOOD);
        write_file(&root.path().join("conf.d/b.toml"), b"broken");
        let config = open(Some(&root.path().join("nsnat.toml")), &Trust::everybody(), false).unwrap();
        assert_eq!(config.declared_in(&"a".parse().unwrap()), Some(root.path().join("nsnat.toml").as_path()));
    }

    #[test]
    fn nothing_is_an_empty_configuration() {
        let root = tempfile::tempdir().unwrap();
        assert!(open(Some(root.path()), &Trust::everybody(), false).unwrap().namespaces.is_empty());
        assert_eq!(refusal(&root.path().join("absent")), "absent: does not exist");
    }

    #[test]
    fn declarations_have_their_places() {
        let name: Name = "a.b".parse().unwrap();
        let usual = locate(None);
        assert_eq!(usual.file_of(&name, false), Some("/etc/nsnat/conf.d/a.b.toml".into()));
        assert_eq!(usual.file_of(&name, true), Some("/run/nsnat/conf.d/a.b.toml".into()));
        let alone = locate(Some(Path::new("/absent.toml")));
        assert_eq!(alone.file_of(&name, false), Some("/absent.toml".into()));
        assert_eq!(alone.file_of(&name, true), None);
    }

    #[test]
    fn bad_weather() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        write_file(&at("latin"), b"a = 1\nb = \"\xe9\"\n");
        assert_eq!(refusal(&at("latin")), "latin: is not UTF-8: byte 11, on line 2");
        File::create(at("large")).unwrap().set_len(100 << 20).unwrap();
        assert_eq!(
            refusal(&at("large")),
            "large: is larger than 1 MiB: hardly a configuration, and not read"
        );
        symlink("nowhere", at("dangling")).unwrap();
        assert_eq!(refusal(&at("dangling")), "dangling: is a symbolic link to nowhere, which does not exist");
        symlink("loop", at("loop")).unwrap();
        assert!(refusal(&at("loop")).to_lowercase().contains("symbolic link"), "{}", refusal(&at("loop")));
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(refusal(&at("fifo")), "fifo: is neither a file nor a directory, and is not read");
        assert!(refusal(Path::new("/dev/zero")).contains("neither a file"));
        assert_eq!(read_bounded(io::repeat(b'#')), Err(too_large()));
    }

    #[test]
    fn bad_weather_in_a_directory_does_not_hide_the_rest() {
        let root = tempfile::tempdir().unwrap();
        write_file(&root.path().join("nsnat.toml/x"), b"");
        write_file(&root.path().join("conf.d/a.toml/x"), b"");
        write_file(&root.path().join("conf.d/b.toml"), b"[namespace.b]\n");
        let report = open(Some(root.path()), &Trust::everybody(), false).unwrap_err().to_string();
        assert_eq!(report.matches("is a directory; a file is needed").count(), 2, "{report}");
        assert!(report.contains("namespace `b` has no way out"), "{report}");
        assert!(report.ends_with("3 problems; nothing was changed"), "{report}");
    }

    #[test]
    fn a_directory_that_cannot_be_listed() {
        let root = tempfile::tempdir().unwrap();
        write_file(&root.path().join("conf.d"), b"");
        assert_eq!(locate(Some(root.path())).read(&Trust::everybody()).1.len(), 1);
        let root = tempfile::tempdir().unwrap();
        symlink("nowhere", root.path().join("conf.d")).unwrap();
        assert_eq!(locate(Some(root.path())).read(&Trust::everybody()).1.len(), 1);
    }
}
