//! What is told to the files: events, `process.json`, pid files, our own log. The scribe writes them; PID 1
//! only keeps what is true and says it when the scribe can take more.

use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use mio::Interest;
use mio::unix::SourceFd;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::life::policy::{Pid, Why};
use crate::life::roster::Id;
use crate::life::service::later;
use crate::scribe::wire::Kind;
use crate::sys::own;

use super::events::Event;
use super::{SCRIBE, Supervisor, log};

/// What changes on the way from one lasting state to another gathers for so long before it is written.
const GATHER_FOR: Duration = Duration::from_millis(50);

/// The same while everything ends: few want to know by then who is still on the way.
const GATHER_AT_END_FOR: Duration = Duration::from_millis(500);

/// While one process after the other is made, files wait for so long, or until there is so much to tell.
const HOLD_FOR: Duration = Duration::from_secs(1);
/// See [`HOLD_FOR`].
const HOLD_BYTES_MAX: usize = 64 * 1024;

/// Events kept while the scribe takes none.
const EVENT_BYTES_MAX: usize = 256 * 1024;

/// A result of a health check: one line of `health.jsonl`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HealthLine<'a> {
    /// RFC 3339, UTC.
    time: String,
    /// Whether it was well.
    healthy: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl Supervisor {
    /// Tells an event.
    pub(super) fn tell(&mut self, event: &Event<'_>) {
        let before = self.events.len();
        if serde_json::to_writer(&mut self.events, event).is_ok() {
            self.events.push(b'\n');
            if !self.settings.hooks.is_empty() {
                let line = self.events.split_off(before);
                self.offer(event, &line);
                self.events.extend_from_slice(&line);
            }
        }
    }

    /// Appends a line to a file.
    fn append(&mut self, path: &Path, line: &impl Serialize) {
        if let Ok(mut line) = serde_json::to_vec(line) {
            line.push(b'\n');
            // A result that is not taken is told by the next one.
            let _taken = self.scribe.put(Kind::Append, path, &line);
        }
    }

    /// An event about a service, with what they all have.
    fn tell_of(&mut self, id: Id, event: &Event<'_>) {
        let Some(unit) = self.unit(id) else { return };
        let name = unit.plan.id.clone();
        let time = self.now.stamp.to_string();
        self.tell(&Event { time, server_id: Some(&name), ..*event });
    }

    /// Whether it is an MCP server.
    fn is_server(&self, id: Id) -> bool {
        self.unit(id).is_some_and(super::Unit::is_server)
    }

    /// It has a process.
    pub(super) fn tell_started(&mut self, id: Id, pid: Pid) {
        self.tell_of(id, &Event { event: "process.started", pid: Some(pid.0), ..Event::default() });
        if self.is_server(id) {
            self.tell_of(
                id,
                &Event { event: "server.process.started", pid: Some(pid.0), ..Event::default() },
            );
        }
        self.write_pid(id, pid);
    }

    /// Its pid file.
    fn write_pid(&mut self, id: Id, pid: Pid) {
        let path = self.unit(id).map(|unit| unit.pid_file(&self.settings));
        let line = format!("{}\n", pid.0);
        let written = path.is_some_and(|path| self.scribe.put(Kind::Replace, &path, line.as_bytes()));
        if let Some(present) = self.unit_mut(id).and_then(|unit| unit.present.as_mut()) {
            present.owes_pid = !written;
        }
    }

    /// A new scribe knows nothing, and what was told to the one before it may be lost: all that is true is told
    /// again.
    pub(super) fn tell_all(&mut self) {
        let now = self.now;
        self.tell_all_runs();
        for id in self.ids() {
            self.watch(id);
            if let Some(unit) = self.unit_mut(id) {
                unit.dirty_since = unit.dirty_since.or(Some(now.instant));
                if let Some(present) = &mut unit.present {
                    present.owes_pid = true;
                } else {
                    self.forget_files(id);
                }
            }
        }
    }

    /// It is ready.
    pub(super) fn tell_ready(&mut self, id: Id) {
        if !self.is_server(id) {
            return;
        }
        let pid = self.roster.get(id).and_then(|service| service.state().pid()).map(|pid| pid.0);
        let endpoint = self.unit(id).and_then(|unit| unit.endpoint().map(str::to_owned));
        let endpoint = endpoint.as_deref();
        let event = "server.lifecycle.started";
        self.tell_of(id, &Event { event, pid, endpoint, isolated: Some(true), ..Event::default() });
    }

    /// Its process has ended.
    pub(super) fn tell_ended(&mut self, id: Id, why: Why, restarts: u64) {
        let Some(unit) = self.unit(id) else { return };
        let Some(end) = unit.ends.front().cloned() else { return };
        let never_ready =
            why != Why::Ordered && unit.present.as_ref().is_some_and(|present| !present.was_ready);
        let error = unit.last_error.clone();
        self.tell_of(
            id,
            &Event {
                event: "process.stopped",
                code: end.code,
                signal: end.signal.as_deref(),
                reason: Some(&end.reason),
                lived: Some(end.lived),
                restart_count: Some(restarts),
                ..Event::default()
            },
        );
        if never_ready && self.is_server(id) {
            let event = "server.lifecycle.start_failed";
            self.tell_of(id, &Event { event, error: error.as_deref(), ..Event::default() });
        }
    }

    /// Something went wrong with it.
    pub(super) fn tell_error(&mut self, id: Id, error: &str) {
        self.tell_of(id, &Event { event: "process.error", error: Some(error), ..Event::default() });
        if self.is_server(id) {
            self.tell_of(
                id,
                &Event { event: "server.process.error", error: Some(error), ..Event::default() },
            );
        }
    }

    /// The result of a health check.
    pub(super) fn tell_health(&mut self, id: Id, healthy: bool, reason: Option<&str>) {
        let event = "process.health_check";
        self.tell_of(id, &Event { event, healthy: Some(healthy), reason, ..Event::default() });
        if let Some(path) = self.unit(id).map(|unit| unit.state_file(&self.settings, "health.jsonl")) {
            let time = self.now.stamp.to_string();
            self.append(&path, &HealthLine { time, healthy, reason });
        }
    }

    /// Tells the scribe what changed, as long as it takes it at once: while it does not, changes gather, and
    /// only the last one of each service is told.
    pub(super) fn publish(&mut self) {
        self.publish_at = None;
        // While processes are still to be made in the next turn, files can wait; but not for ever.
        if !self.todo.is_empty() {
            let until = *self.held_until.get_or_insert_with(|| later(self.now.instant, HOLD_FOR));
            if self.now.instant < until && self.events.len() < HOLD_BYTES_MAX {
                self.scribe.flush();
                return;
            }
        }
        self.held_until = None;
        self.publish_lines();
        self.publish_alerts();
        let mut body = Vec::new();
        for index in 0..self.units.len() {
            if !self.scribe.is_listening() {
                break;
            }
            let since = self.units.get(index).and_then(Option::as_ref).and_then(|unit| unit.dirty_since);
            if let Some(since) = since
                && let Ok(index) = u32::try_from(index)
            {
                let id = Id(index);
                let gather = if self.roster.is_ending() { GATHER_AT_END_FOR } else { GATHER_FOR };
                let at = later(since, gather);
                let is_moving = self.roster.get(id).is_some_and(|life| life.state().is_moving());
                if is_moving && self.now.instant < at && !self.roster.is_over(self.now.instant) {
                    self.publish_at = Some(self.publish_at.map_or(at, |other| other.min(at)));
                } else {
                    self.publish_one(id, &mut body);
                }
            }
        }
        self.scribe.flush();
    }

    /// Wakes up for the scribe's taking more only while there is more for it.
    pub(super) fn attend_scribe(&mut self) {
        let Some(fd) = self.scribe.fd().map(|fd| fd.as_raw_fd()) else { return };
        if let Some(write) = self.scribe.turn_attention() {
            let interest =
                if write { Interest::READABLE.add(Interest::WRITABLE) } else { Interest::READABLE };
            if let Err(error) = self.poll.registry().reregister(&mut SourceFd(&fd), SCRIBE, interest) {
                ::log::error!("cannot hear the scribe: {}", own::reason(&error));
            }
        }
    }

    /// Tells the events and the log lines of this turn, all in one piece.
    pub(super) fn publish_lines(&mut self) {
        if !self.events.is_empty() {
            let path = self.settings.state_dir.join("events.jsonl");
            let lines = std::mem::take(&mut self.events);
            if !self.scribe.put(Kind::Append, &path, &lines) {
                if lines.len() < EVENT_BYTES_MAX {
                    self.events = lines;
                } else {
                    let count = lines.split(|byte| *byte == b'\n').count().saturating_sub(1);
                    let count = u64::try_from(count).unwrap_or(u64::MAX);
                    self.scribe.dropped = self.scribe.dropped.saturating_add(count);
                }
            }
        }
        // While it does not listen they stay in their queue, which is bounded.
        let lines = if self.scribe.is_listening() { log::lines() } else { String::new() };
        if !lines.is_empty() {
            let path = self.settings.log_dir.join("mcp-init.log");
            self.scribe.put(Kind::Say, &path, lines.as_bytes());
        }
    }

    /// Tells what is true of a service; `body` is room for it.
    fn publish_one(&mut self, id: Id, body: &mut Vec<u8>) {
        let owes_pid =
            self.unit(id).and_then(|unit| unit.present.as_ref()).is_some_and(|present| present.owes_pid);
        if let Some(pid) = self.shown_pid(id).filter(|_| owes_pid) {
            self.write_pid(id, pid);
        }
        let waits_for = self.waits_for(id);
        let Some(unit) = self.units.get_mut(id.index()).and_then(Option::as_mut) else { return };
        let Some(life) = self.roster.get(id) else { return };
        let shown = shown(&unit.plan.shown);
        let path = unit.state_file(&self.settings, "process.json");
        let report = unit.report(life, &self.settings, &shown, waits_for, None);
        body.clear();
        if serde_json::to_writer(&mut *body, &report).is_ok() {
            body.push(b'\n');
            if self.scribe.put(Kind::Replace, &path, body) {
                unit.dirty_since = None;
            }
        }
    }
}

/// A service's own configuration as JSON; the plan holds it as text.
pub(super) fn shown(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
