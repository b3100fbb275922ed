//! What is told of schedules: on the control socket, and in the files that remember them. No socket here.

use serde::{Deserialize, Serialize};

use crate::life::zone::Zone;

/// The clock that schedules go by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClockReport {
    /// Local time.
    pub(crate) zone: Zone,
    /// Seconds since 1970-01-01 UTC.
    pub(crate) now: i64,
}

/// The schedule of a service, or of the whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScheduleReport {
    /// The service; none is the whole.
    pub(crate) server_id: Option<Box<str>>,
    /// Its entries.
    pub(crate) schedule: Vec<EntryReport>,
}

/// An entry of a schedule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EntryReport {
    /// When, as it is written.
    pub(crate) cron: Box<str>,
    /// What: a verb or a program.
    pub(crate) run: Box<str>,
    /// When it comes next, in seconds since 1970-01-01 UTC.
    pub(crate) next: Option<i64>,
    /// Whether it runs just now.
    pub(crate) running: bool,
    /// The last time it was meant to run.
    pub(crate) last: Option<LastRun>,
}

/// The last time an entry was meant to run, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LastRun {
    /// When it was meant to, in seconds since 1970-01-01 UTC.
    pub(crate) planned: i64,
    /// When it was started (RFC 3339, UTC); none if it was left out.
    pub(crate) started: Option<Box<str>>,
    /// When that was over.
    pub(crate) ended: Option<Box<str>>,
    /// Whether it ended well.
    pub(crate) ok: Option<bool>,
    /// How it ended, or why it did not run.
    pub(crate) outcome: Option<Box<str>>,
}
