//! A growing file and its older parts, read as one: the last lines, those since a time, those to come. What a
//! line says is not known here, but for the time it may begin with.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::part::{Part, Print, open, skip_to_last};
use super::units;

/// Where the lines are.
#[derive(Debug)]
pub(super) struct Trail {
    /// The file that grows.
    current: PathBuf,
    /// How its older parts are named.
    older: Older,
}

/// How older parts are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Older {
    /// By the time they were put aside, with `.log`: names sort as times do.
    ByTime,
    /// There is one: `.1`.
    One,
}

/// Which lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// At most this many, the last ones.
    pub(super) last: Option<usize>,
    /// None before this time, in microseconds since 1970.
    pub(super) since: Option<u64>,
}

impl Trail {
    /// The output of a service.
    pub(super) fn of_log(folder: &Path) -> Self {
        Self { current: folder.join("current"), older: Older::ByTime }
    }

    /// A file of events.
    pub(super) fn of_journal(file: PathBuf) -> Self {
        Self { current: file, older: Older::One }
    }

    /// The older parts, the oldest first. A folder that is not there has none.
    fn older_parts(&self) -> io::Result<Vec<PathBuf>> {
        match self.older {
            Older::One => {
                let mut name: OsString = self.current.clone().into_os_string();
                name.push(".1");
                Ok(vec![name.into()])
            }
            Older::ByTime => {
                let folder = self.current.parent().unwrap_or(Path::new("/"));
                let mut parts = Vec::new();
                let entries = match fs::read_dir(folder) {
                    Ok(entries) => entries,
                    Err(error) if error.kind() == ErrorKind::NotFound => return Ok(parts),
                    Err(error) => return Err(error),
                };
                for entry in entries {
                    let path = entry?.path();
                    if path.extension().is_some_and(|end| end.as_bytes() == b"log") {
                        parts.push(path);
                    }
                }
                parts.sort_unstable();
                Ok(parts)
            }
        }
    }

    /// Gives `print` the wanted lines that are there, and returns a place from which to go on.
    pub(super) fn read(&self, wanted: Wanted, print: &mut Print<'_>) -> io::Result<Follower<'_>> {
        // The present part is opened before the others are listed: one that is put aside in between is then
        // found twice, and not lost.
        let current = open(&self.current)?;
        let mut parts = Vec::new();
        for path in self.older_parts()? {
            if let Some(part) = open(&path)? {
                if current.as_ref().is_some_and(|current| current.inode == part.inode) {
                    break;
                }
                parts.push(part);
            }
        }
        parts.extend(current);
        if let Wanted { last: Some(count), since: None } = wanted {
            skip_to_last(&mut parts, count)?;
        }
        let mut sieve = Sieve { wanted, kept: VecDeque::new(), began: wanted.since.is_none() };
        let mut rest = None;
        for mut part in parts {
            sieve.begin(&part);
            part.read(&mut |line| sieve.line(line, print))?;
            rest = Some(part);
        }
        for line in sieve.kept {
            print(&line)?;
        }
        let seen = rest.as_ref().map(|part| part.inode);
        let part = rest.filter(|part| fs::metadata(&self.current).is_ok_and(|data| data.ino() == part.inode));
        Ok(Follower { trail: self, seen: part.as_ref().map(|part| part.inode).or(seen), part })
    }
}

/// Lets the wanted lines through.
struct Sieve {
    /// Which.
    wanted: Wanted,
    /// With a time and a number, the last ones so far.
    kept: VecDeque<Vec<u8>>,
    /// Whether the time has come.
    began: bool,
}

impl Sieve {
    /// A part begins. Where lines do not begin with their time, it is taken whole or not at all.
    fn begin(&mut self, part: &Part) {
        let Some(since) = self.wanted.since.filter(|_| !self.began) else { return };
        let mut head = [0; 64];
        let count = part.reader.get_ref().read_at(&mut head, 0).unwrap_or(0);
        let timed = head.get(..count).is_some_and(|head| time_of(head).is_some());
        let changed = part.reader.get_ref().metadata().and_then(|data| data.modified()).map(units::micros);
        self.began = !timed && changed.is_ok_and(|changed| changed >= since);
    }

    /// A line.
    fn line(&mut self, line: &[u8], print: &mut Print<'_>) -> io::Result<()> {
        if let Some(since) = self.wanted.since {
            self.began = self.began || time_of(line).is_some_and(|time| time >= since);
            if !self.began {
                return Ok(());
            }
            if let Some(most) = self.wanted.last {
                self.kept.push_back(line.to_vec());
                if self.kept.len() > most {
                    self.kept.pop_front();
                }
                return Ok(());
            }
        }
        print(line)
    }
}

/// The time that a line begins with.
pub(super) fn time_of(line: &[u8]) -> Option<u64> {
    let end = line.iter().take(40).position(|byte| *byte == b' ')?;
    units::read_time(line.get(..end)?)
}

/// A place from which to go on.
#[derive(Debug)]
pub(super) struct Follower<'a> {
    /// Where the lines are.
    trail: &'a Trail,
    /// The last part that was read.
    seen: Option<u64>,
    /// The part that grows, if it was there.
    part: Option<Part>,
}

impl Follower<'_> {
    /// Gives `print` what has come since, across any number of parts put aside meanwhile.
    pub(super) fn go_on(&mut self, print: &mut Print<'_>) -> io::Result<()> {
        if let Some(part) = &mut self.part {
            part.read(print)?;
            match fs::metadata(&self.trail.current) {
                Ok(data) if data.ino() == part.inode => {
                    if data.len() < part.at {
                        part.seek(0)?;
                        part.read(print)?;
                    }
                    return Ok(());
                }
                Ok(_) => part.finish(print)?,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        let current = open(&self.trail.current)?;
        let Some(mut current) = current else { return Ok(()) };
        self.read_missed(current.inode, print)?;
        current.read(print)?;
        self.seen = Some(current.inode);
        self.part = Some(current);
        Ok(())
    }

    /// Parts that came and were put aside between the last one seen and the one that grows now.
    fn read_missed(&mut self, current: u64, print: &mut Print<'_>) -> io::Result<()> {
        let mut missed = Vec::new();
        for path in self.trail.older_parts()? {
            let Some(part) = open(&path)? else { continue };
            if Some(part.inode) == self.seen {
                missed.clear();
            } else if part.inode != current {
                missed.push(part);
            }
        }
        for mut part in missed {
            part.finish(print)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("mcp-init-trail-{}-{name}", std::process::id()));
            drop(fs::remove_dir_all(&folder));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn append(&self, name: &str, text: &str) {
            let mut file = File::options().create(true).append(true).open(self.0.join(name)).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn rename(&self, from: &str, to: &str) {
            fs::rename(self.0.join(from), self.0.join(to)).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn lines(trail: &Trail, wanted: Wanted) -> Vec<String> {
        let mut lines = Vec::new();
        let mut print = |line: &[u8]| {
            lines.push(String::from_utf8(line.to_vec()).unwrap());
            Ok(())
        };
        trail.read(wanted, &mut print).unwrap();
        lines
    }

    fn last(count: usize) -> Wanted {
        Wanted { last: Some(count), since: None }
    }

    #[test]
    fn the_last_lines_are_found_across_parts_and_blocks() {
        let folder = Folder::new("last");
        let long = "x".repeat(100_000);
        folder.append("20260101T000000.000000Z.log", &format!("a\n{long}\n"));
        folder.append("20260102T000000.000000Z.log", "b\nc\n");
        folder.append("current", "\nd\n");
        let trail = Trail::of_log(&folder.0);
        let all = ["a", &long, "b", "c", "", "d"];
        for count in 0..8 {
            let expected = &all[all.len().saturating_sub(count)..];
            assert_eq!(lines(&trail, last(count)), expected, "{count}");
        }
        assert_eq!(lines(&trail, Wanted::default()), all);
    }

    #[test]
    fn since_is_by_the_time_a_line_begins_with() {
        let folder = Folder::new("since");
        folder.append("20260101T000000.000000Z.log", "2026-01-01T00:00:00.000000Z one\n");
        folder.append(
            "current",
            "2026-01-02T00:00:00.000000Z two\nwithout\n2026-01-03T00:00:00.000000Z three\n",
        );
        let trail = Trail::of_log(&folder.0);
        let since = units::read_time(b"2026-01-02T00:00:00Z");
        let found = lines(&trail, Wanted { last: None, since });
        assert_eq!(found.len(), 3);
        assert!(found[0].ends_with(" two"));
        let found = lines(&trail, Wanted { last: Some(2), since });
        assert_eq!(found[0], "without");
        let since = units::read_time(b"2026-02-01T00:00:00Z");
        assert!(lines(&trail, Wanted { last: None, since }).is_empty());
        folder.append("20260101T000001.000000Z.log", "no time\n");
        assert_eq!(lines(&trail, Wanted { last: None, since }).len(), 4);
    }

    #[test]
    fn following_loses_nothing_across_rotation() {
        let folder = Folder::new("follow");
        let trail = Trail::of_log(&folder.0);
        let heard = std::cell::RefCell::new(Vec::new());
        let mut print = |line: &[u8]| {
            heard.borrow_mut().push(String::from_utf8(line.to_vec()).unwrap());
            Ok(())
        };
        let mut follower = trail.read(last(10), &mut print).unwrap();
        follower.go_on(&mut print).unwrap();
        assert!(heard.borrow().is_empty());
        folder.append("current", "1\n2\nha");
        follower.go_on(&mut print).unwrap();
        assert_eq!(*heard.borrow(), ["1", "2"]);
        folder.append("current", "lf\n");
        folder.rename("current", "20260101T000000.000000Z.log");
        follower.go_on(&mut print).unwrap();
        folder.append("current", "4\n");
        folder.rename("current", "20260102T000000.000000Z.log");
        folder.append("current", "5\n");
        folder.rename("current", "20260103T000000.000000Z.log");
        folder.append("current", "6\n");
        follower.go_on(&mut print).unwrap();
        assert_eq!(*heard.borrow(), ["1", "2", "half", "4", "5", "6"]);
        follower.go_on(&mut print).unwrap();
        assert_eq!(heard.borrow().len(), 6);
    }

    #[test]
    fn a_journal_has_one_older_part() {
        let folder = Folder::new("journal");
        folder.append("events.jsonl.1", "1\n");
        folder.append("events.jsonl", "2\n");
        let trail = Trail::of_journal(folder.0.join("events.jsonl"));
        assert_eq!(lines(&trail, last(5)), ["1", "2"]);
    }
}
