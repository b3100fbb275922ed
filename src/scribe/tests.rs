//! Tests of the scribe as the supervisor sees it: a link, pipes, and files in a folder of the test's own.

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

/// The files of a log, oldest first, `current` last.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// All that a log holds.
fn text(folder: &Path) -> String {
    files(folder).iter().map(|file| fs::read_to_string(file).unwrap()).collect()
}

#[test]
fn lines_come_through_whole_across_rotation_and_files_are_bounded() {
    let folder = Folder::new();
    let logs = folder.path("logs/a");
    let mut desk = Desk::new();
    let mut pipe = desk.watch(7, &logs, rules(10_000, 1000, u64::MAX, false));
    for number in 0..20_000 {
        writeln!(pipe, "{number} {}", "x".repeat(number % 97)).unwrap();
    }
    assert_eq!(desk.drain(7), 0);
    let mut next = 0;
    for file in files(&logs) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.len() <= 10_000 && text.ends_with('\n'), "{}", file.display());
        for line in text.lines() {
            assert_eq!(line, format!("{next} {}", "x".repeat(next % 97)));
            next += 1;
        }
    }
    assert_eq!(next, 20_000);
    assert_eq!(desk.finish(), 0);
}

#[test]
fn only_the_newest_files_are_kept_and_only_its_own_are_removed() {
    let folder = Folder::new();
    for (name, rules, most_files, most_bytes) in [
        ("count", rules(1000, 3, u64::MAX, false), 4, 4000),
        ("total", rules(1000, 100, 2500, false), 4, 2500),
    ] {
        let logs = folder.path(name);
        fs::create_dir(&logs).unwrap();
        for alien in ["notes.log", "19990101T000000.000000Z.gz", "19990101T000000Z.log"] {
            fs::write(logs.join(alien), "not ours").unwrap();
        }
        fs::write(logs.join("19990101T000000.000000Z.log"), "an old one of ours\n").unwrap();
        let mut desk = Desk::new();
        let mut pipe = desk.watch(1, &logs, rules);
        for number in 0..1000 {
            writeln!(pipe, "line {number:04}").unwrap();
        }
        assert_eq!(desk.finish(), 0);
        let ours: Vec<PathBuf> = files(&logs)
            .into_iter()
            .filter(|file| file.ends_with("current") || file.to_string_lossy().contains("Z.log"))
            .filter(|file| !file.ends_with("19990101T000000Z.log"))
            .collect();
        let bytes: u64 = ours.iter().map(|file| fs::metadata(file).unwrap().len()).sum();
        assert!(ours.len() <= most_files && bytes <= most_bytes && bytes > 1500, "{ours:?} {bytes}");
        assert_eq!(files(&logs).len(), ours.len() + 3);
        assert!(text(&logs).contains("line 0999"));
    }
}

#[test]
fn any_bytes_pass_and_a_last_line_without_end_is_written_once_it_is_known_to_be_last() {
    let folder = Folder::new();
    let mut desk = Desk::new();
    let mut pipe = desk.watch(1, folder.as_ref(), PLAIN);
    pipe.write_all(b"\x00\x1b[31mred\xff\xfe\nhal").unwrap();
    pipe.write_all(b"f\nno end").unwrap();
    assert_eq!(desk.drain(1), 0);
    pipe.write_all(b"after\n").unwrap();
    drop(pipe);
    assert_eq!(desk.finish(), 0);
    assert_eq!(fs::read(folder.path("current")).unwrap(), b"\x00\x1b[31mred\xff\xfe\nhalf\nno end\nafter\n");
}

#[test]
fn a_line_without_end_is_split_and_every_line_has_its_time() {
    let folder = Folder::new();
    let mut desk = Desk::new();
    let mut pipe = desk.watch(1, folder.as_ref(), rules(u64::MAX, 1, u64::MAX, true));
    for _ in 0..50 {
        pipe.write_all(&[b'x'; 10_000]).unwrap();
    }
    pipe.write_all(b"\nlast\n").unwrap();
    assert_eq!(desk.drain(1), 0);
    let text = text(folder.as_ref());
    let mut letters = 0;
    for line in text.lines() {
        let (stamp, words) = line.split_at(28);
        assert!(stamp.starts_with("20") && stamp.ends_with("Z "), "{stamp}");
        letters += words.len();
        assert!(words.len() <= 65_536);
    }
    assert_eq!(letters, 500_004);
    assert_eq!(desk.finish(), 0);
}

#[test]
fn a_full_disk_costs_lines_but_no_wait_and_is_told_when_it_works_again() {
    let folder = Folder::new();
    let logs = folder.path("a");
    fs::create_dir(&logs).unwrap();
    std::os::unix::fs::symlink("/dev/full", logs.join("current")).unwrap();
    let mut desk = Desk::new();
    let mut pipe = desk.watch(3, &logs, PLAIN);
    for _ in 0..100_000 {
        pipe.write_all(b"lost\n").unwrap();
    }
    assert_eq!(desk.drain(3), libc::ENOSPC);
    desk.wait(|desk| desk.dropped.get(&3) == Some(&100_000));
    assert_eq!(desk.degraded, [(libc::ENOSPC, logs.join("current"))]);
    fs::remove_file(logs.join("current")).unwrap();
    desk.wait(|desk| desk.degraded.len() == 2);
    assert_eq!(desk.degraded[1], (0, PathBuf::new()));
    pipe.write_all(b"kept\n").unwrap();
    assert_eq!(desk.drain(3), 0);
    assert_eq!(fs::read_to_string(logs.join("current")).unwrap(), "mcp-init: 100000 lines dropped\nkept\n");
    assert_eq!(desk.finish(), 0);
}

#[test]
fn a_log_that_was_moved_removed_or_is_in_the_way_is_made_anew() {
    let folder = Folder::new();
    let logs = folder.path("a");
    let current = logs.join("current");
    let mut desk = Desk::new();
    let mut pipe = desk.watch(1, &logs, PLAIN);
    let mut line = |desk: &mut Desk, words: &str| {
        writeln!(pipe, "{words}").unwrap();
        desk.drain(1)
    };
    assert_eq!(line(&mut desk, "one"), 0);
    fs::rename(&current, logs.join("moved")).unwrap();
    assert_eq!(line(&mut desk, "two"), 0);
    assert_eq!(fs::read_to_string(&current).unwrap(), "two\n");
    fs::remove_dir_all(&logs).unwrap();
    assert_eq!(line(&mut desk, "three"), 0);
    assert_eq!(fs::read_to_string(&current).unwrap(), "three\n");
    fs::remove_file(&current).unwrap();
    fs::create_dir(&current).unwrap();
    assert_eq!(line(&mut desk, "four"), libc::EISDIR);
    fs::remove_dir(&current).unwrap();
    desk.wait(|desk| desk.degraded.len() == 2);
    assert_eq!(line(&mut desk, "five"), 0);
    assert_eq!(fs::read_to_string(&current).unwrap(), "mcp-init: 1 lines dropped\nfive\n");
    assert_eq!(desk.finish(), 0);
}

#[test]
fn state_files_are_answered_and_only_the_last_content_counts() {
    for folder in [Folder::new(), Folder::on("/dev/shm")] {
        let mut desk = Desk::new();
        for ticket in 1..=500 {
            let path = folder.path(&format!("services/{}/process.json", ticket % 10));
            desk.say(Kind::Replace, ticket, &path, ticket.to_string().as_bytes());
        }
        let secret = folder.path("configs/a.json");
        desk.say(Kind::ReplaceSecret, 501, &secret, b"{}");
        desk.say(Kind::Append, 502, &folder.path("events.jsonl"), b"{}\n");
        for ticket in 1..=502 {
            assert_eq!(desk.errno(ticket), 0);
        }
        for number in 0..10 {
            let path = folder.path(&format!("services/{number}/process.json"));
            let last = if number == 0 { 500 } else { 490 + number };
            assert_eq!(fs::read_to_string(&path).unwrap(), last.to_string());
            desk.say(Kind::Replace, 600, &path, b"again");
            desk.say(Kind::Remove, 601, &path, b"");
            assert_eq!((desk.errno(601), path.exists()), (0, false));
        }
        assert_eq!(desk.finish(), 0);
    }
}

#[test]
fn what_could_not_be_written_is_told_kept_and_written_later() {
    let folder = Folder::new();
    let blocked = folder.path("state");
    fs::write(&blocked, "a file where a folder belongs").unwrap();
    let mut desk = Desk::new();
    desk.say(Kind::Replace, 1, &blocked.join("a.json"), b"old");
    desk.say(Kind::Replace, 2, &blocked.join("a.json"), b"new");
    desk.say(Kind::Append, 3, &blocked.join("events.jsonl"), b"one\n");
    desk.say(Kind::Append, 4, &blocked.join("events.jsonl"), b"two\n");
    for ticket in 1..=4 {
        assert_eq!(desk.errno(ticket), libc::ENOTDIR);
    }
    desk.wait(|desk| desk.degraded.len() == 1);
    fs::remove_file(&blocked).unwrap();
    desk.wait(|desk| desk.degraded.len() == 2);
    assert_eq!(fs::read(blocked.join("a.json")).unwrap(), b"new");
    assert_eq!(fs::read(blocked.join("events.jsonl")).unwrap(), b"one\ntwo\n");
    assert_eq!(desk.finish(), 0);
}

#[test]
fn the_end_of_the_supervisor_loses_nothing() {
    let folder = Folder::new();
    let mut desk = Desk::new();
    let mut pipe = desk.watch(1, folder.as_ref(), PLAIN);
    pipe.write_all(b"last words").unwrap();
    desk.say(Kind::Replace, 1, &folder.path("a.json"), b"1");
    desk.say(Kind::Say, 0, &folder.path("mcp-init.log"), b"");
    let Desk { link, scribe, .. } = desk;
    drop(link);
    scribe.join().unwrap();
    assert_eq!(fs::read(folder.path("current")).unwrap(), b"last words\n");
    assert_eq!(fs::read(folder.path("a.json")).unwrap(), b"1");
}

#[test]
fn a_flood_starves_neither_another_service_nor_the_supervisor() {
    let folder = Folder::new();
    let mut desk = Desk::new();
    let mut loud = desk.watch(1, &folder.path("loud"), rules(1_000_000, 2, 3_000_000, false));
    let mut quiet = desk.watch(2, &folder.path("quiet"), PLAIN);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let flood = thread::spawn(move || {
        let lines = b"noise\n".repeat(10_000);
        while !stopped.load(Ordering::Relaxed) {
            loud.write_all(&lines).unwrap();
        }
    });
    for number in 0..100 {
        writeln!(quiet, "{number}").unwrap();
        assert_eq!(desk.drain(2), 0);
        assert_eq!(desk.drain(1), 0, "an endless output does not hold the answer");
    }
    stop.store(true, Ordering::Relaxed);
    flood.join().unwrap();
    assert_eq!(desk.finish(), 0);
    assert_eq!(text(&folder.path("quiet")).lines().count(), 100);
    let loud = text(&folder.path("loud")).len();
    assert!((500_000..=3_000_000).contains(&loud), "{loud}");
}

#[test]
fn many_outputs_go_where_they_belong() {
    let folder = Folder::new();
    let mut desk = Desk::new();
    let mut pipes: Vec<PipeWriter> =
        (0..200).map(|number| desk.watch(number, &folder.path(&number.to_string()), PLAIN)).collect();
    for (number, pipe) in pipes.iter_mut().enumerate() {
        writeln!(pipe, "I am {number}").unwrap();
    }
    assert_eq!(desk.drain(0), 0);
    desk.say(Kind::Unwatch, 5, Path::new(""), b"");
    assert_eq!(desk.finish(), 0);
    for number in 0..200 {
        assert_eq!(text(&folder.path(&number.to_string())), format!("I am {number}\n"));
    }
}

#[test]
fn the_link_refuses_what_can_be_done_without_and_keeps_the_order() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut link = Link::new(ours.into());
    let folder = Folder::new();
    let path = folder.path("state.json");
    let state =
        Frame { kind: Kind::Replace, ticket: 0, path: path.as_os_str().as_bytes(), body: &[b'x'; 10_000] };
    let mut taken = 0_u32;
    while link.send(state, None) {
        taken += 1;
        link.flush().unwrap();
    }
    assert!((100..200).contains(&taken), "{taken}");
    let (reader, _writer) = io::pipe().unwrap();
    assert!(link.send(Frame { kind: Kind::Watch, ticket: 9, path: b"", body: b"" }, Some(reader.into())));
    let scribe = thread::spawn(|| serve(theirs.into()));
    let end = Frame { kind: Kind::Finish, ticket: 8, path: b"", body: b"" };
    assert!(link.send(end, None));
    let mut answered = false;
    while !answered {
        let room = if link.has_unsent() { PollFlags::POLLOUT } else { PollFlags::empty() };
        let mut one = [PollFd::new(link.as_fd(), PollFlags::POLLIN | room)];
        assert!(poll(&mut one, PollTimeout::from(PATIENCE_MS)).unwrap() > 0);
        // The scribe may be gone before the last look at the socket.
        let _all_sent = link.flush();
        let _ended = link.receive(|frame| answered |= (frame.kind, frame.ticket) == (Kind::Done, 8));
    }
    scribe.join().unwrap().unwrap();
    assert_eq!((link.has_unsent(), fs::metadata(&path).unwrap().len()), (false, 10_000));
}

/// Not a test of anything: prints what the scribe moves in a second. Run it with `--release -- --ignored`.
#[test]
#[ignore = "a measurement"]
fn throughput_of_4_kib_lines() {
    const LINES: u32 = 100_000;
    for (name, rules) in [
        ("plain, 1 MiB files", rules(1 << 20, 10, u64::MAX, false)),
        ("plain, 10 MiB files", rules(10 << 20, 10, u64::MAX, false)),
        ("timestamps, 1 MiB files", rules(1 << 20, 10, u64::MAX, true)),
        ("timestamps, 10 MiB files", rules(10 << 20, 10, u64::MAX, true)),
    ] {
        for size in [4096, 100] {
            let lines = LINES * 4096 / size;
            let folder = Folder::new();
            let mut desk = Desk::new();
            let mut pipe = desk.watch(1, folder.as_ref(), rules);
            let line = [vec![b'x'; size as usize - 1], vec![b'\n']].concat().repeat((4096 / size) as usize);
            #[expect(clippy::disallowed_methods, reason = "a measurement")]
            let start = std::time::Instant::now();
            for _ in 0..LINES {
                pipe.write_all(&line).unwrap();
            }
            assert_eq!(desk.drain(1), 0);
            let elapsed = start.elapsed().as_secs_f64();
            let (errno, used) = desk.finish_with_time();
            assert_eq!(errno, 0);
            let megabytes = f64::from(LINES) * 4.096e-3;
            let (speed, cost) = (megabytes / elapsed, used / megabytes * 1e3);
            println!("{name}, {lines} lines of {size}: {speed:.0} MB/s, {cost:.2} s of processor a GB");
        }
    }
}
