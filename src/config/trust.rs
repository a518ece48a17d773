//! Whether anybody but root may have written the files that root obeys.
//!
//! A configuration makes root do things: who can write it, or put another one in its place, can do them. So, as sudo
//! and OpenSSH do, root obeys only what root alone may write: the file, every directory that leads to it, and every
//! link on the way. They are looked at from the root directory on, and before the file is read: once a directory is
//! known to be root's alone, what was found in it can only be exchanged by root.
//!
//! A directory with the sticky bit (`/tmp`) may be everybody's: nobody but root can replace what is root's in it. A
//! directory all files of which are obeyed may not: anybody could add one.

use super::Problem;
use nix::unistd::{Gid, Group, Uid, User};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::{CString, OsString};
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Longest chain of symbolic links that the kernel follows (`MAXSYMLINKS`, include/linux/namei.h).
const LINKS: usize = 40;

/// The users whose files are obeyed.
#[derive(Clone, Debug)]
pub struct Trust(Option<Vec<u32>>);

impl Trust {
    /// Everybody's: nothing is done with root's rights.
    pub fn everybody() -> Self {
        Self(None)
    }

    /// Files of root and of `caller`: a user that may become root and named the file.
    pub fn root_and(caller: Option<u32>) -> Self {
        Self(Some([0].into_iter().chain(caller).chain(unmapped()).collect()))
    }

    /// Whether somebody is not trusted.
    pub(super) fn is_limited(&self) -> bool {
        self.0.is_some()
    }

    fn includes(&self, owner: u32) -> bool {
        self.0.as_ref().is_none_or(|trusted| trusted.contains(&owner))
    }
}

/// The number by which a user namespace shows owners that have none in it: the host's root, mostly. Who they are cannot
/// be known, and they have power over all that is in here anyway.
fn unmapped() -> Option<u32> {
    let shown: u32 = fs::read_to_string("/proc/sys/kernel/overflowuid").ok()?.trim().parse().ok()?;
    let map = fs::read_to_string("/proc/self/uid_map").ok()?;
    let is_mapped = map.lines().any(|line| {
        let mut numbers = line.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
        let (first, count) = (numbers.next(), numbers.nth(1));
        first.zip(count).is_some_and(|(first, count)| (first..first + count).contains(&u64::from(shown)))
    });
    (!is_mapped).then_some(shown)
}

/// Looks at paths and remembers what is wrong, once for each thing that is.
pub(super) struct Inspection<'t> {
    trust: &'t Trust,
    problems: BTreeMap<PathBuf, Problem>,
}

impl<'t> Inspection<'t> {
    pub(super) fn new(trust: &'t Trust) -> Self {
        Self { trust, problems: BTreeMap::new() }
    }

    /// Looks at a file and all that leads to it. A file that is missing, or cannot be looked at, is reported when it
    /// is read.
    pub(super) fn file(&mut self, path: &Path) {
        let _ = self.follow_path(path);
    }

    /// Looks at a directory of which every file is obeyed, and all that leads to it.
    pub(super) fn directory(&mut self, path: &Path) {
        if let Some((path, metadata)) = self.follow_path(path) {
            self.note_writers(&path, &metadata, false);
        }
    }

    pub(super) fn problems(self) -> impl Iterator<Item = Problem> {
        self.problems.into_values()
    }

    /// Follows the path as the kernel would, and judges everything on the way; returns where it ends.
    fn follow_path(&mut self, path: &Path) -> Option<(PathBuf, Metadata)> {
        self.trust.0.as_ref()?;
        let mut at = PathBuf::from("/");
        let mut found = fs::symlink_metadata(&at).ok()?;
        self.note_writers(&at, &found, true);
        let mut rest = names_in(&std::path::absolute(path).ok()?);
        let mut links = 0;
        while let Some(part) = rest.pop_front() {
            if part == ".." {
                at.pop();
                found = fs::symlink_metadata(&at).ok()?;
                continue;
            }
            let next = at.join(&part);
            let metadata = fs::symlink_metadata(&next).ok()?;
            self.note_writers(&next, &metadata, true);
            if !metadata.is_symlink() {
                (at, found) = (next, metadata);
                continue;
            }
            links += 1;
            let target = fs::read_link(&next).ok().filter(|_| links <= LINKS)?;
            if target.is_absolute() {
                at = "/".into();
            }
            rest = names_in(&target).into_iter().chain(rest).collect();
        }
        Some((at, found))
    }

    /// Notes which other users may write this file, or put another in its place.
    fn note_writers(&mut self, path: &Path, metadata: &Metadata, sticky_will_do: bool) {
        let owner = (!self.trust.includes(metadata.uid())).then(|| user(metadata.uid()));
        let is_sticky = metadata.is_dir() && sticky_will_do && metadata.mode() & libc::S_ISVTX != 0;
        let has_writers = (metadata.is_file() || metadata.is_dir()) && !is_sticky;
        let writers = if has_writers { Writers::of(path, metadata) } else { Writers::default() };
        if owner.is_some() || writers.is_any() {
            self.problems
                .insert(path.to_owned(), problem_of_file(path, metadata, owner.as_deref(), &writers));
        }
    }
}

/// The names in a path. Links are followed one by one, so ".." is where the kernel would go.
fn names_in(path: &Path) -> VecDeque<OsString> {
    let name = |part: Component<'_>| match part {
        Component::ParentDir | Component::Normal(_) => Some(part.as_os_str().to_owned()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    };
    path.components().filter_map(name).collect()
}

/// Users besides the owner that may write a file.
#[derive(Default)]
struct Writers {
    group: bool,
    others: bool,
    /// Users and groups in an access list (acl(5)).
    listed: bool,
}

impl Writers {
    fn of(path: &Path, metadata: &Metadata) -> Self {
        let mode = metadata.mode();
        // Where there is an access list, the group's bits say what it allows at most.
        let group = mode & libc::S_IWGRP != 0;
        let listed = group && has_access_list(path);
        Self { group: group && !listed && metadata.gid() != 0, others: mode & libc::S_IWOTH != 0, listed }
    }

    fn is_any(&self) -> bool {
        self.group || self.others || self.listed
    }
}

fn has_access_list(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    let name = c"system.posix_acl_access".as_ptr();
    // SAFETY: both texts end in a zero byte, and with a size of 0 nothing is written.
    unsafe { libc::lgetxattr(path.as_ptr(), name, std::ptr::null_mut(), 0) > 0 }
}

fn problem_of_file(path: &Path, metadata: &Metadata, owner: Option<&str>, writers: &Writers) -> Problem {
    let who = [
        owner.map(|owner| format!("user {owner}")),
        writers.group.then(|| format!("group {}", group(metadata.gid()))),
        writers.listed.then(|| "whoever its access list names".to_owned()),
        writers.others.then(|| "everybody".to_owned()),
    ];
    let who: Vec<String> = who.into_iter().flatten().collect();
    let what = if metadata.is_symlink() { "replace this link" } else { "write it" };
    let message = format!(
        "{}: {} may {what}, and root would obey: owner {}, group {}, mode {:04o}",
        path.display(),
        who.join(" and "),
        user(metadata.uid()),
        group(metadata.gid()),
        metadata.mode() & 0o7777,
    );
    Problem::at(None, message).help(cure_of_file(path, metadata, owner.is_some(), writers))
}

/// The commands after which root alone may write it.
fn cure_of_file(path: &Path, metadata: &Metadata, owner: bool, writers: &Writers) -> String {
    let path = quoted(path);
    let chown = if metadata.is_symlink() { "chown -h root" } else { "chown root" };
    let chmod = match (writers.group, writers.others) {
        (true, true) => Some("chmod go-w"),
        (true, false) => Some("chmod g-w"),
        (false, true) => Some("chmod o-w"),
        (false, false) => None,
    };
    let commands = [owner.then_some(chown), writers.listed.then_some("setfacl -b"), chmod];
    let commands: Vec<String> =
        commands.into_iter().flatten().map(|command| format!("{command} {path}")).collect();
    commands.join("; ")
}

/// As a shell reads it.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "/._-+@:".contains(c);
    if text.chars().all(plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn user(number: u32) -> String {
    let known = User::from_uid(Uid::from_raw(number)).ok().flatten();
    known.map_or_else(|| number.to_string(), |user| user.name)
}

fn group(number: u32) -> String {
    let known = Group::from_gid(Gid::from_raw(number)).ok().flatten();
    known.map_or_else(|| number.to_string(), |group| group.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};

    fn found(trust: &Trust, path: &Path) -> Vec<(PathBuf, String)> {
        let mut inspection = Inspection::new(trust);
        inspection.file(path);
        let help = |problem: Problem| problem.help.unwrap_or_default();
        inspection.problems.into_iter().map(|(path, problem)| (path, help(problem))).collect()
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Directories of a test's own; the test is root's, and so is everything above.
    fn file() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a b.toml");
        fs::File::create(&path).unwrap();
        mode(&path, 0o644);
        (root, path)
    }

    #[test]
    fn the_cure_is_a_command() {
        let (root, path) = file();
        let trust = Trust::root_and(None);
        assert_eq!(found(&trust, &path), []);
        for (is, cure) in [(0o666, "chmod o-w"), (0o664, ""), (0o646, "chmod o-w"), (0o600, "")] {
            mode(&path, is);
            let expected =
                if cure.is_empty() { String::new() } else { format!("{cure} '{}'", path.display()) };
            let cures: String = found(&trust, &path).into_iter().map(|(_, cure)| cure).collect();
            assert_eq!(cures, expected, "{is:o}");
        }
        mode(&path, 0o666);
        chown(&path, Some(4711), Some(4712)).unwrap();
        let (at, cure) = found(&trust, &path).remove(0);
        assert_eq!(cure, format!("chown root '{0}'; chmod go-w '{0}'", at.display()));
        drop(root);
    }

    #[test]
    fn whoever_named_the_file_and_can_become_root_may_own_it() {
        let (_root, path) = file();
        chown(&path, Some(4711), None).unwrap();
        assert_eq!(found(&Trust::root_and(None), &path).len(), 1);
        assert_eq!(found(&Trust::root_and(Some(4712)), &path).len(), 1);
        assert_eq!(found(&Trust::root_and(Some(4711)), &path), []);
        assert_eq!(found(&Trust::everybody(), &path), []);
        mode(&path, 0o666);
        assert_eq!(found(&Trust::root_and(Some(4711)), &path).len(), 1);
    }

    #[test]
    fn links_are_followed_as_the_kernel_does() {
        let (root, path) = file();
        let at = |name: &str| root.path().join(name);
        fs::DirBuilder::new().recursive(true).create(at("x/y")).unwrap();
        symlink("../x/../a b.toml", at("x/one")).unwrap();
        symlink(at("x"), at("two")).unwrap();
        let trust = Trust::root_and(None);
        assert_eq!(found(&trust, &at("two/y/../one")), []);
        mode(&at("x"), 0o777);
        assert_eq!(found(&trust, &at("two/one"))[0].0, at("x"));
        mode(&at("x"), 0o1777);
        assert_eq!(found(&trust, &at("two/one")), []);
        // In a directory of everybody's, somebody's link is somebody's to change.
        lchown(at("x/one"), Some(4711), None).unwrap();
        let [(link, cure)] = &found(&trust, &at("two/one"))[..] else { panic!("one problem") };
        assert_eq!((link, cure), (&at("x/one"), &format!("chown -h root {}", at("x/one").display())));
        mode(&path, 0o666);
        assert_eq!(found(&trust, &at("two/one")).len(), 2);
        symlink("loop", at("loop")).unwrap();
        assert_eq!(found(&trust, &at("loop")), []);
    }
}
