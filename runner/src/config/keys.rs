//! The keys of one object of the configuration: each is taken once, and what is left at the end is a mistake.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};

use super::Origin;
use crate::failure::Failure;
use crate::flags;
use crate::nearest::nearest;

/// Longest time that can be said.
const TIME_MAX: Duration = Duration::from_hours(24);

/// A whole number, also as the text that a reference was filled in with.
pub(super) fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// The keys of one object, taken one by one; what is left at the end is unknown.
pub(super) struct Keys<'a> {
    /// Its path, with the dot.
    path: &'static str,
    /// What is left of the file's and the flags' keys together.
    left: Map<String, Value>,
    /// Which of them flags said.
    flagged: Vec<String>,
    /// What was asked for: all the valid names.
    asked: Vec<&'static str>,
    /// The config file.
    file: Option<&'a Path>,
}

impl<'a> Keys<'a> {
    /// The file's keys with the flags' laid over them.
    pub(super) fn new(
        path: &'static str,
        mut left: Map<String, Value>,
        flags: Map<String, Value>,
        file: Option<&'a Path>,
    ) -> Self {
        let flagged = flags.keys().cloned().collect();
        left.extend(flags);
        Self { path, left, flagged, asked: Vec::new(), file }
    }

    /// The key's value; `null` says nothing.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value> {
        self.asked.push(key);
        self.left.swap_remove(key).filter(|value| !value.is_null())
    }

    /// Whether the key has this value; it is not taken.
    pub(super) fn has(&self, key: &str, value: &Value) -> bool {
        self.left.get(key) == Some(value)
    }

    /// Whether the key says anything; it is not taken.
    pub(super) fn says(&self, key: &str) -> bool {
        self.left.get(key).is_some_and(|value| !value.is_null())
    }

    /// The key's value, which must be a string.
    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<String>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(key, "must be a string")),
        }
    }

    /// The key's value, which must be a string that is no secret and not empty.
    pub(super) fn path(&mut self, key: &'static str) -> Result<Option<PathBuf>, Failure> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        if text.is_empty() || text.contains('\0') {
            return Err(self.wrong(key, "must be a path"));
        }
        Ok(Some(self.origin(key).0.join(text)))
    }

    /// The key's value, which must be a list of strings.
    pub(super) fn texts(&mut self, key: &'static str) -> Result<Vec<String>, Failure> {
        let value = self.take(key).unwrap_or_else(|| Value::Array(Vec::new()));
        serde_json::from_value(value).map_err(|_| self.wrong(key, "must be a list of strings"))
    }

    /// The key's value, which must be a truth value; false unless said.
    pub(super) fn boolean(&mut self, key: &'static str) -> Result<bool, Failure> {
        match self.take(key) {
            None => Ok(false),
            Some(Value::Bool(on)) => Ok(on),
            Some(Value::String(text)) if text == "true" || text == "false" => Ok(text == "true"),
            Some(_) => Err(self.wrong(key, "must be true or false")),
        }
    }

    /// The key's value, which must be a duration longer than 0: milliseconds, or like `1m30s`.
    pub(super) fn time(&mut self, key: &'static str) -> Result<Option<Duration>, Failure> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let time = whole(&value).map(Duration::from_millis).or_else(|| mcp_init::duration(value.as_str()?));
        let time = time.filter(|time| !time.is_zero() && *time <= TIME_MAX);
        time.map(Some).ok_or_else(|| self.wrong(key, "must be a time, like 500ms or 1m30s"))
    }

    /// The key's value, which must be a whole number within bounds.
    pub(super) fn whole(
        &mut self,
        key: &'static str,
        bounds: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Failure> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let (least, most) = (*bounds.start(), *bounds.end());
        let wrong = || self.wrong(key, &format!("must be a whole number from {least} to {most}"));
        whole(&value).filter(|value| bounds.contains(value)).map(Some).ok_or_else(wrong)
    }

    /// The key's value, which must be an object: its own keys.
    pub(super) fn object(&mut self, key: &'static str, path: &'static str) -> Result<Option<Self>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Object(left)) => {
                let file = self.file.filter(|_| !self.is_flagged(key));
                Ok(Some(Self { path, left, flagged: Vec::new(), asked: Vec::new(), file }))
            }
            Some(_) => Err(self.wrong(key, "must be an object")),
        }
    }

    /// Where a relative path in this key's value starts.
    pub(super) fn origin(&self, key: &str) -> Origin {
        let folder = self.file.filter(|_| !self.is_flagged(key)).and_then(Path::parent);
        Origin(folder.unwrap_or_else(|| Path::new("")).to_owned())
    }

    /// Whether a flag said it.
    fn is_flagged(&self, key: &str) -> bool {
        self.flagged.iter().any(|flagged| flagged == key)
    }

    /// What is wrong, where, and in which source.
    pub(super) fn wrong(&self, key: &str, reason: &str) -> Failure {
        Failure::Usage(match (self.file, flags::name_of(key)) {
            (Some(file), _) if !self.is_flagged(key) => {
                format!("cannot read {}: {}{key} {reason}", file.display(), self.path)
            }
            (_, Some(flag)) => format!("cannot read the command line: {flag} {reason}"),
            (_, None) => format!("cannot read the configuration: {}{key} {reason}", self.path),
        })
    }

    /// Refuses what nobody asked for.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        let Some(key) = self.left.keys().next() else {
            return Ok(());
        };
        Err(self.wrong(
            key,
            &match nearest(key, self.asked.iter().copied()) {
                Some(near) => format!("is no key, did you mean {near}"),
                None => format!("is no key, there are {}", self.asked.join(", ")),
            },
        ))
    }
}
