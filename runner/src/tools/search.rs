//! A large catalogue as three tools: one that finds operations, one that describes one, one that calls one. A
//! model that got all of GitHub's in a list would have no room left to think. Reads the catalogue only.

use std::fmt::Write;
use std::io;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::catalogue::Entry;
use super::words::Annotations;
use super::{Answer, Arguments, Catalogue, Tool};
use crate::openapi::bounded;

/// Most tools that are listed whole when nobody says otherwise.
const TOOLS_MAX: usize = 60;
/// Largest list that is, in bytes: 25,000 tokens, nearly.
const LIST_BYTES_MAX: usize = 100_000;
/// Operations found by one search, unless it asks for fewer or more.
const FOUND: usize = 10;
/// Most that it may ask for.
const FOUND_MAX: usize = 50;
/// Characters of an operation's words in what is found.
const WORDS_MAX: usize = 160;

/// What finds operations.
const SEARCH: &str = "search_operations";
/// What describes one.
const DESCRIBE: &str = "describe_operation";
/// What calls one.
const CALL: &str = "call_operation";

/// How tools are listed (`tools.mode`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// All, while that stays small.
    #[default]
    Auto,
    /// All of them.
    All,
    /// The three tools of this file.
    Search,
}

impl Mode {
    /// Whether a catalogue is searched rather than listed.
    pub(crate) fn searches(self, catalogue: &Catalogue) -> bool {
        match self {
            Self::All => false,
            Self::Search => true,
            Self::Auto => catalogue.len() > TOOLS_MAX || catalogue.listed_bytes > LIST_BYTES_MAX,
        }
    }
}

/// The tools of a list.
pub(crate) fn listing(catalogue: &Catalogue, mode: Mode) -> io::Result<Vec<Tool>> {
    if mode.searches(catalogue) {
        return Ok(three(catalogue));
    }
    catalogue.entries().map(|entry| entry.map(|entry| entry.tool)).collect()
}

/// What a call of one of the three tools asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Search {
    /// This answer, at once.
    Answer(Answer),
    /// A call of the operation with this index.
    Call(usize, Arguments),
}

impl Search {
    /// Takes a call; `None` when the name is none of the three.
    pub(crate) fn take(catalogue: &Catalogue, name: &str, arguments: &Arguments) -> Option<Self> {
        let text = |key: &str| arguments.get(key).and_then(Value::as_str).map(str::trim).unwrap_or_default();
        match name {
            SEARCH => {
                let limit =
                    arguments.get("limit").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
                let limit = limit.unwrap_or(FOUND).clamp(1, FOUND_MAX);
                Some(Self::Answer(found(catalogue, text("query"), text("tag"), limit)))
            }
            DESCRIBE | CALL => {
                let Some(index) = catalogue.find(text("name")) else {
                    return Some(Self::Answer(unknown(text("name"))));
                };
                if name == DESCRIBE {
                    return Some(Self::Answer(described(catalogue, index)));
                }
                match arguments.get("arguments") {
                    None | Some(Value::Null) => Some(Self::Call(index, Arguments::new())),
                    Some(Value::Object(arguments)) => Some(Self::Call(index, arguments.clone())),
                    // Some models write the object as a text.
                    Some(Value::String(text)) if serde_json::from_str::<Arguments>(text).is_ok() => {
                        Some(Self::Call(index, serde_json::from_str(text).unwrap_or_default()))
                    }
                    Some(_) => Some(Self::Answer(Answer::error("argument \"arguments\" must be an object"))),
                }
            }
            _ => None,
        }
    }
}

/// There is no such operation.
fn unknown(name: &str) -> Answer {
    let named = if name.is_empty() { "argument \"name\" is missing" } else { "there is no such operation" };
    Answer::error(format!("cannot find {name:?}: {named}; {SEARCH} gives the names"))
}

/// The three tools.
fn three(catalogue: &Catalogue) -> Vec<Tool> {
    let api = if catalogue.title.is_empty() { "this API" } else { &catalogue.title };
    let count = catalogue.len();
    let reads = Annotations { read_only: true, destructive: false, idempotent: true, open_world: false };
    let calls = Annotations { read_only: false, destructive: true, idempotent: false, open_world: true };
    let tool = |name: &str, description: String, schema: &Value, annotations| Tool {
        name: name.into(),
        title: None,
        description: description.into(),
        input_schema: raw(schema),
        output_schema: None,
        annotations,
    };
    let name = json!({"type": "string", "description": format!("Name of the operation, from {SEARCH}.")});
    vec![
        tool(
            SEARCH,
            format!(
                "Finds operations of {api}, which has {count}. Use it first: it gives names, methods, paths and what they do."
            ),
            &json!({"type": "object", "additionalProperties": false, "properties": {
                "query": {"type": "string", "description": "Words to look for, such as \"list pull requests\". Empty gives the first ones."},
                "tag": {"type": "string", "description": "Only operations of this tag."},
                "limit": {"type": "integer", "minimum": 1, "maximum": FOUND_MAX, "default": FOUND}}}),
            reads,
        ),
        tool(
            DESCRIBE,
            format!(
                "Describes one operation of {api}: what it does, and the schema of its arguments. Use it before {CALL}."
            ),
            &json!({"type": "object", "additionalProperties": false, "required": ["name"], "properties": {"name": name}}),
            reads,
        ),
        tool(
            CALL,
            format!("Calls one operation of {api} with arguments that fit the schema {DESCRIBE} gives."),
            &json!({"type": "object", "additionalProperties": false, "required": ["name"], "properties": {
                "name": name, "arguments": {"type": "object", "description": "Its arguments."}}}),
            calls,
        ),
    ]
}

/// A schema as text.
fn raw(schema: &Value) -> Box<RawValue> {
    to_raw_value(schema).unwrap_or_default()
}

/// Operations with the words of a query, those that fit best first.
fn found(catalogue: &Catalogue, query: &str, tag: &str, limit: usize) -> Answer {
    let wanted: Vec<String> = query
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let mut hits: Vec<(usize, Entry)> = Vec::new();
    let mut all = 0;
    for entry in catalogue.entries() {
        let Ok(entry) = entry else {
            return Answer::error("cannot read the catalogue of operations");
        };
        if !tag.is_empty() && !entry.about.tags.iter().any(|own| own.eq_ignore_ascii_case(tag)) {
            continue;
        }
        let score = score(&entry, &wanted);
        if score == 0 && !wanted.is_empty() {
            continue;
        }
        all += 1;
        // Kept in order: of two that fit equally, the document's first comes first.
        let at = hits.partition_point(|(other, _)| *other >= score);
        if at < limit {
            hits.insert(at, (score, entry));
            hits.truncate(limit);
        }
    }
    if hits.is_empty() {
        return Answer::text(format!("No operation has the words {query:?}. Fewer or other words may help."));
    }
    let mut text = String::new();
    for (_, entry) in &hits {
        let tool = &entry.tool;
        let said = tool.title.as_deref().unwrap_or(&tool.description);
        let said = said.lines().next().unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}: {} — {}", tool.name, entry.about.operation, bounded(said, WORDS_MAX));
    }
    if all > hits.len() {
        let _ = write!(text, "\n{} of {all}; more words or a larger limit show others.", hits.len());
    }
    Answer::text(text)
}

/// How well an operation fits: each word counts once, most where it is the name.
fn score(entry: &Entry, wanted: &[String]) -> usize {
    let tool = &entry.tool;
    let fields = [
        (8, tool.name.to_lowercase()),
        (6, tool.title.as_deref().unwrap_or_default().to_lowercase()),
        (4, entry.about.operation.to_lowercase()),
        (3, entry.about.tags.join(" ").to_lowercase()),
        (1, tool.description.to_lowercase()),
    ];
    let of_word = |word: &String| {
        // A plural finds the singular and the other way round.
        let stem = word.strip_suffix('s').filter(|stem| stem.len() > 2).unwrap_or(word);
        let whole = |text: &str| {
            let parts = text.split(|c: char| !c.is_alphanumeric());
            parts.into_iter().any(|part| part.strip_suffix('s').unwrap_or(part) == stem)
        };
        let of_field = |(weight, text): &(usize, String)| match () {
            () if whole(text) => weight * 2,
            () if text.contains(stem) => *weight,
            () => 0,
        };
        fields.iter().map(of_field).sum::<usize>()
    };
    let scores: Vec<usize> = wanted.iter().map(of_word).collect();
    let words_found = scores.iter().filter(|score| **score > 0).count();
    scores.iter().sum::<usize>() * words_found
}

/// All there is to know of an operation.
fn described(catalogue: &Catalogue, index: usize) -> Answer {
    let Ok(Entry { tool, about }) = catalogue.entry(index) else {
        return Answer::error("cannot read the catalogue of operations");
    };
    let hints = tool.annotations;
    let kind = match (hints.read_only, hints.destructive) {
        (true, _) => "It only reads.",
        (false, true) => "It may change or delete data.",
        (false, false) => "It adds data and changes none.",
    };
    let mut text = format!("{}: {}\n{kind}\n\n{}\n\n", tool.name, about.operation, tool.description);
    let _ = write!(text, "JSON Schema of its arguments:\n{}", tool.input_schema.get());
    if let Some(output) = &tool.output_schema {
        let _ = write!(text, "\n\nJSON Schema of its answer:\n{}", output.get());
    }
    Answer::text(text)
}
