//! The words in which things are told: events, as `events.jsonl` holds them, and how an end is described.
//! Nothing is written here.

use std::time::Duration;

use serde::Serialize;

use crate::control::wire::LastEnd;
use crate::life::alerts::Level;
use crate::life::policy::{Bound, Exit, Why};
use crate::sys::clock::Stamp;
use crate::sys::signal;

use super::unit::millis;

/// An event: one line of `events.jsonl`.
#[expect(clippy::struct_field_names, reason = "the public name of the field")]
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event<'a> {
    /// RFC 3339, UTC.
    pub(super) time: String,
    /// Its name, as in the manual.
    pub(super) event: &'static str,
    /// The service it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server_id: Option<&'a str>,
    /// A process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pid: Option<i32>,
    /// Of an end by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<i32>,
    /// Of an end by a signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signal: Option<&'a str>,
    /// Why it ended, or why it is not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'a str>,
    /// Milliseconds it lived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lived: Option<u64>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<&'a str>,
    /// Of a health check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) healthy: Option<bool>,
    /// URL a client connects to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) endpoint: Option<&'a str>,
    /// Of a server: that it is a process of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) isolated: Option<bool>,
    /// Restarts so far that nobody ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) restart_count: Option<u64>,
    /// Of a refusal: who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) uid: Option<u32>,
    /// Of an alert: how grave it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) level: Option<Level>,
    /// Of an alert, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    /// Of an alert: so often it was not told since it last was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) suppressed: Option<u64>,
    /// Of a schedule: what was run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<&'a str>,
    /// What a reload did, or what was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary: Option<&'a str>,
}

/// How a process ended, as `status` tells it.
pub(super) fn last_end(exit: Exit, why: Why, lived: Duration, at: Stamp) -> LastEnd {
    let (code, by, dumped) = match exit {
        Exit::Code(code) => (Some(code), None, false),
        Exit::Signal { number, core } => (None, Some(signal::name(number)), core),
    };
    let reason = match (why, exit) {
        (Why::Itself, Exit::Code(_)) => "exited",
        (Why::Itself, Exit::Signal { .. }) => "killed",
        (Why::Ordered, _) => "ordered",
        (Why::NotReady, _) => "not-ready",
        (Why::Unhealthy, _) => "unhealthy",
        (Why::Silent, _) => "watchdog",
        (Why::Idle, _) => "idle",
        (Why::Exceeded(Bound::Memory), _) => "memory",
        (Why::Exceeded(Bound::Pids), _) => "pids",
    };
    LastEnd {
        code,
        signal: by,
        core: dumped,
        reason: reason.into(),
        lived: millis(lived),
        at: at.to_string().into(),
        output: Vec::new(),
    }
}

/// That there was no process to end, as `status` tells it.
pub(super) fn not_started(code: Option<i32>, at: Stamp) -> LastEnd {
    LastEnd {
        code,
        signal: None,
        core: false,
        reason: "not-started".into(),
        lived: 0,
        at: at.to_string().into(),
        output: Vec::new(),
    }
}

/// What a service did that was ended for it, in words.
pub(super) const fn why_words(why: Why) -> &'static str {
    match why {
        Why::Itself | Why::Ordered | Why::Idle => "was ended",
        Why::NotReady => "was not ready in time",
        Why::Unhealthy => "failed its health checks",
        Why::Silent => "did not feed its watchdog in time",
        Why::Exceeded(Bound::Memory) => "had more memory than it may: killed",
        Why::Exceeded(Bound::Pids) => "had more processes than it may: killed",
    }
}

/// How a process ended, in words; `None` when nothing went wrong.
pub(super) fn fault(exit: Exit, why: Why) -> Option<String> {
    match (why, exit) {
        (Why::Ordered | Why::Idle, _) | (Why::Itself, Exit::Code(0)) => None,
        (Why::NotReady | Why::Unhealthy | Why::Silent | Why::Exceeded(_), _) => {
            Some(why_words(why).to_owned())
        }
        (Why::Itself, Exit::Code(code)) => Some(format!("exited with code {code}")),
        (Why::Itself, Exit::Signal { number, core }) => {
            let core = if core { ", core dumped" } else { "" };
            Some(format!("was ended by {}{core}", signal::name(number)))
        }
    }
}
