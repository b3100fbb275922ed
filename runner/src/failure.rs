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
            Self::Usage(text) | Self::Start(text) => f.write_str(words(text)),
        }
    }
}

/// A text without the number that the standard library puts behind the system's words: it helps nobody.
pub(crate) fn words(text: &str) -> &str {
    match text.rsplit_once(" (os error ") {
        Some((words, number)) if number.trim_end_matches(')').parse::<u32>().is_ok() => words,
        Some(_) | None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_number_is_left_out() {
        let error = std::io::Error::from_raw_os_error(98);
        let failure = Failure::start(format!("cannot listen on 127.0.0.1:1: {error}"));
        assert_eq!(failure.to_string(), "cannot listen on 127.0.0.1:1: Address already in use");
        assert_eq!(words("a (os error x)"), "a (os error x)");
    }
}
