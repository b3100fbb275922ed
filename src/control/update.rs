//! What is told of updates: the words that the supervisor and the child that updates a service have in common. No
//! socket here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::probe::Probe;
use crate::config::update::Update;

/// What the child has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Task {
    /// Say whether there is a newer version.
    Check,
    /// Update.
    Update,
    /// Bring an update to its end whose child has died.
    Resume,
}

/// All that the child needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    /// What to do.
    pub(crate) task: Task,
    /// The service.
    pub(crate) service: Box<str>,
    /// How it is updated.
    pub(crate) update: Update,
    /// What its commands find in their environment.
    pub(crate) variables: BTreeMap<Box<str>, Box<str>>,
    /// Where they run.
    pub(crate) directory: PathBuf,
    /// Where what is known of the service is kept.
    pub(crate) folder: PathBuf,
    /// Where copies of its configuration are kept.
    pub(crate) backups: PathBuf,
    /// Where the supervisor listens.
    pub(crate) socket: PathBuf,
    /// What can be asked of the service from outside, and the time for the answer.
    pub(crate) probe: Option<(Probe, Duration)>,
    /// Whether its health is known, and the longest time until it is.
    pub(crate) known_within: Option<Duration>,
    /// Whether it is to be up.
    pub(crate) is_up: bool,
}

/// What happened to an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Happened {
    /// It was looked for a newer version.
    Checked,
    /// It began.
    Started,
    /// The new version is in place, and on probation.
    Applied,
    /// The new version stays.
    Succeeded,
    /// It failed, and is rolled back.
    Failed,
    /// The old version is there again.
    RolledBack,
    /// The old version could not be put back.
    RollbackFailed,
    /// It was cut off before anything was changed.
    Kept,
}

impl Happened {
    /// The event that tells it.
    pub(crate) const fn event(self) -> &'static str {
        match self {
            Self::Checked => "update.checked",
            Self::Started => "update.started",
            Self::Applied => "update.applied",
            Self::Succeeded => "update.succeeded",
            Self::Failed => "update.failed",
            Self::RolledBack => "update.rolled_back",
            Self::RollbackFailed => "update.rollback_failed",
            Self::Kept => "update.kept",
        }
    }
}

/// What the child has to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct News {
    /// The service.
    pub(crate) service: Box<str>,
    /// What happened.
    pub(crate) happened: Happened,
    /// The old version, if it is known.
    pub(crate) from: Option<Box<str>>,
    /// The new one.
    pub(crate) to: Option<Box<str>>,
    /// In words.
    pub(crate) text: Box<str>,
}
