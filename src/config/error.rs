//! What is wrong with a configuration, and where it is written. Nothing is read here.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Most problems told at once: a person mends a few and asks again.
const PROBLEMS_MAX: usize = 200;

/// Longest word that a better one is looked for.
const WORD_CHARS_MAX: usize = 64;

/// What a problem of a whole file calls its field.
pub(super) const WHOLE: &str = "(file)";

/// One thing that is wrong, as one line: `FILE:LINE:COLUMN: FIELD: PROBLEM (did you mean "X"?)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConfigError {
    /// The file that holds it, or `environment`.
    pub(crate) file: PathBuf,
    /// From 1.
    pub(crate) line: usize,
    /// From 1, in characters.
    pub(crate) column: usize,
    /// `mcpConfig.port`, `args[2]`, or `(file)` for the whole.
    pub(crate) field: Box<str>,
    /// What is wrong. It never holds a substituted value.
    pub(crate) problem: Box<str>,
    /// What was meant, perhaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) suggestion: Option<Box<str>>,
}

impl ConfigError {
    /// A problem of the file as a whole.
    pub(super) fn whole(file: &Path, problem: &str) -> Self {
        let place = Place { file: file.to_path_buf(), line: 1, column: 1 };
        place.error(WHOLE, problem)
    }

    /// The same problem with what was meant.
    pub(super) fn or(mut self, suggestion: Option<&str>) -> Self {
        self.suggestion = suggestion.map(Into::into);
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, field, problem, suggestion } = self;
        let file = one_line(&file.to_string_lossy());
        write!(f, "{file}:{line}:{column}: {}: {}", one_line(field), one_line(problem))?;
        match suggestion {
            Some(word) => write!(f, " (did you mean \"{}\"?)", one_line(word)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Where something is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The file.
    pub(super) file: PathBuf,
    /// From 1.
    pub(super) line: usize,
    /// From 1, in characters.
    pub(super) column: usize,
}

impl Place {
    /// A problem here.
    pub(super) fn error(self, field: &str, problem: &str) -> ConfigError {
        let Self { file, line, column } = self;
        ConfigError { file, line, column, field: field.into(), problem: problem.into(), suggestion: None }
    }
}

/// Everything that is wrong, in the order it was found.
#[derive(Debug, Default)]
pub(super) struct Problems {
    /// At most [`PROBLEMS_MAX`]; what is beyond that is not kept.
    list: Vec<ConfigError>,
}

impl Problems {
    /// One more.
    pub(super) fn push(&mut self, error: ConfigError) {
        if self.list.len() < PROBLEMS_MAX {
            self.list.push(error);
        }
    }

    /// `value`, if nothing is wrong; else the problems, those of one file from its top to its end.
    pub(super) fn or<T>(mut self, value: T) -> Result<T, Vec<ConfigError>> {
        for file in self.list.chunk_by_mut(|one, other| one.file == other.file) {
            file.sort_by_key(|error| (error.line, error.column));
        }
        if self.list.is_empty() { Ok(value) } else { Err(self.list) }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }
}

/// The text with control characters escaped, so that it stays one line.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// The name that `word` most likely stands for, if one is near.
pub(crate) fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let length = word.chars().count();
    if length > WORD_CHARS_MAX {
        return None;
    }
    // A third of the letters may be wrong, but a short word that is half wrong is another word.
    let far = if length < 4 { 1 } else { (length / 3).max(2) };
    let near = names.into_iter().map(|name| (distance(word, name), name)).min_by_key(|(edits, _)| *edits)?;
    (near.0 <= far).then_some(near.1)
}

/// How many letters must be put in, taken out or changed to make one word of the other; case is nothing.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (above, x) in one.chars().enumerate() {
        let (mut diagonal, mut left) = (above, above.saturating_add(1));
        let mut cells = row.iter_mut();
        if let Some(first) = cells.next() {
            *first = left;
        }
        for (cell, y) in cells.zip(other.chars()) {
            let changed = diagonal.saturating_add(usize::from(!x.eq_ignore_ascii_case(&y)));
            let best = changed.min(cell.saturating_add(1)).min(left.saturating_add(1));
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_even_when_its_parts_are_not() {
        let place = Place { file: "a\nb.json".into(), line: 3, column: 7 };
        let error = place.error("env.X\t", "is wrong").or(Some("Y"));
        assert_eq!(error.to_string(), "a\\nb.json:3:7: env.X\\t: is wrong (did you mean \"Y\"?)");
    }

    #[test]
    fn the_nearest_name_is_near_or_none() {
        let names = ["restart", "restartPolicy", "env", "log"];
        assert_eq!(nearest("restrat", names), Some("restart"));
        assert_eq!(nearest("RestartPolicy", names), Some("restartPolicy"));
        assert_eq!(nearest("evn", names), None);
        assert_eq!(nearest("enf", names), Some("env"));
        assert_eq!(nearest("memoryLimit", names), None);
        assert_eq!(nearest(&"x".repeat(1000), names), None);
    }
}
