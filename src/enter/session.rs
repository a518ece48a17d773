//! The variables that belong to a user's session. The variables of another user lead to things that are not this
//! user's.
//!
//! `su -`, `runuser -l` and `machinectl shell` begin with an empty environment. `-u` and `--me` keep the caller's, so
//! each of these is looked at: what is the user's own stays; else the user's own is given, where there is one; else it
//! is dropped. DISPLAY and WAYLAND_DISPLAY name a screen and stay: whose it is, XAUTHORITY says.

use nix::sys::stat::{SFlag, stat};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What a session is known by, and what it becomes for this user; nothing: it goes. As the user, whose rights they are
/// looked at with.
pub(super) fn variables(uid: u32, name: &str) -> [(&'static str, Option<OsString>); 4] {
    let own = |path: &Path, kind: SFlag| is_own(path, uid, kind);
    let given = |key: &str| std::env::var_os(key).filter(|value| !value.is_empty());
    let runtime = [given("XDG_RUNTIME_DIR").map(PathBuf::from), Some(format!("/run/user/{uid}").into())];
    let runtime = runtime.into_iter().flatten().find(|dir| own(dir, SFlag::S_IFDIR));
    let bus = given("DBUS_SESSION_BUS_ADDRESS")
        .filter(|address| socket_of(address).is_some_and(|path| own(path, SFlag::S_IFSOCK)))
        .or_else(|| {
            let socket = runtime.as_ref()?.join("bus");
            own(&socket, SFlag::S_IFSOCK).then(|| address_of(&socket))
        });
    let mail = Path::new("/var/mail").join(name);
    let mail = [given("MAIL").map(PathBuf::from), Some(mail)].into_iter().flatten();
    let cookie = given("XAUTHORITY").filter(|path| own(Path::new(path), SFlag::S_IFREG));
    [
        ("XDG_RUNTIME_DIR", runtime.map(OsString::from)),
        ("DBUS_SESSION_BUS_ADDRESS", bus),
        ("MAIL", mail.into_iter().find(|path| own(path, SFlag::S_IFREG)).map(OsString::from)),
        ("XAUTHORITY", cookie),
    ]
}

fn is_own(path: &Path, uid: u32, kind: SFlag) -> bool {
    stat(path).is_ok_and(|found| found.st_uid == uid && found.st_mode & SFlag::S_IFMT.bits() == kind.bits())
}

/// The socket of a bus's address (`unix:path=PATH,guid=…`). One without a path (abstract) belongs to a network
/// namespace and is not within reach inside.
fn socket_of(address: &OsStr) -> Option<&Path> {
    let path = address.as_bytes().strip_prefix(b"unix:path=")?;
    path.split(|byte| *byte == b',').next().map(|path| Path::new(OsStr::from_bytes(path)))
}

fn address_of(socket: &Path) -> OsString {
    OsString::from_vec([b"unix:path=", socket.as_os_str().as_bytes()].concat())
}
