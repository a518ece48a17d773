//! Becoming another user for good.

use super::user::Account;
use nix::errno::Errno;
use nix::unistd::{getresgid, getresuid, setgroups, setresgid, setresuid};

/// Groups, user and capabilities of the account, and no way back. Root stays root, with what it has.
///
/// Inheritable and ambient capabilities go too. The bounding set stays, as with su(1) and sudo(8): it limits
/// what a set-user-id program could get, and the user's own sudo has to work inside as it does outside.
/// Until the exec the kernel holds this process undumpable (prctl(2), `PR_SET_DUMPABLE`), so the user cannot
/// attach to it while it still has our memory.
pub(super) fn become_user(account: &Account) -> nix::Result<()> {
    setgroups(&account.groups)?;
    setresgid(account.gid, account.gid, account.gid)?;
    setresuid(account.uid, account.uid, account.uid)?;
    if account.uid.is_root() {
        return Ok(());
    }
    clear_capabilities()?;
    verify(account)
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
fn verify(account: &Account) -> nix::Result<()> {
    let (user, group) = (getresuid()?, getresgid()?);
    let users = [user.real, user.effective, user.saved].into_iter().all(|id| id == account.uid);
    let groups = [group.real, group.effective, group.saved].into_iter().all(|id| id == account.gid);
    let mut sets = [Sets { effective: u32::MAX, ..Sets::default() }; 2];
    let header = Header { version: VERSION, pid: 0 };
    // SAFETY: as in clear_capabilities; this one writes into `sets`.
    Errno::result(unsafe { libc::syscall(libc::SYS_capget, &raw const header, sets.as_mut_ptr()) })?;
    let capable = sets.iter().any(|set| set.effective | set.permitted | set.inheritable != 0);
    if users && groups && !capable { Ok(()) } else { Err(Errno::EPERM) }
}
