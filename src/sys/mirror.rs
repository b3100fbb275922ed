//! A look at what a pipe holds that takes nothing out of it. What is done with the bytes is not known here.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, tee};
use nix::unistd::pipe2;

/// Room of the pipe that is looked through: as much as anybody but root can give to another pipe. In pieces, of
/// which small writes may fill one each.
const ROOM_BYTES: i32 = 1024 * 1024;

/// A pipe of our own, into which the kernel copies what another one holds.
#[derive(Debug)]
pub(crate) struct Mirror {
    /// Where the copy is read; always empty between two looks.
    read: File,
    /// Where the kernel puts it.
    write: OwnedFd,
}

impl Mirror {
    /// Two descriptors, and no memory while nobody looks.
    pub(crate) fn new() -> io::Result<Self> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        // With less, a look shows less of a pipe full of small writes, and another one follows.
        let _room = fcntl(&write, FcntlArg::F_SETPIPE_SZ(ROOM_BYTES));
        Ok(Self { read: File::from(read), write })
    }

    /// Copies what is at the front of `pipe`; 0 is its end.
    ///
    /// # Errors
    /// `WouldBlock` when it is empty.
    pub(crate) fn look(&mut self, pipe: impl AsFd, into: &mut [u8]) -> io::Result<usize> {
        let count = tee(pipe, &self.write, into.len(), SpliceFFlags::SPLICE_F_NONBLOCK)?;
        self.read.read_exact(into.get_mut(..count).unwrap_or_default())?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_look_takes_nothing() {
        let (read, write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap();
        let (mut read, mut write) = (File::from(read), File::from(write));
        let mut mirror = Mirror::new().unwrap();
        let mut bytes = [0; 64];
        assert_eq!(mirror.look(&read, &mut bytes).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        for word in ["one", " two"] {
            write.write_all(word.as_bytes()).unwrap();
            assert!(mirror.look(&read, &mut bytes).unwrap() >= 3);
        }
        assert_eq!(&bytes[..7], b"one two");
        assert_eq!(mirror.look(&read, &mut bytes[..3]).unwrap(), 3);
        assert_eq!(read.read(&mut bytes).unwrap(), 7);
        drop(write);
        assert_eq!(mirror.look(&read, &mut bytes).unwrap(), 0);
    }
}
