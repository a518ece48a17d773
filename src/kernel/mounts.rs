//! What is mounted in a file system, and in what is mounted there.
//!
//! Linux 6.8 lists it by one call. Before that, all mounts have to be read (proc_pid_mountinfo(5)), and each of nsnat's
//! namespaces is one: beside a thousand of them that takes two milliseconds.

use std::io;
use std::mem::size_of;

/// The paths of what is mounted in the file system that is mounted at `place`. Where that cannot be known, the paths of all
/// mounts.
pub(super) fn below(place: &str) -> Vec<String> {
    listed(place).unwrap_or_else(|_| all())
}

/// The paths of all mounts.
fn all() -> Vec<String> {
    /// The place of the path in a line.
    const MOUNT_POINT: usize = 4;
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    text.lines().filter_map(|line| line.split(' ').nth(MOUNT_POINT)).map(str::to_owned).collect()
}

/// statmount(2) and listmount(2) have these numbers on every architecture but alpha.
const STATMOUNT: libc::c_long = 457;
const LISTMOUNT: libc::c_long = 458;

/// `struct mnt_id_req` of its first version (linux/mount.h).
#[repr(C)]
struct Request {
    size: u32,
    spare: u32,
    /// Of which mount.
    mount: u64,
    /// What to tell of it (statmount), or after which mount to begin (listmount).
    parameter: u64,
}

impl Request {
    #[expect(clippy::cast_possible_truncation, reason = "24 bytes")]
    fn new(mount: u64, parameter: u64) -> Self {
        Self { size: size_of::<Self>() as u32, spare: 0, mount, parameter }
    }
}

/// The same by listmount(2).
fn listed(place: &str) -> io::Result<Vec<String>> {
    /// More than anybody mounts in one file system of the kernel's.
    const MOST: usize = 64;
    let mut mounts = [0u64; MOST];
    let request = Request::new(number_of(place)?, 0);
    // SAFETY: the request has the size that it says, and the kernel writes no more numbers than there is room for.
    let found = unsafe { libc::syscall(LISTMOUNT, &raw const request, mounts.as_mut_ptr(), MOST, 0) };
    let found = usize::try_from(found).map_err(|_| io::Error::last_os_error())?;
    if found == MOST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    mounts.iter().take(found).map(|mount| path_of(*mount)).collect()
}

/// The number of a mount, which no later one gets, by its path.
fn number_of(place: &str) -> io::Result<u64> {
    /// `STATX_MNT_ID_UNIQUE`.
    const UNIQUE: u32 = 0x4000;
    let path = std::ffi::CString::new(place)?;
    let mut found = std::mem::MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path ends with a zero, and there is room for the answer.
    let failed = unsafe { libc::statx(libc::AT_FDCWD, path.as_ptr(), 0, UNIQUE, found.as_mut_ptr()) };
    if failed != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeros are a valid answer, and the kernel wrote to it.
    let found = unsafe { found.assume_init() };
    if found.stx_mask & UNIQUE == 0 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(found.stx_mnt_id)
}

/// The path of a mount, by statmount(2).
fn path_of(mount: u64) -> io::Result<String> {
    /// `STATMOUNT_MNT_POINT`: the offset of its path is told.
    const MOUNT_POINT: u64 = 0x10;
    /// Where the offset stands in `struct statmount`, and where the texts begin.
    const OFFSET_AT: usize = 108;
    const TEXTS_AT: usize = 512;
    let mut answer = [0u8; 8192];
    let request = Request::new(mount, MOUNT_POINT);
    // SAFETY: the request has the size that it says, and the kernel writes no more than there is room for.
    let failed =
        unsafe { libc::syscall(STATMOUNT, &raw const request, answer.as_mut_ptr(), answer.len(), 0) };
    if failed != 0 {
        return Err(io::Error::last_os_error());
    }
    let offset = answer.get(OFFSET_AT..OFFSET_AT + 4).and_then(|bytes| bytes.try_into().ok());
    let start = TEXTS_AT.saturating_add(u32::from_ne_bytes(offset.unwrap_or_default()) as usize);
    let text = answer.get(start..).unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Both ways tell the same; and there are mounts to be told of.
    #[test]
    fn the_list_is_that_of_mountinfo() {
        assert!(!all().is_empty());
        for place in ["/", "/proc", "/sys", "/dev"] {
            let Ok(listed) = listed(place) else {
                // Linux before 6.8 has no such calls, and nothing else can fail.
                assert!(number_of(place).is_err() || path_of(number_of(place).unwrap()).is_err());
                continue;
            };
            assert_eq!(BTreeSet::from_iter(listed), below_by_mountinfo(place), "below {place}");
        }
    }

    /// Mounts whose parents lead to the one that is mounted last at `place`.
    fn below_by_mountinfo(place: &str) -> BTreeSet<String> {
        let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let fields = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let lines: Vec<_> = text.lines().map(fields).collect();
        let top = lines.iter().rev().find(|line| line[4] == place).map(|line| line[0].clone());
        let (mut numbers, mut out) = (BTreeSet::from_iter(top), BTreeSet::new());
        // A mount may stand before its parent in the list.
        for _ in 0..lines.len() {
            for line in lines.iter().filter(|line| numbers.contains(&line[1])).collect::<Vec<_>>() {
                numbers.insert(line[0].clone());
                out.insert(line[4].clone());
            }
        }
        out
    }
}
