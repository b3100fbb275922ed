//! `JSONPath` (RFC 9535) over documents: names, wildcards, indexes, slices, descendants and filters. What it finds
//! comes back as JSON pointers, so that it can be changed. Functions on regular expressions are not known.

use serde_json::Value;

use super::pathfilter::{Filter, test};

/// Places found by one path.
const FOUND_MAX: usize = 1_000_000;

/// A path, read.
#[derive(Debug, PartialEq)]
pub(super) struct Path(Vec<Segment>);

/// One step.
#[derive(Debug, PartialEq)]
struct Segment {
    /// Whether it looks at everything below, too (`..`).
    descends: bool,
    /// What it takes, in this order.
    selectors: Vec<Selector>,
}

/// What a step takes.
#[derive(Debug, PartialEq)]
enum Selector {
    /// A member.
    Name(String),
    /// All members or elements.
    Wildcard,
    /// One element; from the end when negative.
    Index(i64),
    /// Elements from, to (not included), in steps.
    Slice(Option<i64>, Option<i64>, i64),
    /// Those of which something is true.
    Filter(Filter),
}

/// A place in a document: its JSON pointer and what is there.
pub(super) type Found<'a> = (String, &'a Value);

impl Path {
    /// Reads a path that begins with `$`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text.trim() };
        reader.expect("$")?;
        let path = reader.path()?;
        if reader.rest.trim().is_empty() { Ok(path) } else { Err(reader.unexpected()) }
    }

    /// All places a path leads to, each once.
    pub(super) fn find<'a>(&self, root: &'a Value, start: &'a Value) -> Vec<Found<'a>> {
        let mut found = vec![(String::new(), start)];
        for segment in &self.0 {
            let mut from = found;
            if segment.descends {
                let mut all = Vec::new();
                for place in &from {
                    descend(place, &mut all);
                }
                from = all;
            }
            found = Vec::new();
            for place in &from {
                for selector in &segment.selectors {
                    selector.take(root, place, &mut found);
                }
                found.truncate(FOUND_MAX);
            }
        }
        let mut seen = std::collections::HashSet::new();
        found.retain(|(pointer, _)| seen.insert(pointer.clone()));
        found
    }
}

/// A place and everything below.
fn descend<'a>(place: &Found<'a>, all: &mut Vec<Found<'a>>) {
    if all.len() < FOUND_MAX {
        all.push(place.clone());
        for child in &children(place) {
            descend(child, all);
        }
    }
}

/// A member's place.
fn member<'a>(pointer: &str, name: &str, value: &'a Value) -> Found<'a> {
    (format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")), value)
}

/// All members or elements.
fn children<'a>((pointer, value): &Found<'a>) -> Vec<Found<'a>> {
    match value {
        Value::Object(map) => map.iter().map(|(name, value)| member(pointer, name, value)).collect(),
        Value::Array(list) => {
            list.iter().enumerate().map(|(index, value)| (format!("{pointer}/{index}"), value)).collect()
        }
        _ => Vec::new(),
    }
}

impl Selector {
    /// Adds what it takes of one place.
    fn take<'a>(&self, root: &'a Value, place: &Found<'a>, found: &mut Vec<Found<'a>>) {
        let (pointer, value) = place;
        let list = value.as_array().map_or(&[][..], Vec::as_slice);
        let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
        let mut element = |index: i64| {
            let at = usize::try_from(index).ok();
            if let Some((at, value)) = at.and_then(|at| Some((at, list.get(at)?))) {
                found.push((format!("{pointer}/{at}"), value));
            }
        };
        match self {
            Self::Name(name) => {
                let value = value.as_object().and_then(|map| map.get(name));
                found.extend(value.map(|value| member(pointer, name, value)));
            }
            Self::Wildcard => found.extend(children(place)),
            Self::Index(index) => element(if *index < 0 { length + index } else { *index }),
            Self::Slice(from, to, step) if *step > 0 => {
                let edge = |at: i64| if at < 0 { (length + at).max(0) } else { at.min(length) };
                let (mut at, end) = (from.map_or(0, edge), to.map_or(length, edge));
                while at < end {
                    element(at);
                    at = at.saturating_add(*step);
                }
            }
            Self::Slice(..) => {}
            Self::Filter(filter) => {
                found.extend(children(place).into_iter().filter(|(_, value)| test(filter, root, value)));
            }
        }
    }
}

/// A text being read from its front.
pub(super) struct Reader<'t> {
    /// What is left.
    pub(super) rest: &'t str,
}

impl Reader<'_> {
    /// Takes a text and the space before it, if that comes next.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Takes a text that must come next.
    pub(super) fn expect(&mut self, text: &str) -> Result<(), String> {
        if self.eat(text) { Ok(()) } else { Err(format!("{:?} is missing before {}", text, self.shown())) }
    }

    /// What is left, for a message.
    fn shown(&self) -> String {
        if self.rest.trim().is_empty() { "its end".to_owned() } else { format!("{:?}", self.rest.trim()) }
    }

    /// What is left makes no sense.
    pub(super) fn unexpected(&self) -> String {
        format!("it cannot be read from {}", self.shown())
    }

    /// The steps behind `$` or `@`.
    pub(super) fn path(&mut self) -> Result<Path, String> {
        let mut segments = Vec::new();
        loop {
            let descends = self.eat("..");
            if self.eat("[") {
                segments.push(Segment { descends, selectors: self.selectors()? });
            } else if descends || self.eat(".") {
                let selector = if self.eat("*") { Selector::Wildcard } else { Selector::Name(self.name()?) };
                segments.push(Segment { descends, selectors: vec![selector] });
            } else {
                return Ok(Path(segments));
            }
        }
    }

    /// A name behind a dot. Dashes are taken too: documents are full of `x-names`.
    fn name(&mut self) -> Result<String, String> {
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-') || !c.is_ascii();
        let length = self.rest.find(|c| !allowed(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(length);
        if name.is_empty() {
            return Err(self.unexpected());
        }
        let name = name.to_owned();
        self.rest = rest;
        Ok(name)
    }

    /// What stands in brackets, the closing one included.
    fn selectors(&mut self) -> Result<Vec<Selector>, String> {
        let mut selectors = Vec::new();
        loop {
            selectors.push(self.selector()?);
            if self.eat("]") {
                return Ok(selectors);
            }
            self.expect(",")?;
        }
    }

    /// One of them.
    fn selector(&mut self) -> Result<Selector, String> {
        if self.eat("*") {
            return Ok(Selector::Wildcard);
        }
        if self.eat("?") {
            return Ok(Selector::Filter(self.filter()?));
        }
        if let Some(name) = self.quoted()? {
            return Ok(Selector::Name(name));
        }
        let first = self.integer()?;
        if !self.eat(":") {
            return first.map(Selector::Index).ok_or_else(|| self.unexpected());
        }
        let last = self.integer()?;
        let step = if self.eat(":") { self.integer()?.unwrap_or(1) } else { 1 };
        Ok(Selector::Slice(first, last, step))
    }

    /// A text in quotes, if one comes next.
    pub(super) fn quoted(&mut self) -> Result<Option<String>, String> {
        let Some(quote @ ('\'' | '"')) = self.rest.trim_start().chars().next() else {
            return Ok(None);
        };
        self.rest = self.rest.trim_start();
        let mut text = String::new();
        let mut letters = self.rest.char_indices().skip(1);
        while let Some((at, letter)) = letters.next() {
            if letter == quote {
                self.rest = self.rest.get(at + 1..).unwrap_or_default();
                return Ok(Some(text));
            }
            let escaped =
                if letter == '\\' { letters.next().map(|(_, letter)| letter) } else { Some(letter) };
            match (letter, escaped) {
                ('\\', Some('n')) => text.push('\n'),
                ('\\', Some('t')) => text.push('\t'),
                (_, Some(letter)) => text.push(letter),
                (_, None) => break,
            }
        }
        Err(format!("a quote is open in {}", self.shown()))
    }

    /// A whole number, if one comes next.
    fn integer(&mut self) -> Result<Option<i64>, String> {
        let rest = self.rest.trim_start();
        let sign = usize::from(rest.starts_with('-'));
        let digits = rest.get(sign..).unwrap_or_default();
        let length = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        if length == 0 {
            return Ok(None);
        }
        let number = rest.get(..sign + length).unwrap_or_default().parse().map_err(|_| self.unexpected())?;
        self.rest = rest.get(sign + length..).unwrap_or_default();
        Ok(Some(number))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Pointers that a path leads to.
    fn at(path: &str, document: &Value) -> Vec<String> {
        let path = Path::parse(path).unwrap();
        path.find(document, document).into_iter().map(|(pointer, _)| pointer).collect()
    }

    #[test]
    fn paths_lead_where_the_standard_says() {
        let document = json!({"paths": {"/a/{b}": {"get": {"tags": ["x", "y"], "x-n": 1}, "put": {"tags": ["x"]}}},
            "l": [0, 1, 2, 3, 4]});
        assert_eq!(at("$", &document), [""]);
        assert_eq!(at("$.paths['/a/{b}'].get.x-n", &document), ["/paths/~1a~1{b}/get/x-n"]);
        assert_eq!(at("$.paths.*.*", &document), ["/paths/~1a~1{b}/get", "/paths/~1a~1{b}/put"]);
        assert_eq!(at("$..tags[0]", &document), ["/paths/~1a~1{b}/get/tags/0", "/paths/~1a~1{b}/put/tags/0"]);
        assert_eq!(at("$.l[-1, 0]", &document), ["/l/4", "/l/0"]);
        assert_eq!(at("$.l[1:4:2]", &document), ["/l/1", "/l/3"]);
        assert_eq!(at("$.l[-2:]", &document), ["/l/3", "/l/4"]);
        assert_eq!(at("$..get['tags', \"x-n\"]", &document).len(), 2);
        assert_eq!(at("$.nope.x", &document), [""; 0]);
    }

    #[test]
    fn filters_choose() {
        let document = json!({"p": [{"n": "a", "in": "query", "s": {"d": 1}}, {"n": "b", "in": "path", "m": 5}],
            "paths": {"/x": {"get": {"operationId": "one"}, "put": {"operationId": "two", "deprecated": true}}}});
        assert_eq!(at("$.p[?(@.n == 'a')]", &document), ["/p/0"]);
        assert_eq!(at("$.p[?@.in=='path' && @.m>=5]", &document), ["/p/1"]);
        assert_eq!(at("$.p[?@.s.d || @.n != \"a\"]", &document), ["/p/0", "/p/1"]);
        assert_eq!(at("$.p[?!(@.s)].n", &document), ["/p/1/n"]);
        assert_eq!(at("$.paths.*[?@.deprecated==true]", &document), ["/paths/~1x/put"]);
        assert_eq!(at("$.paths[*][?(@.operationId in ['one'])]", &document), ["/paths/~1x/get"]);
        assert_eq!(at("$.p[?length(@.n) == 1 && count(@.*) > 3]", &document), [""; 0]);
        assert_eq!(at("$.p[?@.n == $.p[0].n]", &document), ["/p/0"]);
    }

    #[test]
    fn mistakes_are_told() {
        for bad in ["", "paths", "$.", "$[", "$['a", "$.a[?@.b ==]", "$.a b", "$[1:2", "$[?match(@.a, 'x')]"]
        {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
    }
}
