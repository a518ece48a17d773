//! Looks users up, also users that the C library cannot see.
//!
//! nsnat is meant to be one static program, and a static C library reads `/etc/passwd` and `/etc/group` only.
//! Users from LDAP, sssd or systemd-homed are asked from getent(1), which is dynamic; but only when needed: not
//! for a user in the files, unless nsswitch.conf says that groups come from elsewhere too.

use super::privileges::Ids;
use super::request::RunAs;
use crate::error::{Context, Error, Result};
use crate::model;
use nix::unistd::{Gid, Group, Uid, User, getgrouplist, getuid};
use std::ffi::CString;
use std::path::PathBuf;

/// A user, as far as a process has to become it.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) ids: Ids,
    pub(super) home: PathBuf,
    pub(super) shell: PathBuf,
}

/// The user that is asked for; nothing when it is to stay the same.
pub(super) fn find(who: &RunAs) -> Result<Option<Account>> {
    let found = match who {
        RunAs::Same => return Ok(None),
        RunAs::User(user) => {
            by_name(user)?.ok_or_else(|| Error::new(format!("user {user}"), "does not exist"))?
        }
        RunAs::Me => caller()?,
    };
    account(found).map(Some)
}

/// What passwd(5) says, and whether the C library found it.
struct PasswdLookup {
    user: User,
    local: bool,
}

/// By name, else by number.
fn by_name(user: &str) -> Result<Option<PasswdLookup>> {
    let what = || format!("user {user}");
    if let Some(user) = User::from_name(user).what(what)? {
        return Ok(Some(PasswdLookup { user, local: true }));
    }
    let number = user.parse().ok().map(Uid::from_raw);
    if let Some(user) = number.map(User::from_uid).transpose().what(what)?.flatten() {
        return Ok(Some(PasswdLookup { user, local: true }));
    }
    let Some(line) = getent("passwd", user)? else { return Ok(None) };
    Ok(Some(PasswdLookup {
        user: passwd_line(&line).ok_or_else(|| Error::new(what(), "getent's answer makes no sense"))?,
        local: false,
    }))
}

/// The user behind sudo, doas or pkexec. They run us as root, and what they say about the user is trusted as
/// much as root's own environment: whoever can change it is root already.
fn caller() -> Result<PasswdLookup> {
    let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let keys = [var("SUDO_USER"), var("SUDO_UID"), var("DOAS_USER"), var("PKEXEC_UID")];
    let own = Some(getuid()).filter(|uid| !uid.is_root()).map(|uid| uid.to_string());
    let Some(key) = keys.into_iter().flatten().next().or(own) else {
        return Err(
            Error::new("--me", "nobody called nsnat by sudo, doas or pkexec").hint("-u USER names the user")
        );
    };
    let mut found =
        by_name(&key)?.ok_or_else(|| Error::new(format!("--me: user {key}"), "does not exist"))?;
    if let Some(uid) = var("SUDO_UID").filter(|uid| *uid != found.user.uid.to_string()) {
        let why = format!("SUDO_UID says {uid}, SUDO_USER is {}", found.user.uid);
        return Err(Error::new("--me", why).hint("-u USER names the user"));
    }
    // The group that the user had when calling sudo may be another of theirs (newgrp).
    if let Some(gid) = var("SUDO_GID").and_then(|gid| gid.parse().ok()) {
        found.user.gid = Gid::from_raw(gid);
    }
    Ok(found)
}

/// The number of a user or group; nothing when there is none.
pub fn number(account: &model::Account) -> Result<Option<u32>> {
    match account {
        model::Account::User(name) => Ok(by_name(name)?.map(|found| found.user.uid.as_raw())),
        model::Account::Group(name) => group(name),
    }
}

/// By name, else by number.
fn group(name: &str) -> Result<Option<u32>> {
    let what = || format!("group {name}");
    if let Some(group) = Group::from_name(name).what(what)? {
        return Ok(Some(group.gid.as_raw()));
    }
    let number = name.parse().ok().map(Gid::from_raw);
    if let Some(group) = number.map(Group::from_gid).transpose().what(what)?.flatten() {
        return Ok(Some(group.gid.as_raw()));
    }
    // `name:password:gid:members`
    let line = getent("group", name)?;
    Ok(line.and_then(|line| line.split(':').nth(2)?.parse().ok()))
}

fn account(found: PasswdLookup) -> Result<Account> {
    let PasswdLookup { user, local } = found;
    let what = || format!("groups of user {}", user.name);
    let mut groups = if local && groups_are_local() {
        let name = CString::new(user.name.as_str()).what(what)?;
        getgrouplist(&name, user.gid).what(what)?
    } else {
        let line = getent("initgroups", &user.name)?.unwrap_or_default();
        // The line starts with the name.
        line.split_whitespace().skip(1).filter_map(|gid| gid.parse().ok()).map(Gid::from_raw).collect()
    };
    if !groups.contains(&user.gid) {
        groups.push(user.gid);
    }
    let ids = Ids { user: user.uid, group: user.gid, groups };
    Ok(Account { name: user.name, ids, home: user.dir, shell: user.shell })
}

/// Whether the C library sees all groups of a user that it sees.
fn groups_are_local() -> bool {
    // A dynamic glibc asks whatever nsswitch.conf names by itself.
    if cfg!(not(target_env = "musl")) {
        return true;
    }
    let text = std::fs::read_to_string("/etc/nsswitch.conf").unwrap_or_default();
    only_files(&text)
}

/// `systemd` is for users that only systemd knows; for those in the files it adds nothing.
fn only_files(nsswitch: &str) -> bool {
    let lines =
        nsswitch.lines().filter_map(|line| line.split('#').next().unwrap_or_default().split_once(':'));
    let services =
        lines.filter(|(key, _)| matches!(key.trim(), "group" | "initgroups")).map(|(_, value)| value);
    services.flat_map(str::split_whitespace).all(|word| {
        word.starts_with('[') || word.ends_with(']') || matches!(word, "files" | "compat" | "systemd")
    })
}

/// The first line of what getent says about a key; nothing when it knows none, or is not there itself.
#[expect(
    clippy::disallowed_methods,
    reason = "what a static C library cannot look up, getent can; before entering"
)]
fn getent(database: &str, key: &str) -> Result<Option<String>> {
    if key.starts_with('-') || key.contains(['\n', '\0']) {
        return Ok(None);
    }
    let mut command = std::process::Command::new("getent");
    // Not the caller's PATH: this runs with the caller's privileges only by accident.
    command.args([database, key]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let output = match command.stdin(std::process::Stdio::null()).output() {
        Ok(output) => output,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(Error::new(format!("getent {database} {key}"), why)),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().filter(|_| output.status.success()).map(str::to_owned))
}

/// `name:password:uid:gid:gecos:home:shell`
fn passwd_line(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let passwd = CString::new(fields.next()?).ok()?;
    let uid = Uid::from_raw(fields.next()?.parse().ok()?);
    let gid = Gid::from_raw(fields.next()?.parse().ok()?);
    let gecos = CString::new(fields.next()?).ok()?;
    let dir = PathBuf::from(fields.next()?);
    let shell = PathBuf::from(fields.next()?);
    Some(User { name, passwd, uid, gid, gecos, dir, shell })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn getents_line_is_a_user() {
        let user = passwd_line("ann:*:70001:70000:Ann,,:/home/ann:/bin/zsh").unwrap();
        assert_eq!((user.name.as_str(), user.uid.as_raw(), user.gid.as_raw()), ("ann", 70001, 70000));
        assert_eq!((user.dir, user.shell), ("/home/ann".into(), "/bin/zsh".into()));
        for bad in ["", "ann", "ann:x:y:1::/:/", "ann:x:1:1:/home"] {
            assert!(passwd_line(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn groups_from_elsewhere_are_seen() {
        assert!(only_files("group: files systemd\npasswd: files sss\n"));
        assert!(only_files("# group: ldap\ngroup: compat [SUCCESS=merge] systemd"));
        assert!(!only_files("group: files sss"));
        assert!(!only_files("group: files\ninitgroups: files [SUCCESS=continue] ldap"));
    }
}
