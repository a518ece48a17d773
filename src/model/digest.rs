//! Short names for long texts.

/// FNV-1a, 64 bits: only to notice a difference, not against an adversary (who is root here and could change anything
/// anyway).
pub fn digest(text: impl AsRef<[u8]>) -> String {
    let step = |h: u64, byte: u8| (h ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:016x}", text.as_ref().iter().copied().fold(0xcbf2_9ce4_8422_2325, step))
}
