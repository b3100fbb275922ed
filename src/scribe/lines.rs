//! Where lines end, and what they look like in a log. Bytes in, bytes out; no file.

use crate::sys::scribe_io::{find, find_last};

/// The longest line, without its end; what is longer is split.
pub(crate) const LINE_BYTES_MAX: usize = 64 * 1024;
/// Most bytes read at once. Not above [`LINE_BYTES_MAX`]: so only the first line of a batch, which began in an
/// earlier one, can be too long.
pub(crate) const READ_BYTES: usize = 64 * 1024;

/// How many bytes at the front of `bytes` are ready to be written: whole lines, or pieces of a line that is too
/// long. The rest, at most [`LINE_BYTES_MAX`], waits for its end. No line ends in the first `old` bytes.
pub(crate) fn ready(bytes: &[u8], old: usize) -> usize {
    let fresh = bytes.get(old..).unwrap_or_default();
    let whole = find_last(b'\n', fresh).map_or(0, |end| old.saturating_add(end).saturating_add(1));
    let rest = bytes.len().saturating_sub(whole);
    let pieces = rest.saturating_sub(1) / LINE_BYTES_MAX;
    whole.saturating_add(pieces.saturating_mul(LINE_BYTES_MAX))
}

/// Whether ready bytes can be written as they are: no line is too long, the last one ends.
pub(crate) fn is_plain(ready: &[u8]) -> bool {
    ready.last() == Some(&b'\n') && find(b'\n', ready).is_some_and(|end| end <= LINE_BYTES_MAX)
}

/// Number of lines in bytes that end with one.
pub(crate) fn count(mut bytes: &[u8]) -> u64 {
    let mut lines = 0_u64;
    while let Some((_, rest)) = split_line(bytes) {
        lines = lines.saturating_add(1);
        bytes = rest;
    }
    lines
}

/// Gives `sink` the ready bytes in portions of whole lines, each line behind `stamp` and none too long. The
/// portions are made in `out`.
pub(crate) fn compose(mut ready: &[u8], stamp: &[u8], out: &mut Vec<u8>, mut sink: impl FnMut(&[u8])) {
    out.clear();
    out.reserve(LINE_BYTES_MAX.saturating_add(stamp.len()).saturating_add(1));
    while let Some((mut line, rest)) = split_line(ready) {
        ready = rest;
        loop {
            let (piece, more) = line.split_at_checked(LINE_BYTES_MAX).unwrap_or((line, &[]));
            let needed = stamp.len().saturating_add(piece.len()).saturating_add(1);
            if out.len().saturating_add(needed) > out.capacity() {
                sink(out);
                out.clear();
            }
            out.extend_from_slice(stamp);
            out.extend_from_slice(piece);
            out.push(b'\n');
            line = more;
            if line.is_empty() {
                break;
            }
        }
    }
    if !out.is_empty() {
        sink(out);
    }
}

/// The first line without its end, and what follows it; `None` when there is nothing.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = find(b'\n', bytes).unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at_checked(end)?;
    if bytes.is_empty() { None } else { Some((line, rest.get(1..).unwrap_or_default())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All portions, one after the other.
    fn composed(ready: &[u8], stamp: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        let mut out = Vec::new();
        compose(ready, stamp, &mut out, |portion| {
            assert_eq!(portion.last(), Some(&b'\n'));
            all.extend_from_slice(portion);
        });
        all
    }

    #[test]
    fn a_line_is_ready_once_it_ends() {
        assert_eq!(ready(b"one\ntwo\nthr", 0), 8);
        assert_eq!(ready(b"half", 2), 0);
        assert_eq!(ready(b"half\n", 4), 5);
        assert_eq!(ready(b"", 0), 0);
    }

    #[test]
    fn a_line_without_end_is_split_and_the_rest_is_bounded() {
        for (length, expected) in [(65536, 0), (65537, 65536), (131_072, 65536)] {
            let bytes = vec![b'x'; length];
            assert_eq!(ready(&bytes, 0), expected);
            assert!(bytes.len() - expected <= LINE_BYTES_MAX);
        }
        let mut bytes = vec![b'x'; 70_000];
        bytes.extend_from_slice(b"\nend\n");
        assert!(!is_plain(&bytes));
        let lines = composed(&bytes, b"");
        let lengths: Vec<usize> = lines.split(|byte| *byte == b'\n').map(<[u8]>::len).collect();
        assert_eq!(lengths, [65536, 4464, 3, 0]);
    }

    #[test]
    fn every_line_gets_its_stamp_and_keeps_its_bytes() {
        assert_eq!(composed(b"a\n\n\x00\x1b[31m\xff\n", b"T "), b"T a\nT \nT \x00\x1b[31m\xff\n");
        let many = b"y\n".repeat(32_768);
        let all = composed(&many, b"2026-11-21T11:37:04.123456Z ");
        assert_eq!(count(&all), 32_768);
        assert!(all.split(|byte| *byte == b'\n').all(|line| line.is_empty() || line.ends_with(b"Z y")));
    }
}
