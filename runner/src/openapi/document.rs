//! A document of which only what is asked for is read: two thirds of a large one are schemas of answers, examples
//! and events that no tool is made from. Such a part stays text until a reference leads to it. No file and no
//! socket here.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::parse::parse;
use super::{DocumentError, Resolver};

/// A document in the form of `OpenAPI` 3, or on its way there.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// What is read already.
    read: Value,
    /// What is read when it is asked for; empty where everything is read already.
    parts: Parts,
    /// The paths that are parts, in their order.
    paths: Vec<String>,
}

/// Parts of a document that are text, by the pointers that lead to them.
pub(super) type Parts = HashMap<String, Part>;

/// One of them: what is at the top, a path, or a component.
#[derive(Debug)]
pub(super) struct Part {
    /// Its JSON: a piece of the document's text.
    text: Bytes,
    /// What it says; nothing when that is more than JSON allows, such as a number beyond all bounds.
    read: OnceLock<Option<Value>>,
}

/// The most steps of a pointer that leads to a part: `/components/schemas/Pet`.
const STEPS_MAX: usize = 3;

impl Document {
    /// Reads a text as far as is needed, or all of it where that is more or where it is all to be seen.
    pub(super) fn parse(name: &str, text: &Bytes, whole: bool) -> Result<Self, DocumentError> {
        match if whole { None } else { in_parts(text) } {
            Some(document) => Ok(document),
            None => parse(name, text).map(Self::from),
        }
    }

    /// What is read already: all but paths, components, events and extensions.
    pub(crate) fn read(&self) -> &Value {
        &self.read
    }

    /// The whole, unless some of it is text.
    pub(super) fn whole(&mut self) -> Option<&mut Value> {
        self.parts.is_empty().then_some(&mut self.read)
    }

    /// Follows its references.
    pub(crate) fn resolver(&self) -> Resolver<'_> {
        Resolver::with_parts(&self.read, &self.parts)
    }

    /// Its paths, in their order.
    pub(crate) fn paths(&self) -> Vec<&str> {
        let read = self.read.get("paths").and_then(Value::as_object);
        let read = read.into_iter().flat_map(Map::keys);
        read.chain(&self.paths).map(String::as_str).filter(|path| !path.starts_with("x-")).collect()
    }

    /// What is written of a path; `None` when that cannot be read. It is read anew each time: few need it twice.
    pub(crate) fn path(&self, path: &str) -> Option<Cow<'_, Value>> {
        let read = self.read.get("paths").and_then(|paths| paths.get(path));
        let anew = || self.parts.get(&format!("/paths/{}", step(path)))?.read().map(Cow::Owned);
        read.map(Cow::Borrowed).or_else(anew)
    }
}

impl From<Value> for Document {
    fn from(read: Value) -> Self {
        Self { read, ..Self::default() }
    }
}

/// What a pointer leads to, in what is read or in a part.
pub(super) fn lookup<'a>(read: &'a Value, parts: &'a Parts, pointer: &str) -> Option<&'a Value> {
    let ends = pointer.match_indices('/').map(|(at, _)| at).chain([pointer.len()]);
    for end in ends.skip(1).take(STEPS_MAX) {
        let (step, rest) = pointer.split_at_checked(end)?;
        if let Some(part) = parts.get(step) {
            return part.value()?.pointer(rest);
        }
    }
    read.pointer(pointer)
}

impl Part {
    /// What it says.
    fn value(&self) -> Option<&Value> {
        self.read.get_or_init(|| self.read()).as_ref()
    }

    /// Reads it, and keeps nothing.
    fn read(&self) -> Option<Value> {
        serde_json::from_str(std::str::from_utf8(&self.text).ok()?).ok()
    }
}

/// Reads JSON as far as is needed. `None` for what is no JSON, has other files, or is not of version 3: all of that
/// takes the whole.
fn in_parts(text: &Bytes) -> Option<Document> {
    let json = std::str::from_utf8(text).ok()?;
    if has_other_files(text) {
        return None;
    }
    let mut document = Document { read: Value::Object(Map::new()), ..Document::default() };
    let mut from = serde_json::Deserializer::from_str(json);
    Top { text, document: &mut document }.deserialize(&mut from).ok()?;
    from.end().ok()?;
    document.read.get("openapi").is_some().then_some(document)
}

/// Whether a reference may lead out of a document.
fn has_other_files(text: &[u8]) -> bool {
    const KEY: &[u8] = b"\"$ref\"";
    let leads_out = |at: usize| {
        let behind = text.get(at + KEY.len()..).unwrap_or_default().trim_ascii_start();
        let value = behind.strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        value.is_some_and(|value| value.starts_with(b"\"") && !value.starts_with(b"\"#"))
    };
    memchr::memmem::find_iter(text, KEY).any(leads_out)
}

/// Reads the top of a document.
struct Top<'a> {
    /// All of its text.
    text: &'a Bytes,
    /// What is read of it.
    document: &'a mut Document,
}

impl Top<'_> {
    /// Puts a part away; whether it is the first of its pointer.
    fn put(&mut self, pointer: String, raw: &RawValue) -> bool {
        let text = self.text.slice_ref(raw.get().as_bytes());
        self.document.parts.insert(pointer, Part { text, read: OnceLock::new() }).is_none()
    }
}

impl<'de> DeserializeSeed<'de> for Top<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "components" => {
                    map.next_value_seed(Members { top: &mut self, at: "/components", steps: 2 })?;
                }
                "paths" => {
                    map.next_value_seed(Members { top: &mut self, at: "/paths", steps: 1 })?;
                }
                // Those that are ours are read.
                _ if key == "webhooks" || key.starts_with("x-") && !key.starts_with("x-mcp-") => {
                    let raw = map.next_value::<&RawValue>()?;
                    self.put(format!("/{}", step(&key)), raw);
                }
                _ => {
                    let value = map.next_value()?;
                    if let Value::Object(read) = &mut self.document.read {
                        read.insert(key, value);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Puts away what an object holds, so many steps below it.
struct Members<'a, 'b> {
    /// Where to.
    top: &'a mut Top<'b>,
    /// The object's pointer.
    at: &'a str,
    /// How deep its parts are.
    steps: usize,
}

impl<'de> DeserializeSeed<'de> for Members<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let at = format!("{}/{}", self.at, step(&name));
            if self.steps > 1 {
                map.next_value_seed(Members { top: &mut *self.top, at: &at, steps: self.steps - 1 })?;
            } else {
                let raw = map.next_value::<&RawValue>()?;
                if self.top.put(at, raw) && self.at == "/paths" {
                    self.top.document.paths.push(name);
                }
            }
        }
        Ok(())
    }
}

/// A name as a step of a pointer.
fn step(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A document in parts.
    fn parted(document: &Value) -> Option<Document> {
        in_parts(&Bytes::from(document.to_string()))
    }

    #[test]
    fn a_part_is_found_like_anything_else() {
        let whole = json!({
            "openapi": "3.1.0", "info": {"title": "t"}, "x-a/b": {"c": [1, 2]}, "x-mcp-a": 1, "webhooks": {"w": 3},
            "paths": {"/a/{b}": {"get": {"x": 4}}, "x-note": {}},
            "components": {"schemas": {"a~b": {"type": "object", "properties": {"p/q": {"not": {}}}}}},
        });
        let document = parted(&whole).unwrap();
        assert_eq!(document.parts.len(), 5);
        assert_eq!(document.paths(), ["/a/{b}"]);
        assert_eq!(document.path("/a/{b}").as_deref(), whole.pointer("/paths/~1a~1{b}"));
        for reference in [
            "#/info/title",
            "#/x-a~1b",
            "#/x-a~1b/c/1",
            "#/webhooks/w",
            "#/paths/~1a~1%7Bb%7D/get/x",
            "#/components/schemas/a~0b",
            "#/components/schemas/a~0b/properties/p~1q/not",
            "#/components/schemas/none",
            "#/components/schemas/a~0b/none",
            "#/x-a~1b/c/9",
            "#none",
            "#/",
        ] {
            assert_eq!(
                document.resolver().lookup(reference),
                Resolver::new(&whole).lookup(reference),
                "{reference}"
            );
        }
    }

    #[test]
    fn what_is_not_understood_in_parts_is_read_whole() {
        for whole in [
            json!({"swagger": "2.0", "paths": {}}),
            json!({"openapi": "3.0.0", "components": null}),
            json!({"openapi": "3.0.0", "paths": []}),
            json!({"openapi": "3.0.0", "components": {"schemas": []}}),
            json!({"openapi": "3.0.0", "paths": {"/a": {"$ref": "other.json#/a"}}}),
            json!([]),
        ] {
            assert!(parted(&whole).is_none(), "{whole}");
            let text = Bytes::from(whole.to_string());
            let mut document = Document::parse("x.json", &text, false).unwrap();
            assert_eq!(document.whole(), Some(&mut whole.clone()));
        }
        let inside =
            json!({"openapi": "3.0.0", "a": {"$ref": "#/b"}, "example": "\"$ref\": \"x\"", "$ref": 1});
        assert!(parted(&inside).is_some());
        let broken =
            Bytes::from_static(b"{\"openapi\": \"3.0.0\",\n \"components\": {\"schemas\": {\"a\": {]}}}");
        let error = Document::parse("x.json", &broken, false).unwrap_err().to_string();
        assert!(error.contains("x.json: line 2, column"), "{error}");
    }

    #[test]
    fn a_part_that_is_beyond_all_bounds_costs_who_refers_to_it() {
        let text = r#"{"openapi": "3.0.0", "components": {"schemas": {"a": {"maximum": 1e999}, "b": {}}}}"#;
        let document = in_parts(&Bytes::from_static(text.as_bytes())).unwrap();
        assert!(document.resolver().lookup("#/components/schemas/a").is_err());
        assert!(document.resolver().lookup("#/components/schemas/b").is_ok());
    }
}
