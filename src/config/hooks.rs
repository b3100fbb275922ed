//! `alertCommands` and `eventCommands` of `mcp-init.json`: programs that are run when something happens. Which
//! events they are for is decided here; nothing is run.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::environment::Environment;
use super::error::{Problems, nearest};
use super::item::{Choice, Item};
use super::json::Kind;
use super::keys::SOME;
use super::service::{self, PATH};
use super::trust;
use crate::life::alerts::Level;

/// Keys of one of `alertCommands`.
pub(super) const ALERT: [&str; 5] = ["command", "level", "kinds", "services", "timeout"];

/// Keys of one of `eventCommands`.
pub(super) const EVENT: [&str; 4] = ["command", "events", "services", "timeout"];

/// Most commands of each sort, and most entries of a list in one.
const ENTRIES_MAX: usize = 64;

/// For a command that does not say.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Values of `level`.
const LEVEL: Choice<Level> = Choice {
    known: &[
        ("INFO", Level::Info),
        ("WARNING", Level::Warning),
        ("ERROR", Level::Error),
        ("CRITICAL", Level::Critical),
    ],
    later: &[],
};

/// What alerts are about.
pub(super) const KINDS: [&str; 8] =
    ["memory", "cpu", "unhealthy", "restarted", "gave-up", "recovered", "update", "disk"];

/// Events that have names of their own.
pub(super) const EVENTS: [&str; 12] = [
    "*",
    "process.started",
    "process.stopped",
    "process.error",
    "process.health_check",
    "server.process.started",
    "server.process.error",
    "server.lifecycle.started",
    "server.lifecycle.start_failed",
    "server.lifecycle.*",
    "config.reloaded",
    "control.refused",
];

/// Families of events, each with all its members.
pub(super) const FAMILIES: [&str; 8] =
    ["process", "server", "alert", "update", "schedule", "cleanup", "config", "control"];

/// A program that is run when something happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hook {
    /// Program and arguments.
    pub(crate) command: Vec<Box<str>>,
    /// Names of events; one that ends with `*` stands for all that begin so.
    events: Vec<Box<str>>,
    /// Of alerts: only those at least so grave.
    level: Option<Level>,
    /// Ids of services; none: all, and what is about no service.
    services: Vec<Box<str>>,
    /// It is ended then.
    pub(crate) timeout: Duration,
}

impl Hook {
    /// Whether it is to be run for this event.
    pub(crate) fn wants(&self, event: &str, service: Option<&str>, level: Option<Level>) -> bool {
        let is_event = |pattern: &str| match pattern.strip_suffix('*') {
            Some(start) => event.starts_with(start),
            None => event == pattern,
        };
        self.events.iter().any(|pattern| is_event(pattern))
            && self.level.is_none_or(|least| level.is_some_and(|level| level >= least))
            && (self.services.is_empty()
                || service.is_some_and(|service| self.services.iter().any(|id| **id == *service)))
    }

    /// Why root should not run it: somebody else could put another program in its place.
    pub(super) fn distrust(&self, environment: &Environment) -> Option<String> {
        let program = self.command.first()?;
        if program.contains('/') {
            return trust::changeable(std::iter::once(Path::new(&**program)));
        }
        let path = environment.get("PATH").unwrap_or_else(|| OsStr::new(PATH));
        let places: Vec<_> = std::env::split_paths(path).map(|folder| folder.join(&**program)).collect();
        trust::changeable(places.iter().map(std::path::PathBuf::as_path))
    }
}

/// `alertCommands`
pub(super) fn alerts(item: &Item<'_>, problems: &mut Problems) -> Vec<Hook> {
    read(item, problems, &ALERT, &["alert.*"])
}

/// `eventCommands`
pub(super) fn events(item: &Item<'_>, problems: &mut Problems) -> Vec<Hook> {
    read(item, problems, &EVENT, &["*"])
}

/// The entries of one of them, with the events they are for unless they say.
fn read(item: &Item<'_>, problems: &mut Problems, keys: &[&str], all: &[&str]) -> Vec<Hook> {
    let entries = item.items(problems, ENTRIES_MAX).unwrap_or_default();
    entries.iter().filter_map(|entry| one(entry, problems, keys, all)).collect()
}

/// One entry.
fn one(item: &Item<'_>, problems: &mut Problems, keys: &[&str], all: &[&str]) -> Option<Hook> {
    let mut hook = Hook {
        command: Vec::new(),
        events: all.iter().map(|event| Box::from(*event)).collect(),
        level: None,
        services: Vec::new(),
        timeout: TIMEOUT,
    };
    for item in item.members(problems) {
        match item.key {
            key if !keys.contains(&key) => item.unknown(problems, keys, &[]),
            "command" => hook.command = service::command(&item, None, problems).unwrap_or_default(),
            "level" => hook.level = item.choice(problems, &LEVEL),
            "kinds" => hook.events = list(&item, problems, kind),
            "events" => hook.events = list(&item, problems, event),
            "services" => hook.services = list(&item, problems, id),
            "timeout" => hook.timeout = item.duration(problems, SOME).unwrap_or(TIMEOUT),
            _ => {}
        }
    }
    if item.is_object() && item.get("command").is_none() {
        item.wrong(problems, "has no command: the program to run");
    }
    (!hook.command.is_empty()).then_some(hook)
}

/// A list of names; one without any would never come true.
fn list(
    item: &Item<'_>,
    problems: &mut Problems,
    read: fn(&Item<'_>, &mut Problems) -> Option<Box<str>>,
) -> Vec<Box<str>> {
    let Some(items) = item.items(problems, ENTRIES_MAX) else { return Vec::new() };
    if items.is_empty() {
        item.wrong(problems, "is empty: leave it out to mean all");
    }
    items.iter().filter_map(|item| read(item, problems)).collect()
}

/// What an alert is about, as the event that tells it.
fn kind(item: &Item<'_>, problems: &mut Problems) -> Option<Box<str>> {
    one_of(item, problems, "a kind of alert", &KINDS, |text| KINDS.contains(&text))
        .map(|kind| format!("alert.{kind}").into())
}

/// The name of an event, or of a family with `.*` behind it.
fn event(item: &Item<'_>, problems: &mut Problems) -> Option<Box<str>> {
    let families = FAMILIES.map(|family| format!("{family}.*"));
    let alerts = KINDS.map(|kind| format!("alert.{kind}"));
    let names: Vec<&str> =
        EVENTS.into_iter().chain(families.iter().chain(&alerts).map(String::as_str)).collect();
    let is_open = |text: &str| {
        let member = ["update.", "schedule.", "cleanup."].iter().find_map(|start| text.strip_prefix(start));
        member.is_some_and(|member| {
            !member.is_empty()
                && member.len() <= 64
                && member.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.' | b'-'))
        })
    };
    one_of(item, problems, "an event", &names, |text| names.contains(&text) || is_open(text)).map(Box::from)
}

/// A service's id.
fn id(item: &Item<'_>, problems: &mut Problems) -> Option<Box<str>> {
    let wanted = "a service's id: 1 to 64 of A-Z a-z 0-9 . _ - without a dot in front";
    item.matching(problems, wanted, service::is_id).map(Box::from)
}

/// A text that is one of those meant; if not, the nearest is told.
fn one_of<'a>(
    item: &Item<'a>,
    problems: &mut Problems,
    wanted: &str,
    names: &[&str],
    good: impl Fn(&str) -> bool,
) -> Option<&'a str> {
    let text = item.text(problems)?;
    if good(text) {
        return Some(text);
    }
    let near = if matches!(item.node.kind, Kind::Text { substituted: true, .. }) {
        None
    } else {
        nearest(text, names.iter().copied())
    };
    problems.push(item.error(item.node.at, &format!("is not {wanted}")).or(near));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_wants_what_its_filters_say() {
        let hook = |events: &[&str], level, services: &[&str]| Hook {
            command: vec!["true".into()],
            events: events.iter().map(|text| Box::from(*text)).collect(),
            level,
            services: services.iter().map(|text| Box::from(*text)).collect(),
            timeout: TIMEOUT,
        };
        let all = hook(&["*"], None, &[]);
        assert!(all.wants("config.reloaded", None, None) && all.wants("alert.cpu", Some("a"), None));
        let some = hook(&["process.*", "alert.disk"], None, &["a"]);
        assert!(some.wants("process.started", Some("a"), None) && some.wants("alert.disk", Some("a"), None));
        assert!(!some.wants("process.started", Some("b"), None) && !some.wants("alert.disk", None, None));
        assert!(
            !some.wants("processes", Some("a"), None) && !some.wants("server.process.error", Some("a"), None)
        );
        let grave = hook(&["alert.*"], Some(Level::Error), &[]);
        assert!(grave.wants("alert.update", None, Some(Level::Critical)));
        assert!(
            !grave.wants("alert.update", None, Some(Level::Warning)) && !grave.wants("alert.cpu", None, None)
        );
    }
}
