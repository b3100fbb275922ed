//! Alerts: raised here and told once, in `alerts.jsonl`, as events, and so to the commands for them. What is told
//! again, and when, is decided in `life`; what is remembered of it outlives us on disk.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::config::alerts::REPEAT_AFTER;
use crate::control::server::ClientId;
use crate::control::wire;
use crate::life;
use crate::life::alerts::{Key, Kind, Level, Memory, Verdict};
use crate::life::roster::Id;
use crate::life::service::later;
use crate::scribe::wire::Kind as Frame;
use crate::sys::clock::Stamp;

use super::Supervisor;
use super::events::Event;
use super::hear::quote;
use super::orders::EXIT_UNKNOWN;

/// What is only counted is written this often.
const SAVE_AFTER: Duration = Duration::from_secs(1);
/// Alerts kept while the scribe takes none, in bytes.
const LINES_BYTES_MAX: usize = 256 * 1024;
/// Largest file that is read at the start.
const READ_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// An alert: one line of `alerts.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    /// RFC 3339, UTC.
    #[serde(borrow)]
    time: Cow<'a, str>,
    /// How grave it is.
    level: Level,
    /// What it is about.
    kind: Kind,
    /// The service; none: the supervisor.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    server_id: Option<Cow<'a, str>>,
    /// In words.
    #[serde(borrow, default)]
    text: Cow<'a, str>,
    /// Of a recovery: the trouble that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<Kind>,
    /// So often it was not told since it last was.
    #[serde(default, skip_serializing_if = "is_zero")]
    suppressed: u64,
}

/// Whether there is nothing to count.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What is remembered of one alert, as `alerts.json` has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Remembered {
    /// The service; none: the supervisor.
    server_id: Option<Box<str>>,
    /// What it is about.
    kind: Kind,
    /// How grave it is.
    level: Level,
    /// It is not told again before: RFC 3339, UTC.
    quiet_until: Box<str>,
    /// So often it was not told since it was.
    suppressed: u64,
    /// Whether its end is still to be told.
    stands: bool,
}

/// `alerts.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    /// RFC 3339, UTC.
    written: Box<str>,
    /// Of each alert.
    alerts: Vec<Remembered>,
}

/// What is known of alerts.
#[derive(Debug, Default)]
pub(super) struct Alerts {
    /// Which are told.
    rule: life::alerts::Alerts,
    /// Told, and not written yet.
    lines: Vec<u8>,
    /// When what is remembered is written.
    save_at: Option<Instant>,
    /// The next look at what services use.
    pub(super) look_at: Option<Instant>,
    /// Not told because the same was told shortly before; since our start.
    pub(super) suppressed: u64,
}

impl Alerts {
    /// When what is remembered has to be written, or somebody has to be looked at.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.save_at.into_iter().chain(self.look_at).min()
    }

    /// Whether this would not be told now.
    pub(super) fn is_quiet(&self, key: Key, now: Instant) -> bool {
        self.rule.is_quiet(key, now)
    }
}

impl Supervisor {
    /// Raises an alert about a service, or about ourselves. The one way to raise one.
    pub(super) fn alert(&mut self, about: Option<Id>, level: Level, kind: Kind, text: &str) {
        let key = Key { about, kind, level };
        match self.alerts.rule.raise(key, self.repeat_after(about), self.now.instant) {
            Verdict::Tell { suppressed } => self.tell_alert(key, text, None, suppressed),
            Verdict::Suppress => {
                self.alerts.suppressed = self.alerts.suppressed.saturating_add(1);
                let at = later(self.now.instant, SAVE_AFTER);
                self.alerts.save_at.get_or_insert(at);
            }
        }
    }

    /// An alert that is raised from outside.
    pub(super) fn obey_alert(&mut self, client: ClientId, request: u64, alert: &wire::Alert) {
        match self.find(alert.service.as_slice()) {
            Ok(ids) => {
                let about = ids.first().copied().filter(|_| alert.service.is_some());
                self.alert(about, alert.level, alert.kind, &quote(&alert.text));
                self.answer_done(client, request, "done");
            }
            Err(error) => self.refuse(client, request, error, EXIT_UNKNOWN),
        }
    }

    /// Troubles of these kinds are over: that is told once, if they were.
    pub(super) fn relieve(&mut self, about: Option<Id>, kinds: &[Kind], text: &str) {
        let mut over = None;
        for kind in kinds {
            if self.alerts.rule.relieve(about, *kind) {
                over = Some(*kind);
            }
        }
        if over.is_some() {
            let key = Key { about, kind: Kind::Recovered, level: Level::Info };
            self.tell_alert(key, text, over, 0);
        }
    }

    /// A service is gone for good.
    pub(super) fn forget_alerts(&mut self, about: Id) {
        self.alerts.rule.forget(about);
    }

    /// The same alert about it is not told again before this.
    fn repeat_after(&self, about: Option<Id>) -> Duration {
        about.and_then(|id| self.unit(id)).map_or(REPEAT_AFTER, |unit| unit.plan.repeat_after())
    }

    /// Tells an alert.
    fn tell_alert(&mut self, key: Key, text: &str, of: Option<Kind>, suppressed: u64) {
        let name = key.about.and_then(|id| self.unit(id)).map(|unit| unit.plan.id.clone());
        let name = name.as_deref();
        let time = self.now.stamp.to_string();
        let line = Line {
            time: Cow::Borrowed(&time),
            level: key.level,
            kind: key.kind,
            server_id: name.map(Cow::Borrowed),
            text: Cow::Borrowed(text),
            of,
            suppressed,
        };
        let before = self.alerts.lines.len();
        if before < LINES_BYTES_MAX && serde_json::to_writer(&mut self.alerts.lines, &line).is_ok() {
            self.alerts.lines.push(b'\n');
        } else {
            self.alerts.lines.truncate(before);
            self.scribe.dropped = self.scribe.dropped.saturating_add(1);
        }
        self.alerts.save_at = Some(self.now.instant);
        self.tell(&Event {
            time: time.clone(),
            event: key.kind.event(),
            server_id: name,
            level: Some(key.level),
            text: Some(text),
            suppressed: (suppressed > 0).then_some(suppressed),
            ..Event::default()
        });
    }

    /// Tells the scribe what was told and what is remembered. The lines go first: what they say counts, should we
    /// die in between.
    pub(super) fn publish_alerts(&mut self) {
        if !self.alerts.lines.is_empty() {
            let path = self.settings.state_dir.join("alerts.jsonl");
            if self.scribe.put(Frame::Append, &path, &self.alerts.lines) {
                self.alerts.lines = Vec::new();
            }
        }
        let now = self.now;
        if self.alerts.save_at.is_none_or(|at| now.instant < at) || !self.scribe.is_listening() {
            return;
        }
        self.alerts.save_at = None;
        let record = self.record_of_alerts();
        let Ok(mut body) = serde_json::to_vec(&record) else { return };
        body.push(b'\n');
        let path = self.settings.state_dir.join("alerts.json");
        if !self.scribe.put(Frame::Replace, &path, &body) {
            self.alerts.save_at = Some(later(now.instant, SAVE_AFTER));
        }
    }

    /// What is remembered, for the disk.
    fn record_of_alerts(&mut self) -> Record {
        let now = self.now;
        let remembered: Vec<_> = self.alerts.rule.remembered(now.instant).collect();
        let of = |(key, memory): (Key, Memory)| {
            let server_id = match key.about {
                Some(id) => Some(self.unit(id)?.plan.id.clone()),
                None => None,
            };
            let quiet = memory.quiet_until.saturating_duration_since(now.instant);
            Some(Remembered {
                server_id,
                kind: key.kind,
                level: key.level,
                quiet_until: now.stamp.after(quiet).to_string().into(),
                suppressed: memory.suppressed,
                stands: memory.stands,
            })
        };
        let alerts = remembered.into_iter().filter_map(of).collect();
        Record { written: now.stamp.to_string().into(), alerts }
    }

    /// Reads what an earlier supervisor remembered; only at the start. What is torn or alien is not there.
    pub(super) fn recall_alerts(&mut self) {
        let state = self.settings.state_dir.clone();
        let record: Record = read(&state.join("alerts.json"))
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        let names: BTreeMap<Box<str>, Id> =
            self.ids().filter_map(|id| Some((self.unit(id)?.plan.id.clone(), id))).collect();
        for one in &record.alerts {
            let Ok(about) = about(&names, one.server_id.as_deref()) else { continue };
            let Some(until) = Stamp::read(&one.quiet_until) else { continue };
            let key = Key { about, kind: one.kind, level: one.level };
            self.recall_one(key, until.since(self.now.stamp), one.suppressed, one.stands);
        }
        // What was told after that was written.
        for name in ["alerts.jsonl.1", "alerts.jsonl"] {
            let text = read(&state.join(name)).unwrap_or_default();
            for line in text.split(|byte| *byte == b'\n') {
                let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else { continue };
                if *line.time >= *record.written {
                    self.recall_line(&names, &line);
                }
            }
        }
    }

    /// The same for a line of `alerts.jsonl`.
    fn recall_line(&mut self, names: &BTreeMap<Box<str>, Id>, line: &Line<'_>) {
        let Ok(about) = about(names, line.server_id.as_deref()) else { return };
        let Some(told) = Stamp::read(&line.time) else { return };
        if let (Kind::Recovered, Some(of)) = (line.kind, line.of) {
            self.alerts.rule.relieve(about, of);
            return;
        }
        let key = Key { about, kind: line.kind, level: line.level };
        let passed = self.now.stamp.since(told);
        let left = self.repeat_after(about).saturating_sub(passed);
        self.recall_one(key, left, 0, line.level > Level::Info);
    }

    /// What is remembered of one alert. However the clock of the wall was set meanwhile, it is quiet no longer than
    /// if it had been told just now.
    fn recall_one(&mut self, key: Key, quiet: Duration, suppressed: u64, stands: bool) {
        let quiet = quiet.min(self.repeat_after(key.about));
        let quiet_until = later(self.now.instant, quiet);
        self.alerts.rule.recall(key, Memory { quiet_until, suppressed, stands });
    }
}

/// It was about a service that is not configured any more.
struct Gone;

/// Whom an alert was about.
fn about(names: &BTreeMap<Box<str>, Id>, name: Option<&str>) -> Result<Option<Id>, Gone> {
    name.map(|name| names.get(name).copied().ok_or(Gone)).transpose()
}

/// A file, if it is there and of a size that we write.
fn read(path: &Path) -> Option<Vec<u8>> {
    let size = fs::metadata(path).ok()?.len();
    (size <= READ_BYTES_MAX).then(|| fs::read(path).ok())?
}
