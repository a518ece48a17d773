//! What tells a network namespace from all others.

use std::os::fd::AsRawFd;

/// The number of the namespace that a socket is in, which no other namespace ever gets (socket(7) does not have it:
/// `SO_NETNS_COOKIE` in include/uapi/asm-generic/socket.h); none before Linux 5.14.
pub fn cookie(socket: &impl AsRawFd) -> Option<u64> {
    let mut cookie = 0_u64;
    let mut length = libc::socklen_t::try_from(size_of::<u64>()).ok()?;
    // SAFETY: the kernel writes at most `length` bytes into `cookie`.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    (done == 0).then_some(cookie)
}
