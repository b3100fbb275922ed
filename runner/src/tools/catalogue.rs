//! A catalogue as text: one line that says what is in it, then one line of JSON for each tool. It stays text, in
//! memory or in a file that runners of the same document share; what a call needs is read for that call.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::thread;

use serde::{Deserialize, Serialize};

use super::pages::{Page, Tally};
use super::route::Route;
use super::warm::Warm;
use super::{Skipped, Tool};
use crate::openapi::{Base, Stamp};

/// Longest first line.
const HEAD_BYTES_MAX: u64 = 64 << 20;

/// Bytes of a tool's line, nearly.
const LINE_BYTES: usize = 2_400;

/// The first line of a catalogue.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Head {
    /// What it was made from, and by which runner: a file of another is not used.
    pub(crate) made_from: String,
    /// Where calls go; routes refer to them by index. Empty when nothing is called.
    pub(crate) bases: Vec<String>,
    /// Names of the tools, and how long the line of each is.
    pub(crate) tools: Vec<(Box<str>, usize)>,
    /// How many bytes a list of all tools has.
    pub(crate) listed_bytes: usize,
    /// Operations that became no tools.
    pub(crate) skipped: Vec<Skipped>,
    /// How many operations the configuration or the document leaves out.
    pub(crate) left_out: usize,
    /// What else is to be said of the document.
    pub(crate) notes: Vec<String>,
    /// The files it was read from, as they were then.
    pub(crate) files: Vec<Stamp>,
    /// What a person calls the API.
    pub(crate) title: String,
    /// What every client is told of it, and the names of its tags.
    pub(crate) instructions: (String, String),
    /// How long the line of each page is; they come after the tools.
    pub(crate) pages: Vec<usize>,
}

/// One line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    /// For lists.
    pub(super) tool: Tool,
    /// For whoever looks for a tool.
    pub(super) about: About,
    /// For calls.
    pub(super) route: Route,
}

/// What else is known of a tool.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct About {
    /// `GET /pets`.
    pub(crate) operation: Box<str>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<Box<str>>,
}

/// A line without its route.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    /// For lists.
    pub(crate) tool: Tool,
    /// For whoever looks for a tool.
    pub(crate) about: About,
}

/// Where a tool's line is.
#[derive(Debug)]
struct Place {
    /// The tool's name.
    name: Box<str>,
    /// Where its line begins.
    at: u64,
    /// How long it is.
    length: usize,
}

/// The text.
#[derive(Debug)]
enum Store {
    /// In memory.
    Memory(Box<[u8]>),
    /// In a file.
    File(File),
}

/// All tools of one document, immutable; the document itself is gone.
#[derive(Debug)]
pub(crate) struct Catalogue {
    /// In the document's order, which is the order of `tools/list`.
    places: Box<[Place]>,
    /// Where calls go.
    bases: Box<[Base]>,
    /// The lines.
    store: Store,
    /// How many bytes a list of all tools has.
    pub(crate) listed_bytes: usize,
    /// What a person calls the API.
    pub(crate) title: Box<str>,
    /// What every client is told of it.
    pub(crate) instructions: Box<str>,
    /// Names of its tags, with commas.
    pub(crate) tags: Box<str>,
    /// Where the pages are.
    pages: Box<[(u64, usize)]>,
    /// What was called last.
    pub(super) warm: Warm,
}

impl Catalogue {
    /// Opens a catalogue in memory.
    pub(crate) fn in_memory(text: &[u8]) -> io::Result<(Self, Head)> {
        let (head, start) = read_head(text)?;
        let lines = text.get(start..).unwrap_or_default().into();
        Ok((Self::new(&head, Store::Memory(lines), 0)?, head))
    }

    /// Opens a catalogue in a file.
    pub(crate) fn in_file(file: File) -> io::Result<(Self, Head)> {
        let (head, start) = read_head(BufReader::new(&file))?;
        Ok((Self::new(&head, Store::File(file), start)?, head))
    }

    /// Over lines that begin at `start`.
    fn new(head: &Head, store: Store, start: usize) -> io::Result<Self> {
        let mut at = u64::try_from(start).map_err(io::Error::other)?;
        let mut next = |length: usize| {
            let begin = at;
            at += u64::try_from(length).map_err(io::Error::other)? + 1;
            Ok::<_, io::Error>(begin)
        };
        let mut places = Vec::with_capacity(head.tools.len());
        for (name, length) in &head.tools {
            places.push(Place { name: name.clone(), at: next(*length)?, length: *length });
        }
        let pages = head.pages.iter().map(|length| Ok((next(*length)?, *length)));
        let pages = pages.collect::<io::Result<_>>()?;
        let bases: Result<Vec<Base>, String> = head.bases.iter().map(|base| Base::parse(base)).collect();
        let bases = bases.map_err(io::Error::other)?.into();
        let (listed_bytes, title) = (head.listed_bytes, head.title.as_str().into());
        let (instructions, tags) = &head.instructions;
        let (instructions, tags) = (instructions.as_str().into(), tags.as_str().into());
        let (places, warm) = (places.into(), Warm::default());
        Ok(Self { places, bases, store, listed_bytes, title, instructions, tags, pages, warm })
    }

    /// How many tools there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The index of a tool.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        // Many names are a long way to look for the one that was just called.
        self.warm.find(name).or_else(|| self.places.iter().position(|place| *place.name == *name))
    }

    /// Where calls of a base's index go.
    pub(super) fn base(&self, index: usize) -> Option<&Base> {
        self.bases.get(index)
    }

    /// A tool, with what is known of it.
    pub(crate) fn entry(&self, index: usize) -> io::Result<Entry> {
        let place = self.places.get(index).ok_or(io::ErrorKind::NotFound)?;
        Ok(serde_json::from_slice(&self.line(place.at, place.length)?)?)
    }

    /// The pages, likewise.
    pub(crate) fn pages(&self) -> impl ExactSizeIterator<Item = io::Result<Page>> {
        self.pages.iter().map(|(at, length)| Ok(serde_json::from_slice(&self.line(*at, *length)?)?))
    }

    /// A tool and how to call it, and how long its line is.
    pub(super) fn record(&self, index: usize) -> io::Result<(Record, usize)> {
        let place = self.places.get(index).ok_or(io::ErrorKind::NotFound)?;
        Ok((serde_json::from_slice(&self.line(place.at, place.length)?)?, place.length))
    }

    /// Forgets what only the next call would have needed, and can have again.
    pub(crate) fn rest(&self) {
        self.warm.cool();
    }

    /// All tools in their order; each is gone again when the next one comes.
    pub(crate) fn entries(&self) -> impl Iterator<Item = io::Result<Entry>> {
        (0..self.places.len()).map(|index| self.entry(index))
    }

    /// The line at a place.
    fn line(&self, at: u64, length: usize) -> io::Result<Cow<'_, [u8]>> {
        match &self.store {
            Store::Memory(text) => {
                let at = usize::try_from(at).map_err(io::Error::other)?;
                let line = text.get(at..at.saturating_add(length));
                line.map(Cow::Borrowed).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
            }
            Store::File(file) => {
                let mut line = vec![0; length];
                file.read_exact_at(&mut line, at)?;
                Ok(Cow::Owned(line))
            }
        }
    }
}

/// Reads the first line; and where the second begins.
fn read_head(mut text: impl BufRead) -> io::Result<(Head, usize)> {
    let mut line = Vec::new();
    io::Read::take(&mut text, HEAD_BYTES_MAX).read_until(b'\n', &mut line)?;
    Ok((serde_json::from_slice(&line)?, line.len()))
}

/// Lines as they are written.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// What is in it.
    pub(crate) head: Head,
    /// The lines, in pieces.
    lines: Vec<Vec<u8>>,
    /// How many tools each tag has.
    pub(super) tally: Tally,
}

impl Draft {
    /// Adds tools, written by so many threads.
    pub(super) fn add_all(&mut self, records: &[Record], threads: usize) {
        let each = records.len().div_ceil(threads.max(1)).max(1);
        let parts = thread::scope(|scope| {
            let mut parts = records.chunks(each);
            let first = parts.next().unwrap_or_default();
            // A thread that cannot be had is one less.
            let spawn = |part| (part, thread::Builder::new().spawn_scoped(scope, move || written(part)).ok());
            let others: Vec<_> = parts.map(spawn).collect();
            let mut parts = vec![written(first)];
            for (part, other) in others {
                let join = |other: thread::ScopedJoinHandle<'_, _>| {
                    other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                };
                parts.push(other.map_or_else(|| written(part), join));
            }
            parts
        });
        let mut records = records.iter();
        for (lines, lengths) in parts {
            self.lines.push(lines);
            for (length, record) in lengths.into_iter().zip(records.by_ref()) {
                self.head.tools.push((record.tool.name.clone(), length));
                self.head.listed_bytes += record.tool.listed_bytes();
                record.about.tags.iter().for_each(|tag| self.tally.add(tag));
            }
        }
    }

    /// Adds the pages: no tool may come after them.
    pub(super) fn add_pages(&mut self, pages: &[Page]) {
        for page in pages {
            let mut line = serde_json::to_vec(page).unwrap_or_default();
            self.head.pages.push(line.len());
            line.push(b'\n');
            self.lines.push(line);
        }
    }

    /// The whole text in pieces, its first line the first of them.
    pub(crate) fn finish(mut self) -> Vec<Vec<u8>> {
        let mut head = serde_json::to_vec(&self.head).unwrap_or_default();
        head.push(b'\n');
        self.lines.insert(0, head);
        self.lines
    }
}

/// Records as lines, and how long each is.
fn written(records: &[Record]) -> (Vec<u8>, Vec<usize>) {
    let mut lines = Vec::with_capacity(records.len() * LINE_BYTES);
    let mut lengths = Vec::with_capacity(records.len());
    for record in records {
        let before = lines.len();
        // What is in memory can be written to memory.
        if serde_json::to_writer(&mut lines, record).is_err() {
            lines.truncate(before);
        }
        lengths.push(lines.len() - before);
        lines.push(b'\n');
    }
    (lines, lengths)
}
