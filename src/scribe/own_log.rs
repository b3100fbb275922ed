//! The supervisor's own log: to our stderr and to a file. No service's output comes here.

use std::path::Path;
use std::time::Instant;

use super::log_file::{Limits, LogFile, Trouble};
use crate::sys::scribe_io::Console;

/// Its bounds.
const LIMITS: Limits = Limits { size: 10 * 1024 * 1024, files: 3, total: 40 * 1024 * 1024 };

/// The log.
#[derive(Debug, Default)]
pub(super) struct OwnLog {
    /// The file, once there was something to say.
    file: Option<LogFile>,
    /// Our stderr, likewise.
    stderr: Option<Console>,
}

impl OwnLog {
    /// Writes a line; an empty path is no file.
    pub(super) fn say(&mut self, path: &Path, line: &[u8], now: Instant) {
        self.stderr.get_or_insert_with(Console::errors).say(line);
        if path.as_os_str().is_empty() {
            return;
        }
        if self.file.as_ref().is_none_or(|log| log.path() != path) {
            self.file = Some(LogFile::new(path.to_owned(), LIMITS, true));
        }
        if let Some(log) = &mut self.file {
            log.refresh();
            log.write(line, now);
        }
    }

    /// Tries its file again, if it is time to.
    pub(super) fn retry(&mut self, now: Instant) {
        if let Some(log) = &mut self.file {
            log.retry(now);
        }
    }

    /// Why its file takes nothing, and which it is.
    pub(super) fn trouble(&self) -> Option<(Trouble, &Path)> {
        self.file.as_ref().and_then(|log| Some((log.trouble()?, log.path())))
    }
}
