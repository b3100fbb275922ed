//! What is printed, gathered and written at once. No opinion on what it says.
//!
//! The `print` macros panic when their stream is closed or full; here that is a value.

use std::env;
use std::io::{self, IsTerminal, Stdout, Write};

use super::failure::Failure;

/// What is gathered is written when it passes this size.
const GATHERED_BYTES_MAX: usize = 64 * 1024;

/// The few ways a word can look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// As it is.
    Plain,
    /// Headings.
    Bold,
    /// What matters less.
    Dim,
    /// Well.
    Green,
    /// On its way.
    Yellow,
    /// Not well.
    Red,
}

impl Style {
    /// The escape sequence that begins it.
    const fn begin(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Green => "\x1b[32m",
            Self::Yellow => "\x1b[33m",
            Self::Red => "\x1b[31m",
        }
    }
}

/// Standard output.
#[derive(Debug)]
pub(super) struct Output {
    /// What is gathered.
    bytes: Vec<u8>,
    /// Whether words are coloured.
    colour: bool,
    /// Where it goes; without, it is only gathered.
    stream: Option<Stdout>,
}

impl Output {
    /// Coloured when a person looks at it, and `NO_COLOR` and `CLICOLOR_FORCE` do not say otherwise.
    pub(super) fn new() -> Self {
        Self { bytes: Vec::with_capacity(4096), colour: wants_colour(), stream: Some(io::stdout()) }
    }

    /// Never coloured, never written: for tests and for measuring.
    #[cfg(test)]
    pub(super) const fn plain() -> Self {
        Self { bytes: Vec::new(), colour: false, stream: None }
    }

    /// Adds text.
    pub(super) fn text(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Adds text and ends the line.
    pub(super) fn line(&mut self, text: &str) {
        self.text(text);
        self.text("\n");
    }

    /// Adds bytes as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds text in a style.
    pub(super) fn styled(&mut self, style: Style, text: &str) {
        if self.colour && style != Style::Plain {
            self.text(style.begin());
            self.text(text);
            self.text("\x1b[0m");
        } else {
            self.text(text);
        }
    }

    /// Adds a value as JSON and ends the line.
    pub(super) fn json<T: serde::Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.bytes, value).map_err(|e| Failure::printing(&e.into()))?;
        self.text("\n");
        Ok(())
    }

    /// Forgets what was gathered and not written.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// What was gathered and not written.
    #[cfg(test)]
    pub(super) fn gathered(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    /// Writes what was gathered.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        let Some(stream) = self.stream.as_mut().filter(|_| !self.bytes.is_empty()) else {
            return Ok(());
        };
        let result = stream.write_all(&self.bytes).and_then(|()| stream.flush());
        self.bytes.clear();
        result.map_err(|e| Failure::printing(&e))
    }

    /// Writes what was gathered once it is much.
    pub(super) fn flush_much(&mut self) -> Result<(), Failure> {
        if self.bytes.len() < GATHERED_BYTES_MAX { Ok(()) } else { self.flush() }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.raw(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes to standard error; there is nobody left to tell if that fails.
pub(super) fn say(text: &str) {
    drop(io::stderr().lock().write_all(text.as_bytes()));
}

/// Whether standard output is to be coloured.
fn wants_colour() -> bool {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    if set("NO_COLOR").is_some() {
        return false;
    }
    if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    io::stdout().is_terminal() && set("TERM").is_none_or(|value| value != "dumb")
}
