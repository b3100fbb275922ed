//! Lines of bounded length from a stream of bytes, whatever stands in them.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Longest line: a message larger than this is not passed on.
pub(super) const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How much of the end of a line that is too long is kept.
const TAIL_BYTES: usize = 64;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// All of it.
    Whole(Bytes),
    /// The beginning and the end of one that is too long.
    TooLong(Bytes, Bytes),
}

/// Reads them.
#[derive(Debug)]
pub(super) struct Lines<R> {
    /// Where they come from.
    reader: BufReader<R>,
    /// The line so far.
    line: Vec<u8>,
    /// Its end, once it is too long.
    tail: Vec<u8>,
    /// The bound.
    longest: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// The lines of a reader.
    pub(super) fn new(reader: R) -> Self {
        Self { reader: BufReader::new(reader), line: Vec::new(), tail: Vec::new(), longest: LINE_BYTES_MAX }
    }

    /// The next line; `None` at the end. What comes before an end without a line break is no line. Dropped while
    /// it waits, nothing is lost.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let bytes = self.reader.fill_buf().await?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(bytes.len(), |end| end + 1);
            if self.line.len() <= self.longest {
                self.line.extend(bytes.iter().take(taken));
            } else {
                self.tail.extend(bytes.iter().take(taken).skip(taken.saturating_sub(TAIL_BYTES)));
                let surplus = self.tail.len().saturating_sub(TAIL_BYTES);
                self.tail.drain(..surplus);
            }
            self.reader.consume(taken);
            if end.is_some() {
                let line = std::mem::take(&mut self.line);
                let tail = std::mem::take(&mut self.tail);
                if line.len() <= self.longest + 1 && tail.is_empty() {
                    return Ok(Some(Line::Whole(line.into())));
                }
                let head = Bytes::copy_from_slice(line.get(..TAIL_BYTES).unwrap_or_default());
                return Ok(Some(Line::TooLong(head, tail.into())));
            }
        }
    }
}

/// The id of an answer that is too long to be read, if one of its ends tells it beyond doubt: the end of a
/// message is the end of its outermost object.
pub(super) fn id_of(head: &[u8], tail: &[u8]) -> Option<u64> {
    let head = String::from_utf8_lossy(head).replace(' ', "");
    let tail = String::from_utf8_lossy(tail).trim_end().replace(' ', "");
    let rest = head.strip_prefix("{\"jsonrpc\":\"2.0\",").or_else(|| head.strip_prefix('{'))?;
    let is_answer = |rest: &str| rest.starts_with("\"result\":") || rest.starts_with("\"error\":");
    if let Some((digits, rest)) = rest.strip_prefix("\"id\":").and_then(|rest| rest.split_once(',')) {
        return digits.parse().ok().filter(|_| is_answer(rest));
    }
    let end = tail.strip_suffix(",\"jsonrpc\":\"2.0\"}").or_else(|| tail.strip_suffix('}'))?;
    end.rsplit_once(",\"id\":").and_then(|(_, digits)| digits.parse().ok()).filter(|_| is_answer(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn lines_are_whole_or_too_long() {
        let text = format!("a\n\n{}\nb\nrest", "x".repeat(100_000));
        let mut lines = Lines { longest: 1000, ..Lines::new(text.as_bytes()) };
        assert_eq!(lines.next().await.unwrap(), Some(Line::Whole("a\n".into())));
        assert_eq!(lines.next().await.unwrap(), Some(Line::Whole("\n".into())));
        let Some(Line::TooLong(head, tail)) = lines.next().await.unwrap() else { panic!() };
        assert!(head.iter().all(|&byte| byte == b'x') && tail.ends_with(b"x\n"));
        assert_eq!(lines.next().await.unwrap(), Some(Line::Whole("b\n".into())));
        assert_eq!(lines.next().await.unwrap(), None);
    }

    #[test]
    fn an_id_is_found_at_either_end_or_not_guessed() {
        assert_eq!(id_of(br#"{"jsonrpc":"2.0","id":7,"result":{"#, b""), Some(7));
        assert_eq!(id_of(br#"{"jsonrpc":"2.0","id":7,"method":"x"#, br"}}"), None);
        assert_eq!(id_of(br#"{"result":{"content":[{"#, br#"x"}]},"jsonrpc":"2.0","id":12}"#), Some(12));
        assert_eq!(id_of(br#"{"result":{"#, br#"x"}]},"id":12,"jsonrpc":"2.0"}"#), Some(12));
        assert_eq!(id_of(br#"{"result":{"#, br#"x","id":12}]}}"#), None);
        assert_eq!(id_of(br#"{"method":"x","params":{"#, br#"x"}]},"id":12}"#), None);
        assert_eq!(id_of(br#"{"result":{"#, br#"x"}]},"id":"12"}"#), None);
    }
}
