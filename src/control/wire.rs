//! Requests and answers of the control socket, one JSON object a line, used by both of its sides.
//! No socket here.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::update::News;

use crate::life::alerts::{Kind, Level};

/// Longest request line, in bytes.
pub(crate) const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// What a client asks; answers carry the same `id` and may interleave with those of other requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Chosen by the client.
    pub(crate) id: u64,
    /// What is asked.
    #[serde(flatten)]
    pub(crate) order: Order,
}

/// What can be asked. No names means all services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "lowercase")]
pub(crate) enum Order {
    /// The supervisor's report, then one for each service.
    Status {
        /// Ids.
        #[serde(default)]
        services: Vec<Box<str>>,
        /// Whether what each was configured with may be left out.
        #[serde(default, skip_serializing_if = "is_not")]
        brief: bool,
    },
    /// What runs by the clock: of each service, or, if none is named, of all and of the whole.
    Schedule {
        /// Ids.
        #[serde(default)]
        services: Vec<Box<str>>,
    },
    /// Ready (or failed) before it is answered, unless `wait` is false.
    Start(Named),
    /// Gone, the whole group, before it is answered, unless `wait` is false.
    Stop(Named),
    /// One operation of the supervisor, also when a child of the service asks for it.
    Restart(Named),
    /// One attempt to recover each: a restart, answered once a health check was passed or it is known to have failed.
    Recover(Named),
    /// Forgets the attempts to recover them; those that were given up are tried again.
    Reset(Named),
    /// Sends a signal to the process of each, or to its whole group.
    Signal {
        /// Ids; none means all.
        #[serde(default)]
        services: Vec<Box<str>>,
        /// Its number.
        signal: i32,
        /// Whether to the whole process group.
        #[serde(default)]
        group: bool,
    },
    /// Updates a service, or only looks whether there is a newer version; answered when that is over.
    Update {
        /// Its id.
        service: Box<str>,
        /// Whether only to look.
        #[serde(default)]
        check: bool,
    },
    /// Has the supervisor tell what happened to an update; for the child that does it.
    Tell(News),
    /// Reads the configuration again; only what changed is touched.
    Reload,
    /// Answered once no service is on its way (starting or stopping).
    Settled,
    /// Raises an alert, as the supervisor itself does; told unless the same was shortly before.
    Alert(Alert),
    /// Stops everything and ends the supervisor; answered before the last step.
    Shutdown,
}

/// An alert that is raised from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Alert {
    /// Id; none: about the supervisor.
    #[serde(default)]
    pub(crate) service: Option<Box<str>>,
    /// How grave it is: `INFO`, `WARNING`, `ERROR`, `CRITICAL`.
    pub(crate) level: Level,
    /// What it is about: `update`, `disk`, ...
    pub(crate) kind: Kind,
    /// One line.
    pub(crate) text: Box<str>,
}

/// The services an order is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Named {
    /// Ids; none means all.
    #[serde(default)]
    pub(crate) services: Vec<Box<str>>,
    /// Whether the answer waits until it is done.
    #[serde(default = "yes")]
    pub(crate) wait: bool,
}

/// Whether a flag is not set.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
const fn is_not(flag: &bool) -> bool {
    !*flag
}

/// The default of `wait`.
const fn yes() -> bool {
    true
}

/// One line of an answer: exactly one of the parts is there. `done` or `error` is the last of its request.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Answer<'a> {
    /// The request's.
    pub(crate) id: u64,
    /// The supervisor's own report ([`SupervisorReport`]).
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) supervisor: Option<&'a RawValue>,
    /// A service's ([`ServiceReport`]), or what was asked of it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<&'a RawValue>,
    /// It is done; of a `reload`, what was done, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) done: Option<Box<str>>,
    /// It is not: one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Box<str>>,
    /// With `error`, the exit code that says the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) exit: Option<u8>,
}

/// The supervisor, as `status --json` shows it under `supervisor`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SupervisorReport {
    /// Its pid in its own namespace.
    pub(crate) pid: i32,
    /// Its version.
    pub(crate) version: Box<str>,
    /// Milliseconds since its start.
    pub(crate) uptime: u64,
    /// Pid of the scribe, while there is one.
    pub(crate) scribe_pid: Option<i32>,
    /// What does not work for now, in words: a disk that takes nothing, a scribe that is down.
    pub(crate) degraded: Option<Box<str>>,
    /// Children reaped, services and strangers.
    pub(crate) reaped: u64,
    /// Of these, strangers: adopted orphans.
    pub(crate) orphans: u64,
    /// Turns of the loop.
    pub(crate) turns: u64,
    /// Events that the scribe could not take.
    pub(crate) dropped_events: u64,
    /// Alerts that were not told because the same was shortly before.
    #[serde(default)]
    pub(crate) suppressed_alerts: u64,
    /// Commands for events that were lost because too many waited.
    #[serde(default)]
    pub(crate) dropped_commands: u64,
}

/// A service: `process.json`, and behind it what only `status --json` shows.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceReport<'a> {
    /// UUID of this record, new with each supervisor.
    #[serde(borrow)]
    pub(crate) id: Cow<'a, str>,
    /// The service's id.
    #[serde(borrow)]
    pub(crate) server_id: Cow<'a, str>,
    /// While there is a process.
    pub(crate) pid: Option<i32>,
    /// When that process was started (RFC 3339, UTC).
    #[serde(borrow)]
    pub(crate) start_time: Option<Cow<'a, str>>,
    /// The same as the kernel counts it, in clock ticks since boot: what makes a recorded pid trustworthy.
    pub(crate) start_ticks: Option<u64>,
    /// `starting`, `running`, `stopping`, `stopped`, `listening`, `backoff`, `error`.
    #[serde(borrow)]
    pub(crate) status: Cow<'a, str>,
    /// Restarts that were not ordered, since the supervisor's start.
    pub(crate) restart_count: u64,
    /// One line.
    #[serde(borrow)]
    pub(crate) last_error: Option<Cow<'a, str>>,
    /// Bytes: of all its processes where that is watched, else as the service last said.
    pub(crate) memory_usage: Option<u64>,
    /// Percent of one core, likewise.
    pub(crate) cpu_usage: Option<f64>,
    /// Of a server, while it runs.
    #[serde(borrow)]
    pub(crate) config_file_path: Option<Cow<'a, str>>,
    /// Absolute.
    #[serde(borrow)]
    pub(crate) working_directory: Cow<'a, str>,
    /// The service's own configuration, secrets masked.
    #[serde(borrow)]
    pub(crate) process_config: &'a RawValue,
    /// RFC 3339, UTC.
    #[serde(borrow)]
    pub(crate) last_health_check: Option<Cow<'a, str>>,
    /// `unknown`, `healthy`, `unhealthy`, `none` (not checked).
    #[serde(borrow)]
    pub(crate) health_status: Cow<'a, str>,
    /// RFC 3339, UTC.
    #[serde(borrow)]
    pub(crate) created_at: Cow<'a, str>,
    /// RFC 3339, UTC.
    #[serde(borrow)]
    pub(crate) updated_at: Cow<'a, str>,
    /// Its course so far.
    #[serde(flatten, default)]
    pub(crate) past: Past,
    /// What only `status` shows; absent in `process.json`.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub(crate) live: Option<Live>,
}

/// A service's course so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Past {
    /// The service it waits for, or that it misses.
    pub(crate) waits_for: Option<Box<str>>,
    /// Of a task: whether it has ended well since it was last started.
    pub(crate) completed: bool,
    /// Attempts to recover it since it was last known to be well.
    pub(crate) recovery_attempts: u32,
    /// Whether all of them were in vain, so that nothing more is tried.
    pub(crate) needs_intervention: bool,
    /// How the last process ended.
    pub(crate) last_end: Option<LastEnd>,
    /// How the few before it did, the latest first.
    pub(crate) history: Vec<LastEnd>,
}

/// What `status` shows beyond `process.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Live {
    /// Words for people.
    pub(crate) server_name: Option<Box<str>>,
    /// Whether it is started at boot.
    pub(crate) enabled: bool,
    /// URL a client connects to.
    pub(crate) endpoint: Option<Box<str>>,
    /// Milliseconds since the process was started, while there is one.
    pub(crate) uptime: Option<u64>,
    /// Which thresholds of its alerts it is over just now: `memory`, `cpu`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) over_threshold: Vec<Box<str>>,
    /// Limit, or what a sandbox walls in → the mechanism that holds it; empty while nothing is limited.
    pub(crate) enforced_by: std::collections::BTreeMap<Box<str>, Box<str>>,
    /// Profile of its sandbox.
    pub(crate) sandbox: Option<Box<str>>,
    /// Walls of it that this machine could not build, in words.
    pub(crate) sandbox_lacks: Vec<Box<str>>,
    /// Share of the last ten seconds, in percent, in which some of it waited for memory; where there is a
    /// control group that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory_pressure: Option<f64>,
    /// Milliseconds until the next attempt, in `backoff`.
    pub(crate) retry_in: Option<u64>,
    /// As the service last said: requests, errors, mean milliseconds.
    pub(crate) request_count: Option<u64>,
    /// See `request_count`.
    pub(crate) error_count: Option<u64>,
    /// See `request_count`.
    pub(crate) average_response_time: Option<f64>,
    /// What the service says of itself.
    pub(crate) status_text: Option<Box<str>>,
    /// Whether it is reading its configuration again, by its own word.
    pub(crate) reloading: bool,
    /// Lines of output that could not be written.
    pub(crate) dropped_lines: u64,
    /// Channel messages that were garbage or of an unknown type.
    pub(crate) ignored_messages: u64,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LastEnd {
    /// Its exit code, when it exited.
    pub(crate) code: Option<i32>,
    /// The signal's name (`SIGKILL`), when one ended it.
    pub(crate) signal: Option<Box<str>>,
    /// Whether it left a core.
    pub(crate) core: bool,
    /// Why: `exited`, `killed`, `ordered`, `unhealthy`, `not-ready`, `memory`, `pids`, `not-started` (the code says which
    /// step failed).
    pub(crate) reason: Box<str>,
    /// Milliseconds it lived.
    pub(crate) lived: u64,
    /// RFC 3339, UTC.
    pub(crate) at: Box<str>,
    /// Its last lines of output, as its log has them; of the last end only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) output: Vec<Box<str>>,
}
