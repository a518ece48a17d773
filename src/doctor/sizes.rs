//! Which sizes of packets are tried where large ones are lost.
//!
//! A lost packet is known by its silence, so a search by halves would wait for each. Two rounds are enough: sizes that tunnels
//! and lines have, all at once; then each size between the largest one that was answered and the next.

use std::collections::BTreeSet;

/// Sizes that lines and tunnels leave: PPPoE, IP in IP, GRE, VXLAN, WireGuard, OpenVPN, IPsec, these in each other, what IPv6
/// asks for, and what IPv4 is sure of. Two neighbours are no further apart than what one round may take, down to 1280.
const USUAL: [u32; 26] = [
    576, 768, 1024, 1280, 1300, 1320, 1340, 1360, 1372, 1380, 1392, 1400, 1412, 1420, 1428, 1436, 1442, 1450,
    1460, 1464, 1472, 1476, 1480, 1488, 1492, 1496,
];

/// How many sizes the second round tries at most.
const MOST: u32 = 32;

/// What IPv6 takes for granted (RFC 8200, section 5).
const LEAST6: u32 = 1280;

/// The sizes of the first round, where a packet of `size` bytes is lost.
pub fn usual_sizes(size: u32, six: bool) -> Vec<u32> {
    let least = if six { LEAST6 } else { 0 };
    USUAL.into_iter().filter(|usual| (least..size).contains(usual)).collect()
}

/// The sizes of the second round: those between the largest one that was answered and the next one that was not.
pub fn sizes_between(tried: &[u32], size: u32, answered: &BTreeSet<u32>) -> Vec<u32> {
    let Some(passes) = answered.last().copied() else { return Vec::new() };
    let next = tried.iter().copied().find(|tried| *tried > passes).unwrap_or(size);
    let step = next.saturating_sub(passes).div_ceil(MOST).max(1);
    (passes + 1..next).step_by(usize::try_from(step).unwrap_or(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rounds in a network through which packets of so many bytes get.
    fn found(limit: u32, size: u32, six: bool) -> Option<u32> {
        let pass =
            |sizes: &[u32]| sizes.iter().copied().filter(|size| *size <= limit).collect::<BTreeSet<_>>();
        let tried = usual_sizes(size, six);
        let answered = pass(&tried);
        let more = pass(&sizes_between(&tried, size, &answered));
        answered.union(&more).max().copied()
    }

    #[test]
    fn the_largest_size_that_passes_is_found() {
        for limit in 1280..1500 {
            assert_eq!(found(limit, 1500, false), Some(limit));
            assert_eq!(found(limit, 1500, true), Some(limit));
        }
        assert_eq!(found(1279, 1500, true), None);
        assert_eq!(found(575, 1500, false), None);
        // Where sizes are far apart, one that passes is.
        for limit in 576..9000 {
            assert!(found(limit, 9000, false).is_some_and(|found| found <= limit && limit < found + 256));
        }
    }
}
