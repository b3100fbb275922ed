//! A document, and which of its texts can be read as they are: most can, and of these only what is asked for is read.
//! No file and no socket here.

use serde_json::{Map, Value};

use super::parse::parse;
use super::tree::{Node, Tree};
use super::{DocumentError, Resolver};

/// A document in the form of `OpenAPI` 3.
#[derive(Debug)]
pub(crate) struct Document(Tree);

/// A document as it was read.
#[derive(Debug)]
pub(super) enum Written {
    /// It is of version 3, and all there is to it.
    Done(Document),
    /// Something is still to be done to it.
    Raw(Value),
}

impl Document {
    /// From a value in memory. `name` is how it is called in messages.
    pub(super) fn new(name: &str, value: &Value) -> Result<Self, DocumentError> {
        let too_large = || DocumentError::new(format!("cannot use document {name}: it is too large"));
        Tree::of(value).map(Self).ok_or_else(too_large)
    }

    /// All of it.
    pub(crate) fn root(&self) -> Node<'_> {
        self.0.root()
    }

    /// Follows its references.
    pub(crate) fn resolver(&self) -> Resolver<Node<'_>> {
        Resolver::new(self.root())
    }

    /// Its paths, in their order; nothing is with one that cannot be read.
    pub(crate) fn paths(&self) -> Vec<(&str, Option<Node<'_>>)> {
        let paths = self.root().get("paths").and_then(Node::as_object).into_iter().flatten();
        let paths = paths.filter(|(path, _)| !path.starts_with("x-"));
        paths.map(|(path, written)| (path, written.is_open().then_some(written))).collect()
    }
}

#[cfg(test)]
impl From<Value> for Document {
    fn from(value: Value) -> Self {
        Self::new("x", &value).unwrap()
    }
}

impl Written {
    /// Reads a text, as a value where it is to be changed or turns out to need it: it has other files, it is not of
    /// version 3, or it is no plain JSON.
    pub(super) fn parse(name: &str, bytes: Vec<u8>, is_changed: bool) -> Result<Self, DocumentError> {
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => return parse(name, error.as_bytes()).map(Self::Raw),
        };
        let text = match if is_changed { Err(text) } else { Tree::parse(text) } {
            Ok(tree) if tree.root().get("openapi").is_some() => return Ok(Self::Done(Document(tree))),
            Ok(tree) => tree.into_text(),
            Err(text) => text,
        };
        parse(name, text.as_bytes()).map(Self::Raw)
    }

    /// What it says of its version.
    pub(super) fn versions(&self) -> Value {
        let versions = ["openapi", "swagger"].into_iter();
        let said = |name: &str| match self {
            Self::Done(document) => document.root().get(name).map(Node::value),
            Self::Raw(value) => value.get(name).cloned(),
        };
        versions.filter_map(|name| Some((name.to_owned(), said(name)?))).collect::<Map<_, _>>().into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::openapi::resolve::Look;

    /// A document that can be read as it is.
    fn done(text: &str) -> Option<Document> {
        match Written::parse("x.json", text.as_bytes().to_vec(), false).unwrap() {
            Written::Done(document) => Some(document),
            Written::Raw(_) => None,
        }
    }

    #[test]
    fn what_is_read_as_it_is_says_the_same() {
        let mut whole = json!({
            "openapi": "3.1.0", "info": {"title": "t\n\"\u{e9}\u{1f600}"}, "x-a/b": {"c": [1, -2.5e3, [], {}, "", null]},
            "paths": {"/a/{b}": {"get": {"x": 4, "y": true, "z": false}}, "x-note": {}},
            "components": {"schemas": {"a~b": {"type": "object", "properties": {"p/q": {"not": {}}}}}},
        });
        let many = (0..40).map(|number| (format!("name {number}\t"), json!({"at": number})));
        whole["many"] = many.collect::<Map<_, _>>().into();
        for text in
            [whole.to_string(), serde_json::to_string_pretty(&whole).unwrap().replace("\\n", "\\u000a")]
        {
            let document = done(&text).unwrap();
            assert_eq!(document.root().value(), whole);
            assert_eq!(document.paths().iter().map(|(path, _)| *path).collect::<Vec<_>>(), ["/a/{b}"]);
            for pointer in [
                "",
                "/info/title",
                "/x-a~1b",
                "/x-a~1b/c/1",
                "/x-a~1b/c/01",
                "/x-a~1b/c/+1",
                "/x-a~1b/c/9",
                "/none",
                "/paths/~1a~1{b}/get/x",
                "/components/schemas/a~0b",
                "/components/schemas/a~0b/properties/p~1q/not",
                "/components/schemas/a~0b/none",
                "/many/name 7\t/at",
                "/many/name 40\t",
                "none",
                "/",
            ] {
                let found = document.root().find(pointer).map(Node::value);
                assert_eq!(found.as_ref(), whole.pointer(pointer), "{pointer}");
            }
        }
    }

    #[test]
    fn what_is_to_be_changed_first_is_a_value() {
        for whole in [
            json!({"swagger": "2.0", "paths": {}}),
            json!({"openapi": "3.0.0", "paths": {"/a": {"$ref": "other.json#/a"}}}),
            json!([]),
        ] {
            assert!(done(&whole.to_string()).is_none(), "{whole}");
        }
        let inside = r##"{"openapi": "3.0.0", "a": {"$ref": "#/b"}, "example": "\"$ref\": \"x\"", "$ref": 1, "b": "$ref"}"##;
        assert!(done(inside).is_some());
        assert!(done(r#"{"openapi": "3.0.0", "a": 1, "\u0061": 2}"#).is_none());
        let broken = b"{\"openapi\": \"3.0.0\",\n \"components\": {\"schemas\": {\"a\": {]}}}".to_vec();
        let error = Written::parse("x.json", broken, false).unwrap_err().to_string();
        assert!(error.contains("x.json: line 2, column"), "{error}");
    }

    #[test]
    fn a_part_that_is_beyond_all_bounds_costs_who_refers_to_it() {
        for beyond in
            ["1e999", "\"\\ud800\"", "\"\\udc00x\"", &format!("{}1{}", "[".repeat(200), "]".repeat(200))]
        {
            let text = format!(
                r#"{{"openapi": "3.0.0", "paths": {{"/a": {{"x": {beyond}}}}}, "components": {{"schemas":
                {{"a": {{"maximum": {beyond}}}, "b": {{}}}}}}, "x-c": {beyond}}}"#
            );
            let document = done(&text).unwrap();
            assert!(document.resolver().lookup("#/components/schemas/a").is_err());
            assert!(document.resolver().lookup("#/components/schemas/b").is_ok());
            assert!(matches!(document.paths()[..], [("/a", None)]));
            let error = Written::parse("x", format!("{{\"openapi\": {beyond}}}").into_bytes(), false);
            assert!(error.is_err(), "{beyond}");
        }
    }
}
