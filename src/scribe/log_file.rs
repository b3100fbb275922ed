//! One log: whole lines at its end, rotated by rename, bounded, patient with a disk that takes nothing. It
//! reads no pipe.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::append;
use super::lines;
use super::rotated::Rotated;
use super::time;
use crate::sys::scribe_io::{find, find_last};

/// From a failure to the next attempt.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Most of what [`LogFile::tail`] gives.
const TAIL_BYTES_MAX: u64 = 2048;

/// Bounds of a log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Size at which it is rotated.
    pub(crate) size: u64,
    /// Rotated files kept.
    pub(crate) files: usize,
    /// Size of all files together, the current one included.
    pub(crate) total: u64,
}

/// Why nothing can be written just now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trouble {
    /// What the system said.
    pub(crate) errno: i32,
    /// When to try again.
    pub(crate) retry_at: Instant,
}

/// One log.
#[derive(Debug)]
pub(crate) struct LogFile {
    /// The file that grows.
    path: PathBuf,
    /// Its bounds.
    limits: Limits,
    /// Whether its lines begin with the time.
    stamps: bool,
    /// What it was before.
    rotated: Rotated,
    /// The open file; opened when there is something to write.
    open: Option<Open>,
    /// Why it takes nothing.
    trouble: Option<Trouble>,
    /// Lines dropped that the file does not tell yet.
    dropped: u64,
    /// Lines dropped that the supervisor does not know yet.
    unreported: u64,
    /// Bytes written since the last [`Self::tail`].
    fresh: u64,
}

/// The open file.
#[derive(Debug)]
struct Open {
    /// Opened for appending.
    file: File,
    /// Device and inode: whether the path still means this file.
    id: (u64, u64),
    /// Its size.
    size: u64,
    /// A regular file, which can be rotated; not a device or a pipe that somebody put there.
    regular: bool,
    /// It ends within a line: the next one needs an end before it.
    torn: bool,
}

impl LogFile {
    /// A log at `path`; nothing is opened yet.
    pub(crate) fn new(path: PathBuf, limits: Limits, stamps: bool) -> Self {
        let rotated = Rotated::default();
        Self { path, limits, stamps, rotated, open: None, trouble: None, dropped: 0, unreported: 0, fresh: 0 }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Why it takes nothing, if so.
    pub(crate) const fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// Lines dropped that the supervisor does not know yet.
    pub(crate) const fn unreported(&self) -> u64 {
        self.unreported
    }

    /// The same, to be told to the supervisor now.
    pub(crate) const fn take_unreported(&mut self) -> u64 {
        std::mem::replace(&mut self.unreported, 0)
    }

    /// Notices a file that was removed, renamed or cut by somebody else.
    pub(crate) fn refresh(&mut self) {
        let Some(open) = &mut self.open else { return };
        match fs::metadata(&self.path) {
            Ok(data) if (data.dev(), data.ino()) == open.id => open.size = data.len(),
            Ok(_) | Err(_) => self.open = None,
        }
    }

    /// The last whole lines that were written since the last time, as far as they are in this file.
    pub(crate) fn tail(&mut self) -> Vec<u8> {
        let fresh = std::mem::take(&mut self.fresh);
        let Some(open) = self.open.as_ref().filter(|open| fresh > 0 && open.regular) else {
            return Vec::new();
        };
        let length = fresh.min(TAIL_BYTES_MAX).min(open.size);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        if open.file.read_exact_at(&mut bytes, open.size.saturating_sub(length)).is_err() {
            return Vec::new();
        }
        if length < fresh {
            let begun = find(b'\n', &bytes).map_or(bytes.len(), |end| end.saturating_add(1));
            bytes.drain(..begun);
        }
        bytes
    }

    /// Writes whole lines, or drops and counts them. Never fails, never holds anything.
    pub(crate) fn write(&mut self, lines: &[u8], now: Instant) {
        if self.trouble.is_some_and(|trouble| now < trouble.retry_at) {
            self.drop_lines(lines);
            return;
        }
        let mut written = 0;
        match self.tell_dropped().and_then(|()| self.put(lines, &mut written)) {
            Ok(()) => self.trouble = None,
            Err(error) => {
                self.drop_lines(lines.get(written..).unwrap_or_default());
                self.open = None;
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                let retry_at = now.checked_add(RETRY_AFTER).unwrap_or(now);
                self.trouble = Some(Trouble { errno, retry_at });
            }
        }
    }

    /// Tries again, if it is time to.
    pub(crate) fn retry(&mut self, now: Instant) {
        if self.trouble.is_some_and(|trouble| now >= trouble.retry_at) {
            self.write(&[], now);
        }
    }

    /// Counts lines that are not written.
    fn drop_lines(&mut self, bytes: &[u8]) {
        let lines = lines::count(bytes);
        self.dropped = self.dropped.saturating_add(lines);
        self.unreported = self.unreported.saturating_add(lines);
    }

    /// Says in the file how many lines are missing in this place.
    fn tell_dropped(&mut self) -> io::Result<()> {
        if self.dropped == 0 {
            return Ok(());
        }
        let mut note = Vec::new();
        if self.stamps {
            note.extend_from_slice(&time::rfc_3339(time::now()));
            note.push(b' ');
        }
        writeln!(note, "mcp-init: {} lines dropped", self.dropped)?;
        self.put(&note, &mut 0)?;
        self.dropped = 0;
        Ok(())
    }

    /// Writes lines to the file or the files they belong into; `written` counts the bytes of whole lines.
    fn put(&mut self, lines: &[u8], written: &mut usize) -> io::Result<()> {
        let limit = self.limits.size.min(self.limits.total);
        while let Some(rest) = lines.get(*written..).filter(|rest| !rest.is_empty()) {
            let open = self.open()?;
            let Some(piece) = open.fitting(rest, limit) else {
                self.rotate()?;
                continue;
            };
            let after = open.size.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            while !self.rotated.is_empty() && self.rotated.bytes().saturating_add(after) > self.limits.total {
                self.rotated.remove_oldest(&self.path);
            }
            let (whole, result) = self.open()?.append(piece);
            self.fresh = self.fresh.saturating_add(u64::try_from(whole).unwrap_or(u64::MAX));
            *written = written.saturating_add(whole);
            result?;
        }
        Ok(())
    }

    /// The open file, opened if it was not.
    fn open(&mut self) -> io::Result<&mut Open> {
        if let Some(ref mut open) = self.open {
            return Ok(open);
        }
        let open = Open::new(&self.path)?;
        self.rotated.load(&self.path);
        Ok(self.open.insert(open))
    }

    /// Makes the file the newest of the rotated ones; the next line begins a new one.
    fn rotate(&mut self) -> io::Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        match self.rotated.add(&self.path, open.size) {
            // Somebody else was faster: there is nothing left to rename.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
        while self.rotated.len() > self.limits.files {
            self.rotated.remove_oldest(&self.path);
        }
        self.open = Some(Open::new(&self.path)?);
        Ok(())
    }
}

impl Open {
    /// Opens the file for appending, and makes it and its folder if they are missing.
    fn new(path: &Path) -> io::Result<Self> {
        let mut file = append::open(path)?;
        let data = file.metadata()?;
        let torn = data.is_file() && data.len() > 0 && append::ends_within_a_line(&mut file)?;
        let id = (data.dev(), data.ino());
        Ok(Self { file, id, size: data.len(), regular: data.is_file(), torn })
    }

    /// The lines at the front that still fit; `None` when it is time to rotate. A line that is larger than
    /// the limit gets a file of its own.
    fn fitting<'a>(&self, lines: &'a [u8], limit: u64) -> Option<&'a [u8]> {
        if !self.regular {
            return Some(lines);
        }
        let room = usize::try_from(limit.saturating_sub(self.size)).unwrap_or(usize::MAX);
        let Some(front) = lines.get(..room) else {
            return Some(lines);
        };
        let end = match find_last(b'\n', front) {
            Some(end) => end,
            None if self.size > 0 => return None,
            None => find(b'\n', lines).unwrap_or(lines.len()),
        };
        Some(lines.get(..=end).unwrap_or(lines))
    }

    /// Appends lines; returns how many bytes of whole lines are in the file now. A line that was written in
    /// part is taken back.
    fn append(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        if self.torn {
            let (_, result) = self.write_all(b"\n");
            if result.is_err() {
                return (0, result);
            }
            self.torn = false;
        }
        let (written, result) = self.write_all(lines);
        if result.is_ok() {
            return (written, result);
        }
        let whole =
            find_last(b'\n', lines.get(..written).unwrap_or_default()).map_or(0, |at| at.saturating_add(1));
        let excess = u64::try_from(written.saturating_sub(whole)).unwrap_or(0);
        if excess > 0
            && let Ok(data) = self.file.metadata()
        {
            // If even this fails, the next opening finds the torn line and ends it.
            drop(self.file.set_len(data.len().saturating_sub(excess)));
        }
        (whole, result)
    }

    /// Writes all, or as much as it takes.
    fn write_all(&mut self, bytes: &[u8]) -> (usize, io::Result<()>) {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.file.write(rest) {
                Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    written = written.saturating_add(count);
                    self.size = self.size.saturating_add(u64::try_from(count).unwrap_or(0));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (written, Err(error)),
            }
        }
        (written, Ok(()))
    }
}
