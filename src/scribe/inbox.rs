//! The scribe's end of the socket: whole frames in, answers out, never waiting. It understands no frame.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::{AsFd, OwnedFd};

use super::wire::{self, Frame, Kind};
use crate::sys::scribe_io::{receive_with, send_with};

/// Most bytes taken from the socket in one turn: the services' outputs wait meanwhile.
const TURN_BYTES: usize = 1024 * 1024;
/// While more than this waits to be sent, nothing is received: every frame may need an answer.
const UNSENT_BYTES_MAX: usize = 64 * 1024;

/// The socket and what is on its way.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// Our end.
    socket: OwnedFd,
    /// Received, not yet understood.
    input: Vec<u8>,
    /// Descriptors in the order of the frames they belong to; `None` for one that was lost.
    fds: VecDeque<Option<OwnedFd>>,
    /// Answers not yet sent.
    output: Vec<u8>,
    /// There may be more to receive.
    unread: bool,
    /// The supervisor is gone.
    ended: bool,
}

impl Inbox {
    /// For our end of a stream socket pair.
    pub(crate) const fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            input: Vec::new(),
            fds: VecDeque::new(),
            output: Vec::new(),
            unread: true,
            ended: false,
        }
    }

    /// The socket.
    pub(crate) const fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// The supervisor is gone, or talks nonsense.
    pub(crate) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Says that this is the end.
    pub(crate) const fn end(&mut self) {
        self.ended = true;
    }

    /// Notes that the socket became readable.
    pub(crate) const fn wake(&mut self) {
        self.unread = true;
    }

    /// Whether there is something to receive and room for its answers.
    pub(crate) const fn is_unfinished(&self) -> bool {
        self.unread && !self.ended && self.output.len() <= UNSENT_BYTES_MAX
    }

    /// Whether answers wait for the socket.
    pub(crate) const fn has_unsent(&self) -> bool {
        !self.output.is_empty()
    }

    /// Takes what the socket holds through `buffer`; returns all bytes not yet understood.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Vec<u8> {
        let mut taken = 0_usize;
        while self.is_unfinished() && taken < TURN_BYTES {
            match receive_with(self.socket.as_fd(), buffer) {
                Ok(received) => {
                    self.ended = received.bytes == 0;
                    self.input.extend_from_slice(buffer.get(..received.bytes).unwrap_or_default());
                    if received.fd.is_some() || received.lost {
                        self.fds.push_back(received.fd);
                    }
                    taken = taken.saturating_add(received.bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.unread = false,
                Err(_) => self.ended = true,
            }
        }
        mem::take(&mut self.input)
    }

    /// Keeps the part of a frame that came in before its rest.
    pub(crate) fn keep(&mut self, mut bytes: Vec<u8>, used: usize) {
        if used < bytes.len() {
            bytes.drain(..used);
            self.input = bytes;
        }
    }

    /// The descriptor of the next frame that needs one.
    pub(crate) fn next_fd(&mut self) -> Option<OwnedFd> {
        self.fds.pop_front().flatten()
    }

    /// Answers a ticket; 0 needs no answer.
    pub(crate) fn done(&mut self, ticket: u32, errno: i32) {
        if ticket != 0 {
            self.answer(Kind::Done, ticket, &errno.to_le_bytes());
        }
    }

    /// Adds an answer.
    pub(crate) fn answer(&mut self, kind: Kind, ticket: u32, body: &[u8]) {
        let fits = wire::encode(&mut self.output, Frame { kind, ticket, path: b"", body });
        debug_assert!(fits, "answers are short");
    }

    /// Sends what the socket takes at once.
    pub(crate) fn send(&mut self) {
        let mut sent = 0;
        while let Some(rest) = self.output.get(sent..).filter(|rest| !rest.is_empty()) {
            match send_with(self.socket.as_fd(), rest, None) {
                Ok(count) => sent = sent.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    // Nobody is there to read it; what was received before is still worth doing.
                    self.output = Vec::new();
                    return;
                }
            }
        }
        if sent == self.output.len() {
            self.output = Vec::new();
        } else {
            self.output.drain(..sent);
        }
    }
}
