//! What an entrypoint says, and where: errors and warnings on stderr, the rest on stdout, as tini does. A stream
//! that is closed or full changes nothing.

use std::fmt::Display;
use std::io::{self, Write};

/// How much is wanted from which level on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Something that a user should change.
    Warn = 1,
    /// The program's birth and end.
    Info = 2,
    /// Each signal and each death.
    Debug = 3,
    /// Everything.
    Trace = 4,
}

/// Says what happens, as far as it is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Voice {
    /// What we are called.
    name: &'static str,
    /// What is wanted; 1 is [`Level::Warn`].
    verbosity: i32,
}

impl Voice {
    /// Under a name; errors only.
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, verbosity: 0 }
    }

    /// Says this much from now on.
    pub(super) const fn with(self, verbosity: i32) -> Self {
        Self { verbosity, ..self }
    }

    /// Why nothing comes of it: `cannot VERB OBJECT: REASON`.
    pub(super) fn error(&self, error: &dyn Display) {
        say(&format!("{}: {error}\n", self.name));
    }

    /// Something that only some want to know. `words` are put together only then.
    pub(super) fn tell(&self, level: Level, words: impl FnOnce() -> String) {
        let (least, tag) = match level {
            Level::Warn => (1, "WARN "),
            Level::Info => (2, "INFO "),
            Level::Debug => (3, "DEBUG"),
            Level::Trace => (4, "TRACE"),
        };
        if self.verbosity < least {
            return;
        }
        let line = format!("[{tag} {} ({})] {}\n", self.name, std::process::id(), words());
        if level == Level::Warn {
            say(&line);
        } else {
            print(&line);
        }
    }
}

/// Writes to stderr.
pub(super) fn say(text: &str) {
    drop(io::stderr().write_all(text.as_bytes()));
}

/// Writes to stdout; the exit code of a program that has nothing else to do.
pub(super) fn print(text: &str) -> u8 {
    let mut out = io::stdout();
    u8::from(out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err())
}
