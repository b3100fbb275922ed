//! A hash that is the same in every build and every run: for names of tools and of files. Keeps no secret.

/// Where FNV-1a starts.
const START: u64 = 0xcbf2_9ce4_8422_2325;

/// What it multiplies by.
const PRIME: u64 = 0x0100_0000_01b3;

/// FNV-1a of some bytes.
pub(crate) fn of(bytes: &[u8]) -> u64 {
    more(START, bytes)
}

/// FNV-1a, continued.
pub(crate) fn more(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// Likewise of eight bytes at a time, for texts of megabytes: to tell two of them apart, never as a name.
pub(crate) fn quick(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let step =
        |hash: u64, word: &[u8; 8]| (hash ^ u64::from_le_bytes(*word)).wrapping_mul(PRIME).rotate_left(23);
    more(words.iter().fold(START, step), rest)
}
