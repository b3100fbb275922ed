//! Files that grow by whole lines: events and health. One file before the current one is kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::wire::APPEND_BYTES_MAX;

/// Appends whole lines, all or none of them.
pub(crate) fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    let mut file = open(path)?;
    let mut size = file.metadata()?.len();
    let more = u64::try_from(lines.len()).unwrap_or(u64::MAX);
    if size > 0 && size.saturating_add(more) > APPEND_BYTES_MAX {
        fs::rename(path, before(path))?;
        file = open(path)?;
        size = 0;
    }
    let torn = size > 0 && ends_within_a_line(&mut file)?;
    let result = if torn { file.write_all(&[b"\n", lines].concat()) } else { file.write_all(lines) };
    if result.is_err() {
        // Half a line is worse than none; if even this fails, the next line begins on a new one.
        drop(file.set_len(size));
    }
    result
}

/// The file that `path` becomes: `path.1`.
fn before(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

/// Whether an earlier life ended within a line of this file, which is not empty.
pub(super) fn ends_within_a_line(file: &mut File) -> io::Result<bool> {
    let mut last = *b"\n";
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Opens a file for appending; makes it and its folder if they are missing.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // A pipe or a terminal in its place must not make the scribe wait.
    options.read(true).append(true).create(true).mode(0o644).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    match (options.open(path), path.parent()) {
        (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
            options.open(path)
        }
        (other, _) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scribe::tests::Folder;

    #[test]
    fn lines_are_added_and_a_torn_one_is_ended_first() {
        let folder = Folder::new();
        let path = folder.path("services/a/health.jsonl");
        append(&path, b"{\"a\":1}\n").unwrap();
        fs::write(&path, b"{\"a\":1}\n{\"tor").unwrap();
        append(&path, b"{\"b\":2}\n{\"c\":3}\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"{\"a\":1}\n{\"tor\n{\"b\":2}\n{\"c\":3}\n");
    }

    #[test]
    fn a_file_past_its_bound_becomes_the_one_before() {
        let folder = Folder::new();
        let path = folder.path("events.jsonl");
        let line = [vec![b'x'; 99_999], vec![b'\n']].concat();
        for _ in 0..25 {
            append(&path, &line).unwrap();
        }
        let (now, old) = (fs::metadata(&path).unwrap().len(), fs::metadata(before(&path)).unwrap().len());
        assert_eq!((now, old), (500_000, 1_000_000));
        assert!(fs::metadata(&path).unwrap().len() <= APPEND_BYTES_MAX);
    }

    #[test]
    fn a_full_disk_is_an_error_and_not_a_wait() {
        let folder = Folder::new();
        let path = folder.path("events.jsonl");
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        assert_eq!(append(&path, b"x\n").unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    }
}
