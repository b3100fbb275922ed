//! Does what `life` says is to be done, and answers what it asks. The only file that makes processes and signals
//! them.

use std::time::Duration;

use crate::config::duration_text;
use crate::life::policy::{Action, Blame, Event, Exit, Note, Pid, Why};
use crate::life::roster::Id;
use crate::life::service::later;
use crate::scribe::wire::Kind;
use crate::sys::signal;

use super::launch::NotStarted;
use super::scribes::Purpose;
use super::setup;
use super::unit::{Health, millis};
use super::{SPAWNS_PER_TURN, Supervisor, events};

/// For the scribe to write a service's last words before a stop is reported without them.
const DRAIN_WITHIN: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Does what is to be done; what would make this turn too long is left for the next.
    pub(super) fn perform(&mut self) {
        let mut spawns = 0_usize;
        while let Some((id, action)) = self.todo.pop_front() {
            if action == Action::Spawn {
                spawns = spawns.saturating_add(1);
                if spawns > SPAWNS_PER_TURN {
                    self.todo.push_front((id, action));
                    return;
                }
            }
            self.act(id, action);
        }
    }

    /// One action.
    fn act(&mut self, id: Id, action: Action) {
        match action {
            Action::Prepare => self.prepare(id),
            Action::Spawn => self.spawn(id),
            Action::Ask(pid) => {
                self.remember(id);
                self.ask_to_end(id, pid);
            }
            Action::Kill(pid) => {
                self.kill(id, pid);
                self.kill_kin(id);
            }
            Action::Look(pid) => self.look(id, pid),
            Action::Check => self.check(id),
            Action::LookIfFrozen(pid) => self.look_if_frozen(id, pid),
            Action::Listen => self.listen_for(id),
            Action::LookForUse => self.look_for_use(id),
            Action::End(code) => self.end_with(id, code),
            Action::Note(note) => {
                self.attend(id, note);
                self.note(id, note);
                self.alarm(id, note);
            }
        }
    }

    /// Has the files written that a server needs before it starts.
    fn prepare(&mut self, id: Id) {
        let Some(unit) = self.units.get(id.index()).and_then(Option::as_ref) else { return };
        let path = unit.config_file(&self.settings);
        let config = match &unit.plan.program {
            crate::config::plan::Program::Server(server) => server.config.as_bytes(),
            crate::config::plan::Program::Command(_) => &[],
        };
        let owner = setup::owner(&unit.plan).unwrap_or(u32::MAX);
        let config = [&owner.to_le_bytes(), config].concat();
        if !self.scribe.ask(Kind::ReplaceSecret, &path, &config, Purpose::Prepare(id)) {
            let now = self.now;
            if let Some(unit) = self.unit_mut(id) {
                unit.fault("cannot write its configuration: the scribe is not there", now);
            }
            self.roster.on(id, Event::Prepared { ok: false }, now.instant, &mut self.todo);
        }
    }

    /// Makes its process.
    fn spawn(&mut self, id: Id) {
        let event = match self.launch(id) {
            Ok(pid) => {
                self.made_one();
                Event::Spawned(pid)
            }
            Err(NotStarted { blame: Blame::Machine, error, .. }) => {
                self.lacks(id, &error);
                Event::NotSpawned(Blame::Machine)
            }
            Err(NotStarted { blame: Blame::Service, error, code }) => {
                let now = self.now;
                if let Some(unit) = self.unit_mut(id) {
                    ::log::warn!("{}: {error}", unit.plan.id);
                    unit.fault(&error, now);
                    unit.ended(events::not_started(code, now.stamp));
                }
                self.tell_error(id, &error);
                Event::NotSpawned(Blame::Service)
            }
        };
        self.answer(id, event);
    }

    /// Gives an answer to `life`.
    pub(super) fn answer(&mut self, id: Id, event: Event) {
        self.roster.answer(id, event, self.now.instant, &mut self.todo);
    }

    /// Sees whether anybody is left of services whose processes are gone.
    pub(super) fn look_at_leftovers(&mut self) {
        let leftovers: Vec<(Id, Pid)> = self.roster.leftovers().collect();
        for (id, group) in leftovers {
            self.look(id, group);
        }
    }

    /// The same for one of them; whoever is new is asked to end.
    fn look(&mut self, id: Id, group: Pid) {
        if self.is_anybody_left(id, group) {
            self.ask_kin(id);
        } else {
            self.roster.on(id, Event::Empty, self.now.instant, &mut self.todo);
        }
    }

    /// Tells what happened: to the files, the log, and `status`.
    fn note(&mut self, id: Id, note: Note) {
        let now = self.now;
        let restarts = self.roster.get(id).map_or(0, crate::life::service::Service::restarts);
        let Some(unit) = self.units.get_mut(id.index()).and_then(Option::as_mut) else { return };
        unit.touch(now);
        let name = unit.plan.id.clone();
        match note {
            Note::Started(pid) => {
                ::log::debug!("{name}: started, pid {}", pid.0);
                self.tell_started(id, pid);
            }
            Note::Ready => {
                if let Some(present) = &mut unit.present {
                    present.was_ready = true;
                }
                ::log::info!("{name}: running");
                self.tell_ready(id);
            }
            Note::Waits(other) => {
                ::log::info!("{name}: waits for {}", self.name(other));
                self.clear_present(id);
            }
            Note::Blocked(other) => self.note_blocked(id, other),
            Note::Leaving => ::log::info!("{name}: stopping once those that need it have"),
            Note::Stopping(why) => self.note_stopping(id, why),
            Note::Killed => {
                let asked = signal::name(unit.plan.stop.signal);
                self.fault(id, &format!("did not end by {asked}: killed"));
            }
            Note::Unkillable => self.fault(id, "does not end by SIGKILL: stuck in the kernel"),
            Note::Ended { exit, why, lived } => self.note_ended(id, exit, why, lived),
            Note::Stopped => {
                ::log::info!("{name}: stopped");
                self.clear_present(id);
                self.close_sockets(id);
            }
            Note::Listening => {
                ::log::info!("{name}: listening");
                self.clear_present(id);
            }
            Note::Retry { after } => {
                let after = duration_text(millis(after));
                ::log::info!("{name}: again in {after} (restart {restarts})");
                self.clear_present(id);
            }
            Note::Later { after } => {
                ::log::debug!("{name}: again in {}", duration_text(millis(after)));
                self.clear_present(id);
            }
            Note::GaveUp => self.note_gave_up(id),
            Note::OutOfRestarts => self.note_out_of_restarts(id),
            Note::Attempt { number, after } => self.note_attempt(id, number, after),
            Note::Recovered { attempts } => {
                ::log::info!("{name}: well again, after {attempts} recovery attempts");
            }
            Note::NoAnswer => self.note_no_answer(id),
            Note::NotPrepared => {
                self.fault(id, "cannot write its configuration: the scribe does not answer in time");
            }
        }
    }

    /// Its process has ended.
    fn note_ended(&mut self, id: Id, exit: Exit, why: Why, lived: Duration) {
        let now = self.now;
        let restarts = self.roster.get(id).map_or(0, crate::life::service::Service::restarts);
        let Some(unit) = self.unit_mut(id) else { return };
        unit.ended(events::last_end(exit, why, lived, now.stamp));
        if let Some(fault) = events::fault(exit, why) {
            let told = unit.present.as_ref().is_some_and(|present| present.said_why);
            if !told {
                unit.fault(&fault, now);
            }
            // Once is enough: what we had to end was told when that began, and it may have said why.
            if why == Why::Itself && !told {
                ::log::warn!("{}: {fault}", unit.plan.id);
            }
        }
        self.tell_ended(id, why, restarts);
    }

    /// It is being stopped.
    fn note_stopping(&mut self, id: Id, why: Why) {
        let name = self.name(id);
        match why {
            Why::Ordered | Why::Itself => ::log::info!("{name}: stopping"),
            Why::Idle => ::log::info!("{name}: stopping: nobody uses it"),
            Why::NotReady => self.was_not_ready(id),
            Why::Unhealthy | Why::Exceeded(_) => self.fault(id, events::why_words(why)),
            Why::Silent => {
                if let Some(unit) = self.unit_mut(id) {
                    unit.health = Health::Unhealthy;
                }
                self.fault(id, events::why_words(why));
            }
        }
    }

    /// Something went wrong with a service.
    pub(super) fn fault(&mut self, id: Id, fault: &str) {
        let now = self.now;
        if let Some(unit) = self.unit_mut(id) {
            ::log::warn!("{}: {fault}", unit.plan.id);
            unit.fault(fault, now);
        }
        self.tell_error(id, fault);
    }

    /// Nothing of its last process is left: nor shall be of its files.
    pub(super) fn clear_present(&mut self, id: Id) {
        let Some(unit) = self.units.get_mut(id.index()).and_then(Option::as_mut) else { return };
        let had = unit.present.take().is_some();
        if had && unit.output.is_some() && self.scribe.drain(id) {
            unit.drained_by = Some(later(self.now.instant, DRAIN_WITHIN));
        }
        if had || unit.is_server() {
            self.forget_files(id);
        }
    }

    /// Removes what is only there for a process.
    pub(super) fn forget_files(&mut self, id: Id) {
        let Some(unit) = self.units.get(id.index()).and_then(Option::as_ref) else { return };
        self.scribe.put(Kind::Remove, &unit.pid_file(&self.settings), &[]);
        if unit.is_server() {
            self.scribe.put(Kind::Remove, &unit.config_file(&self.settings), &[]);
        }
    }
}
