//! One service's life. No clock, no fd, no log: events and the time come in, actions go out.
//!
//! A service is *wanted* up or down, and it *is* in one state. Each state owns its own facts: a pid exists
//! only where a process does, and a deadline is a field of the state that needs it, so leaving a state is
//! what cancels its timer.
//!
//! ```text
//!              start                    spawned                 ready
//!   Stopped ──────────► Preparing ──► Spawning ──► Starting ──────────► Running
//!      ▲                    ▲             ▲            │                   │
//!      │ nobody left        │ files       │            ▼                   ▼    asked to end,
//!      │                    └─────────────┴───────  Stopping ◄─────────────┘    then killed
//!      │                     after a delay             │ its process is gone
//!      ├──────────── Backoff ◄──┐                      ▼
//!      │                        ├──────────────────  Sweeping   the rest of its group is gone
//!      └──────────── Failed  ◄──┘
//! ```
//!
//! An end that somebody ordered is not a failure. Any other end is followed by the restart policy. A stop is
//! over when the whole process group is gone, not when its leader is; the same holds before a restart, so a
//! leftover child never holds the port that its successor needs.

use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::policy::{Action, Blame, CheckPolicy, Event, Note, Pid, Policy, Readiness, Why};
use super::state::{Check, State, Want};

/// Time for the files to be written that a service needs before it starts.
const PREPARE_WITHIN: Duration = Duration::from_secs(10);
/// A service, as far as its life is concerned.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// What somebody asked for.
    pub(super) want: Want,
    /// What is true.
    pub(super) state: State,
    /// What governs it.
    pub(super) policy: Policy,
    /// Its failures.
    pub(super) backoff: Backoff,
    /// Restarts that nobody ordered, ever.
    pub(super) restarts: u64,
    /// State of a xorshift generator, for jitter; never 0.
    pub(super) seed: u64,
}

/// Where actions go.
pub(crate) type Act<'a> = &'a mut dyn FnMut(Action);

impl Service {
    /// A service that does nothing yet. `seed` makes its jitter its own.
    pub(crate) fn new(policy: Policy, seed: u64) -> Self {
        Self {
            want: Want::Down,
            state: State::Stopped,
            policy,
            backoff: Backoff::default(),
            restarts: 0,
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

    /// Restarts that nobody ordered.
    pub(crate) const fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Whether it was asked for its health and has not answered yet.
    pub(crate) const fn is_asked(&self) -> bool {
        matches!(self.state, State::Running { check: Check::Asked(_), .. })
    }

    /// Changes what governs it from its next step on.
    pub(crate) const fn govern(&mut self, policy: Policy) {
        self.policy = policy;
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
            Event::Exited { exit, left } => self.exited(exit, left, now, act),
            Event::Empty => self.empty(now, act),
        }
    }

    /// Time has passed. Early ticks do nothing.
    pub(crate) fn tick(&mut self, now: Instant, act: Act<'_>) {
        match self.state {
            State::Stopped | State::Spawning | State::Failed => {}
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
            State::Running { check, .. } => self.check(check, now, act),
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
                    self.begin(now, act);
                }
            }
        }
    }

    /// Kills what still runs at `by` at the latest.
    pub(crate) fn hasten(&mut self, by: Instant) {
        match &mut self.state {
            State::Stopping { kill_at, .. } | State::Sweeping { kill_at, .. } => {
                *kill_at = (*kill_at).min(by);
            }
            State::Stopped
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
        match self.state {
            State::Stopped | State::Backoff { .. } | State::Failed => {
                self.backoff.forget();
                self.begin(now, act);
            }
            // It is up or coming up already, or comes up once its end is complete.
            State::Preparing { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. } => {}
        }
    }

    /// Somebody wants it down.
    fn stop(&mut self, now: Instant, act: Act<'_>) {
        self.want = Want::Down;
        match self.state {
            State::Preparing { .. } | State::Backoff { .. } | State::Failed => self.rest(act),
            State::Starting { pid, born, .. } | State::Running { pid, born, .. } => {
                self.end(pid, born, Why::Ordered, now, act);
            }
            // `Spawning` is followed by `Spawned`, which sees what is wanted; the others are ending already.
            State::Stopped | State::Spawning | State::Stopping { .. } | State::Sweeping { .. } => {}
        }
    }

    /// Somebody wants a new process: requests that arrive together make one.
    fn restart(&mut self, now: Instant, act: Act<'_>) {
        match self.state {
            State::Starting { pid, born, .. } | State::Running { pid, born, .. } => {
                self.want = Want::Up;
                self.backoff.forget();
                self.end(pid, born, Why::Ordered, now, act);
            }
            // Its files are written anew: they may have to say something else now.
            State::Preparing { .. } => {
                self.want = Want::Up;
                self.backoff.forget();
                self.begin(now, act);
            }
            State::Stopped
            | State::Spawning
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => self.start(now, act),
        }
    }

    /// Its files are written, or cannot be.
    fn prepared(&mut self, ok: bool, now: Instant, act: Act<'_>) {
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
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => {}
        }
    }

    /// It has a process.
    fn spawned(&mut self, pid: Pid, now: Instant, act: Act<'_>) {
        match self.state {
            State::Spawning => {
                act(Action::Note(Note::Started(pid)));
                let ready_by = later(now, self.policy.ready_within);
                self.state = State::Starting { pid, born: now, ready_by };
                if self.want == Want::Down {
                    self.end(pid, now, Why::Ordered, now, act);
                } else if self.policy.readiness == Readiness::Started {
                    self.run(pid, now, now);
                    act(Action::Note(Note::Ready));
                }
            }
            // Nobody asked for a process: it must not stay without an owner.
            State::Stopped
            | State::Preparing { .. }
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => act(Action::Kill(pid)),
        }
    }

    /// It got no process.
    fn not_spawned(&mut self, blame: Blame, now: Instant, act: Act<'_>) {
        match self.state {
            State::Spawning => match (self.want, blame) {
                (Want::Down, _) => self.rest(act),
                (Want::Up, Blame::Machine) => self.retry_later(now, act),
                (Want::Up, Blame::Service) => self.failed(Duration::ZERO, now, act),
            },
            State::Stopped
            | State::Preparing { .. }
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => {}
        }
    }

    /// It says it is ready.
    fn ready(&mut self, now: Instant, act: Act<'_>) {
        match self.state {
            State::Starting { pid, born, .. } => {
                self.run(pid, born, now);
                act(Action::Note(Note::Ready));
            }
            // Said twice, or too late.
            State::Stopped
            | State::Preparing { .. }
            | State::Spawning
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => {}
        }
    }

    /// The first step up.
    pub(super) fn begin(&mut self, now: Instant, act: Act<'_>) {
        if self.policy.prepare {
            self.state = State::Preparing { by: later(now, PREPARE_WITHIN) };
            act(Action::Prepare);
        } else {
            self.state = State::Spawning;
            act(Action::Spawn);
        }
    }

    /// It is ready; its checks begin.
    pub(super) fn run(&mut self, pid: Pid, born: Instant, now: Instant) {
        let (check, spared_until) = match self.policy.check {
            None => (Check::Never, now),
            // The first question is put at once: nobody wants to wait for an interval to know that it is well.
            Some(CheckPolicy { grace, .. }) => (Check::Due(now), later(now, grace)),
        };
        self.state = State::Running { pid, born, spared_until, check, failures: 0 };
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
