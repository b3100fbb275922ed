//! What a service's life is governed by, and the words it is told in. Values only; nothing happens here.

use std::time::Duration;

use super::exits::Exits;
use super::roster::Id;

/// A process id, as the kernel gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Pid(pub(crate) i32);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal {
        /// Its number.
        number: i32,
        /// Whether it left a core.
        core: bool,
    },
}

/// What a service is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To run.
    Daemon,
    /// To end, with something done.
    Task,
}

/// What a service's end means for the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnExit {
    /// Nothing.
    Nothing,
    /// Everything ends, with its exit code.
    Shutdown,
    /// The same, if it has failed.
    ShutdownOnFailure,
}

/// When a service that ended by itself is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restart {
    /// However it ended.
    Always,
    /// When it ended badly.
    OnFailure,
    /// Not by itself.
    Never,
}

/// What counts as ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// That it runs.
    Started,
    /// That it says so.
    Told,
}

/// When a service is asked for its health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CheckPolicy {
    /// From one question to the next.
    pub(crate) every: Duration,
    /// For the answer; never longer than `every` matters, as a question waits for the one before it.
    pub(crate) within: Duration,
    /// Failures in a row that count as one of the service.
    pub(crate) retries: u32,
    /// After readiness, time in which failures do not count.
    pub(crate) grace: Duration,
    /// With requests in flight, from the first failure on: time in which failures do not count.
    pub(crate) busy: Duration,
}

/// A service that is started when somebody connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Without use for so long it is stopped, and listens on; `None` is never.
    pub(crate) idle_within: Option<Duration>,
}

/// How delays between restarts grow, and when to give up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BackoffPolicy {
    /// The first delay.
    pub(crate) first: Duration,
    /// Each further one, as a multiple of the one before.
    pub(crate) factor: f64,
    /// The longest.
    pub(crate) longest: Duration,
    /// Random share added, 0 to 1.
    pub(crate) jitter: f64,
    /// Restarts in a row; `None` is without end.
    pub(crate) tries: Option<u32>,
    /// Uptime after which earlier failures are forgotten.
    pub(crate) forget_after: Duration,
}

/// Everything a service's life is governed by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Policy {
    /// What it is there for.
    pub(crate) kind: Kind,
    /// What its exits mean.
    pub(crate) exits: Exits,
    /// What its end means for the whole.
    pub(crate) on_exit: OnExit,
    /// When it is started again.
    pub(crate) restart: Restart,
    /// How.
    pub(crate) backoff: BackoffPolicy,
    /// Whether files have to be written before it can start.
    pub(crate) prepare: bool,
    /// Whether it starts on demand only.
    pub(crate) demand: Option<Demand>,
    /// Within each such time it says that it is well.
    pub(crate) watchdog: Option<Duration>,
    /// What counts as ready.
    pub(crate) readiness: Readiness,
    /// From its start to readiness.
    pub(crate) ready_within: Duration,
    /// From the request to stop to SIGKILL.
    pub(crate) stop_within: Duration,
    /// Its health checks, if any.
    pub(crate) check: Option<CheckPolicy>,
    /// Attempts to recover it, beyond its restarts.
    pub(crate) attempts: u32,
}

/// Why a process was ended, or that it ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// By itself.
    Itself,
    /// Somebody asked for it.
    Ordered,
    /// It was not ready in time.
    NotReady,
    /// It failed its health checks.
    Unhealthy,
    /// It did not say in time that it is well.
    Silent,
    /// Nobody used it.
    Idle,
    /// It had more than it may.
    Exceeded(Bound),
}

/// A limit that nobody can go over and live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Of memory.
    Memory,
    /// Of processes.
    Pids,
}

/// Why a service could not be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// Its own configuration: no such program, no permission.
    Service,
    /// The supervisor or the machine: no process, no memory, no descriptor. Does not count as a failure.
    Machine,
}

/// What happens to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// Somebody wants it up.
    Start,
    /// Somebody wants it down.
    Stop,
    /// Somebody wants it to end and start again.
    Restart,
    /// The answer to `Prepare`.
    Prepared {
        /// Whether its files are there.
        ok: bool,
    },
    /// The answer to `Spawn`.
    Spawned(Pid),
    /// The other answer to `Spawn`.
    NotSpawned(Blame),
    /// It says it is ready.
    Ready,
    /// It answered a question for its health.
    Answered {
        /// Whether it is well.
        healthy: bool,
    },
    /// Whoever was to ask it for its health had no answer in time.
    Late,
    /// Whether requests are in flight in it, as it says.
    Busy(bool),
    /// The answer to `LookIfFrozen`: a signal has stopped its process, so what is in flight in it does not end.
    Frozen,
    /// It could not be asked, for want of something that is not its own.
    Unasked,
    /// Somebody wants one attempt to recover it.
    Recover,
    /// Somebody wants the attempts to recover it forgotten.
    Reset,
    /// What an earlier supervisor knew, before its first start.
    Recall {
        /// Attempts to recover it.
        attempts: u32,
        /// Whether all were in vain.
        is_spent: bool,
    },
    /// It has more than it may, or the kernel has killed it for that.
    Exceeded(Bound),
    /// Its process has ended and was reaped.
    Exited {
        /// How.
        exit: Exit,
        /// Whether others of its process group are left.
        left: bool,
    },
    /// The answer to `Look`: nobody of its process group is left.
    Empty,
    /// Somebody connects to one of its sockets, while these are looked at.
    Came,
    /// The answer to `LookForUse`: so long nobody has used it.
    Unused(Duration),
    /// It says that it is well.
    Fed,
    /// It says that it is not.
    Starved,
    /// It says that it is well within each such time from now on.
    FedEvery(Duration),
    /// It needs so much time from now on, for what it is about.
    Extend(Duration),
    /// Its earlier failures are to be forgotten.
    Forget,
    /// It is about to end by itself.
    Ending,
}

/// What is to be done for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Write the files it needs; answered by `Prepared`.
    Prepare,
    /// Start its process; answered by `Spawned` or `NotSpawned` before anything else happens to it.
    Spawn,
    /// Ask its process group to end, in the way it is configured.
    Ask(Pid),
    /// Kill its process group.
    Kill(Pid),
    /// See whether anybody of its process group is left; answered by `Empty` if not.
    Look(Pid),
    /// Ask it for its health.
    Check,
    /// See whether a signal has stopped its process (SIGSTOP); answered by `Frozen` if so.
    LookIfFrozen(Pid),
    /// Look at its sockets until somebody connects; answered by `Came`, or at once by `NotSpawned`.
    Listen,
    /// See since when nobody has used it; answered by `Unused`.
    LookForUse,
    /// End everything, with this exit code.
    End(u8),
    /// Tell what happened.
    Note(Note),
}

/// What is worth telling: each becomes an event, a line of the log, or a reason in `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    /// It has a process.
    Started(Pid),
    /// It is ready.
    Ready,
    /// Its sockets listen, and it has no process.
    Listening,
    /// It waits for another service.
    Waits(Id),
    /// It is not started: another service, which it needs, will not come.
    Blocked(Id),
    /// It is stopped once those that need it are.
    Leaving,
    /// It is being stopped.
    Stopping(Why),
    /// It did not end in time and is killed.
    Killed,
    /// It does not even end by SIGKILL.
    Unkillable,
    /// Its process has ended.
    Ended {
        /// How.
        exit: Exit,
        /// Who wanted it.
        why: Why,
        /// How long it lived.
        lived: Duration,
    },
    /// Nobody of it is left, and nothing will happen by itself.
    Stopped,
    /// It will be started again after this time.
    Retry {
        /// The delay.
        after: Duration,
    },
    /// The machine could not do it just now: the same again after this time.
    Later {
        /// The delay.
        after: Duration,
    },
    /// It is not started again: too many failures, or a policy that says so.
    GaveUp,
    /// It was restarted as often as its policy says; attempts to recover it follow.
    OutOfRestarts,
    /// An attempt to recover it begins after this time.
    Attempt {
        /// Which one.
        number: u32,
        /// The delay.
        after: Duration,
    },
    /// It is well after attempts to recover it.
    Recovered {
        /// So many; none, if a person's attempt was the only one.
        attempts: u32,
    },
    /// A question for its health was not answered in time.
    NoAnswer,
    /// Its files were not written in time.
    NotPrepared,
}
