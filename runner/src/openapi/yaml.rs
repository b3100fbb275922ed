//! YAML 1.2 as JSON values: the core schema and nothing of YAML 1.1, so that `no` stays a word and a date stays
//! as it was written. Knows nothing of `OpenAPI`.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use serde_json::{Map, Number, Value};

/// Deepest nest of values, as in JSON.
const DEPTH_MAX: usize = 128;
/// Values in one document, those that aliases repeat among them: a few lines can stand for billions.
const NODES_MAX: usize = 4_000_000;

/// Why a text is no YAML that can be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct YamlError {
    /// From 1.
    pub(super) line: usize,
    /// From 1.
    pub(super) column: usize,
    /// What is wrong there.
    pub(super) reason: String,
}

/// Reads the first document of a text.
pub(super) fn parse(text: &str) -> Result<Value, YamlError> {
    let mut tree = Tree::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| told(&error))?;
        if let Some(root) = tree.take(event).map_err(|reason| at(span, reason))? {
            return Ok(root);
        }
    }
    Ok(Value::Null)
}

/// The parser's error.
fn told(error: &ScanError) -> YamlError {
    let mark = error.marker();
    YamlError { line: mark.line(), column: mark.col() + 1, reason: error.info().to_owned() }
}

/// An error of our own.
fn at(span: Span, reason: &str) -> YamlError {
    YamlError { line: span.start.line(), column: span.start.col() + 1, reason: reason.to_owned() }
}

/// A collection that is not complete yet.
enum Open {
    /// A sequence.
    List(Vec<Value>),
    /// A mapping: what it has, what it merges in (`<<`), and the key that waits for its value.
    Map(Map<String, Value>, Vec<Value>, Option<Key>),
}

/// A key of a mapping.
enum Key {
    /// As it was written, whatever type it would have.
    Text(String),
    /// `<<`: the members of another mapping, where there are none of the same name.
    Merge,
}

/// The document as it grows.
#[derive(Default)]
struct Tree {
    /// Collections around the present place, outermost first, each with its anchor.
    open: Vec<(Open, usize)>,
    /// What aliases may stand for.
    anchors: HashMap<usize, (Value, usize)>,
    /// Values made so far.
    nodes: usize,
}

impl Tree {
    /// One event; the root once it is complete.
    fn take(&mut self, event: Event<'_>) -> Result<Option<Value>, &'static str> {
        match event {
            Event::Alias(anchor) => {
                let Some((value, nodes)) = self.anchors.get(&anchor) else {
                    return Err("the alias refers to itself");
                };
                let value = value.clone();
                self.nodes += nodes;
                self.add(value, 0)
            }
            Event::Scalar(text, style, anchor, tag) => {
                if let Some((Open::Map(_, _, waiting @ None), _)) = self.open.last_mut() {
                    let is_merge = text == "<<" && style == ScalarStyle::Plain;
                    *waiting = Some(if is_merge { Key::Merge } else { Key::Text(text.into_owned()) });
                    return Ok(None);
                }
                let value = scalar(&text, style, tag.as_deref());
                self.add(value, anchor)
            }
            Event::SequenceStart(anchor, _) => self.enter(Open::List(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.enter(Open::Map(Map::new(), Vec::new(), None), anchor),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some((Open::List(list), anchor)) => self.add(Value::Array(list), anchor),
                Some((Open::Map(map, merged, _), anchor)) => {
                    self.add(Value::Object(with_merged(map, merged)), anchor)
                }
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// A collection begins.
    fn enter(&mut self, collection: Open, anchor: usize) -> Result<Option<Value>, &'static str> {
        if matches!(self.open.last(), Some((Open::Map(_, _, None), _))) {
            return Err("a key must be plain text");
        }
        if self.open.len() >= DEPTH_MAX {
            return Err("the nest is too deep");
        }
        self.open.push((collection, anchor));
        Ok(None)
    }

    /// A value is complete: it goes where its collection wants it.
    fn add(&mut self, value: Value, anchor: usize) -> Result<Option<Value>, &'static str> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err("the aliases stand for too much");
        }
        if anchor != 0 {
            let nodes = count(&value);
            self.nodes += nodes;
            self.anchors.insert(anchor, (value.clone(), nodes));
        }
        match self.open.last_mut() {
            None => return Ok(Some(value)),
            Some((Open::List(list), _)) => list.push(value),
            Some((Open::Map(map, merged, waiting), _)) => match waiting.take() {
                Some(Key::Text(key)) => drop(map.insert(key, value)),
                Some(Key::Merge) => merged.push(value),
                None => return Err("a key must be plain text"),
            },
        }
        Ok(None)
    }
}

/// A mapping and what it merges in: its own members win, then those of what comes first.
fn with_merged(mut map: Map<String, Value>, merged: Vec<Value>) -> Map<String, Value> {
    let mut others = Vec::new();
    for value in merged {
        match value {
            Value::Array(list) => others.extend(list),
            one => others.push(one),
        }
    }
    for other in others {
        if let Value::Object(other) = other {
            for (key, value) in other {
                map.entry(key).or_insert(value);
            }
        }
    }
    map
}

/// How many values a value is made of.
fn count(value: &Value) -> usize {
    match value {
        Value::Array(list) => list.iter().map(count).sum::<usize>() + 1,
        Value::Object(map) => map.values().map(count).sum::<usize>() + 1,
        _ => 1,
    }
}

/// A scalar by its tag, its quotes, and the core schema.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let core = tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str());
    let is_plain = style == ScalarStyle::Plain && tag.is_none();
    if is_plain || matches!(core, Some("int" | "float" | "bool" | "null")) {
        plain(text)
    } else {
        text.into()
    }
}

/// A scalar without quotes. What JSON has no number for stays a text.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return true.into(),
        "false" | "False" | "FALSE" => return false.into(),
        _ => {}
    }
    let digits = text.trim_start_matches(['-', '+']);
    // With zeros in front it is an identifier or a telephone's number, whatever the schema says.
    let is_padded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if digits.is_empty() || text.len() > digits.len() + 1 || (is_padded && digits != "0") {
        return radix(text).map_or_else(|| text.into(), Value::from);
    }
    let allowed = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    if !digits.bytes().all(allowed) || !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return text.into();
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let integer = unsigned.parse::<i64>().map(Number::from).or_else(|_| unsigned.parse().map(u64::into));
    let number = integer.ok().or_else(|| unsigned.parse().ok().and_then(Number::from_f64));
    number.map_or_else(|| text.into(), Value::Number)
}

/// `0x1F` and `0o17`.
fn radix(text: &str) -> Option<u64> {
    let hex = text.strip_prefix("0x").map(|digits| u64::from_str_radix(digits, 16));
    hex.or_else(|| text.strip_prefix("0o").map(|digits| u64::from_str_radix(digits, 8)))?.ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_stay_words_and_keys_stay_text() {
        let text = "
openapi: 3.0.3
swagger: 2.0
responses:
  200: {description: ok}
  default: ~
no: no
on: [yes, Off, y]
date: 2024-01-01
time: 12:30:45
version: 1.2.3
sizes: [1, -2, 1.5, 1e3, 0x1F, 0o17, 007, +3, 18446744073709551615, .inf, ., '5', !!str 6]
empty:
text: |
  a
   b
folded: >-
  a
  b
";
        assert_eq!(
            parse(text).unwrap(),
            json!({"openapi": "3.0.3", "swagger": 2.0,
                "responses": {"200": {"description": "ok"}, "default": null},
                "no": "no", "on": ["yes", "Off", "y"], "date": "2024-01-01", "time": "12:30:45",
                "version": "1.2.3",
                "sizes": [1, -2, 1.5, 1000.0, 31, 15, "007", 3, 18_446_744_073_709_551_615_u64, ".inf", ".", "5", "6"],
                "empty": null, "text": "a\n b\n", "folded": "a b"})
        );
    }

    #[test]
    fn anchors_and_merges_are_followed() {
        let text = "
base: &base {a: 1, b: 2}
one: {<<: *base, b: 3}
two:
  <<: [*base, {a: 9, c: 4}]
list: [*base]
";
        let value = parse(text).unwrap();
        assert_eq!(value["one"], json!({"b": 3, "a": 1}));
        assert_eq!(value["two"], json!({"a": 1, "b": 2, "c": 4}));
        assert_eq!(value["list"], json!([{"a": 1, "b": 2}]));
    }

    #[test]
    fn what_is_hostile_has_an_end() {
        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let below = format!("*a{}", level - 1);
            laughs.extend([format!("a{level}: &a{level} ["), vec![below; 10].join(", "), "]\n".to_owned()]);
        }
        assert_eq!(parse(&laughs).unwrap_err().reason, "the aliases stand for too much");
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse(&format!("a: {}1{}", "[".repeat(200), "]".repeat(200))).is_err());
        assert_eq!(parse("a: &x [*x]").unwrap_err().reason, "the alias refers to itself");
        assert!(parse("? [a]\n: b").unwrap_err().reason.contains("plain text"));
        let error = parse("a: b\nc: [d]]").unwrap_err();
        assert_eq!(error.line, 2, "{error:?}");
        assert_eq!(parse("").unwrap(), json!(null));
        assert_eq!(parse("a: 1\n---\nb: 2").unwrap(), json!({"a": 1}));
    }
}
