//! What services say by `sd_notify`, heard on one socket for all of them. Whose letter it is says the kernel,
//! never the letter; what follows is decided in `life`.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use mio::unix::SourceFd;
use mio::{Interest, Token};

use crate::config::plan::Settings;
use crate::life::policy::{Event, Pid};
use crate::life::roster::Id;
use crate::sys::letters::{self, Letter};
use crate::sys::{own, proc, sockets};

use super::hear::quote;
use super::held::{KEPT_MAX, Kept, notifies};
use super::letter::{self, Keep, Word};
use super::unit::Health;
use super::{KEPT, NOTIFY, Supervisor};

/// Letters read in one turn: a flood costs the others no more than this.
const TURN_LETTERS_MAX: usize = 64;
/// Longest way from a process to a service's own that is followed.
const ANCESTORS_MAX: usize = 32;

/// The socket.
#[derive(Debug)]
pub(super) struct Office {
    /// Nonblocking; the kernel writes the sender on each letter.
    socket: OwnedFd,
    /// What services find in `NOTIFY_SOCKET`.
    pub(super) address: String,
    /// Whether any service was given it.
    pub(super) is_used: bool,
}

impl Office {
    /// Opens it in the runtime folder; where that is not possible, under a name in no folder.
    pub(super) fn open(settings: &Settings) -> std::io::Result<Self> {
        let name = format!("mcp-init/{}/{:016x}/notify", std::process::id(), super::unit::random());
        let (socket, address) = letters::open(&settings.runtime_dir.join("notify.sock"), &name)?;
        Ok(Self { socket, address, is_used: false })
    }

    /// Where it is, if that is in a folder.
    pub(super) fn path(&self) -> Option<&Path> {
        Some(Path::new(&self.address)).filter(|path| path.is_absolute())
    }

    /// What becomes readable when a letter comes.
    pub(super) fn fd(&self) -> std::os::fd::RawFd {
        self.socket.as_raw_fd()
    }
}

/// The token of what is kept for a service.
fn kept_token(id: Id) -> Token {
    Token(KEPT.saturating_add(id.index()))
}

impl Supervisor {
    /// Reads the letters that are there, within a turn's bound.
    pub(super) fn hear_letters(&mut self) {
        for _ in 0..TURN_LETTERS_MAX {
            let Ok(letter) = letters::take(self.office.socket.as_fd()) else { return };
            self.heed_letter(letter);
        }
        self.leave(NOTIFY);
    }

    /// One letter. What came with it and is not to be kept is closed when this returns: that is all that a
    /// barrier asks for, as letters are read in their order.
    fn heed_letter(&mut self, letter: Letter) {
        let whose = letter.sender.and_then(|sender| self.service_of(sender));
        let Some(id) = whose.filter(|id| self.unit(*id).is_some_and(|unit| notifies(&unit.plan))) else {
            self.strange_letters = self.strange_letters.wrapping_add(1);
            return;
        };
        let message = letter::read(&letter.bytes);
        match message.keep {
            Keep::Nothing => {}
            Keep::These { name, polled } => self.keep(id, &name, polled, letter.fds),
            Keep::NotThis(name) => self.forget_kept(id, |kept| kept.name == name),
        }
        for word in message.words {
            self.heed_word(id, word);
        }
    }

    /// One thing that a service says.
    fn heed_word(&mut self, id: Id, word: Word) {
        let now = self.now;
        let Some(unit) = self.unit_mut(id) else { return };
        let event = match word {
            Word::Status(text) => {
                if let Some(present) = &mut unit.present {
                    present.told.status = Some(quote(&text).into());
                }
                return unit.touch(now);
            }
            Word::Errno(errno) => {
                let reason = own::reason(&std::io::Error::from_raw_os_error(errno));
                return self.complain(id, &format!("says: {reason}"));
            }
            Word::MainPid(pid) => return self.set_main(id, Pid(pid)),
            Word::Reloading => {
                return self.set_reloading(id, true);
            }
            Word::Ready => {
                self.set_reloading(id, false);
                Event::Ready
            }
            Word::Stopping => Event::Ending,
            Word::Fed => {
                if unit.plan.watchdog.is_some() && unit.health != Health::Healthy {
                    unit.health = Health::Healthy;
                    unit.touch(now);
                }
                Event::Fed
            }
            Word::Starved => Event::Starved,
            Word::FedEvery(every) => Event::FedEvery(every),
            Word::Extend(by) => Event::Extend(by),
            Word::Forget => Event::Forget,
        };
        self.roster.on(id, event, now.instant, &mut self.todo);
    }

    /// It reads its configuration again, or has done so.
    fn set_reloading(&mut self, id: Id, is_reloading: bool) {
        let now = self.now;
        if let Some(unit) = self.unit_mut(id)
            && let Some(present) = &mut unit.present
            && present.told.is_reloading != is_reloading
        {
            present.told.is_reloading = is_reloading;
            unit.touch(now);
        }
    }

    /// Whose process this is: a service's own, one of its session or group, or one that it has started by way of
    /// others. A process that is gone, and was not our child, is nobody's.
    pub(super) fn service_of(&self, sender: Pid) -> Option<Id> {
        let near = [Some(sender), proc::session(sender), proc::group(sender)];
        if let Some(id) = near.into_iter().flatten().find_map(|pid| self.owner(pid)) {
            return Some(id);
        }
        let mut ancestor = sender;
        for _ in 0..ANCESTORS_MAX {
            ancestor = proc::parent(ancestor)?;
            if let Some(id) = self.owner(ancestor) {
                return Some(id);
            }
        }
        None
    }

    /// The service whose own process this is, as it was made or as it said later.
    fn owner(&self, pid: Pid) -> Option<Id> {
        self.roster.owner(pid).or_else(|| self.main_of(pid))
    }

    /// Keeps what a service gives us, up to a bound; what it gave before is not kept twice.
    fn keep(&mut self, id: Id, name: &str, polled: bool, fds: Vec<OwnedFd>) {
        for fd in fds {
            let Some(unit) = self.units.get_mut(id.index()).and_then(Option::as_mut) else { return };
            if unit.held.kept.iter().any(|kept| sockets::is_same(&kept.fd, &fd)) {
                continue;
            }
            if unit.held.kept.len() >= KEPT_MAX {
                return self.complain(id, &format!("wants more than {KEPT_MAX} descriptors kept"));
            }
            // Only what can be polled says that its other side has gone. No word of its own wakes us.
            let raw = fd.as_raw_fd();
            unit.held.kept.push(Kept { name: name.into(), fd, polled });
            if polled {
                drop(self.register(raw, kept_token(id), Interest::PRIORITY));
            }
        }
    }

    /// Lets go of what is kept for a service.
    pub(super) fn forget_kept(&mut self, id: Id, which: impl Fn(&Kept) -> bool) {
        let registry = self.poll.registry();
        let Some(unit) = self.units.get_mut(id.index()).and_then(Option::as_mut) else { return };
        unit.held.kept.retain(|kept| {
            let goes = which(kept);
            if goes && kept.polled {
                // The service may hold the same open file: closing ours would not end the poll's interest.
                drop(registry.deregister(&mut SourceFd(&kept.fd.as_raw_fd())));
            }
            !goes
        });
    }

    /// Something that is kept may have lost its other side.
    pub(super) fn look_at_kept(&mut self, id: Id) {
        self.forget_kept(id, |kept| kept.polled && sockets::is_hung_up(kept.fd.as_fd()));
    }
}
