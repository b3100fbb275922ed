//! The states of a service: each owns its own facts. Values and what follows from them; nothing changes here.

use std::time::{Duration, Instant};

use super::ending::KILLS_UNTIL_STUCK;
use super::policy::{Exit, Pid, Why};
use super::roster::Id;
use super::vigil::Vigil;

/// What somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// It shall run.
    Up,
    /// It shall not.
    Down,
}

/// A health check's course.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// It is not checked.
    Never,
    /// The next question is due then.
    Due(Instant),
    /// It was asked and has until then.
    Asked(Instant),
}

/// Whether requests are in flight in a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// None, or it does not say.
    None,
    /// Some.
    Busy {
        /// They are due then, once a check has failed: until then it is spared.
        due: Option<Instant>,
    },
}

/// What is true.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum State {
    /// No process, and nothing will happen by itself.
    Stopped,
    /// No process; its sockets listen for whoever makes it start.
    Listening {
        /// They are looked at from then on; `None` since they are.
        from: Option<Instant>,
    },
    /// It waits for services that it needs.
    Waiting {
        /// For this one, once it was looked up.
        on: Option<Id>,
    },
    /// A service that it needs will not come by itself; it goes on when that one does.
    Blocked {
        /// That one.
        on: Id,
    },
    /// Its files are being written.
    Preparing {
        /// Until then.
        by: Instant,
    },
    /// Its process is being made; the answer comes before any other event.
    Spawning,
    /// It has a process that is not ready.
    Starting {
        /// Its process.
        pid: Pid,
        /// Since then.
        born: Instant,
        /// Ready until then.
        ready_by: Instant,
    },
    /// It is ready.
    Running {
        /// Its process.
        pid: Pid,
        /// Since then.
        born: Instant,
        /// Failures of checks do not count until then.
        spared_until: Instant,
        /// Where its health check stands.
        check: Check,
        /// Checks failed in a row.
        failures: u32,
        /// Whether requests are in flight in it.
        load: Load,
        /// What else is due.
        vigil: Vigil,
    },
    /// It is to end, once those that need it have.
    Leaving {
        /// Its process.
        pid: Pid,
        /// Since then.
        born: Instant,
        /// It is asked to end then, whoever still needs it.
        by: Option<Instant>,
    },
    /// Its process was asked to end, or was killed.
    Stopping {
        /// Its process.
        pid: Pid,
        /// Since then.
        born: Instant,
        /// Who wanted it.
        why: Why,
        /// The (next) SIGKILL.
        kill_at: Instant,
        /// SIGKILLs sent.
        kills: u32,
    },
    /// Its process is gone, others of its group are not.
    Sweeping {
        /// The group, by its gone leader.
        group: Pid,
        /// How the leader ended.
        exit: Exit,
        /// Who wanted it.
        why: Why,
        /// How long the leader lived.
        lived: Duration,
        /// The (next) SIGKILL.
        kill_at: Instant,
        /// SIGKILLs sent.
        kills: u32,
        /// The next look.
        look_at: Instant,
        /// From that look to the one after it.
        look_every: Duration,
    },
    /// No process; it is started again then.
    Backoff {
        /// When.
        until: Instant,
    },
    /// No process; it was given up and waits for an order.
    Failed,
}

impl State {
    /// The process it has.
    pub(crate) const fn pid(&self) -> Option<Pid> {
        match *self {
            State::Starting { pid, .. }
            | State::Running { pid, .. }
            | State::Leaving { pid, .. }
            | State::Stopping { pid, .. } => Some(pid),
            State::Stopped
            | State::Listening { .. }
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Preparing { .. }
            | State::Spawning
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => None,
        }
    }

    /// Whether what it uses is looked at: once it is ending, it has its time for that.
    pub(crate) const fn is_watched(&self) -> bool {
        matches!(*self, State::Starting { .. } | State::Running { .. } | State::Leaving { .. })
    }

    /// Since when it has a process.
    pub(crate) const fn born(&self) -> Option<Instant> {
        match *self {
            State::Starting { born, .. }
            | State::Running { born, .. }
            | State::Leaving { born, .. }
            | State::Stopping { born, .. } => Some(born),
            State::Stopped
            | State::Listening { .. }
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Preparing { .. }
            | State::Spawning
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => None,
        }
    }

    /// The group without leader that it is about to get rid of.
    pub(crate) const fn leftover(&self) -> Option<Pid> {
        if let State::Sweeping { group, .. } = *self { Some(group) } else { None }
    }

    /// When it is started again, in backoff.
    pub(crate) const fn retry_at(&self) -> Option<Instant> {
        if let Self::Backoff { until } = *self { Some(until) } else { None }
    }

    /// Whom it waits for, or would if there were any hope.
    pub(crate) const fn waits_for(&self) -> Option<Id> {
        match *self {
            State::Waiting { on } => on,
            State::Blocked { on } => Some(on),
            State::Stopped
            | State::Listening { .. }
            | State::Preparing { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Leaving { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. }
            | State::Backoff { .. }
            | State::Failed => None,
        }
    }

    /// Whether something of it runs that may use what it needs. What does not even end by SIGKILL holds nobody.
    pub(super) const fn is_using(&self) -> bool {
        match *self {
            State::Spawning | State::Starting { .. } | State::Running { .. } | State::Leaving { .. } => true,
            State::Stopping { .. } | State::Sweeping { .. } => !self.is_stuck(),
            State::Stopped
            | State::Listening { .. }
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Preparing { .. }
            | State::Backoff { .. }
            | State::Failed => false,
        }
    }

    /// Whether it was killed again and again, and has not ended in spite of it.
    pub(crate) const fn is_stuck(&self) -> bool {
        match *self {
            State::Stopping { kills, .. } | State::Sweeping { kills, .. } => kills > KILLS_UNTIL_STUCK,
            State::Stopped
            | State::Listening { .. }
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Preparing { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Running { .. }
            | State::Leaving { .. }
            | State::Backoff { .. }
            | State::Failed => false,
        }
    }

    /// Whether it is on its way from one lasting state to another.
    pub(crate) const fn is_moving(&self) -> bool {
        match *self {
            State::Waiting { .. }
            | State::Preparing { .. }
            | State::Spawning
            | State::Starting { .. }
            | State::Leaving { .. }
            | State::Stopping { .. }
            | State::Sweeping { .. } => true,
            State::Stopped
            | State::Listening { .. }
            | State::Blocked { .. }
            | State::Running { .. }
            | State::Backoff { .. }
            | State::Failed => false,
        }
    }

    /// Whether it does what it is there for: it runs, or listens for whoever makes it run.
    pub(crate) const fn is_up(&self) -> bool {
        matches!(*self, Self::Running { .. } | Self::Listening { .. })
    }

    /// Whether no process of it is left and none will come by itself.
    pub(crate) const fn is_at_rest(&self) -> bool {
        matches!(*self, Self::Stopped | Self::Failed)
    }

    /// The state in the word that files, `status` and the manual use.
    pub(crate) const fn word(&self) -> &'static str {
        match *self {
            State::Stopped => "stopped",
            State::Listening { .. } => "listening",
            State::Waiting { .. } | State::Preparing { .. } | State::Spawning | State::Starting { .. } => {
                "starting"
            }
            State::Running { .. } => "running",
            State::Leaving { .. } | State::Stopping { .. } | State::Sweeping { .. } => "stopping",
            State::Backoff { .. } => "backoff",
            State::Blocked { .. } | State::Failed => "error",
        }
    }

    /// When it next needs a tick; `None` while only the world can move it.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match *self {
            State::Stopped
            | State::Waiting { .. }
            | State::Blocked { .. }
            | State::Spawning
            | State::Failed => None,
            State::Leaving { by, .. } => by,
            State::Preparing { by } => Some(by),
            State::Starting { ready_by, .. } => Some(ready_by),
            State::Running { check, vigil, .. } => {
                let check = match check {
                    Check::Never => None,
                    Check::Due(at) | Check::Asked(at) => Some(at),
                };
                check.into_iter().chain(vigil.deadline()).min()
            }
            State::Listening { from } => from,
            State::Stopping { kill_at, .. } => Some(kill_at),
            State::Sweeping { kill_at, look_at, .. } => Some(kill_at.min(look_at)),
            State::Backoff { until } => Some(until),
        }
    }
}
