//! Files and links that an installation makes, and how it knows them again: each file says who made it, with a sum
//! of what it said then. What is in them is the inits' concern.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::super::failure::{FAILED, Failure, NO_PERMISSION};
use crate::scribe::replace_now;
use crate::sys::own::reason;

/// Where the mark goes, in the text of a file that is to be made.
pub(super) const MARK: &str = "@made@";
/// What a mark begins with; the name of the init follows.
const BEGIN: &str = "made by \"mcp-init install\" for ";
/// What the sum follows.
const SUM: &str = ", sum ";
/// What it ends with.
const END: &str = ": \"mcp-init uninstall\" removes it";
/// Digits of a sum.
const SUM_DIGITS: usize = 16;

/// What is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// A file: what it says, mark and all, and its mode.
    File(String, u32),
    /// A symbolic link to there.
    Link(PathBuf),
}

/// A thing that is made, and where on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    /// Its path on the host; an image has it below its own root.
    pub(super) path: PathBuf,
    /// What it is.
    pub(super) what: What,
}

impl What {
    /// Writes it.
    fn write(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        match self {
            Self::File(text, mode) => {
                if fs::symlink_metadata(path).is_ok_and(|about| !about.is_file()) {
                    fs::remove_file(path)?;
                }
                replace_now(path, text.as_bytes(), None)?;
                fs::set_permissions(path, Permissions::from_mode(*mode))
            }
            Self::Link(target) => {
                absent(path)?;
                symlink(target, path)
            }
        }
    }
}

/// What is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// The very same.
    Same,
    /// Another that was made in the same way and that nobody has changed.
    Older,
    /// One that was made in the same way and changed afterwards.
    Changed,
    /// Something of somebody else's.
    Strange,
}

/// A file for the init of this name; its text has [`MARK`] in it once.
pub(super) fn file(init: &str, path: impl Into<PathBuf>, mode: u32, text: &str) -> Made {
    let mark = format!("{BEGIN}{init}{SUM}{:016x}{END}", sum(text));
    Made { path: path.into(), what: What::File(text.replacen(MARK, &mark, 1), mode) }
}

/// A link.
pub(super) fn link(path: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Made {
    Made { path: path.into(), what: What::Link(target.into()) }
}

/// Where a path of the host is below a root.
pub(super) fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// FNV-1a: it finds edits, not attacks.
fn sum(text: &str) -> u64 {
    let step = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// For which init a text says that we made it, and whether it is still what we made.
fn read_mark(text: &str) -> Option<(&str, bool)> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (init, rest) = rest.split_once(SUM)?;
    let (said, after) = rest.split_at_checked(SUM_DIGITS)?;
    let said = u64::from_str_radix(said, 16).ok()?;
    let after = after.strip_prefix(END)?;
    Some((init, sum(&format!("{before}{MARK}{after}")) == said))
}

impl Made {
    /// What is where it shall be.
    pub(super) fn found(&self, root: &Path) -> io::Result<Found> {
        let path = below(root, &self.path);
        let about = match fs::symlink_metadata(&path) {
            Ok(about) => about,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(error),
        };
        Ok(match &self.what {
            What::Link(target) if about.is_symlink() && fs::read_link(&path)? == *target => Found::Same,
            What::Link(_) => Found::Strange,
            What::File(..) if !about.is_file() => Found::Strange,
            What::File(text, mode) => {
                let there = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
                let is_same = there == *text && about.permissions().mode() & 0o777 == *mode;
                let whose = read_mark(text).map(|(init, _)| init);
                match read_mark(&there) {
                    Some((init, _)) if Some(init) != whose => Found::Strange,
                    Some((_, true)) if is_same => Found::Same,
                    Some((_, true)) => Found::Older,
                    Some((_, false)) => Found::Changed,
                    None => Found::Strange,
                }
            }
        })
    }

    /// Refuses to touch what somebody else made or changed.
    pub(super) fn allow(&self, verb: &str, root: &Path, force: bool) -> Result<Found, Failure> {
        let path = below(root, &self.path);
        let found = self.found(root).map_err(|error| Failure::reading(path.display(), &error))?;
        let why = match found {
            Found::Changed if !force => "has been changed since \"mcp-init install\" made it",
            Found::Strange if !force => "was not made by \"mcp-init install\"",
            Found::Nothing | Found::Same | Found::Older | Found::Changed | Found::Strange => {
                return Ok(found);
            }
        };
        let what = if verb == "uninstall" { "removes it all the same" } else { "takes its place" };
        Err(Failure::new(FAILED, format!("cannot {verb}: {} {why}; --force {what}", path.display())))
    }

    /// Makes it; what was there before is kept for [`Before::put_back`].
    pub(super) fn make(&self, root: &Path) -> Result<Before, Failure> {
        let path = below(root, &self.path);
        let before = Before::of(&path);
        self.what.write(&path).map_err(|error| failure("make", &path, &error))?;
        Ok(before)
    }

    /// Removes it; what was there is kept for [`Before::put_back`].
    pub(super) fn remove(&self, root: &Path) -> Result<Before, Failure> {
        let path = below(root, &self.path);
        let before = Before::of(&path);
        absent(&path).map_err(|error| failure("remove", &path, &error))?;
        Ok(before)
    }
}

/// What was at a path before.
#[derive(Debug)]
pub(super) struct Before {
    /// Where.
    path: PathBuf,
    /// What, unless nothing was.
    what: Option<What>,
}

impl Before {
    /// What is there now.
    fn of(path: &Path) -> Self {
        let file = || {
            let about = fs::metadata(path).ok()?;
            Some(What::File(fs::read_to_string(path).ok()?, about.permissions().mode() & 0o777))
        };
        let what = fs::read_link(path).map(What::Link).ok().or_else(file);
        Self { path: path.to_owned(), what }
    }

    /// Whether something was there.
    pub(super) const fn was_there(&self) -> bool {
        self.what.is_some()
    }

    /// Has it there again, or nothing.
    pub(super) fn put_back(self) -> Result<(), Failure> {
        let Self { path, what } = self;
        let result = match &what {
            Some(what) => what.write(&path),
            None => absent(&path),
        };
        result.map_err(|error| failure("put back", &path, &error))
    }
}

/// Has nothing be there.
fn absent(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A file could not be made or removed.
pub(super) fn failure(verb: &str, path: &Path, error: &io::Error) -> Failure {
    let code = if error.kind() == ErrorKind::PermissionDenied { NO_PERMISSION } else { FAILED };
    Failure::new(code, format!("cannot {verb} {}: {}", path.display(), reason(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_known_again_until_somebody_changes_it() {
        let root = std::env::temp_dir().join(format!("mcp-init-made-{}", std::process::id()));
        let made = file("runit", "/etc/unit", 0o755, "#!/bin/sh\n# @made@\nexit 0\n");
        assert_eq!(made.found(&root).unwrap(), Found::Nothing);
        let before = made.make(&root).unwrap();
        assert_eq!(made.found(&root).unwrap(), Found::Same);
        let newer = file("runit", "/etc/unit", 0o755, "#!/bin/sh\n# @made@\nexit 1\n");
        assert_eq!(newer.found(&root).unwrap(), Found::Older);
        let older = newer.make(&root).unwrap();
        assert!(older.was_there() && !before.was_there());
        older.put_back().unwrap();
        assert_eq!(made.found(&root).unwrap(), Found::Same);
        let path = root.join("etc/unit");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("#!/bin/sh\n# made by \"mcp-init install\" for runit, sum "), "{text}");
        assert_eq!(file("openrc", "/etc/unit", 0o755, MARK).found(&root).unwrap(), Found::Strange);
        fs::write(&path, text + "# mine\n").unwrap();
        assert_eq!(made.found(&root).unwrap(), Found::Changed);
        assert!(made.allow("install", &root, false).unwrap_err().text.contains("changed since"));
        fs::write(&path, "mine\n").unwrap();
        assert_eq!(made.found(&root).unwrap(), Found::Strange);
        assert_eq!(made.allow("install", &root, true).unwrap(), Found::Strange);
        before.put_back().unwrap();
        assert_eq!(made.found(&root).unwrap(), Found::Nothing);
        let linked = link("/etc/wants/unit", "../unit");
        linked.make(&root).unwrap();
        assert_eq!(linked.found(&root).unwrap(), Found::Same);
        assert_eq!(link("/etc/wants/unit", "/elsewhere").found(&root).unwrap(), Found::Strange);
        linked.remove(&root).unwrap();
        linked.remove(&root).unwrap();
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn no_text_breaks_the_reader_of_marks() {
        let begin = format!("{BEGIN}x{SUM}");
        for text in ["", BEGIN, &format!("{begin}é23456789abcdef0"), &format!("{begin}0123456789abcdef")] {
            assert_eq!(read_mark(text), None, "{text}");
        }
        assert_eq!(read_mark(&format!("{begin}0123456789abcdef{END}")), Some(("x", false)));
    }
}
