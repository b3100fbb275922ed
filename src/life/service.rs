//! One service's life. No clock, no fd, no log: events and the time come in, actions go out.
//!
//! A service is *wanted* up or down, and it *is* in one state. Each state owns its own facts: a pid exists
//! only where a process does, and a deadline is a field of the state that needs it, so leaving a state is
//! what cancels its timer.
//!
//! ```text
//!           start              files          spawned      ready
//!   Stopped ─────► Waiting ──► Preparing ──► Spawning ──► Starting ────► Running
//!      ▲              ▲ ▲ │        ▲            ▲            │              │  ordered, but needed:
//!      │              │ │ ▼        │            │            │              ├──► Leaving
//!      │ nobody left  │ Blocked    └────────────┤            ▼              ▼       │
//!      │              │                         └──────── Stopping ◄────────┴───────┘
//!      │              │ after a delay                        │ its process is gone
//!      ├────────── Backoff ◄──┐                              ▼
//!      │                      ├────────────────────────── Sweeping   the rest of it is gone
//!      └────────── Failed  ◄──┘
//! ```
//!
//! A service that starts on demand is Listening where another is Stopped or about to begin: it has no process, and
//! goes on to Waiting when somebody connects. When nobody uses it any more it ends, and listens again.
//!
//! Waiting, Blocked and Leaving are moved by other services, not by events: the roster looks after every event
//! whether they still hold. All other states are moved by events and time alone.
//!
//! An end that somebody ordered is not a failure. Any other end is followed by the restart policy. A stop is
//! over when everybody of the service is gone, not when its leader is; the same holds before a restart, so a
//! leftover child never holds the port that its successor needs.

use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::need::Need;
use super::policy::{Action, Event, Kind, Note, Policy, Why};
use super::recovery::Recovery;
use super::state::{Check, State, Want};

/// A service, as far as its life is concerned.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// What somebody asked for.
    pub(super) want: Want,
    /// What is true.
    pub(super) state: State,
    /// What governs it.
    pub(super) policy: Policy,
    /// What it needs before it starts.
    pub(super) needs: Vec<Need>,
    /// Whether its last life ended well, by itself.
    pub(super) completed: bool,
    /// Its failures.
    pub(super) backoff: Backoff,
    /// Restarts that nobody ordered, ever.
    pub(super) restarts: u64,
    /// Attempts to recover it.
    pub(super) recovery: Recovery,
    /// State of a xorshift generator, for jitter; never 0.
    pub(super) seed: u64,
}

/// Where actions go.
pub(crate) type Act<'a> = &'a mut dyn FnMut(Action);

impl Service {
    /// A service that does nothing yet. `seed` makes its jitter its own.
    pub(crate) fn new(policy: &Policy, seed: u64) -> Self {
        Self {
            want: Want::Down,
            state: State::Stopped,
            policy: *policy,
            needs: Vec::new(),
            completed: false,
            backoff: Backoff::default(),
            restarts: 0,
            recovery: Recovery::default(),
            seed: seed.max(1),
        }
    }

    /// What is true.
    pub(crate) const fn state(&self) -> &State {
        &self.state
    }

    /// What somebody asked for.
    pub(crate) const fn want(&self) -> Want {
        self.want
    }

    /// Whether it is on its way to where a start leads: readiness, or the end of a task.
    pub(crate) fn is_coming(&self) -> bool {
        let is_busy = self.policy.kind == Kind::Task && self.state.pid().is_some();
        is_busy || self.state.is_moving()
    }

    /// Whether it is where a start leads.
    pub(crate) const fn is_up_or_done(&self) -> bool {
        self.state.pid().is_some() || self.state.is_up() || self.has_completed()
    }

    /// Restarts that nobody ordered.
    pub(crate) const fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Whether it was asked for its health and has not answered yet.
    pub(crate) const fn is_asked(&self) -> bool {
        matches!(self.state, State::Running { check: Check::Asked(_), .. })
    }

    /// Changes what governs it from its next step on.
    pub(crate) const fn govern(&mut self, policy: &Policy) {
        self.policy = *policy;
    }

    /// Changes what it needs before its next start.
    pub(super) fn depend(&mut self, needs: Vec<Need>) {
        self.needs = needs;
    }

    /// Something happened to it.
    pub(crate) fn on(&mut self, event: Event, now: Instant, act: Act<'_>) {
        match event {
            Event::Start => self.start(now, act),
            Event::Stop => self.stop(now, act),
            Event::Restart => self.restart(now, act),
            Event::Prepared { ok } => self.prepared(ok, now, act),
            Event::Spawned(pid) => self.spawned(pid, now, act),
            Event::NotSpawned(blame) => self.not_spawned(blame, now, act),
            Event::Ready => self.ready(now, act),
            Event::Answered { healthy } => self.answered(healthy, now, act),
            Event::Unasked => self.unasked(now),
            Event::Late => self.late(now, act),
            Event::Busy(is_busy) => self.busy(is_busy),
            Event::Frozen => self.frozen(now, act),
            Event::Recover => self.attempt(now, act),
            Event::Reset => self.reset(now, act),
            Event::Recall { attempts, is_spent } => self.recall(attempts, is_spent),
            Event::Exceeded(bound) => self.exceeded(bound, now, act),
            Event::Exited { exit, left } => self.exited(exit, left, now, act),
            Event::Empty => self.empty(now, act),
            Event::Came => self.came(now, act),
            Event::Unused(idle) => self.unused(idle, now, act),
            Event::Fed => self.fed(now),
            Event::Starved => self.starved(now, act),
            Event::FedEvery(every) => self.fed_every(every, now),
            Event::Extend(by) => self.extend(by, now),
            Event::Forget => self.backoff.forget(),
            Event::Ending => self.ending(now, act),
        }
    }

    /// Time has passed. Early ticks do nothing.
    pub(crate) fn tick(&mut self, now: Instant, act: Act<'_>) {
        match self.state {
            State::Stopped
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Spawning
            | State::Failed => {}
            State::Listening { from } => {
                if let Some(from) = from {
                    self.look_out(from, now, act);
                }
            }
            State::Leaving { pid, born, by } => {
                if by.is_some_and(|by| now >= by) {
                    self.end(pid, born, Why::Ordered, now, act);
                }
            }
            State::Preparing { by } => {
                if now >= by {
                    act(Action::Note(Note::NotPrepared));
                    self.retry_later(now, act);
                }
            }
            State::Starting { pid, born, ready_by } => {
                if now >= ready_by {
                    self.end(pid, born, Why::NotReady, now, act);
                }
            }
            State::Running { check, .. } => {
                self.check(check, now, act);
                self.watch(now, act);
            }
            State::Stopping { pid, kill_at, kills, .. } => {
                if now >= kill_at {
                    self.kill(pid, kills, now, act);
                }
            }
            State::Sweeping { group, kill_at, kills, look_at, .. } => {
                if now >= kill_at {
                    self.kill(group, kills, now, act);
                }
                if now >= look_at {
                    self.look(now, act);
                }
            }
            State::Backoff { until } => {
                if now >= until {
                    self.rise(now, act);
                }
            }
        }
    }

    /// Everything ends: what still waits for others is asked to end at `leave_by`, what still runs is killed at
    /// `kill_by`, at the latest.
    pub(super) fn hasten(&mut self, leave_by: Instant, kill_by: Instant) {
        match &mut self.state {
            State::Leaving { by, .. } => *by = Some(by.map_or(leave_by, |by| by.min(leave_by))),
            State::Stopping { kill_at, kills: 0, .. } | State::Sweeping { kill_at, kills: 0, .. } => {
                *kill_at = (*kill_at).min(kill_by);
            }
            // One that was killed already: the next time is soon enough.
            State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Stopped
            | State::Listening { .. }
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Preparing { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Backoff { .. }
            | State::Failed => {}
        }
    }

    /// Somebody wants it up: earlier failures are forgotten.
    fn start(&mut self, now: Instant, act: Act<'_>) {
        self.want = Want::Up;
        self.recovery = Recovery { attempts: self.recovery.attempts, ..Recovery::default() };
        match self.state {
            State::Stopped | State::Blocked { .. } | State::Backoff { .. } | State::Failed => {
                self.backoff.forget();
                self.rise(now, act);
            }
            // It comes up once its end is complete, whatever would follow from that end.
            State::Sweeping { ref mut why, .. } => *why = Why::Ordered,
            // It is up or coming up already, or comes up once its end is complete.
            State::Listening { .. }
            | State::Waiting { .. }
            | State::Preparing { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Leaving { .. }
            | State::Stopping { .. } => {}
        }
    }

    /// Somebody wants it down. Its process, if it was still to be made, is not made: the roster sees to that.
    fn stop(&mut self, now: Instant, act: Act<'_>) {
        self.want = Want::Down;
        match self.state {
            State::Listening { .. }
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Preparing { .. }
            | State::Spawning
            | State::Backoff { .. }
            | State::Failed => self.rest(act),
            State::Starting { pid, born, .. }
            | State::Running { pid, born, .. }
            | State::Leaving { pid, born, .. } => {
                self.end(pid, born, Why::Ordered, now, act);
            }
            State::Stopped | State::Stopping { .. } | State::Sweeping { .. } => {}
        }
    }

    /// Somebody wants it down, and others that use it are still to go first.
    pub(super) fn leave(&mut self, now: Instant, act: Act<'_>) {
        match self.state {
            State::Starting { pid, born, .. } | State::Running { pid, born, .. } => {
                self.want = Want::Down;
                self.state = State::Leaving { pid, born, by: None };
                act(Action::Note(Note::Leaving));
            }
            State::Leaving { .. } => self.want = Want::Down,
            State::Stopped
            | State::Listening { .. }
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Preparing { .. }
            | State::Spawning
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => self.stop(now, act),
        }
    }

    /// Nobody uses it any more: it is asked to end, whatever is wanted after that.
    pub(super) fn leave_now(&mut self, now: Instant, act: Act<'_>) {
        if let State::Leaving { pid, born, .. } = self.state {
            self.end(pid, born, Why::Ordered, now, act);
        }
    }

    /// Somebody wants a new process: requests that arrive together make one.
    pub(super) fn restart(&mut self, now: Instant, act: Act<'_>) {
        self.recovery.is_trying = false;
        match self.state {
            State::Starting { pid, born, .. } | State::Running { pid, born, .. } => {
                self.want = Want::Up;
                self.backoff.forget();
                self.end(pid, born, Why::Ordered, now, act);
            }
            // It is prepared anew: its files may have to say something else now.
            State::Preparing { .. } | State::Spawning => {
                self.want = Want::Up;
                self.backoff.forget();
                self.begin(now, act);
            }
            // It may have other sockets now, or none.
            State::Listening { .. } => {
                self.want = Want::Up;
                self.rise(now, act);
            }
            State::Stopped
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Leaving { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => self.start(now, act),
        }
    }

    /// The next number of its generator, 0 to 1.
    pub(super) fn random(&mut self) -> f64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let high = u32::try_from(self.seed >> 32).unwrap_or(0);
        f64::from(high) / f64::from(u32::MAX)
    }
}

/// `now + after`; a time that no clock reaches becomes one that is far enough.
pub(crate) fn later(now: Instant, after: Duration) -> Instant {
    const FAR: Duration = Duration::from_hours(24 * 365);
    now.checked_add(after).or_else(|| now.checked_add(FAR)).unwrap_or(now)
}
