//! The scribe as the supervisor sees it: started, fed, and started again when it dies. What is in its files is
//! not known here.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::Flock;

use crate::life::policy::Pid;
use crate::life::roster::Id;
use crate::life::service::later;
use crate::scribe::link::Link;
use crate::scribe::wire::{Frame, Kind};
use crate::sys::child::EXTRA_FD;
use crate::sys::setup::Setup;
use crate::sys::spawn::{Launch, Spawner};
use crate::sys::{pipe, signal};

/// From the death of a scribe to the next one, when it did not live long.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// So much may wait for the scribe before no more state is told to it; it is sent at once in such pieces.
const BACKLOG_BYTES: usize = 16 * 1024;

/// Tickets below this are services' numbers, which `Drain` is answered with.
const FIRST_TICKET: u32 = 1 << 31;

/// A scribe that has taken nothing and answered nothing for so long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// What an answer of the scribe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The files of this service, that it needs to start.
    Prepare(Id),
    /// The log, up to now.
    Tell,
    /// The end.
    Finish,
}

/// What the scribe said.
#[derive(Debug)]
pub(super) enum Said {
    /// Something asked for is done, or cannot be: an errno.
    Done(Purpose, i32),
    /// What this service said so far is written, the last of it being this.
    Drained(Id, String),
    /// The disk takes nothing (errno, path), or takes it again (0).
    Degraded(i32, String),
    /// Lines of this service's output were dropped.
    Dropped(Id, u64),
}

/// The scribe.
#[derive(Debug)]
pub(super) struct Scribe {
    /// Our end, while there is one.
    link: Option<Link>,
    /// Its process.
    pid: Option<Pid>,
    /// When it was started.
    born: Instant,
    /// When it is started (again), while there is none.
    due: Option<Instant>,
    /// Since when it has owed us something without any progress.
    owing_since: Option<Instant>,
    /// What is asked and not answered.
    tickets: BTreeMap<u32, Purpose>,
    /// The last ticket given out.
    last_ticket: u32,
    /// Whether we listen for its taking more.
    awaits_room: bool,
    /// A lock that all our scribes hold with us: who comes after us knows by it whether one of them still writes.
    pub(super) witness: Option<Flock<File>>,
    /// Events it could not take, and that were too many to keep.
    pub(super) dropped: u64,
}

impl Scribe {
    /// None yet; it is due at once.
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            link: None,
            pid: None,
            born: now,
            due: Some(now),
            owing_since: None,
            tickets: BTreeMap::new(),
            last_ticket: FIRST_TICKET,
            awaits_room: false,
            witness: None,
            dropped: 0,
        }
    }

    /// Its process.
    pub(super) const fn pid(&self) -> Option<Pid> {
        self.pid
    }

    /// When it has to be started, or is given up.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due.or_else(|| self.owing_since.map(|since| later(since, STUCK_AFTER)))
    }

    /// Whether it has to be started now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|at| now >= at)
    }

    /// Notes whether it owes us anything. One that has taken nothing and answered nothing for too long is stuck
    /// or stopped: it is killed, and the next one is told everything again.
    pub(super) fn look_after(&mut self, now: Instant) {
        let owes = !self.tickets.is_empty() || self.link.as_ref().is_some_and(Link::has_unsent);
        self.owing_since = owes.then(|| self.owing_since.unwrap_or(now));
        if let (Some(since), Some(pid)) = (self.owing_since, self.pid)
            && now >= later(since, STUCK_AFTER)
        {
            ::log::error!("the scribe does not answer: killed");
            self.owing_since = Some(now);
            // It leads a session of its own, so its group is itself.
            drop(signal::to_group(pid, None, libc::SIGKILL));
        }
    }

    /// What becomes readable when it says something.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.link.as_ref().map(AsFd::as_fd)
    }

    /// Starts it.
    pub(super) fn start(&mut self, spawner: &mut Spawner, now: Instant) -> io::Result<()> {
        self.due = Some(later(now, AGAIN_AFTER));
        let (ours, theirs) = pipe::channel()?;
        let null = pipe::null()?;
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let argv = [c"mcp-init".to_owned(), c"scribe".to_owned()];
        let mut passed = vec![(EXTRA_FD, theirs.as_fd())];
        passed.extend(self.witness.as_ref().map(|lock| (EXTRA_FD.saturating_add(1), lock.as_fd())));
        let process = spawner
            .spawn(&Launch {
                programs: &[c"/proc/self/exe".to_owned(), own_path()],
                argv: &argv,
                envp: &[],
                directory: c"/",
                stdio: [null.as_fd(), stdout.as_fd(), stderr.as_fd()],
                passed: &passed,
                own_pid: &[],
                session: true,
                setup: &Setup::NONE,
            })
            .map_err(|error| io::Error::other(error.to_string()))?;
        self.link = Some(Link::new(ours.into()));
        self.awaits_room = false;
        self.pid = Some(process.pid);
        self.born = now;
        self.due = None;
        Ok(())
    }

    /// It has died. What was asked of it is answered: it was not done.
    pub(super) fn died(&mut self, now: Instant) -> Vec<Said> {
        self.link = None;
        self.pid = None;
        let lived = now.saturating_duration_since(self.born);
        self.due = Some(if lived >= AGAIN_AFTER { now } else { later(now, AGAIN_AFTER) });
        std::mem::take(&mut self.tickets)
            .into_values()
            .map(|purpose| Said::Done(purpose, libc::EPIPE))
            .collect()
    }

    /// Asks for something to be written; `false` when it takes nothing just now.
    pub(super) fn put(&mut self, kind: Kind, path: &Path, body: &[u8]) -> bool {
        self.send(kind, 0, path, body, None)
    }

    /// The same, to be answered.
    pub(super) fn ask(&mut self, kind: Kind, path: &Path, body: &[u8], purpose: Purpose) -> bool {
        self.last_ticket = self.last_ticket.checked_add(1).unwrap_or(FIRST_TICKET);
        let ticket = self.last_ticket;
        let sent = self.send(kind, ticket, path, body, None);
        if sent {
            // Only the last answer counts: an earlier one is about content that is no longer wanted.
            self.tickets.retain(|_, other| *other != purpose);
            self.tickets.insert(ticket, purpose);
        }
        sent
    }

    /// Lets it read a service's output.
    pub(super) fn watch(&mut self, id: Id, folder: &Path, rules: &[u8], read: &OwnedFd) -> bool {
        let Ok(read) = read.try_clone() else { return false };
        self.send(Kind::Watch, id.0, folder, rules, Some(read))
    }

    /// Has what a service said so far written, last line and all; `Drained` tells when.
    pub(super) fn drain(&mut self, id: Id) -> bool {
        self.send(Kind::Drain, id.0, Path::new(""), &[], None)
    }

    /// It has no more to read of a service.
    pub(super) fn unwatch(&mut self, id: Id) {
        self.send(Kind::Unwatch, id.0, Path::new(""), &[], None);
    }

    /// One frame.
    fn send(&mut self, kind: Kind, ticket: u32, path: &Path, body: &[u8], fd: Option<OwnedFd>) -> bool {
        let frame = Frame { kind, ticket, path: path.as_os_str().as_bytes(), body };
        self.link.as_mut().is_some_and(|link| link.send(frame, fd))
    }

    /// Whether an answer for this is still to come.
    pub(super) fn owes(&self, purpose: Purpose) -> bool {
        self.tickets.values().any(|one| *one == purpose)
    }

    /// Whether it takes what is said to it, so that it is worth to say more.
    pub(super) fn is_listening(&mut self) -> bool {
        if self.link.as_ref().is_some_and(|link| link.backlog() >= BACKLOG_BYTES) {
            self.flush();
        }
        self.link.as_ref().is_some_and(|link| link.backlog() < BACKLOG_BYTES)
    }

    /// Whether it was sent everything.
    pub(super) fn is_up_to_date(&self) -> bool {
        self.link.as_ref().is_some_and(|link| !link.has_unsent())
    }

    /// Whether to listen for its taking more, if that has changed.
    pub(super) fn turn_attention(&mut self) -> Option<bool> {
        let awaits = self.link.as_ref().is_some_and(Link::has_unsent);
        let has_changed = awaits != self.awaits_room;
        self.awaits_room = awaits;
        has_changed.then_some(awaits)
    }

    /// Sends what it takes now.
    pub(super) fn flush(&mut self) {
        if let Some(link) = &mut self.link {
            let before = link.backlog();
            // An error means that it is gone: the reaper says so, too.
            let _all_sent = link.flush();
            if link.backlog() < before {
                self.owing_since = None;
            }
        }
    }

    /// What it said.
    pub(super) fn hear(&mut self) -> Vec<Said> {
        let mut said = Vec::new();
        let tickets = &mut self.tickets;
        if let Some(link) = &mut self.link {
            let _open = link.receive(|frame| match frame.kind {
                Kind::Done => {
                    if frame.ticket < FIRST_TICKET {
                        let tail = String::from_utf8_lossy(frame.body.get(4..).unwrap_or_default());
                        said.push(Said::Drained(Id(frame.ticket), tail.into_owned()));
                    } else if let Some(purpose) = tickets.remove(&frame.ticket) {
                        said.push(Said::Done(purpose, errno(frame.body)));
                    }
                }
                Kind::Degraded => {
                    let path = String::from_utf8_lossy(frame.body.get(4..).unwrap_or_default()).into_owned();
                    said.push(Said::Degraded(errno(frame.body), path));
                }
                Kind::Dropped => {
                    let count = frame.body.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
                    said.push(Said::Dropped(Id(frame.ticket), count));
                }
                Kind::Replace
                | Kind::ReplaceSecret
                | Kind::Append
                | Kind::Remove
                | Kind::Watch
                | Kind::Unwatch
                | Kind::Drain
                | Kind::Say
                | Kind::Finish => {}
            });
        }
        if !said.is_empty() {
            self.owing_since = None;
        }
        said
    }
}

/// The errno at the front of a body.
fn errno(body: &[u8]) -> i32 {
    let raw = body.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    i32::try_from(raw).unwrap_or(i32::MAX)
}

/// Our own program, for where there is no `/proc`.
pub(super) fn own_path() -> CString {
    let path = std::env::args_os().next().unwrap_or_default();
    CString::new(path.as_bytes()).unwrap_or_default()
}
