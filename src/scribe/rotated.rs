//! The rotated files beside a log: their names, their sizes, and which go first. It knows no line.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::time;

/// End of a rotated file's name.
const SUFFIX: &[u8] = b".log";

/// The rotated files of one log, oldest first. Files of any other name are never touched.
#[derive(Debug, Default)]
pub(crate) struct Rotated {
    /// Time in the name, and size.
    files: VecDeque<(u64, u64)>,
    /// Size of all of them.
    bytes: u64,
}

impl Rotated {
    /// Looks at what is there; a folder that cannot be read has none.
    pub(crate) fn load(&mut self, log: &Path) {
        *self = Self::default();
        let (Some(folder), prefix) = (log.parent(), prefix(log)) else { return };
        let Ok(entries) = fs::read_dir(folder) else { return };
        let mut files: Vec<(u64, u64)> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                let time = name.as_bytes().strip_prefix(prefix.as_slice())?.strip_suffix(SUFFIX)?;
                let micros = time::from_compact(time)?;
                let data = entry.metadata().ok().filter(fs::Metadata::is_file)?;
                Some((micros, data.len()))
            })
            .collect();
        files.sort_unstable();
        self.bytes = files.iter().fold(0, |sum, (_, size)| sum.saturating_add(*size));
        self.files = files.into();
    }

    /// Size of all of them.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Number of them.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// Renames the log, so that it is the newest of them. A clock that went back does not make it older.
    pub(crate) fn add(&mut self, log: &Path, size: u64) -> io::Result<()> {
        let newest = self.files.back().map_or(0, |(micros, _)| micros.saturating_add(1));
        let micros = time::now().max(newest);
        fs::rename(log, file(log, micros))?;
        self.files.push_back((micros, size));
        self.bytes = self.bytes.saturating_add(size);
        Ok(())
    }

    /// Removes the oldest. One that cannot be removed is forgotten: the next `load` finds it again.
    pub(crate) fn remove_oldest(&mut self, log: &Path) {
        if let Some((micros, size)) = self.files.pop_front() {
            self.bytes = self.bytes.saturating_sub(size);
            drop(fs::remove_file(file(log, micros)));
        }
    }
}

/// What comes before the time: nothing beside `current`, `mcp-init.` beside `mcp-init.log`.
fn prefix(log: &Path) -> Vec<u8> {
    let name = log.file_name().map(OsStr::as_bytes).unwrap_or_default();
    name.strip_suffix(SUFFIX).map(|stem| [stem, b"."].concat()).unwrap_or_default()
}

/// The rotated file of a time.
fn file(log: &Path, micros: u64) -> PathBuf {
    let mut name = prefix(log);
    name.extend_from_slice(&time::compact(micros));
    name.extend_from_slice(SUFFIX);
    log.with_file_name(OsString::from_vec(name))
}
