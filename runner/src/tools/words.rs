//! What a tool says of itself: its title, its description and its annotations, from the operation and from the
//! `x-mcp-*` keywords beside it. No schema here.

use http::Method;
use serde::{Deserialize, Serialize};

use crate::openapi::{Node, Operation, bounded};

/// Characters of a tool's description.
const DESCRIPTION_MAX: usize = 1_200;
/// Characters of a tool's title.
const TITLE_MAX: usize = 200;

/// What a client may assume of a tool before it calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the protocol has these four hints, each true or false")]
pub(crate) struct Annotations {
    /// GET, HEAD, OPTIONS, QUERY.
    pub(crate) read_only: bool,
    /// DELETE, PUT, PATCH, POST that is not known to add only.
    pub(crate) destructive: bool,
    /// GET, HEAD, PUT, DELETE.
    pub(crate) idempotent: bool,
    /// Whether others change what it is about, as they do behind most APIs.
    pub(crate) open_world: bool,
}

/// A text beside an operation, without space around it; `None` when it says nothing.
fn text<'a>(operation: &Operation<'a>, keyword: &str) -> Option<&'a str> {
    operation.value.get(keyword)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

/// Whether an operation is hidden from models (`x-mcp-hidden`).
pub(super) fn is_hidden(operation: &Operation<'_>) -> bool {
    operation.says("x-mcp-hidden").is_some_and(Node::is_true)
}

/// The name a document's author has for the tool, else the operation's id.
pub(super) fn id<'a>(operation: &Operation<'a>) -> Option<&'a str> {
    text(operation, "x-mcp-name").or_else(|| operation.id())
}

/// The title.
pub(super) fn title(operation: &Operation<'_>) -> Option<Box<str>> {
    let title = text(operation, "x-mcp-title").or_else(|| text(operation, "summary"))?;
    Some(bounded(title, TITLE_MAX).into())
}

/// Words for a model: what it does, whether to avoid it, and in the last resort where it is.
pub(super) fn description(operation: &Operation<'_>) -> Box<str> {
    if let Some(own) = text(operation, "x-mcp-description") {
        return bounded(own, DESCRIPTION_MAX).into();
    }
    let mut said = String::new();
    if operation.is_deprecated() {
        said.push_str("Deprecated. ");
    }
    match (text(operation, "summary"), text(operation, "description")) {
        (None, None) => said.push_str(&operation.label()),
        (Some(one), None) | (None, Some(one)) => said.push_str(one),
        // Many documents say the same twice.
        (Some(summary), Some(description)) if description.starts_with(summary) => said.push_str(description),
        (Some(summary), Some(description)) => said.extend([summary, "\n\n", description]),
    }
    bounded(&said, DESCRIPTION_MAX).into()
}

/// Words for an argument, cut to a length a model can bear.
pub(super) fn shortened(words: &str) -> String {
    bounded(words, DESCRIPTION_MAX / 2)
}

/// What the method promises (RFC 9110), unless the document knows better.
pub(super) fn annotations(operation: &Operation<'_>) -> Annotations {
    let method = &operation.method;
    let is_safe = method.is_safe() || method.as_str() == "QUERY";
    let said = operation.says("x-mcp-annotations");
    let hint = |name: &str| said.and_then(|said| said.get(name)).and_then(Node::as_bool);
    let read_only = hint("readOnlyHint").unwrap_or(is_safe);
    Annotations {
        read_only,
        destructive: hint("destructiveHint").unwrap_or(!read_only),
        idempotent: hint("idempotentHint").unwrap_or(is_safe || is_idempotent(method)),
        open_world: hint("openWorldHint").unwrap_or(true),
    }
}

/// Whether a second call changes nothing more.
fn is_idempotent(method: &Method) -> bool {
    method.is_idempotent()
}
