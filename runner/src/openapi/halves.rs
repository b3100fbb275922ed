//! A long text of JSON taken apart by two threads: the second begins behind a comma at the end of a line in the
//! middle, which is no place within a string, and learns what it is in from what follows. Whatever is unclear is left
//! to one thread alone.

use std::thread;

use super::cell::Scanned;
use super::scan::{DEPTH_MAX, Scanner, skip};

/// Shortest text that is worth two threads.
const TEXT_BYTES_MIN: usize = 1 << 20;
/// How far behind the middle a place is looked for.
const PLACE_BYTES_MAX: usize = 64 << 10;
/// Deepest nest that the middle may be in.
const OUTER_MAX: usize = 32;

/// A list or an object that began in the first half.
struct Outer {
    /// Which of the two it is.
    is_object: bool,
    /// Hashes of those of its names that are in the second half, each with where it is.
    names: Vec<(u64, usize)>,
    /// Where it ends among the cells.
    end: usize,
}

/// Takes a text apart; `None` where that is not clear, or not worth it.
pub(super) fn in_halves(text: &[u8]) -> Option<Scanned> {
    let place = Some(text.len() / 2).filter(|_| text.len() >= TEXT_BYTES_MIN)?;
    let near = text.get(place..place + PLACE_BYTES_MAX)?;
    let place = place + near.windows(2).position(|pair| pair == b",\n")? + 2;
    let mut first = Scanner::new(text.get(..place)?);
    let mut second = Scanner::new(text);
    second.depth_max = DEPTH_MAX - OUTER_MAX;
    let (begun, outers) = thread::scope(|scope| {
        let outers = thread::Builder::new().spawn_scoped(scope, || second.rest(place)).ok()?;
        let (at, byte) = skip(first.text, 0);
        let begun = first.value(at, byte);
        let outers = outers.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Some((begun?, outers?))
    })?;
    let fits = begun == place && first.nest.len() == outers.len() && outers.len() <= OUTER_MAX;
    let is_clear = fits && second.done.beyond.is_empty();
    if is_clear { first.joined(second.done, outers) } else { None }
}

impl Scanner<'_> {
    /// What is behind a comma, to the end of the text; and what ends there that did not begin there, innermost first.
    fn rest(&mut self, mut at: usize) -> Option<Vec<Outer>> {
        let mut outers = Vec::new();
        let mut known = None;
        loop {
            let (mut start, mut byte) = skip(self.text, at);
            let is_object = match known {
                Some(is_object) => is_object,
                None => byte == b'"' && self.is_name(start + 1)?,
            };
            known = Some(is_object);
            if is_object {
                (start, byte) = self.name(start, byte)?;
            }
            at = self.value(start, byte)?;
            loop {
                let (end, byte) = skip(self.text, at);
                at = end + 1;
                match (byte, known) {
                    (b',', _) => break,
                    (b'}', None | Some(true)) | (b']', None | Some(false)) => {
                        let (names, end) = (std::mem::take(&mut self.hashes), self.done.cells.len());
                        outers.push(Outer { is_object: byte == b'}', names, end });
                        known = None;
                    }
                    (_, None) if end == self.text.len() => return Some(outers),
                    _ => return None,
                }
            }
        }
    }

    /// Whether the string that begins behind a quote is the name of a member.
    fn is_name(&mut self, at: usize) -> Option<bool> {
        let (end, _) = self.string(at)?;
        Some(skip(self.text, end + 1).1 == b':')
    }

    /// The first half with the second.
    fn joined(mut self, second: Scanned, outers: Vec<Outer>) -> Option<Scanned> {
        let done = &mut self.done;
        let (cells, large, escaped) = (done.cells.len(), done.large.len(), done.escaped.len());
        done.cells.reserve(second.cells.len());
        for cell in &second.cells {
            done.cells.push(cell.moved(cells, large, escaped)?);
        }
        done.escaped.extend(second.escaped);
        done.leads_out |= second.leads_out;
        let moved = |(hash, at): &(u64, usize)| (*hash, at + cells);
        done.large.extend(second.large.iter().map(|names| names.iter().map(moved).collect()));
        for outer in outers {
            let open = self.nest.pop().filter(|open| open.names.is_some() == outer.is_object)?;
            self.hashes.extend(outer.names.iter().map(moved));
            self.close(open, cells + outer.end)?;
        }
        Some(self.done)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::openapi::resolve::Look;
    use crate::openapi::{Node, Tree};

    /// A text whose middle is in a nest of lists and objects.
    fn long(inner: usize) -> Value {
        let many = |what: &str| {
            let all =
                (0..inner).map(|number| (format!("{what} {number}"), json!({"\"": [number, {}, "x\n"]})));
            Value::Object(all.collect::<Map<_, _>>())
        };
        json!({"a": many("a"), "b": [1, {"c": [many("b"), [[many("c")], []]], "d": true}, many("d")], "e": {}})
    }

    #[test]
    fn two_threads_find_what_one_does() {
        let whole = long(6_000);
        let text = serde_json::to_string_pretty(&whole).unwrap();
        assert!(in_halves(text.as_bytes()).is_some_and(|scanned| scanned.cells.len() > 100_000));
        let tree = Tree::parse(text.clone()).unwrap();
        assert!(tree.root().value() == whole);
        for pointer in
            ["/a/a 5999/\"/0", "/b/1/c/0/b 17", "/b/1/c/1/0/0/c 5/\"/2", "/b/2/d 3000", "/b/1/d", "/b/3"]
        {
            assert_eq!(tree.root().find(pointer).map(Node::value).as_ref(), whole.pointer(pointer));
        }
        // What ends too early, too late or otherwise is no JSON, whoever looks.
        for broken in [
            text.trim_end_matches('}').to_owned(),
            format!("{text}]"),
            format!("{text},"),
            format!("{}]", text.strip_suffix('}').unwrap()),
            text.replace("\"d\": true", "true"),
        ] {
            assert!(Tree::parse(broken).is_err());
        }
        for unclear in [whole.to_string(), text.replace("a 1\"", "a 0\"")] {
            assert!(in_halves(unclear.as_bytes()).is_none());
        }
    }
}
