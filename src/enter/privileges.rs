//! Becoming another user for good.

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, getresgid, getresuid, setfsgid, setfsuid, setgroups, setresgid, setresuid};

/// All by which the kernel knows a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) user: Uid,
    pub(super) group: Gid,
    pub(super) groups: Vec<Gid>,
}

/// Groups, user and no capabilities, and no way back. Root stays root, with what it has.
///
/// Inheritable and ambient capabilities go too. The bounding set stays, as with su(1) and sudo(8): it limits
/// what a set-user-id program could get, and the user's own sudo has to work inside as it does outside.
/// Until the exec the kernel holds this process undumpable (prctl(2), `PR_SET_DUMPABLE`), so the user cannot
/// attach to it while it still has our memory.
pub(super) fn drop_to(ids: &Ids) -> nix::Result<()> {
    setgroups(&ids.groups)?;
    setresgid(ids.group, ids.group, ids.group)?;
    setresuid(ids.user, ids.user, ids.user)?;
    if ids.user.is_root() {
        return Ok(());
    }
    hide_memory()?;
    clear_capabilities()?;
    verify(ids)
}

/// Until the exec nobody can attach to this process or make it dump core. The kernel sees to that by itself, unless
/// `fs.suid_dumpable` is 1 (proc_sys_fs(5)).
pub(super) fn hide_memory() -> nix::Result<()> {
    nix::sys::prctl::set_dumpable(false)
}

/// From now on no exec gives privileges.
pub(super) fn no_new() -> nix::Result<()> {
    nix::sys::prctl::set_no_new_privs()
}

/// Whether no exec gives privileges.
pub(super) fn are_frozen() -> bool {
    nix::sys::prctl::get_no_new_privs().unwrap_or(false)
}

/// The arguments of capset(2), version 3: two words for each set.
#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3` in linux/capability.h.
const VERSION: u32 = 0x2008_0522;

/// Changing the user does this too, unless a security bit (capabilities(7), `SECBIT_NO_SETUID_FIXUP`) that we
/// may have inherited keeps it from doing so.
fn clear_capabilities() -> nix::Result<()> {
    // SAFETY: no pointers. Clearing inheritable below would clear ambient as well; this says what is meant.
    let ambient = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    Errno::result(ambient)?;
    let header = Header { version: VERSION, pid: 0 };
    let none = [Sets::default(); 2];
    // SAFETY: both point to structures of the layout that this version has.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) }).map(drop)
}

/// What must hold is looked at, not believed.
fn verify(ids: &Ids) -> nix::Result<()> {
    let (user, group) = (getresuid()?, getresgid()?);
    let users = [user.real, user.effective, user.saved].into_iter().all(|id| id == ids.user);
    let groups = [group.real, group.effective, group.saved].into_iter().all(|id| id == ids.group);
    // These two return what was before, and change nothing when the number is no user's.
    let files =
        setfsuid(Uid::from_raw(u32::MAX)) == ids.user && setfsgid(Gid::from_raw(u32::MAX)) == ids.group;
    let mut sets = [Sets { effective: u32::MAX, ..Sets::default() }; 2];
    let header = Header { version: VERSION, pid: 0 };
    // SAFETY: as in clear_capabilities; this one writes into `sets`.
    Errno::result(unsafe { libc::syscall(libc::SYS_capget, &raw const header, sets.as_mut_ptr()) })?;
    let capable = sets.iter().any(|set| set.effective | set.permitted | set.inheritable != 0);
    if users && groups && files && !capable { Ok(()) } else { Err(Errno::EPERM) }
}
