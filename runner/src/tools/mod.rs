//! Operations as MCP tools: the catalogue, and from a tool's arguments back to a request. No socket here.

mod compile;
mod encode;
mod input;
mod name;
mod route;
mod security;
mod validate;

use std::fmt;
use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::openapi::Base;

pub(crate) use compile::CompileOptions;
pub(crate) use encode::encoded;
use route::Route;
pub(crate) use route::{Mock, Prepared};
pub(crate) use security::Security;

#[cfg(test)]
mod tests;

/// One tool, in the form a client lists it. Schemas stay text: parsed, they weigh ten times as much.
#[derive(Debug)]
pub(crate) struct Tool {
    /// `[A-Za-z0-9_-]{1,64}`, unique in its catalogue.
    pub(crate) name: Box<str>,
    /// Words for people.
    pub(crate) title: Option<Box<str>>,
    /// Words for a model.
    pub(crate) description: Box<str>,
    /// JSON Schema 2020-12 of the arguments, compact.
    pub(crate) input_schema: Box<RawValue>,
    /// By the operation's method.
    pub(crate) annotations: Annotations,
}

/// What a client may assume of a tool before it calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Annotations {
    /// GET, HEAD, OPTIONS.
    pub(crate) read_only: bool,
    /// DELETE, PUT, PATCH, POST that is not known to add only.
    pub(crate) destructive: bool,
    /// GET, HEAD, PUT, DELETE.
    pub(crate) idempotent: bool,
}

/// All tools of one document, immutable once compiled; the document itself is gone by then.
#[derive(Debug)]
pub(crate) struct Catalogue {
    /// In the document's order, which is the order of `tools/list`.
    pub(crate) tools: Vec<Tool>,
    /// How to call each, by the same index.
    routes: Vec<Route>,
    /// Where calls go; routes refer to them by index. Empty when nothing is called.
    bases: Vec<Base>,
}

/// An operation that is no tool, and why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    /// `GET /pets`, or only a path.
    pub(crate) operation: String,
    /// One line.
    pub(crate) reason: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.reason)
    }
}

/// What a call came to.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    /// For a model to read.
    pub(crate) text: String,
    /// The JSON of a successful answer, where it is an object or array.
    pub(crate) structured: Option<Value>,
    /// Whether it is told as a failed call (`isError`).
    pub(crate) is_error: bool,
}

impl Answer {
    /// A failed call, in words for a model.
    pub(crate) fn error(text: impl Into<String>) -> Self {
        Self { text: text.into(), structured: None, is_error: true }
    }
}

/// Arguments as a client sent them.
pub(crate) type Arguments = Map<String, Value>;

/// The catalogue as the parts of the runner share it.
pub(crate) type SharedCatalogue = Arc<Catalogue>;
