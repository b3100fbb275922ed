//! Catalogues on disk: the next runner of the same document opens one instead of making it, and all that have it
//! open share its pages. A folder that others could write to is not used.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::recipe::Recipe;
use crate::hash;
use crate::openapi::{Stamp, put};
use crate::tools::{Catalogue, Head};

/// Others may neither write nor look.
const MODE: u32 = 0o700;
/// How long a file that nobody used is kept.
const AGE_MAX: std::time::Duration = std::time::Duration::from_hours(24 * 30);

/// The folder for copies and catalogues: the configured one, else where the system has such things for us.
pub(crate) fn folder(configured: Option<PathBuf>) -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let of_runner = |folder: PathBuf| folder.join("mcp-runner");
    let folder = configured
        .or_else(|| variable("CACHE_DIRECTORY"))
        .or_else(|| variable("XDG_CACHE_HOME").map(of_runner))
        .or_else(|| variable("HOME").map(|home| of_runner(home.join(".cache"))))?;
    // What cannot be made is no reason not to serve.
    DirBuilder::new().recursive(true).mode(MODE).create(&folder).ok()?;
    let state = fs::metadata(&folder).ok()?;
    let ours = fs::metadata("/proc/self").ok()?.uid();
    (state.is_dir() && state.uid() == ours && state.mode() & 0o022 == 0).then_some(folder)
}

/// Where the catalogue of one recipe is, if it is.
#[derive(Debug)]
pub(super) struct Kept {
    /// The file.
    path: PathBuf,
    /// What its first line must say.
    identity: String,
}

impl Kept {
    /// For a recipe. One whose document is not somewhere else has nothing to gain.
    pub(super) fn new(folder: &Path, recipe: &Recipe) -> Option<Self> {
        recipe.document.as_str().filter(|text| *text != "-" && !text.contains('\n'))?;
        let identity = recipe.identity();
        let path = folder.join(format!("catalogue-{:016x}", hash::of(identity.as_bytes())));
        Some(Self { path, identity })
    }

    /// Opens it, if it is still what the document says.
    pub(super) fn open(&self) -> Option<(Catalogue, Head)> {
        let file = File::open(&self.path).ok()?;
        let about = file.try_clone().ok()?;
        let (catalogue, head) = Catalogue::in_file(file).ok()?;
        let is_current = head.made_from == self.identity
            && !head.files.is_empty()
            && head.files.iter().all(|file| file.state.is_some() && Stamp::of(&file.path) == *file);
        if is_current {
            // Whoever tidies up sees that it is in use. That it cannot be told harms nobody.
            drop(about.set_modified(std::time::SystemTime::now()));
        }
        is_current.then_some((catalogue, head))
    }

    /// Keeps a catalogue; false when that cannot be.
    pub(super) fn put(&self, text: &[Vec<u8>]) -> bool {
        let is_kept = put(&self.path, text).is_ok();
        self.path.parent().into_iter().for_each(tidy);
        is_kept
    }

    /// Opens one that has just been put there.
    pub(super) fn read(&self) -> io::Result<(Catalogue, Head)> {
        Catalogue::in_file(File::open(&self.path)?)
    }
}

/// Removes what nobody used for long.
fn tidy(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with("catalogue-"));
        let modified = entry.metadata().and_then(|state| state.modified());
        if is_ours && modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > AGE_MAX)) {
            drop(fs::remove_file(entry.path()));
        }
    }
}
