//! `$ref`: local JSON pointers and nothing else. Never reads a file or opens a socket.

use std::fmt;

use serde_json::Value;

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

/// A value that may refer to others, and in which they are found.
pub(crate) trait Look: Copy {
    /// What a pointer leads to.
    fn find(self, pointer: &str) -> Option<Self>;
    /// Where it refers to.
    fn target(&self) -> Option<&str>;
}

impl Look for &Value {
    fn find(self, pointer: &str) -> Option<Self> {
        self.pointer(pointer)
    }

    fn target(&self) -> Option<&str> {
        reference(self)
    }
}

/// Follows references inside one document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolver<T> {
    /// The document.
    root: T,
}

impl<T: Look> Resolver<T> {
    /// Over a document.
    pub(crate) fn new(root: T) -> Self {
        Self { root }
    }

    /// The document.
    pub(crate) fn root(self) -> T {
        self.root
    }

    /// What one reference points at, which may be a reference again.
    pub(crate) fn lookup(self, reference: &str) -> Result<T, Unresolved> {
        let fail = |problem| Unresolved { reference: reference.to_owned(), problem };
        let Some(fragment) = reference.strip_prefix('#') else {
            return Err(fail("it points outside the document"));
        };
        let found = if fragment.contains('%') {
            self.root.find(&String::from_utf8_lossy(&percent_decoded(fragment.as_bytes())))
        } else {
            self.root.find(fragment)
        };
        // What is no pointer (an anchor) leads nowhere.
        found.ok_or_else(|| fail("nothing is there"))
    }

    /// The first value that is no reference, starting at `value`.
    pub(crate) fn follow(self, mut value: T) -> Result<T, Unresolved> {
        for _ in 0..HOPS_MAX {
            let next = match value.target() {
                None => return Ok(value),
                Some(next) => self.lookup(next)?,
            };
            value = next;
        }
        let reference = value.target().unwrap_or_default().to_owned();
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
