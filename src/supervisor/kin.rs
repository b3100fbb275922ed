//! What is left of a service outside of its process group: processes that made a session of their own, and came
//! to us when their parents died. Who they belong to is read by a helper from the mark they carry, because that
//! reading may wait. What follows is decided in `life`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::Interest;

use crate::life::policy::Pid;
use crate::life::roster::Id;
use crate::life::service::later;
use crate::sys::setup::Setup;
use crate::sys::spawn::Launch;
use crate::sys::{kin, pipe, signal};

use super::scribes::own_path;
use super::{KIN, Supervisor};

/// For the helper to read the marks: who is unknown then is a stranger.
const READ_WITHIN: Duration = Duration::from_secs(2);
/// Most processes asked for at once.
const ASKED_MAX: usize = 512;

/// Whose a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// It belongs to this service.
    Of(Id),
    /// It is a helper of ours.
    Ours,
    /// Nobody knows.
    Stranger,
}

/// A child of ours that leads no service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kin {
    /// Whose it is.
    of: Whose,
    /// Whether it was asked to end.
    is_asked: bool,
}

/// The helper that reads marks.
#[derive(Debug)]
struct Reader {
    /// Its process.
    pid: Pid,
    /// A hold on it.
    pidfd: Option<OwnedFd>,
    /// What it says.
    from: File,
    /// What it has said so far.
    received: Vec<u8>,
    /// Whom it was asked about.
    about: Vec<Pid>,
    /// It is ended then.
    until: Instant,
}

/// All that is known of such processes.
#[derive(Debug, Default)]
pub(super) struct Family {
    /// By pid: none of them is reaped, so no number can mean another process.
    known: BTreeMap<i32, Kin>,
    /// Not known yet.
    unknown: BTreeSet<i32>,
    /// The turn in which our children were last looked at.
    looked: Option<u64>,
    /// The helper.
    reader: Option<Reader>,
}

impl Supervisor {
    /// Whether anybody of a service is left, in its group or outside of it; also while that is not known.
    pub(super) fn is_anybody_left(&mut self, id: Id, leader: Pid) -> bool {
        if self.is_group_left(id, leader) {
            return true;
        }
        if self.has_group(id) {
            // Nobody leaves that.
            return false;
        }
        self.look_at_children();
        if !self.family.unknown.is_empty() {
            self.read_marks();
        }
        let is_pending = self.family.reader.is_some() || !self.family.unknown.is_empty();
        is_pending || self.family.known.values().any(|kin| kin.of == Whose::Of(id))
    }

    /// Notes children that nobody knows, once a turn: those that die meanwhile are reaped before.
    fn look_at_children(&mut self) {
        if self.family.looked == Some(self.turns) {
            return;
        }
        self.family.looked = Some(self.turns);
        let ours = self.roster.pids().chain(self.scribe.pid());
        let mut ours: Vec<i32> = ours.map(|pid| pid.0).collect();
        ours.sort_unstable();
        let asked: BTreeSet<i32> =
            self.family.reader.iter().flat_map(|reader| &reader.about).map(|pid| pid.0).collect();
        let new = kin::children().into_iter().map(|pid| pid.0).filter(|pid| {
            ours.binary_search(pid).is_err() && !asked.contains(pid) && !self.family.known.contains_key(pid)
        });
        self.family.unknown = new.collect();
    }

    /// Starts the helper, unless it is at work.
    fn read_marks(&mut self) {
        if self.family.reader.is_some() {
            return;
        }
        let about: Vec<Pid> = self.family.unknown.iter().take(ASKED_MAX).map(|pid| Pid(*pid)).collect();
        match self.start_reader(&about) {
            Ok(reader) => {
                for pid in &reader.about {
                    self.family.unknown.remove(&pid.0);
                }
                self.acknowledge(reader.pid, Whose::Ours);
                self.family.reader = Some(reader);
            }
            Err(error) => {
                ::log::error!("cannot see whose the orphans are: {error}");
                self.strangers(&about);
                self.family.unknown.clear();
            }
        }
    }

    /// The helper, with its questions.
    fn start_reader(&mut self, about: &[Pid]) -> Result<Reader, String> {
        let text = |error: io::Error| crate::sys::own::reason(&error);
        let (read, write) = pipe::saying().map_err(text)?;
        let mut argv = vec![c"mcp-init".to_owned(), c"kin".to_owned()];
        argv.extend(about.iter().filter_map(|pid| CString::new(pid.0.to_string()).ok()));
        let null = self.null.as_fd();
        let process = self
            .spawner
            .spawn(&Launch {
                programs: &[c"/proc/self/exe".to_owned(), own_path()],
                argv: &argv,
                envp: &[],
                directory: c"/",
                stdio: [null, write.as_fd(), null],
                passed: &[],
                own_pid: &[],
                session: true,
                setup: &Setup::NONE,
            })
            .map_err(|error| error.to_string())?;
        self.register(read.as_raw_fd(), KIN, Interest::READABLE).map_err(text)?;
        Ok(Reader {
            pid: process.pid,
            pidfd: process.pidfd,
            from: read.into(),
            received: Vec::new(),
            about: about.to_vec(),
            until: later(self.now.instant, READ_WITHIN),
        })
    }

    /// Reads what the helper says; at its end it is taken in.
    pub(super) fn hear_kin(&mut self) {
        let Some(reader) = &mut self.family.reader else { return };
        let mut bytes = [0; 4096];
        loop {
            match reader.from.read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => reader.received.extend_from_slice(bytes.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
        }
        self.end_reader();
    }

    /// Ends a helper that takes too long.
    pub(super) fn tick_kin(&mut self) {
        if self.kin_deadline().is_some_and(|until| self.now.instant >= until) {
            self.end_reader();
        }
    }

    /// When the helper has taken too long.
    pub(super) fn kin_deadline(&self) -> Option<Instant> {
        self.family.reader.as_ref().map(|reader| reader.until)
    }

    /// Takes in what the helper said; those of whom it said nothing are strangers.
    fn end_reader(&mut self) {
        let Some(reader) = self.family.reader.take() else { return };
        drop(signal::to_group(reader.pid, reader.pidfd.as_ref().map(AsFd::as_fd), libc::SIGKILL));
        self.strangers(&reader.about);
        for line in String::from_utf8_lossy(&reader.received).lines() {
            let Some((pid, mark)) = line.split_once(' ') else { continue };
            let whose = self.ids().find(|id| self.unit(*id).is_some_and(|unit| *unit.uuid == *mark));
            if let Some(kin) = pid.parse().ok().and_then(|pid: i32| self.family.known.get_mut(&pid)) {
                kin.of = whose.map_or(Whose::Stranger, Whose::Of);
            }
        }
        self.look_at_leftovers();
    }

    /// These belong to nobody, as far as is known.
    fn strangers(&mut self, pids: &[Pid]) {
        for pid in pids {
            self.family.known.entry(pid.0).or_insert(Kin { of: Whose::Stranger, is_asked: false });
        }
    }

    /// A process that we made, and that leads no service, belongs to a service or to us.
    pub(super) fn acknowledge(&mut self, pid: Pid, of: Whose) {
        self.family.known.insert(pid.0, Kin { of, is_asked: true });
    }

    /// It is reaped: its number may mean another from now on. Whose it was.
    pub(super) fn forget_kin(&mut self, pid: Pid) -> Whose {
        self.family.unknown.remove(&pid.0);
        if let Some(reader) = &mut self.family.reader {
            reader.about.retain(|other| *other != pid);
        }
        self.family.known.remove(&pid.0).map_or(Whose::Stranger, |kin| kin.of)
    }

    /// Asks those to end that belong to a service and were not asked before.
    pub(super) fn ask_kin(&mut self, id: Id) {
        let number = self.unit(id).map_or(libc::SIGTERM, |unit| unit.plan.stop.signal);
        for (pid, kin) in &mut self.family.known {
            if kin.of == Whose::Of(id) && !std::mem::replace(&mut kin.is_asked, true) {
                signal::to_child(Pid(*pid), number);
                signal::to_child(Pid(*pid), libc::SIGCONT);
            }
        }
    }

    /// Kills those that belong to a service.
    pub(super) fn kill_kin(&self, id: Id) {
        for (pid, _) in self.family.known.iter().filter(|(_, kin)| kin.of == Whose::Of(id)) {
            signal::to_child(Pid(*pid), libc::SIGKILL);
        }
    }
}

/// The helper: what it says of these processes, a line for each that carries a mark.
pub(crate) fn marks(pids: impl Iterator<Item = i32>) -> String {
    let line = |pid| kin::mark(Pid(pid)).map(|mark| format!("{pid} {mark}\n"));
    pids.filter_map(line).collect()
}
