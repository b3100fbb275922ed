//! One value as its reader expects it: a duration, a name, a path. What is not as expected is told with its
//! place, and without the value if that came from a variable or a file.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::document::Page;
use super::error::{ConfigError, Problems, nearest};
use super::json::{Kind, Member, Node, join};
use super::units;

/// What is said of a name that a later version brings.
const LATER: &str = "is not supported by this version";

/// Longest part of a value that a message repeats.
const QUOTE_CHARS_MAX: usize = 60;

/// A value, its key and its place.
#[derive(Debug)]
pub(super) struct Item<'a> {
    /// The file it is in.
    pub(super) page: &'a Page,
    /// The value.
    pub(super) node: &'a Node,
    /// Its key; empty in a list.
    pub(super) key: &'a str,
    /// Where the key is; in a list, the value.
    pub(super) key_at: usize,
    /// From the outermost value to this one.
    pub(super) field: String,
}

/// A set of names of which a value must be one.
#[derive(Debug)]
pub(super) struct Choice<T: 'static> {
    /// Each name and what it stands for.
    pub(super) known: &'static [(&'static str, T)],
    /// Names that a later version brings.
    pub(super) later: &'static [&'static str],
}

impl<'a> Item<'a> {
    /// The text of an object that is only checked and passed on.
    pub(super) fn opaque(&self) -> Option<&'a str> {
        let Kind::Opaque(range) = &self.node.kind else { return None };
        self.page.text.get(range.clone())
    }

    /// Tells of a problem with the value.
    pub(super) fn wrong(&self, problems: &mut Problems, problem: &str) {
        problems.push(self.error(self.node.at, problem));
    }

    /// Tells of a problem with the key.
    pub(super) fn wrong_key(&self, problems: &mut Problems, problem: &str) {
        problems.push(self.error(self.key_at, problem));
    }

    /// A problem of this field.
    pub(super) fn error(&self, at: usize, problem: &str) -> ConfigError {
        self.page.error(at, &self.field, problem)
    }

    /// Tells that the key is none of `names`; `later` are those that a later version brings.
    pub(super) fn unknown(&self, problems: &mut Problems, names: &[&str], later: &[&str]) {
        if later.contains(&self.key) {
            return self.wrong_key(problems, LATER);
        }
        let meant = nearest(self.key, names.iter().copied());
        problems.push(self.error(self.key_at, "is not a key that is known here").or(meant));
    }

    /// The value between quotes, as far as a message may repeat it.
    fn quote(&self) -> String {
        match &self.node.kind {
            Kind::Text { substituted: true, .. } => "what it is set to".to_owned(),
            Kind::Text { text, .. } if text.chars().count() <= QUOTE_CHARS_MAX => format!("\"{text}\""),
            Kind::Text { text, .. } => {
                format!("\"{}…\"", text.chars().take(QUOTE_CHARS_MAX).collect::<String>())
            }
            Kind::Number(text) if text.len() <= QUOTE_CHARS_MAX => text.to_string(),
            Kind::Number(_) => "this number".to_owned(),
            Kind::Null => "null".to_owned(),
            Kind::Bool(value) => value.to_string(),
            Kind::List(_) => "a list".to_owned(),
            Kind::Object(_) | Kind::Opaque(_) => "an object".to_owned(),
            Kind::Void => "nothing".to_owned(),
        }
    }

    /// Tells that the value is not `wanted`; a failed substitution is told already.
    fn unlike(&self, problems: &mut Problems, wanted: &str) {
        if !matches!(self.node.kind, Kind::Void) {
            self.wrong(problems, &format!("must be {wanted}, not {}", self.quote()));
        }
    }

    /// A string of at most so many characters.
    pub(super) fn longest(&self, problems: &mut Problems, most: usize) -> Option<&'a str> {
        let text = self.text(problems)?;
        if text.chars().count() <= most {
            return Some(text);
        }
        self.wrong(problems, &format!("is longer than {most} characters"));
        None
    }

    /// A string.
    pub(super) fn text(&self, problems: &mut Problems) -> Option<&'a str> {
        self.string(problems, "a string")
    }

    /// A string that is told as `wanted` when it is none.
    fn string(&self, problems: &mut Problems, wanted: &str) -> Option<&'a str> {
        let text = self.node.text();
        if text.is_none() {
            self.unlike(problems, wanted);
        }
        text
    }

    /// A string without control characters, of so many characters.
    pub(super) fn line(&self, problems: &mut Problems, length: RangeInclusive<usize>) -> Option<&'a str> {
        let text = self.longest(problems, *length.end())?;
        if text.chars().any(|c| c < ' ' || c == '\u{7f}') {
            self.wrong(problems, "has a control character in it");
        } else if text.is_empty() && *length.start() > 0 {
            self.wrong(problems, "is empty");
        } else {
            return Some(text);
        }
        None
    }

    /// A string that a program can be given: no NUL in it.
    pub(super) fn argument(&self, problems: &mut Problems) -> Option<&'a str> {
        let text = self.text(problems)?;
        if text.contains('\0') {
            self.wrong(problems, "has a NUL in it");
            return None;
        }
        Some(text)
    }

    /// A string that `good` says yes to; `wanted` says in words what that is.
    pub(super) fn matching(
        &self,
        problems: &mut Problems,
        wanted: &str,
        good: impl Fn(&str) -> bool,
    ) -> Option<&'a str> {
        let text = self.string(problems, wanted)?;
        if good(text) {
            return Some(text);
        }
        self.unlike(problems, wanted);
        None
    }

    /// A path, made absolute.
    pub(super) fn path(&self, problems: &mut Problems) -> Option<PathBuf> {
        Some(
            self.page
                .resolve(self.matching(problems, "a path", |text| !text.is_empty() && !text.contains('\0'))?),
        )
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, problems: &mut Problems) -> Option<bool> {
        if let Kind::Bool(value) = self.node.kind {
            return Some(value);
        }
        let value = self.filled_in().and_then(|text| text.parse().ok());
        if value.is_none() {
            self.unlike(problems, "true or false");
        }
        value
    }

    /// A string that was filled in: it may stand for a number or a truth value too.
    fn filled_in(&self) -> Option<&'a str> {
        if let Kind::Text { text, substituted: true } = &self.node.kind { Some(text) } else { None }
    }

    /// The text of a number: written as one, or filled in.
    fn number_text(&self) -> Option<&'a str> {
        if let Kind::Number(text) = &self.node.kind { Some(text) } else { self.filled_in() }
    }

    /// Whether the value is an integer, and which.
    fn as_integer(&self) -> Option<u64> {
        let text = self.number_text()?;
        // To JSON, 3.0 and 3e0 are integers. A whole float is printed as the integer it is.
        let whole = || text.parse::<f64>().ok().filter(|number| number.fract() == 0.0 && *number >= 0.0);
        text.parse().ok().or_else(|| format!("{:.0}", whole()?.abs()).parse().ok())
    }

    /// An integer within bounds; `wanted` says in words what that is.
    pub(super) fn whole(
        &self,
        problems: &mut Problems,
        bounds: RangeInclusive<u64>,
        wanted: &str,
    ) -> Option<u64> {
        let value = self.as_integer().filter(|value| bounds.contains(value));
        if value.is_none() {
            self.unlike(problems, wanted);
        }
        value
    }

    /// A number of things within bounds, or, so that a message can say it, the word `or`.
    pub(super) fn count(
        &self,
        problems: &mut Problems,
        bounds: RangeInclusive<u32>,
        or: &str,
    ) -> Option<u32> {
        let bounds = u64::from(*bounds.start())..=u64::from(*bounds.end());
        let wanted = format!("an integer from {} to {}{or}", bounds.start(), bounds.end());
        self.whole(problems, bounds, &wanted).and_then(|value| u32::try_from(value).ok())
    }

    /// A number within bounds.
    pub(super) fn number(&self, problems: &mut Problems, bounds: RangeInclusive<f64>) -> Option<f64> {
        let number = self.number_text().and_then(|text| text.parse::<f64>().ok());
        let value = number.filter(|value| bounds.contains(value));
        if value.is_none() {
            self.unlike(problems, &format!("a number from {} to {}", bounds.start(), bounds.end()));
        }
        value
    }

    /// A duration: milliseconds, or a string with units.
    pub(super) fn duration(&self, problems: &mut Problems, least: Duration) -> Option<Duration> {
        let millis = self.as_integer().filter(|value| *value <= units::MILLIS_MAX).map(Duration::from_millis);
        let value = millis.or_else(|| units::duration(self.node.text()?));
        match value {
            Some(value) if value >= least => return Some(value),
            Some(_) => self.wrong(problems, "must be longer than 0"),
            None => {
                self.unlike(problems, "a duration: milliseconds, or like \"30s\" or \"1m30s\" (at most 99d)");
            }
        }
        None
    }

    /// A size: bytes, or a string with a unit.
    pub(super) fn size(&self, problems: &mut Problems) -> Option<u64> {
        let bytes = self.as_integer().filter(|value| (units::BYTES_MIN..=units::BYTES_MAX).contains(value));
        let value = bytes.or_else(|| units::size(self.node.text()?));
        if value.is_none() {
            self.unlike(problems, "a size of at least 1024: bytes, or like \"512K\", \"10M\" or \"1G\"");
        }
        value
    }

    /// One of a set of names.
    pub(super) fn choice<T: Copy>(&self, problems: &mut Problems, choice: &Choice<T>) -> Option<T> {
        let names = || choice.known.iter().map(|(name, _)| *name);
        let wanted = || names().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" or ");
        let Kind::Text { text, substituted } = &self.node.kind else {
            self.unlike(problems, &wanted());
            return None;
        };
        if let Some((_, value)) = choice.known.iter().find(|(name, _)| **name == **text) {
            return Some(*value);
        }
        if choice.later.contains(&&**text) {
            self.wrong(problems, &format!("{} {LATER}", self.quote()));
            return None;
        }
        let meant = if *substituted { None } else { nearest(text, names()) };
        let problem = format!("must be {}, not {}", wanted(), self.quote());
        problems.push(self.error(self.node.at, &problem).or(meant));
        None
    }

    /// Whether it is a list.
    pub(super) const fn is_list(&self) -> bool {
        matches!(self.node.kind, Kind::List(_))
    }

    /// Whether it is an object.
    pub(super) const fn is_object(&self) -> bool {
        matches!(self.node.kind, Kind::Object(_))
    }

    /// The values of a list of at most so many.
    pub(super) fn items(&self, problems: &mut Problems, most: usize) -> Option<Vec<Item<'a>>> {
        let Kind::List(items) = &self.node.kind else {
            self.unlike(problems, "a list");
            return None;
        };
        if items.len() > most {
            self.wrong(problems, &format!("has more than {most} values"));
            return None;
        }
        let item = |(index, node): (usize, &'a Node)| {
            let field = join(&self.field, &format!("[{index}]"));
            Item { page: self.page, node, key: "", key_at: node.at, field }
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// The values of an object; none of what is none, which is told.
    pub(super) fn members(&self, problems: &mut Problems) -> Vec<Item<'a>> {
        let Kind::Object(members) = &self.node.kind else {
            self.unlike(problems, "an object");
            return Vec::new();
        };
        let item = |member: &'a Member| {
            let Member { at, key, value } = member;
            Item { page: self.page, node: value, key, key_at: *at, field: join(&self.field, key) }
        };
        members.iter().map(item).collect()
    }

    /// The value of a key, if this is an object that has it.
    pub(super) fn get(&self, key: &str) -> Option<Item<'a>> {
        let Kind::Object(members) = &self.node.kind else { return None };
        let Member { at, key, value } = members.iter().find(|member| *member.key == *key)?;
        Some(Item { page: self.page, node: value, key, key_at: *at, field: join(&self.field, key) })
    }
}
