//! `update`: how the newest version of a service is found, put in place and taken back. Nothing is run here.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::environment::Environment;
use super::error::Problems;
use super::item::Item;
use super::keys::SOME;
use super::service::{self, PATH, candidates};
use super::trust;

/// Keys of `update`.
pub(super) const KEYS: [&str; 6] = ["check", "current", "apply", "rollback", "probation", "timeout"];

/// The keys without which there is no update.
const NEEDED: [&str; 3] = ["check", "apply", "rollback"];

/// How long the new version has to be well.
const PROBATION: Duration = Duration::from_secs(30);

/// For each of the commands.
const TIMEOUT: Duration = Duration::from_mins(10);

/// How a service is updated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Update {
    /// Prints the newest version.
    pub(crate) check: Vec<Box<str>>,
    /// Prints the version that is installed; none: the one that was put in place last.
    pub(crate) current: Vec<Box<str>>,
    /// Puts the newest version in place.
    pub(crate) apply: Vec<Box<str>>,
    /// Puts the old one in place again.
    pub(crate) rollback: Vec<Box<str>>,
    /// How long the new version has to be well.
    pub(crate) probation: Duration,
    /// For each of the commands.
    pub(crate) timeout: Duration,
    /// The files of its configuration: these are put back if the new version is no good.
    pub(crate) files: Vec<PathBuf>,
}

impl Update {
    /// All programs that may be run.
    pub(super) fn programs(&self) -> impl Iterator<Item = &str> {
        [&self.check, &self.current, &self.apply, &self.rollback]
            .into_iter()
            .filter_map(|words| words.first().map(|word| &**word))
    }
}

/// `update`
pub(super) fn read(item: &Item<'_>, problems: &mut Problems) -> Option<Box<Update>> {
    let mut update = Update {
        check: Vec::new(),
        current: Vec::new(),
        apply: Vec::new(),
        rollback: Vec::new(),
        probation: PROBATION,
        timeout: TIMEOUT,
        files: Vec::new(),
    };
    let before = problems.count();
    for item in item.members(problems) {
        let mut command = || service::command(&item, None, problems).unwrap_or_default();
        match item.key {
            "check" => update.check = command(),
            "current" => update.current = command(),
            "apply" => update.apply = command(),
            "rollback" => update.rollback = command(),
            "probation" => update.probation = item.duration(problems, Duration::ZERO).unwrap_or(PROBATION),
            "timeout" => update.timeout = item.duration(problems, SOME).unwrap_or(TIMEOUT),
            _ => item.unknown(problems, &KEYS, &[]),
        }
    }
    for key in NEEDED {
        if item.is_object() && item.get(key).is_none() {
            item.wrong(problems, &format!("has no {key}: a command as a list, or a program"));
        }
    }
    (problems.count() == before).then(|| Box::new(update))
}

/// The files that a service's configuration consists of.
pub(super) fn files(root: &Item<'_>) -> Vec<PathBuf> {
    let mut unheard = Problems::default();
    let mut files = vec![root.page.path.clone()];
    for key in ["configFile", "envFile"] {
        let Some(item) = root.get(key) else { continue };
        if item.is_list() {
            let items = item.items(&mut unheard, usize::MAX).unwrap_or_default();
            files.extend(items.iter().filter_map(|item| item.path(&mut unheard)));
        } else {
            files.extend(item.path(&mut unheard));
        }
    }
    files
}

/// Tells of a program that would run as root and that somebody else could change.
pub(super) fn distrust(update: &Update, item: &Item<'_>, environment: &Environment, problems: &mut Problems) {
    let path = environment.get("PATH").unwrap_or_else(|| OsStr::new(PATH));
    for program in update.programs() {
        let places = candidates(program, path);
        if let Some(problem) = trust::changeable(places.iter().map(PathBuf::as_path)) {
            item.wrong(problems, &problem);
        }
    }
}
