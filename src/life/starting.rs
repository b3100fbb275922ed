//! How a service comes up: what it needs, its files, its process, its readiness. No process is made here: actions
//! go out.

use std::time::{Duration, Instant};

use super::policy::{Action, Blame, CheckPolicy, Note, Pid, Readiness, Why};
use super::roster::Id;
use super::service::{Act, Service, later};
use super::state::{Check, Load, State, Want};

/// Time for the files to be written that a service needs before it starts.
const PREPARE_WITHIN: Duration = Duration::from_secs(10);

impl Service {
    /// The first step up.
    pub(super) fn begin(&mut self, now: Instant, act: Act<'_>) {
        self.completed = false;
        if self.needs.is_empty() {
            self.proceed(now, act);
        } else {
            self.state = State::Waiting { on: None };
        }
    }

    /// It waits for another service; told once for each.
    pub(super) fn wait_for(&mut self, other: Id, act: Act<'_>) {
        let next = State::Waiting { on: Some(other) };
        if self.state != next {
            self.state = next;
            act(Action::Note(Note::Waits(other)));
        }
    }

    /// A service that it needs will not come by itself; told once.
    pub(super) fn block(&mut self, other: Id, act: Act<'_>) {
        let next = State::Blocked { on: other };
        if self.state != next {
            self.state = next;
            act(Action::Note(Note::Blocked(other)));
            self.end_the_whole(None, true, act);
        }
    }

    /// The first step up once all that it needs is there.
    pub(super) fn proceed(&mut self, now: Instant, act: Act<'_>) {
        if self.policy.prepare {
            self.state = State::Preparing { by: later(now, PREPARE_WITHIN) };
            act(Action::Prepare);
        } else {
            self.state = State::Spawning;
            act(Action::Spawn);
        }
    }

    /// Its files are written, or cannot be.
    pub(super) fn prepared(&mut self, ok: bool, now: Instant, act: Act<'_>) {
        match self.state {
            State::Preparing { .. } => {
                if ok {
                    self.state = State::Spawning;
                    act(Action::Spawn);
                } else {
                    self.retry_later(now, act);
                }
            }
            // A late answer, to a start that was given up since.
            State::Stopped
            | State::Listening { .. }
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Leaving { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => {}
        }
    }

    /// It has a process.
    pub(super) fn spawned(&mut self, pid: Pid, now: Instant, act: Act<'_>) {
        match self.state {
            State::Spawning => {
                act(Action::Note(Note::Started(pid)));
                let ready_by = later(now, self.policy.ready_within);
                self.state = State::Starting { pid, born: now, ready_by };
                if self.want == Want::Down {
                    self.end(pid, now, Why::Ordered, now, act);
                } else if self.policy.readiness == Readiness::Started {
                    self.run(pid, now, now);
                    self.is_ready(act);
                }
            }
            // Nobody asked for a process: it must not stay without an owner.
            State::Stopped
            | State::Listening { .. }
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Preparing { .. }
            | State::Starting { .. }
            | State::Running { .. }
            | State::Leaving { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => act(Action::Kill(pid)),
        }
    }

    /// It got no process.
    pub(super) fn not_spawned(&mut self, blame: Blame, now: Instant, act: Act<'_>) {
        match self.state {
            State::Spawning | State::Listening { .. } => match (self.want, blame) {
                (Want::Down, _) => self.rest(act),
                (Want::Up, Blame::Machine) => self.retry_later(now, act),
                (Want::Up, Blame::Service) => self.failed(None, Duration::ZERO, now, act),
            },
            State::Stopped
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Preparing { .. }
            | State::Starting { .. }
            | State::Running { .. }
            | State::Leaving { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => {}
        }
    }

    /// It says it is ready.
    pub(super) fn ready(&mut self, now: Instant, act: Act<'_>) {
        match self.state {
            State::Starting { pid, born, .. } => {
                self.run(pid, born, now);
                self.is_ready(act);
            }
            // Said twice, or too late.
            State::Stopped
            | State::Listening { .. }
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Preparing { .. }
            | State::Spawning
            | State::Running { .. }
            | State::Leaving { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => {}
        }
    }

    /// It is ready; its checks begin.
    fn run(&mut self, pid: Pid, born: Instant, now: Instant) {
        let (check, spared_until) = match self.policy.check {
            None => (Check::Never, now),
            // The first question is put at once: nobody wants to wait for an interval to know that it is well.
            Some(CheckPolicy { grace, .. }) => (Check::Due(now), later(now, grace)),
        };
        let vigil = self.vigil(now);
        self.state = State::Running { pid, born, spared_until, check, failures: 0, load: Load::None, vigil };
    }
}
