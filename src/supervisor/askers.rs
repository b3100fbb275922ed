//! The children that ask services from outside how they are: PID 1 opens no connection and runs no script. A service
//! has at most one of them at a time, and none of them belongs to it. What follows from an answer is decided in
//! `life`.

use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use crate::channel::ToService;
use crate::config::plan::Service;
use crate::config::probe::Probe;
use crate::life::policy::{Blame, Event, Exit, Note, Pid};
use crate::life::roster::Id;
use crate::life::service::later;
use crate::probe::{LATE, Question};
use crate::sys::kin::MARK;
use crate::sys::own::reason;
use crate::sys::setup::Setup;
use crate::sys::spawn::Launch;
use crate::sys::{pipe, proc};

use super::errand::Errand;
use super::scribes::own_path;
use super::{Supervisor, launch, setup};

/// A child that died without an answer is followed by another after this time.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// From the end of a question's time to that of the child that asks it: it says more than we can.
pub(super) const SLACK: Duration = Duration::from_secs(1);

/// What it is that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Again and again, whether it is ready.
    Ready,
    /// Once, whether it is well.
    Health,
}

/// A child that asks.
#[derive(Debug)]
struct Asker {
    /// It.
    errand: Errand,
    /// Whom it asks what; nobody any more if nobody waits for it.
    about: Option<(Id, Purpose)>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Askers {
    /// Those that run.
    running: Vec<Asker>,
    /// Services whose readiness is to be asked for then.
    again: Vec<(Id, Instant)>,
    /// What was said last of the service that nobody is to ask any more.
    words: Option<String>,
}

impl Askers {
    /// When the next one has to be started.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.again.iter().map(|(_, at)| *at).min()
    }
}

impl Supervisor {
    /// The time for its health check has come.
    pub(super) fn check(&mut self, id: Id) {
        let Some(unit) = self.unit_mut(id) else { return };
        let server_id = unit.plan.id.clone();
        let from_outside = unit.plan.health_probe.is_some();
        if let Some(channel) = unit.present.as_mut().and_then(|present| present.channel.as_mut()) {
            if !from_outside {
                channel.ask(&ToService::HealthCheck { server_id: server_id.clone() });
            }
            channel.ask(&ToService::CollectMetrics { server_id });
        }
        if from_outside {
            self.ask(id, Purpose::Health);
        }
    }

    /// Something happened to a service: there is more to ask of it, or nothing any more.
    pub(super) fn attend(&mut self, id: Id, note: Note) {
        match note {
            Note::Started(_) => {
                if self.unit(id).is_some_and(|unit| unit.plan.ready_probe.is_some()) {
                    self.ask(id, Purpose::Ready);
                }
            }
            Note::Stopping(_) | Note::Leaving | Note::Ended { .. } | Note::NoAnswer => self.ask_no_more(id),
            Note::Ready
            | Note::Listening
            | Note::Waits(_)
            | Note::Blocked(_)
            | Note::Killed
            | Note::Unkillable
            | Note::Stopped
            | Note::Retry { .. }
            | Note::Later { .. }
            | Note::GaveUp
            | Note::OutOfRestarts
            | Note::Attempt { .. }
            | Note::Recovered { .. }
            | Note::NotPrepared => {}
        }
    }

    /// It was not ready in time; whoever asked it knows why.
    pub(super) fn was_not_ready(&mut self, id: Id) {
        let words = self.askers.words.take();
        // What it ends with says less, and comes later.
        if let Some(present) = self.unit_mut(id).and_then(|unit| unit.present.as_mut()) {
            present.said_why |= words.is_some();
        }
        let why = words.map_or(String::new(), |words| format!(": {words}"));
        self.fault(id, &format!("was not ready in time{why}"));
    }

    /// Starts a child that asks.
    fn ask(&mut self, id: Id, purpose: Purpose) {
        let (blame, error) = match self.start_asker(id, purpose) {
            Ok(asker) => return self.askers.running.push(asker),
            Err(fault) => fault,
        };
        let error = format!("cannot ask from outside: {error}");
        if let Some(unit) = self.unit(id) {
            ::log::warn!("{}: {error}", unit.plan.id);
        }
        let now = self.now;
        match (purpose, blame) {
            (Purpose::Ready, _) => self.askers.again.push((id, later(now.instant, AGAIN_AFTER))),
            (Purpose::Health, Blame::Service) => {
                self.heed_health(id, Event::Answered { healthy: false }, Some(&error));
            }
            // A question that the machine could not put says nothing of the service.
            (Purpose::Health, Blame::Machine) => {
                self.roster.on(id, Event::Unasked, now.instant, &mut self.todo);
            }
        }
    }

    /// The same, with what went wrong and whose trouble it is.
    fn start_asker(&mut self, id: Id, purpose: Purpose) -> Result<Asker, (Blame, String)> {
        let machine = |error: io::Error| (Blame::Machine, reason(&error));
        let Some(unit) = self.units.get(id.index()).and_then(Option::as_ref) else {
            return Err((Blame::Service, "there is no such service".to_owned()));
        };
        let plan = &unit.plan;
        let (probe, within) = match purpose {
            Purpose::Ready => (plan.ready_probe.as_deref(), plan.ready_timeout),
            Purpose::Health => {
                (plan.health_probe.as_deref(), plan.health_check.map_or(SLACK, |check| check.timeout))
            }
        };
        let Some(probe) = probe.cloned() else { return Err((Blame::Service, "nothing to ask".to_owned())) };
        let is_exec = matches!(probe, Probe::Exec(_));
        let question = Question { probe, within, patient: purpose == Purpose::Ready };
        let question = serde_json::to_vec(&question).map_err(|error| (Blame::Service, error.to_string()))?;
        let asked = pipe::holding(&question).map_err(|error| (Blame::Service, reason(&error)))?;
        let (read, write) = pipe::saying().map_err(machine)?;
        let variables = if is_exec { variables(&self.environment, unit) } else { Vec::new() };
        let process = self
            .spawner
            .spawn(&Launch {
                programs: &[c"/proc/self/exe".to_owned(), own_path()],
                argv: &[c"mcp-init".to_owned(), c"probe".to_owned()],
                envp: &variables,
                directory: &folder(plan, is_exec),
                stdio: [asked.as_fd(), write.as_fd(), self.null.as_fd()],
                passed: &[],
                own_pid: &[],
                session: true,
                setup: &if is_exec { as_its_user(plan) } else { Setup::NONE },
            })
            .map_err(|error| (error.blame(), error.to_string()))?;
        Ok(Asker { errand: Errand::new(process, Some(read)), about: Some((id, purpose)) })
    }

    /// A child has ended: whether it was one that asks. Its end is the answer.
    pub(super) fn asker_ended(&mut self, pid: Pid, exit: Exit) -> bool {
        let Some(place) = self.askers.running.iter().position(|asker| asker.errand.pid == pid) else {
            return false;
        };
        let mut asker = self.askers.running.swap_remove(place);
        // Without a hold its number may be somebody else's by now.
        if asker.errand.is_held() {
            asker.errand.kill();
        }
        let well = exit == Exit::Code(0);
        let now = self.now;
        match asker.about {
            None => {}
            Some((id, Purpose::Health)) => {
                let words = asker.errand.last_words().filter(|_| !well);
                let event = match exit {
                    Exit::Code(code) if code == i32::from(LATE) => Event::Late,
                    Exit::Code(_) | Exit::Signal { .. } => Event::Answered { healthy: well },
                };
                self.heed_health(id, event, words.as_deref());
            }
            Some((id, Purpose::Ready)) if well => {
                self.roster.on(id, Event::Ready, now.instant, &mut self.todo);
            }
            Some((id, Purpose::Ready)) => {
                self.askers.again.push((id, later(now.instant, AGAIN_AFTER)));
            }
        }
        true
    }

    /// What became of the question for its health, if somebody still waits for it.
    pub(super) fn heed_health(&mut self, id: Id, event: Event, reason: Option<&str>) {
        if self.roster.get(id).is_some_and(crate::life::service::Service::is_asked) {
            self.note_health(id, event == Event::Answered { healthy: true }, reason);
            self.roster.on(id, event, self.now.instant, &mut self.todo);
        }
    }

    /// It has not answered a question for its health, and is spared as requests are in flight in it: unless a signal
    /// has stopped it, as then they do not end.
    pub(super) fn look_if_frozen(&mut self, id: Id, pid: Pid) {
        if proc::is_frozen(pid) {
            self.roster.on(id, Event::Frozen, self.now.instant, &mut self.todo);
        } else if let Some(unit) = self.unit(id) {
            ::log::info!("{}: unwell, but spared: requests are in flight", unit.plan.id);
        }
    }

    /// It has not answered a question for its health in time.
    pub(super) fn note_no_answer(&mut self, id: Id) {
        let pid = self.roster.get(id).and_then(|service| service.state().pid());
        let in_flight =
            self.unit(id).and_then(|unit| unit.metrics.as_ref()?.in_flight).filter(|count| *count > 0.0);
        let why = match in_flight {
            _ if pid.is_some_and(proc::is_frozen) => "no answer: a signal has stopped it".to_owned(),
            Some(count) => format!("no answer in time, {count} in flight"),
            None => "no answer in time".to_owned(),
        };
        self.note_health(id, false, Some(&why));
    }

    /// Nobody waits for an answer about this service any more.
    fn ask_no_more(&mut self, id: Id) {
        self.askers.again.retain(|(other, _)| *other != id);
        self.askers.words = None;
        for asker in &mut self.askers.running {
            if asker.about.is_some_and(|(other, _)| other == id) {
                asker.about = None;
                self.askers.words = asker.errand.last_words();
                asker.errand.kill();
            }
        }
    }

    /// Asks again where the child that asked has died.
    pub(super) fn tick_askers(&mut self) {
        let now = self.now.instant;
        let due = |(_, at): &mut (Id, Instant)| *at <= now;
        let due: Vec<(Id, Instant)> = self.askers.again.extract_if(.., due).collect();
        for (id, _) in due {
            let waits = |unit: &super::Unit| unit.present.as_ref().is_some_and(|present| !present.was_ready);
            if self.unit(id).is_some_and(waits) {
                self.ask(id, Purpose::Ready);
            }
        }
    }
}

/// What a program that asks finds: what the service does, but not its mark, as it is none of its processes.
fn variables(environment: &crate::config::Environment, unit: &super::Unit) -> Vec<CString> {
    let mut variables = launch::variables(environment, unit);
    variables.remove(MARK);
    launch::pairs(&variables)
}

/// Where a child that asks runs: a program where the service runs, as far as that is not in another root.
fn folder(plan: &Service, is_exec: bool) -> CString {
    let folder = plan.working_directory.as_os_str().as_bytes();
    let root = || c"/".to_owned();
    if is_exec && plan.chroot.is_none() { CString::new(folder).unwrap_or_else(|_| root()) } else { root() }
}

/// A program is run as the service's user.
pub(super) fn as_its_user(plan: &Service) -> Setup<'_> {
    let own = setup::of(plan, None);
    Setup { umask: own.umask, identity: own.identity, ..Setup::NONE }
}
