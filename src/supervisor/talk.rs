//! Our end of a channel: lines in, lines out, bounded both ways. What a message leads to is not known here.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use serde::Deserialize;

use crate::channel::{FromService, LINE_BYTES_MAX, ToService};

/// Bytes taken from one channel in one turn: a flood costs the others no more than this.
const TURN_BYTES_MAX: usize = 64 * 1024;
/// Lines after which no more bytes are taken: many short ones cost more than few long ones.
const TURN_LINES_MAX: usize = 64;

/// What a line was.
#[derive(Debug)]
pub(super) enum Heard {
    /// One of the known messages.
    Message(FromService),
    /// A message of a type that is not known, or Node's own.
    Unknown,
    /// Node wants to hand over a socket, and sends nothing else until it is answered.
    Handle,
    /// No message at all, or too long a line.
    Garbage,
}

/// How far reading went.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing is left just now.
    Drained,
    /// There may be more: the next turn goes on.
    Unfinished,
    /// The service closed its end. That is no death.
    Closed,
}

/// Our end of a service's channel.
#[derive(Debug)]
pub(super) struct Channel {
    /// Nonblocking.
    stream: UnixStream,
    /// The beginning of a line whose end is still to come.
    partial: Vec<u8>,
    /// Whether the rest of an overlong line is being passed over.
    skipping: bool,
    /// What the service has not taken yet.
    unsent: Vec<u8>,
}

/// What is looked at first in a message.
#[derive(Deserialize)]
struct Outline<'a> {
    /// Node's own messages say `NODE_…` here.
    #[serde(borrow, default)]
    cmd: Option<std::borrow::Cow<'a, str>>,
    /// Ours say what they are here.
    #[serde(borrow, default, rename = "type")]
    kind: Option<std::borrow::Cow<'a, str>>,
}

impl Channel {
    /// Takes over our end.
    pub(super) const fn new(stream: UnixStream) -> Self {
        Self { stream, partial: Vec::new(), skipping: false, unsent: Vec::new() }
    }

    /// What becomes readable when the service says something.
    pub(super) fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Reads what is there, within a turn's bound, and passes on each line.
    pub(super) fn read(&mut self, heard: &mut dyn FnMut(Heard)) -> Progress {
        let (mut taken, mut lines) = (0_usize, 0_usize);
        let mut bytes = [0; 4096];
        while taken < TURN_BYTES_MAX && lines < TURN_LINES_MAX {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Progress::Closed,
                Ok(count) => {
                    taken = taken.saturating_add(count);
                    self.take(bytes.get(..count).unwrap_or_default(), &mut |one| {
                        lines = lines.saturating_add(1);
                        heard(one);
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Drained,
                Err(_) => return Progress::Closed,
            }
        }
        Progress::Unfinished
    }

    /// Splits bytes into lines.
    fn take(&mut self, bytes: &[u8], heard: &mut dyn FnMut(Heard)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let line = piece.strip_suffix(b"\n");
            let part = line.unwrap_or(piece);
            if !self.skipping {
                if self.partial.len().saturating_add(part.len()) > LINE_BYTES_MAX {
                    self.skipping = true;
                    self.partial = Vec::new();
                    heard(Heard::Garbage);
                } else if line.is_some() && self.partial.is_empty() {
                    heard(understand(part));
                } else {
                    self.partial.extend_from_slice(part);
                    if line.is_some() {
                        heard(understand(&std::mem::take(&mut self.partial)));
                    }
                }
            }
            if line.is_some() {
                self.skipping = false;
            }
        }
    }

    /// Asks the service something. A service that reads nothing for too long loses the question.
    pub(super) fn ask(&mut self, message: &ToService) {
        if let Ok(line) = serde_json::to_vec(message) {
            self.say(&line);
        }
    }

    /// Answers Node's wish to hand over a socket: no. The socket itself was closed when it was not received.
    pub(super) fn refuse_handle(&mut self) {
        self.say(br#"{"cmd":"NODE_HANDLE_NACK"}"#);
    }

    /// Sends a line, or keeps it while the service takes nothing.
    fn say(&mut self, line: &[u8]) {
        if self.unsent.len().saturating_add(line.len()) < LINE_BYTES_MAX {
            self.unsent.extend_from_slice(line);
            self.unsent.push(b'\n');
        }
        self.flush();
    }

    /// Sends what the service takes now.
    pub(super) fn flush(&mut self) {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count.min(self.unsent.len()))),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // It closed its end: reading says so, too.
                Err(_) => self.unsent.clear(),
            }
        }
        self.unsent = Vec::new();
    }
}

/// What a line says.
fn understand(line: &[u8]) -> Heard {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // Bun marks its internal messages with a byte before them.
    if line.first() == Some(&2) {
        return Heard::Unknown;
    }
    let Ok(outline) = serde_json::from_slice::<Outline<'_>>(line) else {
        // Any JSON value may be sent with `process.send`; one that is no object is no message of ours.
        let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
        return if is_json { Heard::Unknown } else { Heard::Garbage };
    };
    if outline.cmd.as_deref() == Some("NODE_HANDLE") {
        return Heard::Handle;
    }
    match outline.kind.as_deref() {
        Some("server-started" | "server-error" | "health-check-response" | "process-metrics") => {
            serde_json::from_slice(line).map_or(Heard::Garbage, Heard::Message)
        }
        Some(_) | None => Heard::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(bytes: &[u8]) -> (Vec<Heard>, Progress) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let bytes = bytes.to_vec();
        let writer = std::thread::spawn(move || theirs.write_all(&bytes).map(|()| theirs));
        let mut channel = Channel::new(ours);
        let mut all = Vec::new();
        while !writer.is_finished() {
            channel.read(&mut |heard| all.push(heard));
        }
        let _open = writer.join().unwrap().unwrap();
        let mut progress = Progress::Unfinished;
        while progress == Progress::Unfinished {
            progress = channel.read(&mut |heard| all.push(heard));
        }
        (all, progress)
    }

    #[test]
    fn a_message_is_heard_whole_and_garbage_costs_only_itself() {
        let long = "x".repeat(LINE_BYTES_MAX * 2);
        let text = format!(
            "{{\"type\":\"server-started\",\"serverId\":\"a\",\"port\":1}}\r\nnonsense\n{long}\n[1,2]\n\
             {{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\"}}\n{{\"type\":\"later\",\"serverId\":\"a\"}}\n\
             {{\"type\":\"process-metrics\",\"serverId\":\"a\",\"metrics\":{{\"memoryUsage\":5}}}}\n{{\"type\":\"ser"
        );
        let (all, progress) = heard(text.as_bytes());
        assert_eq!(progress, Progress::Drained);
        let Heard::Message(FromService::ServerStarted { port, .. }) = &all[0] else { panic!("{all:?}") };
        assert_eq!(*port, Some(1));
        assert!(matches!(
            all[1..6],
            [Heard::Garbage, Heard::Garbage, Heard::Unknown, Heard::Handle, Heard::Unknown]
        ));
        let Heard::Message(FromService::ProcessMetrics { metrics, .. }) = &all[6] else { panic!("{all:?}") };
        assert_eq!(*metrics, crate::channel::Metrics { memory_usage: Some(5.0), ..Default::default() });
        assert_eq!(all.len(), 7);
    }

    #[test]
    fn no_bytes_make_it_panic_or_grow() {
        const ALPHABET: &[u8] = b"{}[]\":,\n\\u0x\x02type server-started";
        let mut seed = 1_u64;
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut channel = Channel::new(ours);
        for _ in 0..2_000 {
            let bytes: Vec<u8> = (0..200)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    ALPHABET[usize::try_from(seed >> 33).unwrap() % ALPHABET.len()]
                })
                .collect();
            channel.take(&bytes, &mut |_| ());
            assert!(channel.partial.len() <= LINE_BYTES_MAX);
        }
    }
}
