//! What the scribe and its link need of the kernel that std does not offer: descriptors over a socket,
//! fast searches for a byte, a stderr that never waits. No frame is understood here.

use std::ffi::{c_int, c_void};
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{SigHandler, Signal};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, sendmsg};
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};

/// Sends what the socket takes at once; `fd` travels with the first byte.
pub(crate) fn send_with(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fd: Option<BorrowedFd<'_>>,
) -> io::Result<usize> {
    let raw = fd.map(|fd| [fd.as_raw_fd()]);
    let rights = raw.as_ref().map(|raw| [ControlMessage::ScmRights(raw)]);
    let control: &[ControlMessage<'_>] = rights.as_ref().map_or(&[], |rights| rights.as_slice());
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    loop {
        match sendmsg::<UnixAddr>(socket.as_raw_fd(), &[IoSlice::new(bytes)], control, flags, None) {
            Err(Errno::EINTR) => {}
            // The descriptors on their way are too many just now: the same as a full socket.
            Err(Errno::ETOOMANYREFS) => return Err(io::ErrorKind::WouldBlock.into()),
            other => return Ok(other?),
        }
    }
}

/// What one receive brought.
#[derive(Debug)]
pub(crate) struct Received {
    /// Bytes at the front of the buffer; 0 is the end of the stream.
    pub(crate) bytes: usize,
    /// The descriptor that came with them.
    pub(crate) fd: Option<OwnedFd>,
    /// A descriptor came with them and could not be taken (out of descriptors): it is lost.
    pub(crate) lost: bool,
}

/// Receives what is there, without waiting, and at most one descriptor with it: the kernel ends a read of a
/// stream after the bytes that carry one.
pub(crate) fn receive_with(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    let mut control = nix::cmsg_space!([RawFd; 1]);
    let mut slices = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = loop {
        match recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags) {
            Err(Errno::EINTR) => {}
            other => break other?,
        }
    };
    let lost = message.flags.contains(MsgFlags::MSG_CTRUNC);
    let mut fd = None;
    if let Ok(parts) = message.cmsgs() {
        for part in parts {
            if let ControlMessageOwned::ScmRights(fds) = part {
                for raw in fds {
                    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
                    fd = Some(unsafe { OwnedFd::from_raw_fd(raw) });
                }
            }
        }
    }
    Ok(Received { bytes: message.bytes, fd, lost })
}

/// Where `byte` is first in `bytes`.
pub(crate) fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    // SAFETY: the pointer and the length are those of one live slice.
    let found = unsafe { libc::memchr(bytes.as_ptr().cast::<c_void>(), c_int::from(byte), bytes.len()) };
    offset(found, bytes)
}

/// Where `byte` is last in `bytes`.
pub(crate) fn find_last(byte: u8, bytes: &[u8]) -> Option<usize> {
    // SAFETY: the pointer and the length are those of one live slice.
    let found = unsafe { libc::memrchr(bytes.as_ptr().cast::<c_void>(), c_int::from(byte), bytes.len()) };
    offset(found, bytes)
}

/// The index of a place in `bytes`; `None` for a null pointer.
fn offset(found: *mut c_void, bytes: &[u8]) -> Option<usize> {
    if found.is_null() { None } else { found.addr().checked_sub(bytes.as_ptr().addr()) }
}

/// Ignores the signals that a terminal or a wide `kill` sends to the whole group: the scribe ends when the
/// supervisor says so or is gone. `SIGXFSZ` becomes the error `EFBIG` of the write that met a limit.
pub(crate) fn ignore_signals() {
    let ignored = [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGPIPE,
        Signal::SIGXFSZ,
    ];
    for signal in ignored {
        // SAFETY: SIG_IGN installs no handler, so no code of ours can run at a bad moment.
        let set = unsafe { nix::sys::signal::signal(signal, SigHandler::SigIgn) };
        debug_assert!(set.is_ok(), "{signal} can be ignored");
    }
}

/// Whether files on this file system are in memory only, so that an fsync has no sense.
pub(crate) fn is_in_memory(file: impl AsFd) -> bool {
    fstatfs(file).is_ok_and(|stat| stat.filesystem_type() == TMPFS_MAGIC)
}

/// Makes reads from a pipe, through whatever descriptor, return at once.
pub(crate) fn never_wait(pipe: impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(&pipe, FcntlArg::F_GETFL)?);
    if !flags.contains(OFlag::O_NONBLOCK) {
        fcntl(&pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    }
    Ok(())
}

/// Waits until the socket takes bytes, for at most `milliseconds`.
pub(crate) fn wait_writable(socket: BorrowedFd<'_>, milliseconds: u16) -> bool {
    let mut one = [PollFd::new(socket, PollFlags::POLLOUT)];
    matches!(nix::poll::poll(&mut one, PollTimeout::from(milliseconds)), Ok(1..))
}

/// For how long a reader of ours may do something else before what is said to it is dropped.
const PATIENCE_MS: u16 = 200;

/// Our stdout or stderr, written without ever waiting long.
#[derive(Debug)]
pub(crate) struct Console {
    /// The same pipe or terminal, opened once more so that it does not wait and nobody else notices.
    own: Option<File>,
    /// Else the descriptor as it was given to us.
    given: Given,
    /// Its reader did not read for a while: until it reads again nobody waits for it.
    is_stuck: bool,
}

/// A descriptor that was given to us.
#[derive(Debug, Clone, Copy)]
enum Given {
    /// 1
    Output,
    /// 2
    Errors,
}

impl Console {
    /// Our stderr.
    pub(crate) fn errors() -> Self {
        Self::open("/proc/self/fd/2", Given::Errors)
    }

    /// Our stdout.
    pub(crate) fn output() -> Self {
        Self::open("/proc/self/fd/1", Given::Output)
    }

    /// Opens one. Only pipes and terminals are opened anew: they are what can make a writer wait.
    fn open(path: &str, given: Given) -> Self {
        let kind = std::fs::metadata(path).map(|data| data.file_type());
        let waits = kind.is_ok_and(|kind| kind.is_fifo() || kind.is_char_device());
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
        Self { own: if waits { options.open(path).ok() } else { None }, given, is_stuck: false }
    }

    /// Writes a line as far as that is possible at once; what is not taken is dropped.
    pub(crate) fn say(&mut self, line: &[u8]) {
        self.write(line, 0);
    }

    /// Writes lines, with some patience; whether all was taken.
    pub(crate) fn tell(&mut self, lines: &[u8]) -> bool {
        let patience = if self.is_stuck { 0 } else { PATIENCE_MS };
        let told = self.write(lines, patience);
        self.is_stuck = !told;
        told
    }

    /// Writes in pieces, each of which may wait for so many milliseconds; whether all was taken.
    fn write(&self, bytes: &[u8], patience: u16) -> bool {
        let (output, errors) = (io::stdout(), io::stderr());
        let given = match self.given {
            Given::Output => output.as_fd(),
            Given::Errors => errors.as_fd(),
        };
        let target = self.own.as_ref().map_or(given, AsFd::as_fd);
        // A pipe that takes anything takes this much, all of it or nothing.
        bytes.chunks(libc::PIPE_BUF).all(|piece| {
            wait_writable(target, patience)
                && nix::unistd::write(target, piece).is_ok_and(|taken| taken == piece.len())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn bytes_are_found_from_both_ends() {
        assert_eq!(find(b'\n', b"ab\ncd\n"), Some(2));
        assert_eq!(find_last(b'\n', b"ab\ncd\ne"), Some(5));
        assert_eq!(find(b'\n', b"abc"), None);
        assert_eq!(find_last(b'\n', b""), None);
    }

    #[test]
    fn a_reader_that_does_not_read_costs_words_but_no_wait() {
        let (mut reader, writer) = io::pipe().unwrap();
        never_wait(&writer).unwrap();
        let own = Some(File::from(OwnedFd::from(writer)));
        let mut stderr = Console { own, given: Given::Errors, is_stuck: false };
        let line = [vec![b'x'; 9_999], vec![b'\n']].concat();
        for _ in 0..100 {
            stderr.say(&line);
        }
        drop(stderr);
        let mut heard = Vec::new();
        reader.read_to_end(&mut heard).unwrap();
        assert!(heard.len() >= 40_000 && heard.starts_with(&line), "{}", heard.len());
    }

    #[test]
    fn a_descriptor_comes_with_the_bytes_it_was_sent_with() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        assert_eq!(send_with(ours.as_fd(), b"plain", None).unwrap(), 5);
        assert_eq!(send_with(ours.as_fd(), b"rights", Some(reader.as_fd())).unwrap(), 6);
        assert_eq!(send_with(ours.as_fd(), b"after", None).unwrap(), 5);
        let mut buffer = [0; 64];
        let first = receive_with(theirs.as_fd(), &mut buffer).unwrap();
        let fd = first.fd.or_else(|| receive_with(theirs.as_fd(), &mut buffer).unwrap().fd).unwrap();
        writer.write_all(b"x").unwrap();
        assert_eq!(nix::unistd::read(&fd, &mut buffer).unwrap(), 1);
        drop(ours);
    }
}
