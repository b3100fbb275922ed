//! What the supervisor made at run time, removed by name: a folder that somebody else uses as well keeps what is
//! not known here.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::super::failure::{FAILED, Failure};
use super::made::{below, failure};
use super::site::Site;
use crate::config::plan::Settings;

/// In the runtime folder.
const RUNTIME: [&str; 6] = ["control.sock", "notify.sock", "pids", "configs", "scribe.lock", "lock"];
/// In the state folder; what begins like one of these and goes on with a dot is its older part.
const STATE: [&str; 8] = [
    "services",
    "backups",
    "events.jsonl",
    "alerts.jsonl",
    "alerts.json",
    "updates.jsonl",
    "schedule.json",
    "version",
];
/// In the folder of the logs, besides a folder for each service.
const LOG: &str = "mcp-init.log";
/// What the folder of a service's logs has in it.
const CURRENT: &str = "current";

/// Removes what is of no use without a supervisor, if none runs.
pub(super) fn runtime(settings: &Settings, site: &Site) -> Vec<String> {
    let folder = below(&site.root, &settings.runtime_dir);
    // Where it is locked, somebody supervises; where there is none, nobody ever has.
    let held = File::open(folder.join("lock")).map(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock));
    let Ok(Ok(_held)) = held else { return Vec::new() };
    for name in RUNTIME {
        drop(remove(&folder.join(name)));
    }
    drop(fs::remove_dir(&settings.runner_config_dir));
    if fs::remove_dir(&folder).is_ok() { vec![folder.display().to_string()] } else { Vec::new() }
}

/// Removes what servers kept to start faster.
pub(super) fn cache(site: &Site) -> Option<String> {
    let folder = below(&site.root, &site.cache());
    // What is named like it and holds what nobody has to keep is its own.
    fs::remove_dir_all(&folder).ok().map(|()| folder.display().to_string())
}

/// Removes state and logs, which are ours if the state says so.
pub(super) fn state(settings: &Settings, site: &Site) -> Result<Vec<String>, Failure> {
    let (state, log) = (below(&site.root, &settings.state_dir), below(&site.root, &settings.log_dir));
    if is_held(&state.join("version")) {
        return Err(Failure::new(FAILED, "cannot purge: a supervisor still has this state; end it first"));
    }
    let mut removed = Vec::new();
    for path in own(&log, |name, path| begins(name, LOG) || path.join(CURRENT).exists()) {
        remove(&path)?;
    }
    for path in own(&state, |name, _| STATE.iter().any(|known| begins(name, known))) {
        remove(&path)?;
    }
    for folder in [log, state, below(&site.root, Path::new(&site.config)).join("services.d")] {
        if fs::remove_dir(&folder).is_ok() {
            removed.push(folder.display().to_string());
        }
    }
    let config = below(&site.root, Path::new(&site.config));
    if fs::remove_dir(&config).is_ok() {
        removed.push(config.display().to_string());
    }
    Ok(removed)
}

/// Whether a name is this one, or that of an older part of it.
fn begins(name: &str, known: &str) -> bool {
    name.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether a supervisor holds a lock.
fn is_held(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock).is_err())
}

/// What in a folder is ours.
fn own(folder: &Path, is_own: impl Fn(&str, &Path) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| is_own(&entry.file_name().to_string_lossy(), &entry.path()));
    ours.map(|entry| entry.path()).collect()
}

/// Removes a file, or a folder with all that is in it.
fn remove(path: &Path) -> Result<(), Failure> {
    let is_folder = fs::symlink_metadata(path).is_ok_and(|about| about.is_dir());
    let result = if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    result.map_err(|error| failure("remove", path, &error))
}
