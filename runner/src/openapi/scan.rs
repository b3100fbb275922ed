//! JSON taken apart in one pass: where every value of a text begins and ends. Copies nothing, reads no number and
//! undoes no escape; what it takes is JSON to the last byte. Knows no document.

#![expect(clippy::inline_always, reason = "a call for every few bytes of a text of megabytes would be felt")]

use std::borrow::Cow;

use super::cell::{Cell, Kind, LARGE_MIN, Scanned, hash, unescaped};
use super::halves::in_halves;

/// Deepest nest that is read, counted from the top: as deep as other readers go, below what is at its top.
pub(super) const DEPTH_MAX: usize = 130;
/// Largest text, in bytes: places in it, and what is in it, are numbers of 29 bits.
const TEXT_BYTES_MAX: usize = 1 << 29;
/// Eight spaces.
const SPACES: u64 = 0x2020_2020_2020_2020;
/// One in each of eight bytes.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each.
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Takes a text apart. `None`: it is no JSON, or an object has two members of one name.
pub(super) fn scan(text: &[u8]) -> Option<Scanned> {
    if text.len() >= TEXT_BYTES_MAX {
        return None;
    }
    if let Some(scanned) = in_halves(text) {
        return Some(scanned);
    }
    let mut scanner = Scanner::new(text);
    let (at, byte) = skip(text, 0);
    let end = scanner.value(at, byte)?;
    (scanner.nest.is_empty() && skip(text, end).0 == text.len()).then_some(scanner.done)
}

/// A list or an object that is not at its end.
#[derive(Clone, Copy)]
pub(super) struct Open {
    /// Where it is among the cells.
    cell: usize,
    /// Where its names begin among the hashes; `None` of a list.
    pub(super) names: Option<usize>,
}

/// One pass.
pub(super) struct Scanner<'a> {
    /// All of the text.
    pub(super) text: &'a [u8],
    /// What is taken apart already.
    pub(super) done: Scanned,
    /// Hashes of the names of open objects, each with where it is.
    pub(super) hashes: Vec<(u64, usize)>,
    /// What is open, outermost first.
    pub(super) nest: Vec<Open>,
    /// How deep that may be.
    pub(super) depth_max: usize,
    /// Whether the last name was that of a reference.
    is_reference: bool,
}

impl<'a> Scanner<'a> {
    /// At the begin of a text.
    pub(super) fn new(text: &'a [u8]) -> Self {
        let done = Scanned { cells: Vec::with_capacity(text.len() / 24 + 16), ..Scanned::default() };
        let (hashes, nest) = (Vec::new(), Vec::new());
        Self { text, done, hashes, nest, depth_max: DEPTH_MAX, is_reference: false }
    }

    /// A value, and where it ends; or where the text does, right behind a comma, with the nest that is open there.
    pub(super) fn value(&mut self, mut at: usize, mut byte: u8) -> Option<usize> {
        loop {
            let cell = self.done.cells.len();
            if self.nest.len() > self.depth_max {
                self.done.beyond.push(cell);
            }
            if byte == b'{' || byte == b'[' {
                let names = (byte == b'{').then_some(self.hashes.len());
                let kind = if names.is_some() { Kind::Object } else { Kind::List };
                self.done.cells.push(Cell::new(kind, 0, 0)?);
                self.nest.push(Open { cell, names });
                self.is_reference = false;
                (at, byte) = skip(self.text, at + 1);
                if byte != closing(names) {
                    if names.is_some() {
                        (at, byte) = self.name(at, byte)?;
                    }
                    continue;
                }
            } else {
                at = self.scalar(at, byte)?;
            }
            // Behind a value: all that ends here, then the next one.
            loop {
                let Some(open) = self.nest.last().copied() else {
                    return Some(at);
                };
                (at, byte) = skip(self.text, at);
                if byte == b',' {
                    (at, byte) = skip(self.text, at + 1);
                    if at >= self.text.len() {
                        return Some(at);
                    }
                    if open.names.is_some() {
                        (at, byte) = self.name(at, byte)?;
                    }
                    break;
                }
                if byte != closing(open.names) {
                    return None;
                }
                self.nest.pop();
                self.close(open, self.done.cells.len())?;
                at += 1;
            }
        }
    }

    /// The name of a member; where its value begins, and with what.
    #[inline(always)]
    pub(super) fn name(&mut self, at: usize, byte: u8) -> Option<(usize, u8)> {
        if byte != b'"' {
            return None;
        }
        let (start, (end, has_escapes)) = (at + 1, self.string(at + 1)?);
        let written = self.text.get(start..end)?;
        let name = if has_escapes {
            Cow::Owned(unescaped(self.text, start, end - start).unwrap_or_default().into_bytes())
        } else {
            Cow::Borrowed(written)
        };
        self.is_reference = &*name == b"$ref";
        self.hashes.push((hash(&name), self.done.cells.len()));
        self.put_text(start, end, has_escapes)?;
        match skip(self.text, end + 1) {
            (at, b':') => Some(skip(self.text, at + 1)),
            _ => None,
        }
    }

    /// A value that holds no others; where it ends.
    #[inline(always)]
    fn scalar(&mut self, at: usize, byte: u8) -> Option<usize> {
        let is = |word: &[u8]| self.text.get(at..at + word.len()) == Some(word);
        let (kind, length) = match byte {
            b'"' => {
                let (end, has_escapes) = self.string(at + 1)?;
                self.done.leads_out |= self.is_reference && self.text.get(at + 1) != Some(&b'#');
                self.put_text(at + 1, end, has_escapes)?;
                return Some(end + 1);
            }
            b't' if is(b"true") => (Kind::True, 4),
            b'f' if is(b"false") => (Kind::False, 5),
            b'n' if is(b"null") => (Kind::Null, 4),
            b'-' | b'0'..=b'9' => (Kind::Number, self.number(at)?),
            _ => return None,
        };
        self.done.cells.push(Cell::new(kind, at, length)?);
        Some(at + length)
    }

    /// Adds a text.
    #[inline(always)]
    fn put_text(&mut self, start: usize, end: usize, has_escapes: bool) -> Option<()> {
        let cell = if has_escapes {
            self.done.escaped.push(end - start);
            Cell::new(Kind::Escaped, start, self.done.escaped.len() - 1)?
        } else {
            Cell::new(Kind::Plain, start, end - start)?
        };
        self.done.cells.push(cell);
        Some(())
    }

    /// Where the string ends that begins behind a quote, and whether it has escapes.
    #[inline(always)]
    pub(super) fn string(&mut self, mut at: usize) -> Option<(usize, bool)> {
        let mut has_escapes = false;
        loop {
            let special = match word(self.text, at) {
                Some(word) => special(word),
                // So near to the end, byte by byte.
                None => special(u64::from(*self.text.get(at)?) | SPACES << 8) & 0xff,
            };
            if special == 0 {
                at += if at + 8 <= self.text.len() { 8 } else { 1 };
                continue;
            }
            at += usize::try_from(special.trailing_zeros() >> 3).unwrap_or_default();
            match self.text.get(at) {
                Some(b'"') => return Some((at, has_escapes)),
                Some(b'\\') => at = self.escape(at + 1)?,
                _ => return None,
            }
            has_escapes = true;
        }
    }

    /// Where an escape ends that begins behind its backslash.
    fn escape(&mut self, at: usize) -> Option<usize> {
        match self.text.get(at)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => return Some(at + 1),
            b'u' => {}
            _ => return None,
        }
        let unit = |at: usize| {
            let digits = self.text.get(at..at + 4)?;
            digits.iter().try_fold(0, |unit, byte| Some(unit << 4 | char::from(*byte).to_digit(16)?))
        };
        let is_second = |at: usize| {
            self.text.get(at..at + 2) == Some(b"\\u")
                && unit(at + 2).is_some_and(|unit| (0xdc00..0xe000).contains(&unit))
        };
        let (first, end) = (unit(at + 1)?, at + 5);
        if !(0xd800..0xe000).contains(&first) {
            return Some(end);
        }
        if first < 0xdc00 && is_second(end) {
            return Some(end + 6);
        }
        self.done.beyond.push(self.done.cells.len());
        Some(end)
    }

    /// How long the number is that begins here.
    fn number(&mut self, start: usize) -> Option<usize> {
        let digits = |at: usize| {
            let rest = self.text.get(at..).unwrap_or_default();
            at + rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len())
        };
        let first = if self.text.get(start) == Some(&b'-') { start + 1 } else { start };
        let mut end = digits(first);
        let has_zero = self.text.get(first) == Some(&b'0');
        if end == first || has_zero && end > first + 1 {
            return None;
        }
        if self.text.get(end) == Some(&b'.') {
            let behind = digits(end + 1);
            if behind == end + 1 {
                return None;
            }
            end = behind;
        }
        let mut may_be_beyond = end - start > 300;
        if matches!(self.text.get(end), Some(b'e' | b'E')) {
            let signed = matches!(self.text.get(end + 1), Some(b'+' | b'-'));
            let from = end + 1 + usize::from(signed);
            end = digits(from);
            if end == from {
                return None;
            }
            may_be_beyond = true;
        }
        if may_be_beyond && serde_json::from_slice::<serde_json::Number>(self.text.get(start..end)?).is_err()
        {
            self.done.beyond.push(self.done.cells.len());
        }
        Some(end - start)
    }

    /// Ends a list or an object before a cell. `None`: two of its members have one name, or nearly.
    #[inline(always)]
    pub(super) fn close(&mut self, open: Open, end: usize) -> Option<()> {
        let kind = if open.names.is_some() { Kind::Object } else { Kind::List };
        let mut at = 0;
        if let Some(start) = open.names {
            let names = self.hashes.get_mut(start..)?;
            at = names.len();
            if at < LARGE_MIN {
                let mut rest = &*names;
                while let [(first, _), others @ ..] = rest {
                    if others.iter().any(|(other, _)| other == first) {
                        return None;
                    }
                    rest = others;
                }
            } else {
                names.sort_unstable();
                if names.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a == b)) {
                    return None;
                }
                // Numbers from here on are those of large objects.
                at = LARGE_MIN + self.done.large.len();
                self.done.large.push((&*names).into());
            }
            self.hashes.truncate(start);
        }
        *self.done.cells.get_mut(open.cell)? = Cell::new(kind, at, end)?;
        Some(())
    }
}

/// What ends a list, or an object with names.
#[inline(always)]
fn closing(names: Option<usize>) -> u8 {
    if names.is_some() { b'}' } else { b']' }
}

/// The next byte that is no space, and where it is; 0 at the end.
#[inline(always)]
pub(super) fn skip(text: &[u8], mut at: usize) -> (usize, u8) {
    loop {
        match text.get(at) {
            Some(b' ' | b'\n' | b'\r' | b'\t') => at += 1,
            Some(byte) => return (at, *byte),
            None => return (at, 0),
        }
        // What is laid out for people has many of them.
        while let Some(word) = word(text, at) {
            let others = word ^ SPACES;
            if others != 0 {
                at += usize::try_from(others.trailing_zeros() >> 3).unwrap_or_default();
                break;
            }
            at += 8;
        }
    }
}

/// Eight bytes of a text.
#[inline(always)]
fn word(text: &[u8], at: usize) -> Option<u64> {
    text.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// The lowest bit that is set tells the first quote, backslash or control character of eight bytes.
#[inline(always)]
fn special(word: u64) -> u64 {
    let has = |byte: u64| {
        let zero = word ^ (ONES * byte);
        zero.wrapping_sub(ONES) & !zero
    };
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (has(b'"'.into()) | has(b'\\'.into()) | controls) & HIGHS
}
