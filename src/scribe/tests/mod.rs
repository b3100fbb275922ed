//! Tests of the scribe as the supervisor sees it: a link, pipes, and files in a folder of the test's own.

mod logs;
mod state;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, PipeWriter, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};

use super::link::Link;
use super::turn::serve;
use super::wire::{Frame, Kind};
use crate::config::plan::{Log, LogMode};

/// Longest wait for an answer.
const PATIENCE_MS: u16 = 20_000;

/// A folder that is gone after the test.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// In the usual place for temporary files.
    pub(super) fn new() -> Self {
        Self::on(std::env::temp_dir())
    }

    /// On another file system.
    pub(super) fn on(place: impl AsRef<Path>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = place.as_ref().join(format!("mcp-init-scribe-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Something in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A scribe in a thread, and what it answered.
struct Desk {
    /// Our end.
    link: Link,
    /// The scribe; it leaves the processor time it used.
    scribe: JoinHandle<f64>,
    /// Errnos by ticket.
    done: BTreeMap<u32, i32>,
    /// Dropped lines by service.
    dropped: BTreeMap<u32, u64>,
    /// Degraded frames: errno and path.
    degraded: Vec<(i32, PathBuf)>,
}

impl Desk {
    /// With a scribe at the other end.
    fn new() -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let scribe = thread::spawn(|| {
            serve(theirs.into()).unwrap();
            let used = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
            [used.user_time(), used.system_time()].iter().map(seconds).sum()
        });
        let (done, dropped) = (BTreeMap::new(), BTreeMap::new());
        Self { link: Link::new(ours.into()), scribe, done, dropped, degraded: Vec::new() }
    }

    /// Sends a frame.
    fn say(&mut self, kind: Kind, ticket: u32, path: &Path, body: &[u8]) {
        let path = path.as_os_str().as_bytes();
        assert!(self.link.send(Frame { kind, ticket, path, body }, None));
        self.wait(|desk| desk.link.flush().unwrap());
    }

    /// Makes the scribe read a new pipe.
    fn watch(&mut self, number: u32, folder: &Path, rules: Log) -> PipeWriter {
        let (reader, writer) = io::pipe().unwrap();
        let (path, body) = (folder.as_os_str().as_bytes(), serde_json::to_vec(&rules).unwrap());
        let frame = Frame { kind: Kind::Watch, ticket: number, path, body: &body };
        assert!(self.link.send(frame, Some(OwnedFd::from(reader))));
        self.wait(|desk| desk.link.flush().unwrap());
        writer
    }

    /// Hears answers until `enough`.
    fn wait(&mut self, enough: impl Fn(&mut Self) -> bool) {
        while !enough(self) {
            let flags = if self.link.has_unsent() {
                PollFlags::POLLIN | PollFlags::POLLOUT
            } else {
                PollFlags::POLLIN
            };
            let ready =
                poll(&mut [PollFd::new(self.link.as_fd(), flags)], PollTimeout::from(PATIENCE_MS)).unwrap();
            assert!(ready > 0, "no answer: {:?} {:?} {:?}", self.done, self.dropped, self.degraded);
            let (done, dropped, degraded) = (&mut self.done, &mut self.dropped, &mut self.degraded);
            let heard = self.link.receive(|frame| {
                let errno = frame.body.first_chunk().map(|bytes| i32::from_le_bytes(*bytes)).unwrap();
                match frame.kind {
                    Kind::Done => drop(done.insert(frame.ticket, errno)),
                    Kind::Dropped => {
                        let lines = u64::from_le_bytes(frame.body.try_into().unwrap());
                        let sum = dropped.entry(frame.ticket).or_insert(0_u64);
                        *sum = sum.saturating_add(lines);
                    }
                    Kind::Degraded => {
                        let path = String::from_utf8(frame.body[4..].to_vec()).unwrap();
                        degraded.push((errno, PathBuf::from(path)));
                    }
                    Kind::Replace
                    | Kind::ReplaceSecret
                    | Kind::Append
                    | Kind::Remove
                    | Kind::Say
                    | Kind::Watch
                    | Kind::Unwatch
                    | Kind::Drain
                    | Kind::Finish => panic!("not for us"),
                }
            });
            assert!(heard.is_ok() || self.done.contains_key(&u32::MAX), "the scribe has ended: {heard:?}");
        }
    }

    /// Waits for the answer to a ticket.
    fn errno(&mut self, ticket: u32) -> i32 {
        self.wait(|desk| desk.done.contains_key(&ticket));
        self.done.remove(&ticket).unwrap()
    }

    /// Has the output of a service written.
    fn drain(&mut self, number: u32) -> i32 {
        self.say(Kind::Drain, number, Path::new(""), b"");
        self.errno(number)
    }

    /// Ends the scribe; the errno it ends with, and the processor time it used.
    fn finish_with_time(mut self) -> (i32, f64) {
        self.say(Kind::Finish, u32::MAX, Path::new(""), b"");
        self.wait(|desk| desk.done.contains_key(&u32::MAX));
        (self.done[&u32::MAX], self.scribe.join().unwrap())
    }

    /// Ends the scribe; the errno it ends with.
    fn finish(self) -> i32 {
        self.finish_with_time().0
    }
}

/// A time as seconds.
fn seconds(time: &TimeVal) -> f64 {
    time.num_microseconds().to_string().parse::<f64>().unwrap() / 1e6
}

/// Rules of a log.
const fn rules(max_size: u64, max_files: u32, max_total: u64, timestamps: bool) -> Log {
    Log { mode: LogMode::File, max_size, max_files, max_total, timestamps }
}

/// Rules nothing here meets.
const PLAIN: Log = rules(u64::MAX, 10, u64::MAX, false);
