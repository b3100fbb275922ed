//! Where a service's lines go: to a file of their own, to our standard output, or nowhere. No line is made here.

use std::path::Path;
use std::time::Instant;

use super::lines;
use super::log_file::{Limits, LogFile, Trouble};
use crate::config::plan::{Log, LogMode};
use crate::sys::scribe_io::Console;

/// Where lines go.
#[derive(Debug)]
pub(crate) enum Sink {
    /// To a file.
    File(Box<LogFile>),
    /// To our standard output.
    Output {
        /// What each line begins with: `pets: `.
        front: Box<[u8]>,
        /// Lines dropped that the supervisor does not know yet.
        dropped: u64,
    },
    /// Nowhere.
    Nowhere,
}

impl Sink {
    /// As the rules say; `folder` is the service's, in the folder of all logs.
    pub(crate) fn of(rules: Option<&Log>, folder: &Path) -> Self {
        let Some(rules) = rules else { return Self::Nowhere };
        match rules.mode {
            LogMode::File => {
                let files = usize::try_from(rules.max_files).unwrap_or(usize::MAX);
                let limits = Limits { size: rules.max_size, files, total: rules.max_total };
                Self::File(Box::new(LogFile::new(folder.join("current"), limits, rules.timestamps)))
            }
            LogMode::Inherit => {
                let id = folder.file_name().unwrap_or_default().as_encoded_bytes();
                Self::Output { front: [id, b": "].concat().into(), dropped: 0 }
            }
            LogMode::Null => Self::Nowhere,
        }
    }

    /// What each line begins with, behind the time.
    pub(crate) fn front(&self) -> &[u8] {
        match self {
            Self::Output { front, .. } => front,
            Self::File(_) | Self::Nowhere => &[],
        }
    }

    /// Whether lines that are ready as they are can be written as they are.
    pub(crate) const fn takes_plain(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Whether there is any use in composing lines.
    pub(crate) const fn is_nowhere(&self) -> bool {
        matches!(self, Self::Nowhere)
    }

    /// Writes whole lines.
    pub(crate) fn write(&mut self, portion: &[u8], console: &mut Option<Console>, now: Instant) {
        match self {
            Self::File(log) => log.write(portion, now),
            Self::Output { dropped, .. } => {
                if !console.get_or_insert_with(Console::output).tell(portion) {
                    *dropped = dropped.saturating_add(lines::count(portion));
                }
            }
            Self::Nowhere => {}
        }
    }

    /// The file, if it is one.
    pub(crate) const fn file(&self) -> Option<&LogFile> {
        match self {
            Self::File(log) => Some(log),
            Self::Output { .. } | Self::Nowhere => None,
        }
    }

    /// The file, to be changed.
    pub(crate) const fn file_mut(&mut self) -> Option<&mut LogFile> {
        match self {
            Self::File(log) => Some(log),
            Self::Output { .. } | Self::Nowhere => None,
        }
    }

    /// Why nothing can be written just now.
    pub(crate) fn trouble(&self) -> Option<(Trouble, &Path)> {
        self.file().and_then(|log| Some((log.trouble()?, log.path())))
    }

    /// Lines dropped that the supervisor does not know yet.
    pub(crate) const fn unreported(&self) -> u64 {
        match self {
            Self::File(log) => log.unreported(),
            Self::Output { dropped, .. } => *dropped,
            Self::Nowhere => 0,
        }
    }

    /// The same, which the supervisor is told now.
    pub(crate) const fn take_unreported(&mut self) -> u64 {
        match self {
            Self::File(log) => log.take_unreported(),
            Self::Output { dropped, .. } => std::mem::replace(dropped, 0),
            Self::Nowhere => 0,
        }
    }
}
