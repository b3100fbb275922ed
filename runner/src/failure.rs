//! Why the runner ends without having served: one line, and the exit code that goes with it.

use std::fmt;

/// A start that came to nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A mistake on the command line or in the config file: exit 2.
    Usage(String),
    /// All was well said, but it cannot be done: exit 1.
    Start(String),
}

impl Failure {
    /// What cannot be done, in the words of whoever found out.
    pub(crate) fn start(reason: impl fmt::Display) -> Self {
        Self::Start(reason.to_string())
    }

    /// The exit code, as `--help` documents it.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Start(_) => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Start(text) => f.write_str(text),
        }
    }
}
