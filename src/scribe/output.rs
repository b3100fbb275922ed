//! One service's output: from its pipe, line by line, to its log. It answers nobody.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};

use super::lines::{self, LINE_BYTES_MAX, READ_BYTES};
use super::log_file::LogFile;
use super::sink::Sink;
use super::time;
use crate::sys::memory;
use crate::sys::mirror::Mirror;
use crate::sys::scribe_io::Console;

/// Most bytes taken from one pipe before it is another's turn.
const TURN_BYTES: usize = 256 * 1024;
/// The most that a pipe holds, unless root has asked for more.
const PIPE_BYTES_MAX: usize = 1024 * 1024;
/// Memory touched at once that is worth giving back.
const SPENT_BYTES: usize = 16 * 1024;
/// For how long nothing like that may happen before it is given back.
const REST_AFTER: Duration = Duration::from_secs(1);
/// The beginning of a line that is longer than this is taken out of the pipe before its end has come: a pipe full
/// of it would never take the end.
const LEFT_BYTES_MAX: usize = 16 * 1024;
/// The supervisor is told of dropped lines at most this often.
const REPORT_AFTER: Duration = Duration::from_secs(1);

/// One service's output.
#[derive(Debug)]
pub(crate) struct Output {
    /// The read end; `None` once it ended or failed.
    pipe: Option<File>,
    /// The beginning of a long line whose end has not come yet; at most [`LINE_BYTES_MAX`].
    held: Vec<u8>,
    /// Whether the pipe holds the beginning of a line.
    leaves: bool,
    /// Where it goes.
    sink: Sink,
    /// Whether each line begins with the time.
    stamps: bool,
    /// It waits for its turn.
    pub(crate) queued: bool,
    /// When the supervisor may next be told of dropped lines; `None` is at once.
    report_at: Option<Instant>,
}

/// Whether a pipe has more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum More {
    /// There may be more at once.
    Yes,
    /// Not now.
    No,
    /// Never again.
    End,
}

/// What becomes of the beginning of a line whose end has not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beginning {
    /// It waits in the pipe, where it outlives us.
    Left,
    /// It is taken, because nothing may follow.
    Taken,
}

/// The buffers all outputs share, and the memory of the heap as a whole.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// What is read, behind what was held.
    input: Vec<u8>,
    /// Through which outputs are looked at.
    mirror: Option<Mirror>,
    /// Lines with their stamps.
    composed: Vec<u8>,
    /// Our standard output, once a line went there.
    console: Option<Console>,
    /// Whether the log of the output that is being read was looked after: once, and only if there is something for it.
    is_fresh: bool,
    /// Much memory was touched since the last [`Self::rest`].
    spent: bool,
    /// When all that is given back, unless more is touched before.
    rest_at: Option<Instant>,
}

impl Scratch {
    /// Notes how many bytes of memory were touched at once, here or elsewhere.
    pub(crate) const fn spend(&mut self, bytes: usize) {
        self.spent |= bytes > SPENT_BYTES;
    }

    /// Once a turn: gives memory back that a flood has touched, once it is over.
    pub(crate) fn rest(&mut self, now: Instant) {
        if std::mem::take(&mut self.spent) {
            self.rest_at = now.checked_add(REST_AFTER);
        } else if self.rest_at.is_some_and(|at| at <= now) {
            *self = Self::default();
            memory::give_back();
        }
    }

    /// When [`Self::rest`] has something to do.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.rest_at
    }

    /// Room for what is held and what is read.
    pub(crate) fn input(&mut self) -> &mut Vec<u8> {
        if self.input.is_empty() {
            self.input = vec![0; LINE_BYTES_MAX.saturating_add(READ_BYTES)];
        }
        &mut self.input
    }

    /// What outputs are looked at through.
    fn mirror(&mut self) -> io::Result<&mut Mirror> {
        if self.mirror.is_none() {
            self.mirror = Some(Mirror::new()?);
        }
        self.mirror.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Output {
    /// The output of a pipe, which does not wait.
    pub(crate) fn new(pipe: OwnedFd, sink: Sink, stamps: bool) -> Self {
        let pipe = Some(File::from(pipe));
        Self { pipe, held: Vec::new(), leaves: false, sink, stamps, queued: false, report_at: None }
    }

    /// The pipe's number, while there is a pipe.
    pub(crate) fn raw_pipe(&self) -> Option<RawFd> {
        self.pipe.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Why its log takes nothing, and which it is.
    pub(crate) fn trouble(&self) -> Option<(i32, &Path)> {
        self.sink.trouble().map(|(trouble, path)| (trouble.errno, path))
    }

    /// Whether there is nothing to try again and nothing to report.
    pub(crate) fn is_well(&self) -> bool {
        self.sink.trouble().is_none() && self.sink.unreported() == 0
    }

    /// When [`Self::retry`] or [`Self::report`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let report_at = self.report_at.filter(|_| self.sink.unreported() > 0);
        self.sink.trouble().map(|(trouble, _)| trouble.retry_at).into_iter().chain(report_at).min()
    }

    /// Tries its log again, if it is time to.
    pub(crate) fn retry(&mut self, now: Instant) {
        if let Some(log) = self.sink.file_mut() {
            log.retry(now);
        }
    }

    /// How many dropped lines the supervisor is to be told of now.
    pub(crate) fn report(&mut self, now: Instant) -> u64 {
        if self.sink.unreported() == 0 {
            return 0;
        }
        if self.report_at.is_some_and(|at| now < at) {
            return 0;
        }
        self.report_at = now.checked_add(REPORT_AFTER);
        self.sink.take_unreported()
    }

    /// Whether it ended, so far, within a line.
    pub(crate) const fn is_within_a_line(&self) -> bool {
        self.leaves || !self.held.is_empty()
    }

    /// Closes the pipe.
    pub(crate) fn close(&mut self) {
        self.pipe = None;
    }

    /// Moves some of what the pipe holds into the log.
    pub(crate) fn turn(&mut self, scratch: &mut Scratch, now: Instant) -> More {
        self.read_some(scratch, now, TURN_BYTES, Beginning::Left)
    }

    /// Moves what the pipe holds now into the log, and ends a line that has no end yet, unless more comes all
    /// the time. Bounded by what a pipe can hold.
    pub(crate) fn drain(&mut self, scratch: &mut Scratch, now: Instant) -> More {
        let more = self.read_some(scratch, now, PIPE_BYTES_MAX.saturating_add(1), Beginning::Taken);
        if more != More::Yes && !self.held.is_empty() {
            let mut line = std::mem::take(&mut self.held);
            line.push(b'\n');
            self.write(&line, scratch, now);
        }
        more
    }

    /// The end of what was written since the last time.
    pub(crate) fn tail(&mut self) -> Vec<u8> {
        self.sink.file_mut().map(LogFile::tail).unwrap_or_default()
    }

    /// Reads until the pipe has nothing more or `bytes_max` are read.
    fn read_some(
        &mut self,
        scratch: &mut Scratch,
        now: Instant,
        bytes_max: usize,
        beginning: Beginning,
    ) -> More {
        let mut taken = 0_usize;
        scratch.is_fresh = false;
        while taken < bytes_max {
            match self.read_once(scratch, now, beginning) {
                Ok((0, _)) => return More::End,
                Ok((seen, count)) => {
                    taken = taken.saturating_add(count);
                    scratch.spend(seen);
                    // A short look has seen all of it: what comes later is a new event.
                    if seen < READ_BYTES / 2 || count == 0 {
                        self.rest();
                        return More::No;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.rest();
                    return More::No;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // No pipe, or one that cannot be read: as if it had ended.
                Err(_) => return More::End,
            }
        }
        More::Yes
    }

    /// One look at what is behind that which is held, and one write of the lines that are complete; how much was
    /// seen, and taken out of the pipe. Only what is written is taken out, and only then: what a scribe that is
    /// killed has not written is there for the next one.
    fn read_once(
        &mut self,
        scratch: &mut Scratch,
        now: Instant,
        beginning: Beginning,
    ) -> io::Result<(usize, usize)> {
        let mut input = std::mem::take(scratch.input());
        let result = self.look(scratch, &mut input).map(|seen| {
            let old = self.held.len();
            let bytes = input.get(..old.saturating_add(seen)).unwrap_or_default();
            let (ready, rest) = bytes.split_at_checked(lines::ready(bytes, old)).unwrap_or((bytes, &[]));
            self.write(ready, scratch, now);
            let goes_on = ready.is_empty() && old > 0;
            let is_left = beginning == Beginning::Left && !goes_on && rest.len() <= LEFT_BYTES_MAX;
            self.leaves = is_left && !rest.is_empty();
            self.held.clear();
            self.held.extend_from_slice(if is_left { &[] } else { rest });
            (seen, if is_left { seen.saturating_sub(rest.len()) } else { seen })
        });
        let result = result.and_then(|(seen, count)| {
            let mut pipe = self.pipe.as_ref().ok_or(io::ErrorKind::NotConnected)?;
            pipe.read_exact(input.get_mut(..count).unwrap_or_default())?;
            Ok((seen, count))
        });
        scratch.input = input;
        result
    }

    /// Copies what is held to the front of `input`, and what the pipe holds behind it; how much that is.
    fn look(&self, scratch: &mut Scratch, input: &mut [u8]) -> io::Result<usize> {
        let pipe = self.pipe.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let (front, rest) = input.split_at_mut_checked(self.held.len()).ok_or(io::ErrorKind::OutOfMemory)?;
        front.copy_from_slice(&self.held);
        let room = rest.len().min(READ_BYTES);
        let seen = scratch.mirror()?.look(pipe, rest.get_mut(..room).unwrap_or_default());
        if seen.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock) {
            // It may hold a part of this: the next look begins with an empty one.
            scratch.mirror = None;
        }
        seen
    }

    /// Writes ready lines.
    fn write(&mut self, ready: &[u8], scratch: &mut Scratch, now: Instant) {
        if ready.is_empty() || self.sink.is_nowhere() {
            return;
        }
        if !std::mem::replace(&mut scratch.is_fresh, true)
            && let Some(log) = self.sink.file_mut()
        {
            log.refresh();
        }
        let Scratch { composed, console, .. } = scratch;
        if !self.stamps && self.sink.takes_plain() && lines::is_plain(ready) {
            return self.sink.write(ready, console, now);
        }
        let mut front = Vec::new();
        if self.stamps {
            front.extend_from_slice(&time::rfc_3339(time::now()));
            front.push(b' ');
        }
        front.extend_from_slice(self.sink.front());
        lines::compose(ready, &front, composed, |portion| self.sink.write(portion, console, now));
    }

    /// Gives the memory of an ended line back.
    fn rest(&mut self) {
        if self.held.is_empty() {
            self.held = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::config::plan::{Log, LogMode};
    use crate::scribe::tests::Folder;
    use crate::sys::clock;
    use crate::sys::scribe_io::never_wait;

    #[test]
    fn the_beginning_of_a_line_waits_where_the_next_scribe_finds_it() {
        let folder = Folder::new();
        let rules =
            Log { mode: LogMode::File, max_size: 9999, max_files: 1, max_total: 9999, timestamps: false };
        let (read, mut write) = io::pipe().unwrap();
        never_wait(&read).unwrap();
        for (said, left) in [("whole\nha", "ha"), ("lf\n", ""), ("more\nno end", "no end")] {
            let another = OwnedFd::from(read.try_clone().unwrap());
            let mut output = Output::new(another, Sink::of(Some(&rules), folder.as_ref()), false);
            write.write_all(said.as_bytes()).unwrap();
            assert_eq!(output.turn(&mut Scratch::default(), clock::now().instant), More::No);
            assert_eq!(output.is_within_a_line(), !left.is_empty());
            let mut rest = [0; 64];
            let count = Mirror::new().unwrap().look(&read, &mut rest).unwrap_or(0);
            assert_eq!(&rest[..count], left.as_bytes());
        }
        assert_eq!(std::fs::read(folder.path("current")).unwrap(), b"whole\nhalf\nmore\n");
    }
}
