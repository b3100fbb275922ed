//! What a text of JSON comes to when it is taken apart: a cell for every value and every name. Reads no text but to
//! undo an escape.

/// Members from which on an object has its names sorted.
pub(super) const LARGE_MIN: usize = 16;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `null`.
    Null,
    /// `false`.
    False,
    /// `true`.
    True,
    /// A number, not read yet.
    Number,
    /// A text that is written as it is.
    Plain,
    /// A text with escapes.
    Escaped,
    /// A list.
    List,
    /// An object.
    Object,
}

/// One value, or one name of an object: a text, always before its value. What a list or an object holds follows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    /// Where it begins in the text, behind its quote; of an object, how many members it has, or which of the large ones
    /// it is.
    at: u32,
    /// What is told of it, and its kind in the lowest three bits.
    more: u32,
}

impl Cell {
    /// Of a kind.
    pub(super) fn new(kind: Kind, at: usize, more: usize) -> Option<Self> {
        let kind = match kind {
            Kind::Null => 0,
            Kind::False => 1,
            Kind::True => 2,
            Kind::Number => 3,
            Kind::Plain => 4,
            Kind::Escaped => 5,
            Kind::List => 6,
            Kind::Object => 7,
        };
        Some(Self { at: u32::try_from(at).ok()?, more: u32::try_from(more << 3).ok()? | kind })
    }

    /// Its kind.
    pub(super) fn kind(self) -> Kind {
        match self.more & 7 {
            0 => Kind::Null,
            1 => Kind::False,
            2 => Kind::True,
            3 => Kind::Number,
            4 => Kind::Plain,
            5 => Kind::Escaped,
            6 => Kind::List,
            _ => Kind::Object,
        }
    }

    /// Where it begins; see above.
    pub(super) fn at(self) -> usize {
        usize::try_from(self.at).unwrap_or(usize::MAX)
    }

    /// Of a number or a plain text its length; of one with escapes its number; of a list or an object, where what it
    /// holds ends.
    pub(super) fn more(self) -> usize {
        usize::try_from(self.more >> 3).unwrap_or(usize::MAX)
    }
}

impl Cell {
    /// The same among others: behind so many cells, large objects and texts with escapes.
    pub(super) fn moved(self, cells: usize, large: usize, escaped: usize) -> Option<Self> {
        match self.kind() {
            Kind::Null | Kind::False | Kind::True | Kind::Number | Kind::Plain => Some(self),
            Kind::Escaped => Self::new(Kind::Escaped, self.at(), self.more() + escaped),
            Kind::List => Self::new(Kind::List, self.at(), self.more() + cells),
            Kind::Object => {
                let at = if self.at() < LARGE_MIN { self.at() } else { self.at() + large };
                Self::new(Kind::Object, at, self.more() + cells)
            }
        }
    }
}

/// The names of a large object, sorted by their hashes: each with where it is.
pub(super) type Sorted = Box<[(u64, usize)]>;

/// A text taken apart.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    /// All values and names in their order.
    pub(super) cells: Vec<Cell>,
    /// Lengths of the texts with escapes.
    pub(super) escaped: Vec<usize>,
    /// The names of large objects.
    pub(super) large: Vec<Sorted>,
    /// Values that are more than JSON's readers take: a number beyond all bounds, half a character, a nest too deep.
    pub(super) beyond: Vec<usize>,
    /// Whether a reference leads out of the text.
    pub(super) leads_out: bool,
}

/// A hash of a name.
pub(super) fn hash(name: &[u8]) -> u64 {
    let (words, rest) = name.as_chunks::<8>();
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let hash = words.iter().fold(0, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let rest = rest.iter().fold(1, |rest: u64, byte| rest << 8 | u64::from(*byte));
    mix(hash, rest)
}

/// The text that stands between two quotes, its escapes undone.
pub(super) fn unescaped(text: &[u8], at: usize, length: usize) -> Option<String> {
    serde_json::from_slice(text.get(at.checked_sub(1)?..(at + length).checked_add(1)?)?).ok()
}
