//! What a file is like at one moment, so that it can be told later whether it changed.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A file, as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// Where.
    pub(crate) path: PathBuf,
    /// What changes when it does: size, time in seconds and nanoseconds, inode. `None` when it was not there.
    pub(crate) state: Option<(u64, i64, i64, u64)>,
}

impl Stamp {
    /// A file as it is now.
    pub(crate) fn of(path: &Path) -> Self {
        let state = std::fs::metadata(path).ok();
        let state = state.map(|state| (state.len(), state.mtime(), state.mtime_nsec(), state.ino()));
        Self { path: path.to_owned(), state }
    }
}
