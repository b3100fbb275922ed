//! `schedule`: what runs when. Nothing is run here.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::{Problems, nearest};
use super::item::{Choice, Item};
use super::keys::SOME;
use super::service;
use crate::life::agenda::{CatchUp, Overlap};
use crate::life::cron::Cron;

/// Keys of an entry.
pub(super) const KEYS: [&str; 5] = ["cron", "run", "overlap", "catchUp", "timeout"];

/// Most entries of a service, or of the whole.
const ENTRIES_MAX: usize = 64;

/// Longest expression.
const CRON_CHARS_MAX: usize = 1024;

/// A run that takes longer is ended.
const TIMEOUT: Duration = Duration::from_hours(1);

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Run {
    /// One of our own verbs.
    Verb(Task),
    /// A program and its arguments.
    Command(Vec<Box<str>>),
}

/// A verb that can be scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Task {
    /// The update cycle.
    Update,
    /// How the service is.
    Health,
    /// Old logs, backups and leftovers.
    Cleanup,
    /// A new process.
    Restart,
    /// Attempts to recover are forgotten.
    Reset,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// When.
    pub(crate) cron: Cron,
    /// The same as it is written.
    pub(crate) text: Box<str>,
    /// What.
    pub(crate) run: Run,
    /// What happens while it still runs.
    pub(crate) overlap: Overlap,
    /// What happens about times that were missed.
    pub(crate) catch_up: CatchUp,
    /// When a run is ended.
    pub(crate) timeout: Duration,
}

/// Values of `run` that are no commands.
const TASK: [(&str, Task); 5] = [
    ("update", Task::Update),
    ("health", Task::Health),
    ("cleanup", Task::Cleanup),
    ("restart", Task::Restart),
    ("reset", Task::Reset),
];

/// Values of `overlap`.
const OVERLAP: Choice<Overlap> = Choice {
    known: &[("skip", Overlap::Skip), ("queue", Overlap::Queue), ("kill", Overlap::Kill)],
    later: &[],
};

/// Values of `catchUp`.
const CATCH_UP: Choice<CatchUp> =
    Choice { known: &[("skip", CatchUp::Skip), ("once", CatchUp::Once)], later: &[] };

impl Task {
    /// Its verb.
    pub(crate) const fn verb(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Health => "health",
            Self::Cleanup => "cleanup",
            Self::Restart => "restart",
            Self::Reset => "reset",
        }
    }
}

impl Run {
    /// What is told of it: the verb, or the program. Arguments may hold secrets.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Verb(task) => task.verb(),
            Self::Command(words) => words.first().map_or("", |word| word),
        }
    }
}

/// `schedule`
pub(super) fn read(item: &Item<'_>, problems: &mut Problems) -> Option<Box<[Entry]>> {
    let items = item.items(problems, ENTRIES_MAX)?;
    Some(items.iter().filter_map(|item| entry(item, problems)).collect())
}

/// One entry.
fn entry(item: &Item<'_>, problems: &mut Problems) -> Option<Entry> {
    let (mut cron, mut what) = (None, None);
    let (mut overlap, mut catch_up, mut timeout) = (None, None, None);
    let members = item.members(problems);
    for item in &members {
        match item.key {
            "cron" => cron = expression(item, problems),
            "run" => what = run(item, problems),
            "overlap" => overlap = item.choice(problems, &OVERLAP),
            "catchUp" => catch_up = item.choice(problems, &CATCH_UP),
            "timeout" => timeout = item.duration(problems, SOME),
            _ => item.unknown(problems, &KEYS, &[]),
        }
    }
    for key in ["cron", "run"] {
        if item.is_object() && item.get(key).is_none() {
            item.wrong(problems, &format!("has no {key}"));
        }
    }
    let (cron, text) = cron?;
    Some(Entry {
        cron,
        text,
        run: what?,
        overlap: overlap.unwrap_or(Overlap::Skip),
        catch_up: catch_up.unwrap_or(CatchUp::Skip),
        timeout: timeout.unwrap_or(TIMEOUT),
    })
}

/// `cron`
fn expression(item: &Item<'_>, problems: &mut Problems) -> Option<(Cron, Box<str>)> {
    let text = item.line(problems, 1..=CRON_CHARS_MAX)?;
    match Cron::parse(text) {
        Ok(cron) => Some((cron, text.trim().into())),
        Err(problem) => {
            item.wrong(problems, &problem);
            None
        }
    }
}

/// `run`: a word, or a command as a list.
fn run(item: &Item<'_>, problems: &mut Problems) -> Option<Run> {
    if item.is_list() {
        return service::command(item, None, problems).map(Run::Command);
    }
    let names = || TASK.iter().map(|(name, _)| *name);
    let known = |text: &str| TASK.iter().find(|(name, _)| *name == text).map(|(_, task)| *task);
    let wanted = format!("{} or a command as a list", names().collect::<Vec<_>>().join(", "));
    let Some(text) = item.node.text() else {
        return item.matching(problems, &wanted, |_| false).and(None);
    };
    if let Some(task) = known(text) {
        return Some(Run::Verb(task));
    }
    let problem = format!("must be {wanted}");
    problems.push(item.error(item.node.at, &problem).or(nearest(text, names())));
    None
}
