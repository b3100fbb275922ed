//! What is written down of an update, so that it survives whoever does it: the step that is being done, and, for good,
//! which version is installed and which are not tried again. Nothing is decided here.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::update::Update;
use crate::life::update::Step;
use crate::scribe::{replace_now, time};

/// The file of an update that is under way.
pub(crate) const JOURNAL: &str = "update.journal";

/// The file of what is known for good.
const RECORD: &str = "update.json";

/// Versions that are remembered as no good.
const PINNED_MAX: usize = 100;

/// An update that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    /// What marks every process of its commands.
    pub(super) mark: Box<str>,
    /// What is being done.
    pub(super) step: Step,
    /// The old version, if it is known.
    pub(super) from: Option<Box<str>>,
    /// The new one.
    pub(super) to: Box<str>,
    /// How it was to be updated when this began: what applies a version also has to take it back.
    pub(super) update: Update,
    /// Files of the configuration, and their copies; none for a file that was not there.
    pub(super) copies: Vec<(PathBuf, Option<PathBuf>)>,
    /// Why it failed, once it has.
    pub(super) fault: Option<Box<str>>,
    /// Whether that is the new version's fault, so that it is not tried again.
    pub(super) is_bad: bool,
    /// Whether it was up when this began.
    pub(super) is_up: bool,
}

/// What is known for good.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The version that was put in place last.
    pub(super) version: Option<Box<str>>,
    /// Those that are not tried again.
    #[serde(default)]
    pub(super) pinned: Vec<Box<str>>,
}

impl Journal {
    /// The one that is there; a torn one cannot be, as it is renamed into its place.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        read(&folder.join(JOURNAL))
    }

    /// Writes it down: on disk when this returns.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        write(&folder.join(JOURNAL), self)
    }

    /// It is over: the copies stay as backups.
    pub(super) fn remove(folder: &Path) -> io::Result<()> {
        fs::remove_file(folder.join(JOURNAL))?;
        fs::File::open(folder)?.sync_all()
    }

    /// Copies the files of the configuration.
    pub(super) fn copy(&mut self, backups: &Path, service: &str) -> io::Result<()> {
        let stamp = String::from_utf8_lossy(&time::compact(time::now())).into_owned();
        for (place, file) in self.update.files.iter().enumerate() {
            let body = match fs::read(file) {
                Ok(body) => body,
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    self.copies.push((file.clone(), None));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let copy = backups.join(format!("{service}-{stamp}-{place}-{name}"));
            replace_now(&copy, &body, Some(&fs::metadata(file)?))?;
            self.copies.push((file.clone(), Some(copy)));
        }
        Ok(())
    }

    /// Puts the copies back; whether anything was changed by that.
    pub(super) fn restore(&self) -> io::Result<bool> {
        let mut has_changed = false;
        for (file, copy) in &self.copies {
            let now = fs::read(file).ok();
            let before = copy.as_ref().map(fs::read).transpose()?;
            if now == before {
                continue;
            }
            has_changed = true;
            match (before, copy) {
                (Some(body), Some(copy)) => replace_now(file, &body, Some(&fs::metadata(copy)?))?,
                (Some(_) | None, _) => fs::remove_file(file)?,
            }
        }
        Ok(has_changed)
    }

    /// Puts back the configurations of all updates that are under way; whether anything was changed by that.
    pub(super) fn restore_all(state_dir: &Path) -> bool {
        let Ok(folders) = fs::read_dir(state_dir.join("services")) else { return false };
        let journals = folders.flatten().filter_map(|folder| Self::read(&folder.path()));
        journals.fold(false, |changed, journal| changed | journal.restore().unwrap_or(false))
    }

    /// Whether the configuration is another than the one that was copied.
    pub(super) fn is_changed(&self) -> bool {
        self.copies
            .iter()
            .any(|(file, copy)| fs::read(file).ok() != copy.as_ref().and_then(|copy| fs::read(copy).ok()))
    }
}

impl Record {
    /// What is known; nothing where nothing is.
    pub(super) fn read(folder: &Path) -> Self {
        read(&folder.join(RECORD)).unwrap_or_default()
    }

    /// Writes it down.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        write(&folder.join(RECORD), self)
    }

    /// A version that is no good.
    pub(super) fn pin(&mut self, version: &str) {
        self.pinned.retain(|known| **known != *version);
        self.pinned.push(version.into());
        let over = self.pinned.len().saturating_sub(PINNED_MAX);
        self.pinned.drain(..over);
    }
}

/// Reads JSON.
fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Writes it, whole or not at all.
fn write(path: &Path, what: &impl Serialize) -> io::Result<()> {
    let mut body = serde_json::to_vec(what).map_err(io::Error::other)?;
    body.push(b'\n');
    replace_now(path, &body, None)
}
