//! Documents: read, checked, resolved, and rewritten as JSON Schema 2020-12. Knows nothing of MCP.
//!
//! A document is a tree over its text, of which only what is asked for is read: 3.0, 3.1 and 3.2 by the same code, 2.0
//! is translated first, and what a strict type would refuse (a third of real documents break some rule) costs one
//! operation at most.

mod bundle;
mod cell;
mod dialect;
mod document;
mod example;
mod halves;
mod jsonpath;
mod keyword;
mod load;
mod made;
mod operation;
mod output;
mod overlay;
mod parse;
mod pathfilter;
mod pattern;
mod place;
mod read;
mod resolve;
mod scan;
mod schema;
mod server;
mod stamp;
mod swagger;
mod tree;
mod yaml;

use std::borrow::Cow;
use std::fmt;

pub(crate) use dialect::admit_null;
pub(crate) use document::Document;
pub(crate) use example::Examples;
pub(crate) use load::{Source, from_stdin, load};
pub(crate) use made::{Object, Schema};
pub(crate) use operation::{Operation, Parameter, Place, document_server, operations};
pub(crate) use output::{conform, output};
pub(crate) use read::{Fetcher, put};
pub(crate) use resolve::{Resolver, Unresolved, percent_decoded};
pub(crate) use schema::{Builder, Built};
pub(crate) use server::{Base, is_url};
pub(crate) use stamp::Stamp;
pub(crate) use tree::{List, Members, Node, Tree};

/// Why a document cannot be served at all. Its text is one line that names the document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DocumentError(String);

impl DocumentError {
    /// From the whole line.
    pub(crate) fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DocumentError {}

/// Cuts a text for a model at a character's edge, and shows that it was cut.
pub(crate) fn bounded(text: &str, chars_max: usize) -> String {
    within(text, chars_max).into_owned()
}

/// Likewise; what is not cut is not copied.
fn within(text: &str, chars_max: usize) -> Cow<'_, str> {
    let text = text.trim();
    if text.len() <= chars_max {
        return Cow::Borrowed(text);
    }
    match text.char_indices().nth(chars_max) {
        None => Cow::Borrowed(text),
        Some((edge, _)) => Cow::Owned(format!("{}…", text.get(..edge).unwrap_or_default().trim_end())),
    }
}
