//! One file of lines, read forward from some point, or looked at from its end. It knows no other file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// Bytes read at once.
const BLOCK_BYTES: u16 = 32 * 1024;

/// What is done with a line.
pub(super) type Print<'a> = dyn FnMut(&[u8]) -> io::Result<()> + 'a;

/// A file, read to some point.
#[derive(Debug)]
pub(super) struct Part {
    /// The file.
    pub(super) reader: BufReader<File>,
    /// Which it is, whatever its name becomes.
    pub(super) inode: u64,
    /// How far it was read.
    pub(super) at: u64,
    /// A line whose end is not written yet.
    partial: Vec<u8>,
}

/// Opens a file, if it is there.
pub(super) fn open(path: &Path) -> io::Result<Option<Part>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let inode = file.metadata()?.ino();
    let reader = BufReader::with_capacity(usize::from(BLOCK_BYTES), file);
    Ok(Some(Part { reader, inode, at: 0, partial: Vec::new() }))
}

impl Part {
    /// Gives `print` the whole lines up to the end that the file has now.
    pub(super) fn read(&mut self, print: &mut Print<'_>) -> io::Result<()> {
        loop {
            let count = self.reader.read_until(b'\n', &mut self.partial)?;
            self.at = self.at.saturating_add(u64::try_from(count).unwrap_or(0));
            if count == 0 {
                return Ok(());
            }
            if self.partial.ends_with(b"\n") {
                self.partial.pop();
                print(&self.partial)?;
                self.partial.clear();
            }
        }
    }

    /// Gives `print` what is left of a file that does not grow any more.
    pub(super) fn finish(&mut self, print: &mut Print<'_>) -> io::Result<()> {
        self.read(print)?;
        if self.partial.is_empty() { Ok(()) } else { print(&std::mem::take(&mut self.partial)) }
    }

    /// Goes to a byte.
    pub(super) fn seek(&mut self, to: u64) -> io::Result<()> {
        self.partial.clear();
        self.at = to;
        io::Seek::seek(&mut self.reader, io::SeekFrom::Start(to)).map(drop)
    }
}

/// Drops parts and moves within the first that is left, so that `count` lines remain.
pub(super) fn skip_to_last(parts: &mut Vec<Part>, count: usize) -> io::Result<()> {
    let mut missing = count;
    let mut first = parts.len();
    for part in parts.iter_mut().rev() {
        if missing == 0 {
            break;
        }
        first = first.saturating_sub(1);
        let from = last_lines(part.reader.get_ref(), &mut missing)?;
        part.seek(from)?;
    }
    // The last one stays, to go on from; of no lines, its end.
    if first == parts.len()
        && let Some(part) = parts.last_mut()
    {
        let end = part.reader.get_ref().metadata()?.len();
        part.seek(end)?;
        first = first.saturating_sub(1);
    }
    parts.drain(..first);
    Ok(())
}

/// Where the last `missing` lines of a file begin; it looks at no more of it than it must. What was found is
/// taken off `missing`.
fn last_lines(file: &File, missing: &mut usize) -> io::Result<u64> {
    let mut block = vec![0; usize::from(BLOCK_BYTES)];
    let mut start = file.metadata()?.len();
    let mut last_byte = true;
    while start > 0 {
        let from = start.saturating_sub(u64::from(BLOCK_BYTES));
        let length = usize::try_from(start.saturating_sub(from)).unwrap_or(0);
        let bytes = block.get_mut(..length).unwrap_or_default();
        file.read_exact_at(bytes, from)?;
        for (at, byte) in bytes.iter().enumerate().rev() {
            // The end of the last line is not the beginning of another.
            if *byte == b'\n' && !std::mem::take(&mut last_byte) {
                *missing = missing.saturating_sub(1);
                if *missing == 0 {
                    return Ok(from.saturating_add(u64::try_from(at).unwrap_or(0)).saturating_add(1));
                }
            }
            last_byte = false;
        }
        start = from;
    }
    if !last_byte {
        *missing = missing.saturating_sub(1);
    }
    Ok(0)
}
