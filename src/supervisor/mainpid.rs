//! A service whose main process is not the one that was started: it said so by `MAINPID`. Its end is the
//! service's end then, and the end of the first process is not.

use std::os::fd::{AsFd, OwnedFd};

use crate::life::policy::{Event, Exit, Pid};
use crate::life::roster::Id;
use crate::sys::{proc, signal};

use super::Supervisor;

/// The main process.
#[derive(Debug)]
pub(super) struct Main {
    /// Its number.
    pub(super) pid: Pid,
    /// A hold on it.
    pidfd: Option<OwnedFd>,
}

impl Main {
    /// Whether a main process has ended, whoever reaps it.
    fn is_gone(&self) -> bool {
        self.pidfd.as_ref().is_some_and(|pidfd| signal::ends_by(pidfd.as_fd(), std::time::Duration::ZERO))
    }
}

impl Supervisor {
    /// A service says which of its processes is the main one. Somebody else's is not believed.
    pub(super) fn set_main(&mut self, id: Id, pid: Pid) {
        let leader = self.roster.get(id).and_then(|life| life.state().pid());
        let now = self.now;
        if leader == Some(pid) {
            if let Some(present) = self.unit_mut(id).and_then(|unit| unit.present.as_mut()) {
                present.main = None;
            }
            return;
        }
        let is_ours = pid.0 > 1 && leader.is_some() && self.service_of(pid) == Some(id);
        if !is_ours {
            return self.complain(id, &format!("names {} as its main process, which is not its own", pid.0));
        }
        let pidfd = signal::hold(pid).ok();
        if let Some(unit) = self.unit_mut(id) {
            if let Some(present) = &mut unit.present {
                present.main = Some(Main { pid, pidfd });
                present.owes_pid = true;
                present.ticks = None;
            }
            unit.touch(now);
        }
    }

    /// The service whose main process this is by its own word.
    pub(super) fn main_of(&self, pid: Pid) -> Option<Id> {
        self.ids().find(|id| self.main(*id).is_some_and(|main| main.pid == pid))
    }

    /// A service's main process, if that is not the one that was started.
    fn main(&self, id: Id) -> Option<&Main> {
        self.unit(id)?.present.as_ref()?.main.as_ref()
    }

    /// The process that a service's files name.
    pub(super) fn shown_pid(&self, id: Id) -> Option<Pid> {
        let leader = self.roster.get(id)?.state().pid()?;
        Some(self.main(id).map_or(leader, |main| main.pid))
    }

    /// Whether a service goes on although the process that was started has ended: its main one has not.
    pub(super) fn outlives_its_leader(&self, id: Id) -> bool {
        self.is_main_left(id)
    }

    /// A main process has ended, and with it the service. Those it leaves behind are swept as always.
    pub(super) fn main_ended(&mut self, id: Id, pid: Pid, exit: Exit) {
        self.forget_kin(pid);
        self.read_last_words(id);
        let now = self.now.instant;
        if let Some(present) = self.unit_mut(id).and_then(|unit| unit.present.as_mut()) {
            present.main = None;
        }
        let Some(leader) = self.roster.get(id).and_then(|life| life.state().pid()) else { return };
        self.tell_oom(id, exit);
        let left = self.is_anybody_left(id, leader);
        self.roster.on(id, Event::Exited { exit, left }, now, &mut self.todo);
    }

    /// Signals a main process that has left the group of the first one.
    pub(super) fn signal_main(&self, id: Id, leader: Pid, number: i32) {
        if let Some(main) = self.main(id)
            && let Some(group) = proc::group(main.pid)
            && group != leader
            && !main.is_gone()
        {
            drop(signal::to_group(group, None, number));
        }
    }

    /// Whether a main process is left that is not in the group of the first one.
    pub(super) fn is_main_left(&self, id: Id) -> bool {
        self.main(id).is_some_and(|main| proc::is_there(main.pid) && !main.is_gone())
    }
}
