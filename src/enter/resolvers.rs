//! Hiding the sockets through which names would be resolved outside of the namespace.
//!
//! A socket in the file system is reached from every network namespace. Behind these, a daemon of the host asks
//! the host's servers by the host's way out:
//!
//! | who asks | socket | hidden by |
//! |---|---|---|
//! | glibc, musl | `/run/nscd/socket` | an empty directory over `/run/nscd` |
//! | nss-resolve (varlink) | `/run/systemd/resolve/io.systemd.Resolve*` | a directory with links to the other files |
//! | nss-mdns | `/run/avahi-daemon/socket` | an empty directory over `/run/avahi-daemon` |
//! | `resolvectl`, nss-resolve before systemd 247, Avahi clients | the system bus | an empty directory over `/run/dbus` |
//!
//! The bus is hidden only where one of the two daemons that resolve names on it runs; a filter for single bus
//! names would be a process that stays. A client gets `ENOENT` at once and goes on to DNS.
//!
//! Directories are covered, not sockets: a daemon that restarts unlinks its socket and makes a new one, and a
//! mount on a file that is unlinked elsewhere is gone, silently, in the middle of a job. Directories stay: they
//! are made by tmpfiles, or preserved (`RuntimeDirectoryPreserve=` of systemd-resolved). The same holds for a
//! resolv.conf of the namespace's own: it is bound over a file that only this view has.

use super::mount::{bind, tmpfs, uncover};
use crate::error::{Context, Result};
use crate::kernel::files::RUN;
use crate::ui::tell;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::mount::MsFlags;
use nix::sys::stat::{Mode, SFlag, mkdirat, stat};
use nix::unistd::symlinkat;
use std::fs::{File, Permissions};
use std::io::Write;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const NSCD: [&str; 2] = ["/run/nscd", "/var/run/nscd"];
const AVAHI: [&str; 2] = ["/run/avahi-daemon", "/var/run/avahi-daemon"];
const BUS: [&str; 2] = ["/run/dbus", "/var/run/dbus"];
const CONF: &str = "/etc/resolv.conf";
const RESOLVED: &str = "/run/systemd/resolve";

/// The sockets in these directories that answer names; on the bus somebody may.
const SOCKETS: [&str; 3] =
    ["/run/nscd/socket", "/run/systemd/resolve/io.systemd.Resolve", "/run/avahi-daemon/socket"];
const BUS_SOCKET: &str = "/run/dbus/system_bus_socket";

/// The files in [`RESOLVED`] that `/etc/resolv.conf` may lead to.
const RESOLV_CONFS: [&str; 2] = ["resolv.conf", "stub-resolv.conf"];

/// Hides the sockets that exist. `own_conf`: the namespace's own resolv.conf will be bound over `/etc/resolv.conf`.
pub(super) fn hide_resolvers(own_conf: bool) -> Result<()> {
    let resolved = is_directory(RESOLVED);
    let on_bus = resolves_on_bus();
    let bus = BUS.into_iter().filter(|_| on_bus);
    let mut empty = None;
    for dir in NSCD.into_iter().chain(AVAHI).chain(bus).filter(|dir| is_directory(dir)) {
        cover(Path::new(dir), &mut empty).what(|| format!("hide {dir}"))?;
    }
    if resolved {
        hide_resolved(own_conf).what(|| format!("hide the sockets in {RESOLVED}"))?;
    }
    Ok(())
}

/// The sockets of this host by which names are resolved.
pub(super) fn sockets() -> Vec<&'static str> {
    let bus = resolves_on_bus().then_some(BUS_SOCKET);
    SOCKETS.into_iter().chain(bus).filter(|socket| Path::new(socket).exists()).collect()
}

/// Whether a daemon that resolves names is on the bus.
fn resolves_on_bus() -> bool {
    is_directory(RESOLVED) || AVAHI.into_iter().any(is_directory)
}

fn is_directory(path: &str) -> bool {
    stat(path).is_ok_and(|found| found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits())
}

/// The first directory gets an empty file system, all others the same one. `/var/run` mostly leads to `/run`:
/// what is covered already has the empty one's device.
fn cover(dir: &Path, empty: &mut Option<(PathBuf, u64)>) -> nix::Result<()> {
    match empty {
        Some((_, device)) if stat(dir)?.st_dev == *device => Ok(()),
        Some((first, _)) => bind(first, dir, MsFlags::empty()),
        None => {
            tmpfs(dir, MsFlags::MS_RDONLY | MsFlags::MS_NOEXEC, "mode=0755,size=4k")?;
            *empty = Some((dir.to_path_buf(), stat(dir)?.st_dev));
            Ok(())
        }
    }
}

/// Only the resolv.conf files stay visible, by links into the real directory, so that they are always those of
/// now: systemd-resolved replaces them when the network changes. Who looks into `.host` finds the sockets, too: links
/// lead where everybody may go.
fn hide_resolved(own_conf: bool) -> nix::Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let real = open(RESOLVED, flags, Mode::empty())?;
    tmpfs(Path::new(RESOLVED), MsFlags::MS_NOEXEC, "mode=0755,size=64k")?;
    let cover = open(RESOLVED, flags, Mode::empty())?;
    mkdirat(&cover, ".host", Mode::S_IRWXU)?;
    bind(&path_of(&real), &Path::new(RESOLVED).join(".host"), MsFlags::empty())?;
    let covered = std::fs::read_link(CONF).ok().filter(|_| own_conf);
    for name in RESOLV_CONFS {
        if covered.as_ref().is_some_and(|path| path.ends_with(Path::new("systemd/resolve").join(name))) {
            openat(&cover, name, OFlag::O_CREAT | OFlag::O_CLOEXEC, Mode::S_IRUSR)?;
        } else {
            symlinkat(Path::new(".host").join(name).as_path(), &cover, name)?;
        }
    }
    Ok(())
}

/// A resolv.conf with these servers and everything else (`search`, `options`) as the host's has it.
pub(super) fn conf(servers: &[IpAddr]) -> String {
    let host = std::fs::read_to_string(CONF).unwrap_or_default();
    let rest = host.lines().filter(|line| !line.trim_start().starts_with("nameserver")).map(str::to_owned);
    let lines = servers.iter().map(|server| format!("nameserver {server}")).chain(rest);
    lines.map(|line| line + "\n").collect()
}

/// Makes it appear as the host's. Where the host has none, there is no place to show it.
///
/// The file is made in a file system that only this view has, and of which only the file is left in the end: whoever
/// is killed or starved here leaves nothing. What it is mounted over for that moment does not matter, but that it is
/// always there.
pub(super) fn show(conf: &str) -> Result<()> {
    let what = || format!("an own {CONF}");
    tmpfs(Path::new(RUN), MsFlags::MS_NOEXEC, "mode=0755,size=1m").what(what)?;
    let path = Path::new(RUN).join("resolv.conf");
    let mut file = File::create(&path).what(what)?;
    file.write_all(conf.as_bytes()).what(what)?;
    // Whatever the caller's umask says: any user's program reads it.
    file.set_permissions(Permissions::from_mode(0o644)).what(what)?;
    let shown = bind(&path, Path::new(CONF), MsFlags::empty());
    uncover(Path::new(RUN)).what(what)?;
    match shown {
        Err(Errno::ENOENT) => {
            tell(format_args!("nsnat: {CONF}: is not on this host, so the namespace's own is not shown"));
        }
        shown => shown.what(what)?,
    }
    Ok(())
}

fn path_of(dir: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()))
}
