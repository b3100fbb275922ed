//! The supervisor's end of the socket to its scribe: frames out, answers in, never waiting. It knows no scribe
//! process: who restarts it makes a new link.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::wire::{self, Decoded, Frame, Kind};
use crate::sys::scribe_io::{receive_with, send_with};

/// While more than this waits, frames that can be done without, or said again, are refused.
const UNSENT_BYTES_MAX: usize = 1024 * 1024;
/// While more than this waits, all are.
const UNSENT_BYTES_END: usize = 8 * 1024 * 1024;
/// Most bytes received at once.
const READ_BYTES: usize = 4096;

/// The socket and what is on its way. With nothing on its way it has no memory of its own.
#[derive(Debug)]
pub(crate) struct Link {
    /// Our end.
    socket: OwnedFd,
    /// Not yet sent. Each part begins with the frame its descriptor belongs to, because a descriptor arrives
    /// with the first byte of what it was sent with.
    output: VecDeque<Part>,
    /// Bytes in all parts.
    unsent: usize,
    /// An answer that came in before its rest.
    input: Vec<u8>,
}

/// Frames that are sent together.
#[derive(Debug)]
struct Part {
    /// The frames.
    bytes: Vec<u8>,
    /// How many bytes are sent.
    sent: usize,
    /// Sent with the first byte.
    fd: Option<OwnedFd>,
}

impl Link {
    /// For our end of a stream socket pair.
    pub(crate) const fn new(socket: OwnedFd) -> Self {
        Self { socket, output: VecDeque::new(), unsent: 0, input: Vec::new() }
    }

    /// Takes a frame, with the descriptor it needs, for the next [`Self::flush`]. `false`: the scribe does not
    /// keep up (or a length is beyond the wire), and the frame was not taken.
    #[must_use]
    pub(crate) fn send(&mut self, frame: Frame<'_>, fd: Option<OwnedFd>) -> bool {
        let limit = match frame.kind {
            Kind::Replace | Kind::Append | Kind::Say => UNSENT_BYTES_MAX,
            Kind::ReplaceSecret | Kind::Remove | Kind::Watch | Kind::Unwatch | Kind::Drain | Kind::Finish => {
                UNSENT_BYTES_END
            }
            Kind::Done | Kind::Degraded | Kind::Dropped => return false,
        };
        if self.unsent > limit {
            return false;
        }
        if fd.is_some() || self.output.is_empty() {
            self.output.push_back(Part { bytes: Vec::new(), sent: 0, fd });
        }
        let Some(part) = self.output.back_mut() else { return false };
        let before = part.bytes.len();
        let fits = wire::encode(&mut part.bytes, frame);
        self.unsent = self.unsent.saturating_add(part.bytes.len().saturating_sub(before));
        if !fits && before == 0 {
            self.output.pop_back();
        }
        fits
    }

    /// Sends what the socket takes at once; whether that was all. An error is the end of this scribe.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        while let Some(part) = self.output.front_mut() {
            let rest = part.bytes.get(part.sent..).unwrap_or_default();
            match send_with(self.socket.as_fd(), rest, part.fd.as_ref().map(AsFd::as_fd)) {
                Ok(sent) => {
                    part.fd = None;
                    part.sent = part.sent.saturating_add(sent);
                    self.unsent = self.unsent.saturating_sub(sent);
                    if part.sent >= part.bytes.len() {
                        self.output.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.output = VecDeque::new();
        Ok(true)
    }

    /// Bytes that wait for the socket to take them.
    pub(crate) const fn backlog(&self) -> usize {
        self.unsent
    }

    /// Whether something waits for the socket to take it.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.output.is_empty()
    }

    /// Gives `hear` the answers that are there. An error, also an end of the stream, is the end of this scribe.
    pub(crate) fn receive(&mut self, mut hear: impl FnMut(Frame<'_>)) -> io::Result<()> {
        let mut buffer = [0; READ_BYTES];
        loop {
            let count = match receive_with(self.socket.as_fd(), &mut buffer) {
                Ok(received) => received.bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut bytes = std::mem::take(&mut self.input);
            bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
            let mut used = 0_usize;
            loop {
                match wire::decode(bytes.get(used..).unwrap_or_default()) {
                    Decoded::Frame(frame, taken) => {
                        used = used.saturating_add(taken);
                        hear(frame);
                    }
                    Decoded::Partial if bytes.len().saturating_sub(used) <= UNSENT_BYTES_MAX => break,
                    Decoded::Partial | Decoded::Garbage => return Err(io::ErrorKind::InvalidData.into()),
                }
            }
            if used < bytes.len() {
                bytes.drain(..used);
                self.input = bytes;
            }
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Link {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
