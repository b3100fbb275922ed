//! `$ref`: local JSON pointers and nothing else. Never reads a file or opens a socket.

use std::fmt;

use serde_json::Value;

use super::document::{self, Parts};

/// Longest chain of references to references: real documents have two.
const HOPS_MAX: usize = 16;

/// A reference that leads nowhere, and why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unresolved {
    /// As written.
    reference: String,
    /// Why it cannot be followed.
    problem: &'static str,
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot resolve $ref {:?}: {}", self.reference, self.problem)
    }
}

/// Follows references inside one document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolver<'a> {
    /// The document.
    root: &'a Value,
    /// What of it is still text.
    parts: Option<&'a Parts>,
}

impl<'a> Resolver<'a> {
    /// Over a document.
    pub(crate) fn new(root: &'a Value) -> Self {
        Self { root, parts: None }
    }

    /// Over a document of which a part is text.
    pub(super) fn with_parts(root: &'a Value, parts: &'a Parts) -> Self {
        Self { root, parts: Some(parts) }
    }

    /// The document, but for what is still text.
    pub(crate) fn root(self) -> &'a Value {
        self.root
    }

    /// What one reference points at, which may be a reference again.
    pub(crate) fn lookup(self, reference: &str) -> Result<&'a Value, Unresolved> {
        let fail = |problem| Unresolved { reference: reference.to_owned(), problem };
        let Some(fragment) = reference.strip_prefix('#') else {
            return Err(fail("it points outside the document"));
        };
        let fragment = String::from_utf8_lossy(&percent_decoded(fragment.as_bytes())).into_owned();
        // `Value::pointer` knows ~0 and ~1, and answers `None` for what is no pointer (an anchor).
        let found = match self.parts {
            Some(parts) => document::lookup(self.root, parts, &fragment),
            None => self.root.pointer(&fragment),
        };
        found.ok_or_else(|| fail("nothing is there"))
    }

    /// The first value that is no reference, starting at `value`.
    pub(crate) fn follow(self, mut value: &'a Value) -> Result<&'a Value, Unresolved> {
        for _ in 0..HOPS_MAX {
            match reference(value) {
                None => return Ok(value),
                Some(next) => value = self.lookup(next)?,
            }
        }
        let reference = reference(value).unwrap_or_default().to_owned();
        Err(Unresolved { reference, problem: "it refers to itself" })
    }
}

/// The target of a value that is a reference.
pub(crate) fn reference(value: &Value) -> Option<&str> {
    value.get("$ref")?.as_str()
}

/// Undoes one layer of percent-encoding; what is no escape stays as it is.
pub(crate) fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let pair = digit(bytes.get(at + 1)).zip(digit(bytes.get(at + 2)));
        match pair.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            Some(value) if byte == b'%' => {
                decoded.push(value);
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pointers_with_escapes_are_followed() {
        let root = json!({"paths": {"/a/{b}": {"get": 1}}, "x~y": [10, 20], "é": 3});
        let resolver = Resolver::new(&root);
        assert_eq!(resolver.lookup("#/paths/~1a~1%7Bb%7D/get"), Ok(&json!(1)));
        assert_eq!(resolver.lookup("#/x~0y/1"), Ok(&json!(20)));
        assert_eq!(resolver.lookup("#/%C3%A9"), Ok(&json!(3)));
        assert_eq!(resolver.lookup("#"), Ok(&root));
    }

    #[test]
    fn what_leads_nowhere_says_so() {
        let root = json!({"a": {"$ref": "#/b"}, "b": {"$ref": "#/a"}, "c": {"$ref": "other.json#/x"}});
        let resolver = Resolver::new(&root);
        let text = |pointer: &str| {
            let value = root.pointer(pointer).unwrap();
            resolver.follow(value).unwrap_err().to_string()
        };
        assert_eq!(text("/a"), "cannot resolve $ref \"#/b\": it refers to itself");
        assert_eq!(text("/c"), "cannot resolve $ref \"other.json#/x\": it points outside the document");
        assert!(resolver.lookup("#/nope").is_err());
        assert!(resolver.lookup("#anchor").is_err());
        assert!(resolver.lookup("#/%zz%").is_err());
    }
}
