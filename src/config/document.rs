//! One file: its text, its values and the way from a value back to its line. What the keys mean is not known
//! here.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use super::environment::Environment;
use super::error::{ConfigError, Place, Problems, WHOLE};
use super::item::Item;
use super::json::{self, Kind, Node, join};
use super::substitute::substitute;
use super::trust;

/// Largest file: an `OpenAPI` document may be inline.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A file and its values.
#[derive(Debug)]
pub(super) struct Document {
    /// The file.
    pub(super) page: Page,
    /// Its outermost value.
    root: Node,
}

/// A file.
#[derive(Debug)]
pub(super) struct Page {
    /// Absolute.
    pub(super) path: PathBuf,
    /// What its relative paths begin with: absolute, without a link in it.
    pub(super) folder: PathBuf,
    /// All of it.
    pub(super) text: String,
}

impl Document {
    /// Reads a file; `None` when it is not JSON or cannot be read, which is told to `problems`.
    pub(super) fn read(path: &Path, problems: &mut Problems) -> Option<Self> {
        Self::of(path, read_regular(path, FILE_BYTES_MAX), problems)
    }

    /// The same for one who only looks: root may look at the configuration of others, without obeying it.
    pub(super) fn look(path: &Path, problems: &mut Problems) -> Option<Self> {
        Self::of(path, open_regular(path).and_then(|file| read_at_most(file, FILE_BYTES_MAX)), problems)
    }

    /// The file of these bytes, if there are any.
    fn of(path: &Path, bytes: io::Result<Vec<u8>>, problems: &mut Problems) -> Option<Self> {
        match bytes {
            Ok(bytes) => Self::parse(path, bytes, problems),
            Err(error) => {
                problems.push(ConfigError::whole(path, &format!("cannot read it: {}", reason(&error))));
                None
            }
        }
    }

    /// The same for a file that is read already.
    pub(super) fn parse(path: &Path, bytes: Vec<u8>, problems: &mut Problems) -> Option<Self> {
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                // What comes before the fault tells where it is.
                let valid = error.utf8_error().valid_up_to();
                let page = Page::new(path, String::from_utf8_lossy(error.as_bytes()).into_owned());
                problems.push(page.error(valid, "", "is not UTF-8"));
                return None;
            }
        };
        let page = Page::new(path, text);
        match json::parse(&page.text) {
            Ok(root) => Some(Self { page, root }),
            Err(fault) => {
                problems.push(page.error(fault.at, &fault.field, fault.problem));
                None
            }
        }
    }

    /// Replaces what stands for variables and files, and tells of keys that are written twice.
    pub(super) fn settle(&mut self, environment: &Environment, problems: &mut Problems) {
        let Self { page, root } = self;
        settle(page, root, "", environment, problems);
    }

    /// Its outermost value.
    pub(super) fn root(&self) -> Item<'_> {
        Item { page: &self.page, node: &self.root, key: "", key_at: self.root.at, field: String::new() }
    }

    /// Its outermost value, as it is written.
    pub(super) fn node(&self) -> &Node {
        &self.root
    }
}

impl Page {
    /// A file at an absolute path.
    fn new(path: &Path, text: String) -> Self {
        let folder = path.parent().unwrap_or(path);
        let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
        Self { path: path.to_path_buf(), folder, text }
    }

    /// Line and column of an offset.
    pub(super) fn place(&self, at: usize) -> Place {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count().saturating_add(1);
        let last = before.rsplit('\n').next().unwrap_or_default();
        Place { file: self.path.clone(), line, column: last.chars().count().saturating_add(1) }
    }

    /// A problem at an offset.
    pub(super) fn error(&self, at: usize, field: &str, problem: &str) -> ConfigError {
        self.place(at).error(if field.is_empty() { WHOLE } else { field }, problem)
    }

    /// A path of this file, made absolute.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        resolve(&self.folder, path)
    }
}

/// A path made absolute. Leading `..` are followed at once, which is exact where the folder has no link in
/// it; later ones are left to the kernel.
pub(super) fn resolve(folder: &Path, path: &str) -> PathBuf {
    let mut whole = folder.to_path_buf();
    let mut leading = true;
    for part in Path::new(path).components() {
        leading &= !matches!(part, Component::Normal(_));
        match part {
            Component::ParentDir if leading => drop(whole.pop()),
            Component::CurDir => {}
            Component::ParentDir | Component::Normal(_) | Component::RootDir | Component::Prefix(_) => {
                whole.push(part);
            }
        }
    }
    whole
}

/// See [`Document::settle`].
fn settle(page: &Page, node: &mut Node, field: &str, environment: &Environment, problems: &mut Problems) {
    match &mut node.kind {
        Kind::Text { text, .. } => match substitute(text, &page.folder, &environment.variables) {
            Ok(None) => {}
            Ok(Some(value)) => node.kind = Kind::Text { text: value.into(), substituted: true },
            Err(problem) => {
                problems.push(page.error(node.at, field, &problem));
                node.kind = Kind::Void;
            }
        },
        Kind::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                settle(page, item, &join(field, &format!("[{index}]")), environment, problems);
            }
        }
        Kind::Object(members) => {
            let mut keys = HashSet::new();
            for member in members {
                let field = join(field, &member.key);
                if !keys.insert(&*member.key) {
                    problems.push(page.error(member.at, &field, "is written twice"));
                }
                settle(page, &mut member.value, &field, environment, problems);
            }
        }
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Opaque(_) | Kind::Void => {}
    }
}

/// Opens a regular file. Anything else (a pipe, a terminal) could keep us waiting.
fn open_regular(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    File::open(path)
}

/// Whether a file can be read.
pub(super) fn can_read(path: &Path) -> io::Result<()> {
    open_regular(path).map(drop)
}

/// Reads a regular file of at most `bytes_max`, which root does not if others can change it.
pub(super) fn read_regular(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    trust::check(path, &file.metadata()?)?;
    read_at_most(file, bytes_max)
}

/// Reads at most `bytes_max`, or fails.
fn read_at_most(file: File, bytes_max: u64) -> io::Result<Vec<u8>> {
    // As much as there is and a byte more, so that one read has it all and the next one sees its end.
    let length = file.metadata()?.len().min(bytes_max).saturating_add(1);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= bytes_max) {
        return Ok(bytes);
    }
    Err(io::Error::other(format!("it is larger than {bytes_max} bytes")))
}

/// An error's words without the number.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters() {
        let page = Page::new(Path::new("/x/a.json"), "{\n \"é\": 1\n}".into());
        let place = |at| (page.place(at).line, page.place(at).column);
        assert_eq!(place(0), (1, 1));
        assert_eq!(place(3), (2, 2));
        assert_eq!(place(9), (2, 7));
        assert_eq!(place(999), (3, 2));
    }

    #[test]
    fn paths_are_relative_to_the_folder_of_the_file() {
        let page = Page::new(Path::new("/nowhere/b/a.json"), String::new());
        for (path, whole) in [
            ("x", "/nowhere/b/x"),
            ("../x", "/nowhere/x"),
            ("./../../../y", "/y"),
            ("x/../y", "/nowhere/b/x/../y"),
            ("/z", "/z"),
        ] {
            assert_eq!(page.resolve(path), Path::new(whole), "{path}");
        }
    }
}
