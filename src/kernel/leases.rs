//! For how long addresses are still valid, and which ones the kernel found to be another machine's: what it tells of an
//! address beside the address (`struct ifa_cacheinfo` and IFA_F_* in include/uapi/linux/if_addr.h).

use super::netlink_socket::NetlinkSocket;
use crate::attributes::{address, find, native};
use crate::error::Result;
use crate::model::{Lease, Observed};
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// RTM_GETADDR, and `struct ifaddrmsg`, which its messages begin with (include/uapi/linux/rtnetlink.h).
const GET_ADDRESS: u16 = 22;
const HEADER: usize = 8;
// Attributes.
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const CACHE: u16 = 6;
const FLAGS: u16 = 8;
/// Another machine answered when the kernel asked whether the address is taken (RFC 4862).
const DAD_FAILED: u32 = 0x08;
/// It is valid for ever.
const FOR_EVER: u32 = u32::MAX;

/// Addresses of the host that are valid for some time only, or are another machine's.
pub(super) fn leases(observed: &Observed) -> Result<Vec<Lease>> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    let device = |index: u32| {
        observed.host.links.iter().find(|link| link.index == index).map(|link| link.name.clone())
    };
    let rows =
        NetlinkSocket::for_dumps()?.dump_as(GET_ADDRESS, &[0; HEADER], |_, row| read(row, now, &device))?;
    Ok(rows.unwrap_or_default())
}

fn read(row: &[u8], now: Duration, device: &dyn Fn(u32) -> Option<String>) -> Option<Lease> {
    let (header, attributes) = row.split_first_chunk::<HEADER>()?;
    let dev = device(native(header.get(4..)?)?)?;
    let own = find(attributes, LOCAL).or_else(|| find(attributes, ADDRESS))?;
    let taken = find(attributes, FLAGS).and_then(native).unwrap_or_default() & DAD_FAILED != 0;
    let (given, left) = find(attributes, CACHE).and_then(|cache| lifetime(cache, now)).unzip();
    (taken || left.is_some()).then_some(Lease { dev, address: address(own)?, taken, given, left })
}

/// For how many seconds the address was valid when that was set last, and for how many it still is.
fn lifetime(cache: &[u8], now: Duration) -> Option<(u64, u64)> {
    let left = native(cache.get(4..)?).filter(|left| *left != FOR_EVER)?;
    // Hundredths of a second since the host started.
    let set = Duration::from_millis(u64::from(native(cache.get(12..)?)?) * 10);
    Some((u64::from(left) + now.saturating_sub(set).as_secs(), left.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes() {
        let cache = |left: u32, set: u32| [0, left, 0, set].map(u32::to_ne_bytes).concat();
        let now = Duration::from_secs(1000);
        assert_eq!(lifetime(&cache(60, 96_000), now), Some((100, 60)));
        assert_eq!(lifetime(&cache(FOR_EVER, 0), now), None);
        assert_eq!(lifetime(&cache(60, 0)[..12], now), None);
    }
}
