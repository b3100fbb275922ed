//! Operations as MCP tools: the catalogue, and from a tool's arguments back to a request. No socket here.

mod body;
mod catalogue;
mod compile;
mod encode;
mod file;
mod filter;
mod input;
mod multipart;
mod name;
mod pages;
mod payload;
mod read;
mod route;
mod search;
mod security;
mod shelf;
mod template;
mod validate;
mod warm;
mod words;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub(crate) use catalogue::{Catalogue, Entry, Head};
pub(crate) use compile::{CompileOptions, compile, supplied};
pub(crate) use encode::encoded;
pub(crate) use filter::{Filter, Rule};
pub(crate) use pages::{ABOUT, Page};
pub(crate) use route::{Callable, Mock, Prepared};
pub(crate) use search::{Mode, Search, listing};
pub(crate) use security::Security;
pub(crate) use shelf::Shelf;
pub(crate) use words::Annotations;

#[cfg(test)]
mod body_tests;
#[cfg(test)]
mod search_tests;
#[cfg(test)]
pub(crate) mod tests;

/// One tool, in the form a client lists it. Schemas stay text: parsed, they weigh ten times as much.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Tool {
    /// `[A-Za-z0-9_-]{1,64}`, unique in its catalogue.
    pub(crate) name: Box<str>,
    /// Words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<Box<str>>,
    /// Words for a model.
    pub(crate) description: Box<str>,
    /// JSON Schema 2020-12 of the arguments, compact.
    pub(crate) input_schema: Box<RawValue>,
    /// JSON Schema 2020-12 of what structured content there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) output_schema: Option<Box<RawValue>>,
    /// By the operation's method.
    pub(crate) annotations: Annotations,
}

impl Tool {
    /// How many bytes it adds to a list, nearly.
    fn listed_bytes(&self) -> usize {
        let words = self.name.len() + self.title.as_deref().map_or(0, str::len) + self.description.len();
        let output = self.output_schema.as_ref().map_or(0, |schema| schema.get().len());
        words + self.input_schema.get().len() + output + 160
    }
}

/// An operation that is no tool, and why.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Block {
    /// For a model to read.
    Text(String),
    /// An image: its media type and its bytes in base64.
    Image(String, String),
    /// Sound, likewise.
    Audio(String, String),
    /// Any other bytes: where they come from, their media type, and they in base64.
    Blob(String, String, String),
}

/// What a call came to.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    /// For a model.
    pub(crate) blocks: Vec<Block>,
    /// The JSON of a successful answer, where it is an object or array.
    pub(crate) structured: Option<Value>,
    /// Whether it is told as a failed call (`isError`).
    pub(crate) is_error: bool,
}

impl Answer {
    /// A failed call, in words for a model.
    pub(crate) fn error(text: impl Into<String>) -> Self {
        Self { blocks: vec![Block::Text(text.into())], structured: None, is_error: true }
    }

    /// A good call in words.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { blocks: vec![Block::Text(text.into())], structured: None, is_error: false }
    }

    /// The words of an answer, for tests and logs.
    #[cfg(test)]
    pub(crate) fn words(&self) -> String {
        let texts = self.blocks.iter().filter_map(|block| match block {
            Block::Text(text) => Some(text.as_str()),
            Block::Image(..) | Block::Audio(..) | Block::Blob(..) => None,
        });
        texts.collect::<Vec<_>>().join("\n\n")
    }
}

/// So many of something, in words.
pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Arguments as a client sent them.
pub(crate) type Arguments = Map<String, Value>;
