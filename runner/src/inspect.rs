//! `mcp-runner inspect`: what a document gives, for a person or as JSON. Serves nothing and calls nothing.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::build::{self, Made, Recipe};
use crate::config::RunnerConfig;
use crate::failure::Failure;
use crate::openapi;
use crate::tools::{Catalogue, Entry, Head, counted, listing};

/// Makes the catalogue and describes it.
pub(crate) async fn inspect(config: &RunnerConfig, as_json: bool) -> Result<String, Failure> {
    // As it is now, not as it was kept.
    let mut recipe = Recipe { kept_in: None, ..Recipe::new(config) };
    if recipe.document == "-" {
        // It may be compiled twice, and stdin can be read once.
        recipe.document = openapi::from_stdin().map_err(Failure::start)?;
    }
    let made = match build::make(&recipe).await {
        Err(error) if recipe.base_url.is_none() => {
            // That it does not say where calls go is no reason not to look at it.
            let elsewhere = Recipe { base_url: Some("mock".to_owned()), ..recipe };
            let told = error.to_string();
            let made = build::make(&elsewhere).await.map_err(|_| Failure::start(error))?;
            (made, Some(told))
        }
        made => (made.map_err(Failure::start)?, None),
    };
    let (Made::New(catalogue, mut head, _), told) = made else {
        return Err(Failure::start("cannot inspect the document: it was not read"));
    };
    head.notes.extend(told);
    let cannot = |error| Failure::start(format!("cannot read the catalogue: {error}"));
    let entries = catalogue.entries().collect::<Result<Vec<_>, _>>().map_err(cannot)?;
    let searches = config.document.mode.searches(&catalogue);
    let listed = listing(&catalogue, config.document.mode).map_err(cannot)?.len();
    Ok(if as_json {
        let mut text = shown_as_json(&catalogue, &head, &entries, searches).to_string();
        text.push('\n');
        text
    } else {
        shown(&catalogue, &head, &entries, searches.then_some(listed))
    })
}

/// For programs.
fn shown_as_json(catalogue: &Catalogue, head: &Head, entries: &[Entry], searches: bool) -> Value {
    let tools: Vec<Value> = entries
        .iter()
        .map(|Entry { tool, about }| {
            let hints = tool.annotations;
            json!({
                "name": tool.name, "operation": about.operation, "tags": about.tags, "title": tool.title,
                "inputBytes": tool.input_schema.get().len(),
                "outputBytes": tool.output_schema.as_ref().map(|schema| schema.get().len()),
                "readOnly": hints.read_only, "destructive": hints.destructive, "idempotent": hints.idempotent,
            })
        })
        .collect();
    json!({
        "title": catalogue.title, "mode": if searches { "search" } else { "all" },
        "listedBytes": catalogue.listed_bytes, "leftOut": head.left_out,
        "tools": tools, "skipped": head.skipped, "notes": head.notes,
    })
}

/// For people. `listed` is how many tools a list has instead of all of them.
fn shown(catalogue: &Catalogue, head: &Head, entries: &[Entry], listed: Option<usize>) -> String {
    let longest = |of: fn(&Entry) -> usize| entries.iter().map(of).max().unwrap_or_default().clamp(9, 64);
    let (names, operations) =
        (longest(|e| e.tool.name.len()), longest(|e| e.about.operation.chars().count()));
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{:names$}  {:operations$}  {:>7}  {:>7}", "TOOL", "OPERATION", "INPUT", "OUTPUT");
    for Entry { tool, about } in entries {
        let output =
            tool.output_schema.as_ref().map_or_else(|| "-".to_owned(), |schema| size(schema.get().len()));
        let input = size(tool.input_schema.get().len());
        let _ =
            writeln!(text, "{:names$}  {:operations$}  {input:>7}  {output:>7}", tool.name, about.operation);
    }
    let _ = write!(text, "\n{}", counted(entries.len(), "tool"));
    if !catalogue.title.is_empty() {
        let _ = write!(text, " of {}", catalogue.title);
    }
    let _ = writeln!(text, ", a list of {}", size(catalogue.listed_bytes));
    if let Some(listed) = listed {
        let _ = writeln!(
            text,
            "too many to list: clients see {listed} tools that search, describe and call them"
        );
    }
    if head.left_out > 0 {
        let _ = writeln!(text, "{} left out as asked", counted(head.left_out, "operation"));
    }
    for skipped in &head.skipped {
        let _ = writeln!(text, "skipped {skipped}");
    }
    for note in &head.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

/// A size for people.
fn size(bytes: usize) -> String {
    if bytes < 1000 { format!("{bytes} B") } else { format!("{}.{} kB", bytes / 1000, bytes % 1000 / 100) }
}
