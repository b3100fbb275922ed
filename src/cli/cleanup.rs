//! `cleanup`: what we made and nobody needs any more is removed: old parts of logs, backups, and what is left of
//! services that are not configured. A file is ours by its place, its name and its kind; any other is left alone.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::arguments::Invocation;
use super::failure::{FAILED, Failure, OK};
use super::options::Flag;
use super::output::{Output, say};
use super::places::Places;
use super::status::unknown;
use super::units;
use crate::config;
use crate::config::plan::Settings;
use crate::scribe::time;
use crate::sys::own::reason;
use crate::update::JOURNAL;

/// Files of a service's folder in the state folder.
const STATE: [&str; 5] = ["process.json", "health.jsonl", "health.jsonl.1", "schedule.json", "update.json"];

/// What a file that is being written is called, before it has its name.
const UNFINISHED: &str = ".tmp";

/// Nobody writes at a file for so long, in microseconds.
const UNFINISHED_AFTER: u64 = 60 * 60 * 1_000_000;

/// A file that may go.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Old {
    /// Since when, in microseconds since 1970.
    since: u64,
    /// Where it is.
    path: PathBuf,
    /// Its size.
    bytes: u64,
    /// Whether it goes as soon as it is too old; others go for want of room, too.
    only_by_age: bool,
}

/// What is looked for.
struct Search<'a> {
    /// Where things are.
    settings: &'a Settings,
    /// The services that are meant; none are all.
    only: &'a [Box<str>],
    /// Those that are configured.
    configured: BTreeSet<Box<str>>,
    /// What was found.
    found: Vec<Old>,
}

/// `cleanup [SERVICE…] [--dry-run]`.
pub(super) fn answer(invocation: &Invocation, places: &Places, out: &mut Output) -> Result<u8, Failure> {
    let settings = places.settings()?;
    let only = invocation.names()?;
    let configured =
        config::files_of(&places.config, &places.environment).into_iter().map(|(id, _)| id).collect();
    let mut search = Search { settings: &settings, only: &only, configured, found: Vec::new() };
    for name in &only {
        if !search.configured.contains(name) && !settings.log_dir.join(&**name).is_dir() {
            return Err(unknown("clean up", name, search.configured.iter().map(|id| &**id)));
        }
    }
    search.logs();
    search.backups();
    search.leftovers();
    let old = choose(search.found, &settings, units::wall());
    let dry = invocation.has(Flag::DryRun);
    let (mut bytes, mut count, mut code) = (0_u64, 0_usize, OK);
    for Old { path, bytes: size, since, .. } in &old {
        if !dry && let Err(error) = fs::remove_file(path) {
            if error.kind() != ErrorKind::NotFound {
                code = FAILED;
                say(&format!("mcp-init: cannot remove {}: {}\n", path.display(), reason(&error)));
            }
            continue;
        }
        (bytes, count) = (bytes.saturating_add(*size), count.saturating_add(1));
        // A folder that is empty now was made for this file.
        if !dry && let Some(folder) = path.parent().filter(|folder| is_of_a_service(folder, &settings)) {
            drop(fs::remove_dir(folder));
        }
        let age = units::duration(units::wall().saturating_sub(*since) / 1000);
        if invocation.json() {
            out.json(&json!({ "path": path, "bytes": size, "removed": !dry }))?;
        } else if dry {
            out.line(&format!("{}: {}, {age} old", path.display(), units::size(*size)));
        }
    }
    if !invocation.json() {
        let verb = if dry { "would remove" } else { "removed" };
        out.line(&format!("{verb} {count} files, {}", units::size(bytes)));
    }
    Ok(code)
}

/// Which of them go: what is too old, and the oldest of the rest while there is too much of it.
fn choose(mut found: Vec<Old>, settings: &Settings, now: u64) -> Vec<Old> {
    found.sort();
    let age = u64::try_from(settings.cleanup.max_age.as_micros()).unwrap_or(u64::MAX);
    let since = now.saturating_sub(age);
    let (mut old, rest): (Vec<Old>, Vec<Old>) = found.into_iter().partition(|one| one.since < since);
    let counted = || rest.iter().filter(|one| !one.only_by_age);
    let mut total = counted().fold(0_u64, |sum, one| sum.saturating_add(one.bytes));
    for one in rest {
        if total > settings.cleanup.max_total && !one.only_by_age {
            total = total.saturating_sub(one.bytes);
            old.push(one);
        }
    }
    old
}

/// Whether a folder is that of one service, and not one for all of them.
fn is_of_a_service(folder: &Path, settings: &Settings) -> bool {
    let parent = folder.parent();
    parent == Some(&settings.log_dir) || parent == Some(&settings.state_dir.join("services"))
}

impl Search<'_> {
    /// Whether a service is meant.
    fn is_meant(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| **name == *id)
    }

    /// A file that may go, if it is a plain one.
    fn add(&mut self, path: PathBuf, since: Option<u64>, only_by_age: bool) {
        let Ok(about) = fs::symlink_metadata(&path) else { return };
        if about.is_file() {
            let since = since.unwrap_or_else(|| changed(&about));
            self.found.push(Old { since, path, bytes: about.len(), only_by_age });
        }
    }

    /// Older parts of logs; of services that are not configured, the last part, too.
    fn logs(&mut self) {
        for (name, path) in entries(&self.settings.log_dir) {
            if let Some(since) =
                name.strip_prefix("mcp-init.").and_then(rotated).filter(|_| self.only.is_empty())
            {
                self.add(path, Some(since), false);
                continue;
            }
            let is_folder = fs::symlink_metadata(&path).is_ok_and(|about| about.is_dir());
            if !is_folder || !self.is_meant(&name) {
                continue;
            }
            let is_configured = self.configured.contains(&*name);
            for (part, path) in entries(&path) {
                if let Some(since) = rotated(&part) {
                    self.add(path, Some(since), false);
                } else if part == "current" && !is_configured {
                    self.add(path, None, true);
                }
            }
        }
    }

    /// Copies of configurations, but not those that an update may still need.
    fn backups(&mut self) {
        let services = self.settings.state_dir.join("services");
        let journals: Vec<String> = entries(&services)
            .into_iter()
            .filter_map(|(_, folder)| fs::read_to_string(folder.join(JOURNAL)).ok())
            .collect();
        for (name, path) in entries(&self.settings.state_dir.join("backups")) {
            let Some((id, since)) = backup(&name) else { continue };
            if self.is_meant(&id) && !journals.iter().any(|journal| journal.contains(&*name)) {
                self.add(path, Some(since), false);
            }
        }
    }

    /// What is known of services that are not configured, and files that were never finished.
    fn leftovers(&mut self) {
        for (id, folder) in entries(&self.settings.state_dir.join("services")) {
            if !self.is_meant(&id) {
                continue;
            }
            let is_configured = self.configured.contains(&*id);
            for (name, path) in entries(&folder) {
                let is_unfinished = |name: &str| {
                    let inner = name.strip_prefix('.').and_then(|name| name.strip_suffix(UNFINISHED));
                    inner.is_some_and(|name| STATE.contains(&name) || name == JOURNAL)
                };
                if is_unfinished(&name) {
                    let about = fs::symlink_metadata(&path);
                    if about
                        .is_ok_and(|about| units::wall().saturating_sub(changed(&about)) > UNFINISHED_AFTER)
                    {
                        self.add(path, Some(0), true);
                    }
                } else if !is_configured && STATE.contains(&&*name) {
                    self.add(path, None, true);
                }
            }
        }
    }
}

/// What is in a folder; nothing in one that is not there.
fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .collect()
}

/// When a file was last changed.
fn changed(about: &Metadata) -> u64 {
    about.modified().map_or(u64::MAX, units::micros)
}

/// The time of an older part of a log: `TIME.log`.
fn rotated(name: &str) -> Option<u64> {
    time::from_compact(name.strip_suffix(".log")?.as_bytes())
}

/// The service and the time of a backup: `ID-TIME.json`, `ID-TIME-NUMBER-NAME`.
fn backup(name: &str) -> Option<(String, u64)> {
    let length = time::compact(0).len();
    name.match_indices('-').find_map(|(at, _)| {
        let (id, rest) = (name.get(..at)?, name.get(at.checked_add(1)?..)?);
        let (stamp, ending) = rest.as_bytes().split_at_checked(length)?;
        let since = time::from_compact(stamp)?;
        let is_numbered = |ending: &[u8]| {
            let mut parts = ending.splitn(3, |byte| *byte == b'-');
            let (first, number, name) = (parts.next(), parts.next(), parts.next());
            first == Some(b"")
                && number.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
                && name.is_some_and(|name| !name.is_empty())
        };
        let is_ours = ending == b".json" || is_numbered(ending);
        (is_ours && !id.is_empty()).then(|| (id.to_owned(), since))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_ours_by_its_name() {
        assert!(rotated("20261121T113704.123456Z.log").is_some());
        for name in
            ["current", "20261121.log", "x20261121T113704.123456Z.log", "20261121T113704.123456Z.log.gz"]
        {
            assert_eq!(rotated(name), None, "{name}");
        }
        for (name, id) in [
            ("pets-20261121T113704.123456Z.json", Some("pets")),
            ("a-b-20261121T113704.123456Z.json", Some("a-b")),
            ("pets-20261121T113704.123456Z-0-pets.json", Some("pets")),
            ("pets-20261121T113704.123456Z-1-a-b.env", Some("pets")),
            ("pets-20261121T113704.123456Z.txt", None),
            ("pets-20261121T113704.123456Z-x-pets.json", None),
            ("-20261121T113704.123456Z.json", None),
            ("pets.json", None),
        ] {
            assert_eq!(backup(name).map(|(id, _)| id).as_deref(), id, "{name}");
        }
    }
}
