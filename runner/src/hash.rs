//! A hash that is the same in every build and every run: for names of tools and of files. Keeps no secret.

/// Where FNV-1a starts.
const START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a of some bytes.
pub(crate) fn of(bytes: &[u8]) -> u64 {
    more(START, bytes)
}

/// FNV-1a, continued.
pub(crate) fn more(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
