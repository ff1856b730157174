//! Numbers in bytes, little-endian where it is not said. Behind the end of the bytes all are 0.

/// The 8 bits at `at`.
pub(super) fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// The 16 bits at `at`.
pub(super) fn half(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |half| u16::from_le_bytes(*half))
}

/// The 32 bits at `at`.
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word))
}

/// 32 bits at `low`, and above them the `half` of another place.
pub(super) fn wide(bytes: &[u8], low: usize, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(word(bytes, low))
}

/// The 16 bits at `at`, big-endian.
pub(super) fn big_half(bytes: &[u8], at: usize) -> u16 {
    half(bytes, at).swap_bytes()
}

/// The 32 bits at `at`, big-endian.
pub(super) fn big_word(bytes: &[u8], at: usize) -> u32 {
    word(bytes, at).swap_bytes()
}
