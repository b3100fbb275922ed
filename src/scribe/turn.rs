//! The scribe's loop: wait, hear the supervisor, read the outputs, keep the state, answer. No file is opened
//! here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use super::batch::Task;
use super::inbox::Inbox;
use super::keeper::Keeper;
use super::output::{More, Output, Scratch};
use super::own_log::OwnLog;
use super::sink::Sink;
use super::wire::{self, Decoded, Frame, Kind};
use crate::config::plan::Log;
use crate::sys::scribe_io::{Console, ignore_signals, never_wait, wait_writable};
use crate::sys::{memory, own};

/// The supervisor's socket.
const SOCKET: Token = Token(0);
/// A batch of state files is written.
const WRITTEN: Token = Token(1);
/// The service of number `n` has the token `n` plus this.
const FIRST_OUTPUT: usize = 2;
/// Events taken from the kernel at once.
const EVENTS_MAX: usize = 64;
/// A partial frame larger than this is not one of the supervisor's.
const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What a batch is taken to have touched of the memory: enough to look after it.
const BATCH_BYTES: usize = 128 * 1024;
/// At the end, looks at outputs that never cease.
const LAST_LOOKS: u8 = 4;
/// How long the last answer may wait for room in the socket, in milliseconds.
const LAST_ANSWER_MS: u16 = 1000;

/// The program: serves the supervisor at the other end of `socket` until that says so or is gone; the exit
/// code.
pub(crate) fn run(socket: OwnedFd) -> u8 {
    ignore_signals();
    memory::settle();
    memory::hold_text();
    // Two for each service; where that is not allowed the limit stays as it is.
    let _before = own::raise_descriptors();
    match serve(socket) {
        Ok(()) => 0,
        Err(error) => {
            Console::errors().say(format!("mcp-init: cannot run scribe: {error}\n").as_bytes());
            1
        }
    }
}

/// The same, without a word about signals.
pub(super) fn serve(socket: OwnedFd) -> io::Result<()> {
    let mut scribe = Scribe::new(socket)?;
    let mut events = Events::with_capacity(EVENTS_MAX);
    let mut now = read_clock();
    while !scribe.inbox.has_ended() {
        scribe.wait(&mut events, now)?;
        now = read_clock();
        scribe.note(&events, now);
        scribe.hear(now);
        scribe.read(now);
        scribe.keeper.work(now);
        scribe.tell(now);
        scribe.scratch.rest(now);
    }
    scribe.finish(&mut events, now);
    Ok(())
}

/// The one reading of the clock a turn.
#[expect(clippy::disallowed_methods, reason = "this loop's one clock reading")]
fn read_clock() -> Instant {
    Instant::now()
}

/// All the scribe knows.
struct Scribe {
    /// Where it waits.
    poll: Poll,
    /// The supervisor.
    inbox: Inbox,
    /// The socket is also watched for room.
    wants_room: bool,
    /// The services' outputs by number.
    outputs: BTreeMap<u32, Output>,
    /// Outputs that may have more at once, in the order of their turns.
    ready: VecDeque<u32>,
    /// Outputs whose log is in trouble or has been.
    troubled: BTreeSet<u32>,
    /// The state files.
    keeper: Keeper,
    /// The supervisor's own log.
    own_log: OwnLog,
    /// Buffers.
    scratch: Scratch,
    /// The errno the supervisor was last told; 0 while all is well.
    told_errno: i32,
    /// The ticket of `Finish`.
    last_ticket: u32,
}

impl Scribe {
    /// With the supervisor at the other end of `socket`.
    fn new(socket: OwnedFd) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), SOCKET, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WRITTEN)?);
        Ok(Self {
            poll,
            inbox: Inbox::new(socket),
            wants_room: false,
            outputs: BTreeMap::new(),
            ready: VecDeque::new(),
            troubled: BTreeSet::new(),
            keeper: Keeper::new(waker),
            own_log: OwnLog::default(),
            scratch: Scratch::default(),
            told_errno: 0,
            last_ticket: 0,
        })
    }

    /// Sleeps until there is something to do.
    fn wait(&mut self, events: &mut Events, now: Instant) -> io::Result<()> {
        let timeout = if self.inbox.is_unfinished() || !self.ready.is_empty() {
            Some(Duration::ZERO)
        } else {
            self.deadline().map(|at| at.saturating_duration_since(now))
        };
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// When there is something to do even if nothing comes: only while a disk takes nothing, or after a flood.
    fn deadline(&self) -> Option<Instant> {
        let outputs = self.troubled.iter().filter_map(|number| self.outputs.get(number)?.deadline());
        let own = self.own_log.trouble().map(|(trouble, _)| trouble.retry_at);
        outputs.chain(own).chain(self.keeper.deadline()).chain(self.scratch.deadline()).min()
    }

    /// Remembers who has something.
    fn note(&mut self, events: &Events, now: Instant) {
        for event in events {
            match event.token() {
                SOCKET => self.inbox.wake(),
                WRITTEN => {
                    self.keeper.collect(now);
                    self.scratch.spend(BATCH_BYTES);
                }
                Token(token) => {
                    let number =
                        token.checked_sub(FIRST_OUTPUT).and_then(|number| u32::try_from(number).ok());
                    if let Some(number) = number {
                        self.queue(number);
                    }
                }
            }
        }
    }

    /// Gives an output a place in the row, if it has none.
    fn queue(&mut self, number: u32) {
        if let Some(output) = self.outputs.get_mut(&number).filter(|output| !output.queued) {
            output.queued = true;
            self.ready.push_back(number);
        }
    }

    /// Does what the supervisor asks.
    fn hear(&mut self, now: Instant) {
        if !self.inbox.is_unfinished() {
            return;
        }
        let bytes = self.inbox.receive(self.scratch.input());
        self.scratch.spend(bytes.len());
        let mut used = 0_usize;
        loop {
            match wire::decode(bytes.get(used..).unwrap_or_default()) {
                Decoded::Frame(frame, taken) => {
                    used = used.saturating_add(taken);
                    self.obey(frame, now);
                }
                Decoded::Partial if bytes.len().saturating_sub(used) <= FRAME_BYTES_MAX => break,
                Decoded::Partial | Decoded::Garbage => {
                    self.inbox.end();
                    break;
                }
            }
        }
        self.inbox.keep(bytes, used);
    }

    /// Does what one frame asks.
    fn obey(&mut self, frame: Frame<'_>, now: Instant) {
        let path = Path::new(OsStr::from_bytes(frame.path));
        match frame.kind {
            Kind::Replace => self.keeper.take(path, Task::Replace(frame.body.into()), frame.ticket, now),
            Kind::ReplaceSecret => self.keeper.take(path, Task::Secret(frame.body.into()), frame.ticket, now),
            Kind::Append => self.keeper.take(path, Task::Append(frame.body.into()), frame.ticket, now),
            Kind::Remove => self.keeper.take(path, Task::Remove, frame.ticket, now),
            Kind::Watch => self.watch(frame.ticket, path, frame.body, now),
            Kind::Unwatch => {
                self.drain(frame.ticket, now);
                self.forget(frame.ticket);
            }
            Kind::Drain => {
                let errno = self.drain(frame.ticket, now);
                let tail = self.outputs.get_mut(&frame.ticket).map(Output::tail).unwrap_or_default();
                self.inbox.answer(Kind::Done, frame.ticket, &[&errno.to_le_bytes(), &*tail].concat());
            }
            Kind::Say => self.own_log.say(path, frame.body, now),
            Kind::Finish => {
                self.last_ticket = frame.ticket;
                self.inbox.end();
            }
            // Our own words: the supervisor does not say them.
            Kind::Done | Kind::Degraded | Kind::Dropped => self.inbox.end(),
        }
    }

    /// Begins to read a service's output.
    fn watch(&mut self, number: u32, folder: &Path, rules: &[u8], now: Instant) {
        if self.outputs.contains_key(&number) {
            self.drain(number, now);
            self.forget(number);
        }
        let Some(pipe) = self.inbox.next_fd() else {
            // Out of descriptors: its output is not read, which somebody has to know.
            return self.tell_degraded(libc::EMFILE, folder.as_os_str().as_bytes());
        };
        // A pipe that waits would make all others wait.
        if never_wait(&pipe).is_err() {
            return;
        }
        // Rules that cannot be read cost the log, not the service: its output is read and thrown away.
        let rules = serde_json::from_slice::<Log>(rules).ok();
        let output =
            Output::new(pipe, Sink::of(rules.as_ref(), folder), rules.is_some_and(|rules| rules.timestamps));
        let token = usize::try_from(number).unwrap_or(usize::MAX).saturating_add(FIRST_OUTPUT);
        let raw = output.raw_pipe().unwrap_or(-1);
        let watched = self.poll.registry().register(&mut SourceFd(&raw), Token(token), Interest::READABLE);
        if watched.is_ok() {
            self.outputs.insert(number, output);
        }
    }

    /// Writes what is left of an output; the errno of its log.
    fn drain(&mut self, number: u32, now: Instant) -> i32 {
        let Some(output) = self.outputs.get_mut(&number) else { return 0 };
        let more = output.drain(&mut self.scratch, now);
        self.after_reading(number, more);
        self.outputs.get(&number).and_then(Output::trouble).map_or(0, |(errno, _)| errno)
    }

    /// Closes an output.
    fn forget(&mut self, number: u32) {
        if let Some(mut output) = self.outputs.remove(&number) {
            self.close(&mut output);
            self.troubled.remove(&number);
            self.ready.retain(|other| *other != number);
        }
    }

    /// Closes a pipe. The supervisor has it open as well, so the kernel would go on to tell us about it.
    fn close(&self, output: &mut Output) {
        if let Some(raw) = output.raw_pipe() {
            drop(self.poll.registry().deregister(&mut SourceFd(&raw)));
        }
        output.close();
    }

    /// Reads a portion of every output that has one: none starves another, nor the supervisor.
    fn read(&mut self, now: Instant) {
        for _ in 0..self.ready.len() {
            let Some(number) = self.ready.pop_front() else { break };
            let Some(output) = self.outputs.get_mut(&number) else { continue };
            output.queued = false;
            let more = output.turn(&mut self.scratch, now);
            self.after_reading(number, more);
        }
    }

    /// Puts an output where it belongs after it was read.
    fn after_reading(&mut self, number: u32, more: More) {
        match more {
            More::Yes => self.queue(number),
            More::No => {}
            More::End => {
                if let Some(mut output) = self.outputs.remove(&number) {
                    self.close(&mut output);
                    self.outputs.insert(number, output);
                }
            }
        }
        if self.outputs.get(&number).is_some_and(|output| !output.is_well()) {
            self.troubled.insert(number);
        }
    }

    /// Tries again what is due, and tells the supervisor what it has to know.
    fn tell(&mut self, now: Instant) {
        self.own_log.retry(now);
        for number in self.troubled.clone() {
            let Some(output) = self.outputs.get_mut(&number) else { continue };
            output.retry(now);
            let dropped = output.report(now);
            if dropped > 0 {
                self.inbox.answer(Kind::Dropped, number, &dropped.to_le_bytes());
            }
            if output.is_well() {
                self.troubled.remove(&number);
            }
        }
        for (ticket, errno) in self.keeper.answers() {
            self.inbox.done(ticket, errno);
        }
        let (errno, path) = self.trouble().unwrap_or((0, Path::new("")));
        if errno != self.told_errno {
            let path = path.as_os_str().as_bytes().to_vec();
            self.tell_degraded(errno, &path);
        }
        self.inbox.send();
        self.want_room();
    }

    /// Says that the disk takes nothing, or takes it again.
    fn tell_degraded(&mut self, errno: i32, path: &[u8]) {
        self.told_errno = errno;
        self.inbox.answer(Kind::Degraded, 0, &[&errno.to_le_bytes(), path].concat());
    }

    /// What cannot be written just now, and why.
    fn trouble(&self) -> Option<(i32, &Path)> {
        let outputs = || self.troubled.iter().find_map(|number| self.outputs.get(number)?.trouble());
        let own = || self.own_log.trouble().map(|(trouble, path)| (trouble.errno, path));
        self.keeper.trouble().or_else(outputs).or_else(own)
    }

    /// Watches the socket for room only while something waits for it: else each answer that is read would
    /// wake us.
    fn want_room(&mut self) {
        let wants = self.inbox.has_unsent();
        if wants != self.wants_room {
            let interest = if wants { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
            let raw: RawFd = self.inbox.socket().as_raw_fd();
            self.wants_room =
                self.poll.registry().reregister(&mut SourceFd(&raw), SOCKET, interest).is_ok() == wants;
        }
    }

    /// Writes everything that is left, and says so if the supervisor asked.
    fn finish(&mut self, events: &mut Events, now: Instant) {
        let mut errno = 0;
        for _ in 0..LAST_LOOKS {
            // Only who has something is read again: of the others nothing came since the last time.
            if self.poll.poll(events, Some(Duration::ZERO)).is_ok() {
                self.note(events, now);
            }
            let some = std::mem::take(&mut self.ready);
            if some.is_empty() {
                break;
            }
            for number in some {
                if let Some(output) = self.outputs.get_mut(&number) {
                    output.queued = false;
                }
                errno = self.drain(number, now).max(errno);
            }
        }
        let unended = self.outputs.iter().filter(|(_, output)| output.is_within_a_line());
        for number in unended.map(|(number, _)| *number).collect::<Vec<u32>>() {
            errno = self.drain(number, now).max(errno);
        }
        errno = self.keeper.finish(now).max(errno);
        self.tell(now);
        self.inbox.done(self.last_ticket, errno);
        self.inbox.send();
        while self.inbox.has_unsent() && wait_writable(self.inbox.socket().as_fd(), LAST_ANSWER_MS) {
            self.inbox.send();
        }
    }
}
